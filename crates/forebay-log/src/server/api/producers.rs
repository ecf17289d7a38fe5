//! InitProducerId: a number for an idempotent producer, which most producers are by default; for a transactional one the
//! number that it always had, and a new epoch.

use super::Context;
use crate::quiet::About;
use crate::server::access::Need;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiKey, InitProducerIdRequest, InitProducerIdResponse};

const API: ApiKey = ApiKey::InitProducerId;

/// Answers one InitProducerId.
pub(super) async fn init(cx: Context, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let refuse = |error: ResponseError| {
        let refusal = InitProducerIdResponse::default().with_error_code(error.code());
        refusal.with_producer_id((-1).into()).with_producer_epoch(-1)
    };
    if let Some(transactional_id) = &request.transactional_id {
        if !cx.may(API, Need::TransactionalId, transactional_id) {
            return refuse(ResponseError::TransactionalIdAuthorizationFailed);
        }
        let (shared, timeout) = (&cx.shared, request.transaction_timeout_ms);
        return match shared.transactions.init(shared, transactional_id, timeout).await {
            Ok((id, epoch)) => {
                InitProducerIdResponse::default().with_producer_id(id.into()).with_producer_epoch(epoch)
            }
            Err(error) => refuse(error),
        };
    }
    if !cx.may(API, Need::IdempotentWrite, "") {
        return refuse(ResponseError::ClusterAuthorizationFailed);
    }
    let log = cx.shared.log.clone();
    match tokio::task::spawn_blocking(move || log.new_producer_id()).await {
        Ok(Ok((id, epoch))) => {
            InitProducerIdResponse::default().with_producer_id(id.into()).with_producer_epoch(epoch)
        }
        Ok(Err(error)) => {
            if let Some(untold) = cx.shared.quiet.may_tell(About::Failures) {
                tracing::error!(%error, untold, "no producer id could be given out");
            }
            refuse(ResponseError::CoordinatorLoadInProgress)
        }
        Err(error) => {
            tracing::error!(%error, "no producer id could be given out");
            refuse(ResponseError::UnknownServerError)
        }
    }
}
