//! FindCoordinator: who looks after a group? We do. After a transaction? Nobody.

use super::{Context, text};
use crate::quiet::About;
use crate::server::NODE_ID;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// What a transactional producer is told, wherever it asks first. Of all errors this one stops every client at
/// once: others make librdkafka try until its time is up and then say "timed out".
pub(super) const NO_TRANSACTIONS: ResponseError = ResponseError::TransactionalIdAuthorizationFailed;

impl Context {
    /// Warns of a transactional producer, which is refused with [`NO_TRANSACTIONS`].
    pub(super) fn warn_of_transactions(&self, transactional_id: &str) {
        if let Some(untold) = self.shared.quiet.may_tell(About::Refusals) {
            let remote = self.peer.remote;
            tracing::warn!(%remote, transactional_id, untold, "refused a transactional producer");
        }
    }
}

/// Answers one FindCoordinator.
pub(super) fn find(cx: &Context, request: &FindCoordinatorRequest) -> FindCoordinatorResponse {
    let refuse = |error: ResponseError, why: &'static str| {
        let refusal =
            FindCoordinatorResponse::default().with_error_code(error.code()).with_node_id((-1).into());
        refusal.with_error_message(Some(text(why))).with_port(-1)
    };
    match request.key_type {
        GROUP if request.key.is_empty() => refuse(ResponseError::InvalidGroupId, "the group's name is empty"),
        GROUP => {
            let (host, port) = cx.advertised();
            let found = FindCoordinatorResponse::default().with_node_id(NODE_ID.into());
            found.with_host(host).with_port(port)
        }
        TRANSACTION => {
            cx.warn_of_transactions(&request.key);
            refuse(
                NO_TRANSACTIONS,
                "this log has no transactions: leave out transactional.id (enable.idempotence works), or use Apache Kafka",
            )
        }
        _ => refuse(ResponseError::InvalidRequest, "only groups have a coordinator here"),
    }
}
