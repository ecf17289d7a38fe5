//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup: the life of a group's member, translated for the coordinator.
//!
//! Everything a group keeps is copied out of the request: a few bytes of metadata must not keep a whole network
//! buffer alive.

use super::errors::code;
use super::{Call, Context, Outcome, Started, text};
use crate::quiet::About;
use crate::server::access::Need;
use crate::server::connection::Ended;
use crate::server::group::{Identity, Join, Joined, Millis, Name, Refused, Reply};
use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{
    ApiKey, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::time::Duration;
use uuid::Uuid;

/// Protocols that one member may offer. Clients offer two or three; each is compared with every other member's.
const MAX_PROTOCOLS: usize = 32;

/// A rebalance that gives nobody the time to answer would never end.
const MIN_REBALANCE_TIMEOUT: Duration = Duration::from_secs(1);

/// Begins one JoinGroup; its answer comes when the rebalance completes.
pub(super) fn join(cx: &Context, call: Call, request: JoinGroupRequest) -> Result<Started, Ended> {
    let group = name(&request.group_id);
    let join = match to_join(cx, &call, request) {
        Ok(join) => join,
        Err(refused) => return call.now(&refusal(&refused)),
    };
    let base = join.instance.as_ref().unwrap_or(&join.client_id);
    let fresh_id = format!("{base}-{}", Uuid::new_v4());
    let waits = cx.shared.coordinator.join(&group, join, fresh_id.into());
    let closing = cx.peer.closing.clone();
    let call = call.without_text();
    Ok(Started::Parked(Box::pin(async move {
        let reply = tokio::select! {
            reply = waits => reply,
            () = closing.cancelled() => return Ok(Outcome::Close),
        };
        match reply {
            Ok(Reply::Join(Ok(joined))) => call.answer(&welcome(joined)),
            Ok(Reply::Join(Err(refused))) => call.answer(&refusal(&refused)),
            Ok(Reply::Sync(_)) | Err(_) => Ok(Outcome::Close),
        }
    })))
}

fn to_join(cx: &Context, call: &Call, request: JoinGroupRequest) -> Result<Join, Refused> {
    let options = &cx.shared.options;
    let member_id = name(&request.member_id);
    let refuse = |error| Err(Refused { error, member_id: member_id.clone() });
    if request.group_id.is_empty() {
        return refuse(ResponseError::InvalidGroupId);
    }
    if !cx.may(ApiKey::JoinGroup, Need::Group, &request.group_id) {
        return refuse(ResponseError::GroupAuthorizationFailed);
    }
    let session = duration(request.session_timeout_ms);
    if session < options.min_session_timeout || session > options.max_session_timeout {
        return refuse(ResponseError::InvalidSessionTimeout);
    }
    let texts = [&request.group_id.0, &request.member_id, &request.protocol_type];
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    let identity =
        request.group_instance_id.as_ref().or(call.client_id.as_ref()).map_or(0, |text| text.len());
    let spoken: usize = request.protocols.iter().map(|p| p.name.len() + p.metadata.len()).sum();
    let brought = texts + identity + spoken;
    if brought > options.max_member_bytes || request.protocols.len() > MAX_PROTOCOLS {
        if let Some(untold) = cx.shared.quiet.may_tell(About::Refusals) {
            let group = &request.group_id.0;
            tracing::warn!(%group, bytes = brought, untold, "refused a member: its metadata is too large or in too many protocols");
        }
        return refuse(ResponseError::InvalidRequest);
    }
    let longest = options.max_rebalance_timeout.max(MIN_REBALANCE_TIMEOUT);
    let rebalance = duration(request.rebalance_timeout_ms).clamp(MIN_REBALANCE_TIMEOUT, longest);
    let protocols = request.protocols.iter().map(|p| (name(&p.name), copy(&p.metadata)));
    Ok(Join {
        member_id,
        instance: request.group_instance_id.as_ref().map(name),
        client_id: call.client_id.as_ref().map(name).unwrap_or_default(),
        client_host: format!("/{}", cx.peer.remote.ip()).into(),
        session_timeout: millis(session),
        rebalance_timeout: millis(rebalance),
        protocol_type: name(&request.protocol_type),
        protocols: protocols.collect(),
    })
}

fn welcome(joined: Joined) -> JoinGroupResponse {
    let members = joined.members.into_iter().map(|(id, instance, metadata)| {
        let member = JoinGroupResponseMember::default().with_member_id(text(&*id)).with_metadata(metadata);
        member.with_group_instance_id(instance.map(|instance| text(&*instance)))
    });
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_name(Some(text(&*joined.protocol)))
        .with_leader(text(&*joined.leader))
        .with_member_id(text(&*joined.member_id))
        .with_members(members.collect())
}

fn refusal(refused: &Refused) -> JoinGroupResponse {
    let answer = JoinGroupResponse::default().with_error_code(refused.error.code()).with_generation_id(-1);
    answer.with_protocol_name(Some(StrBytes::new())).with_member_id(text(&*refused.member_id))
}

/// Begins one SyncGroup; its answer comes when the leader has brought the assignments.
pub(super) fn sync(cx: &Context, call: Call, request: SyncGroupRequest) -> Result<Started, Ended> {
    let refuse = |error: ResponseError| SyncGroupResponse::default().with_error_code(error.code());
    if !cx.may(ApiKey::SyncGroup, Need::Group, &request.group_id) {
        return call.now(&refuse(ResponseError::GroupAuthorizationFailed));
    }
    let brought = request.assignments.iter().map(|given| given.assignment.len()).max().unwrap_or(0);
    if brought > cx.shared.options.max_member_bytes {
        if let Some(untold) = cx.shared.quiet.may_tell(About::Refusals) {
            let group = &request.group_id.0;
            tracing::warn!(%group, bytes = brought, untold, "refused an assignment: it is too large");
        }
        return call.now(&refuse(ResponseError::InvalidRequest));
    }
    let from = identity(&request.member_id, request.group_instance_id.as_ref(), request.generation_id);
    let assignments =
        request.assignments.iter().map(|given| (name(&given.member_id), copy(&given.assignment)));
    let waits = cx.shared.coordinator.sync(&request.group_id, &from, assignments.collect());
    let closing = cx.peer.closing.clone();
    let call = call.without_text();
    Ok(Started::Parked(Box::pin(async move {
        let reply = tokio::select! {
            reply = waits => reply,
            () = closing.cancelled() => return Ok(Outcome::Close),
        };
        match reply {
            Ok(Reply::Sync(Ok(assigned))) => {
                call.answer(&SyncGroupResponse::default().with_assignment(assigned.assignment))
            }
            Ok(Reply::Sync(Err(error))) => call.answer(&refuse(error)),
            Ok(Reply::Join(_)) | Err(_) => Ok(Outcome::Close),
        }
    })))
}

/// Answers one Heartbeat.
pub(super) fn heartbeat(cx: &Context, request: &HeartbeatRequest) -> HeartbeatResponse {
    let from = identity(&request.member_id, request.group_instance_id.as_ref(), request.generation_id);
    let beat = match cx.may(ApiKey::Heartbeat, Need::Group, &request.group_id) {
        true => cx.shared.coordinator.heartbeat(&request.group_id, &from),
        false => Err(ResponseError::GroupAuthorizationFailed),
    };
    HeartbeatResponse::default().with_error_code(code(&beat))
}

/// Answers one LeaveGroup.
pub(super) fn leave(cx: &Context, request: &LeaveGroupRequest) -> LeaveGroupResponse {
    let left = match cx.may(ApiKey::LeaveGroup, Need::Group, &request.group_id) {
        true => cx.shared.coordinator.leave(&request.group_id, &request.member_id),
        false => Err(ResponseError::GroupAuthorizationFailed),
    };
    LeaveGroupResponse::default().with_error_code(code(&left))
}

/// Who a member says it is.
pub(super) fn identity(member_id: &StrBytes, instance: Option<&StrBytes>, generation: i32) -> Identity {
    Identity { member_id: name(member_id), instance: instance.map(name), generation }
}

/// Text that is kept.
fn name(text: &StrBytes) -> Name {
    text.as_str().into()
}

fn copy(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn duration(millis: i32) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
