//! ListGroups, DescribeGroups, DeleteGroups: groups as people look at them.

use super::offsets::outcome;
use super::{Call, Context, Started, text};
use crate::server::access::Need;
use crate::server::connection::Ended;
use crate::server::group::Group;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    ApiKey, DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    GroupId, ListGroupsResponse,
};
use std::collections::HashSet;

/// Answers one ListGroups.
pub(super) fn list(cx: &Context) -> ListGroupsResponse {
    let groups = cx.shared.coordinator.list().into_iter();
    let theirs = groups.filter(|(id, _)| cx.may(ApiKey::ListGroups, Need::Group, id));
    let groups = theirs.map(|(id, protocol_type)| {
        ListedGroup::default().with_group_id(text(&*id).into()).with_protocol_type(text(protocol_type))
    });
    ListGroupsResponse::default().with_groups(groups.collect())
}

/// Answers one DescribeGroups. A group that nobody knows is "Dead", and no error: so the protocol has it.
pub(super) fn describe(cx: &Context, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    // Each group once: an answer for every repetition could be a thousand times as large as the request.
    let mut seen = HashSet::new();
    let groups = request.groups.into_iter().filter(|id| seen.insert(id.clone()));
    let groups = groups.map(|id| {
        if !cx.may(ApiKey::DescribeGroups, Need::Group, &id) {
            let denied = ResponseError::GroupAuthorizationFailed.code();
            return DescribedGroup::default().with_group_id(id).with_error_code(denied);
        }
        cx.shared.coordinator.with_group(&id, |group| describe_one(group).with_group_id(id.clone()))
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn describe_one(group: Option<&Group>) -> DescribedGroup {
    let Some(group) = group else {
        return DescribedGroup::default().with_group_state(text("Dead"));
    };
    let members = group.members().iter().map(|member| {
        DescribedGroupMember::default()
            .with_member_id(text(&*member.id))
            .with_group_instance_id(member.instance.as_ref().map(|instance| text(&**instance)))
            .with_client_id(text(&*member.client_id))
            .with_client_host(text(&*member.client_host))
            .with_member_metadata(member.metadata(group.protocol()))
            .with_member_assignment(member.assignment.clone())
    });
    DescribedGroup::default()
        .with_group_state(text(group.phase().name()))
        .with_protocol_type(text(group.protocol_type()))
        .with_protocol_data(text(group.protocol()))
        .with_members(members.collect())
}

/// Begins one DeleteGroups.
pub(super) fn delete(cx: &Context, call: Call, request: DeleteGroupsRequest) -> Result<Started, Ended> {
    let begun: Vec<_> = request
        .groups_names
        .into_iter()
        .map(|id: GroupId| {
            let deletion = match cx.may(ApiKey::DeleteGroups, Need::Group, &id) {
                true => cx.shared.coordinator.delete(&id),
                false => Err(ResponseError::GroupAuthorizationFailed),
            };
            (id, deletion)
        })
        .collect();
    call.later(async move {
        let mut results = Vec::with_capacity(begun.len());
        for (id, deletion) in begun {
            let code = match deletion {
                Ok(durable) => outcome(durable).await,
                Err(error) => ResponseError::code(&error),
            };
            results.push(DeletableGroupResult::default().with_group_id(id).with_error_code(code));
        }
        DeleteGroupsResponse::default().with_results(results)
    })
}
