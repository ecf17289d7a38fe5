//! FindCoordinator: who looks after a group, or a transactional producer? We do.

use super::{Context, text};
use crate::server::NODE_ID;
use crate::server::access::Need;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiKey, FindCoordinatorRequest, FindCoordinatorResponse};

const API: ApiKey = ApiKey::FindCoordinator;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// Answers one FindCoordinator.
pub(super) fn find(cx: &Context, request: &FindCoordinatorRequest) -> FindCoordinatorResponse {
    let refuse = |error: ResponseError, why: &'static str| {
        let refusal =
            FindCoordinatorResponse::default().with_error_code(error.code()).with_node_id((-1).into());
        refusal.with_error_message(Some(text(why))).with_port(-1)
    };
    match request.key_type {
        GROUP if request.key.is_empty() => refuse(ResponseError::InvalidGroupId, "the group's name is empty"),
        GROUP if !cx.may(API, Need::Group, &request.key) => {
            refuse(ResponseError::GroupAuthorizationFailed, "the group is not this user's")
        }
        TRANSACTION if !cx.may(API, Need::TransactionalId, &request.key) => {
            let why = "the transactional id is not this user's";
            refuse(ResponseError::TransactionalIdAuthorizationFailed, why)
        }
        GROUP | TRANSACTION => {
            let (host, port) = cx.advertised();
            let found = FindCoordinatorResponse::default().with_node_id(NODE_ID.into());
            found.with_host(host).with_port(port)
        }
        _ => refuse(ResponseError::InvalidRequest, "only groups and transactions have a coordinator here"),
    }
}
