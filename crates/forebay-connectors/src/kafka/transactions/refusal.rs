//! What a refusal means for a transaction: whether it passes, ends the transaction, or is for a person to mend.

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use kafka_protocol::error::{ParseResponseErrorCode, ResponseError};

use super::super::error::{is_stale_leader, refused};
use super::Transactions;

impl Transactions {
    /// What a broker's code means for a transaction.
    pub(super) fn outcome(&self, code: i16, what: &str) -> Result<()> {
        let Some(error) = code.err() else { return Ok(()) };
        Err(self.refusal(error, what))
    }

    /// The error for a refusal by coordinator or leader.
    pub(in crate::kafka) fn refusal(&self, error: ResponseError, what: &str) -> Error {
        use ResponseError as E;
        let words = format!("{what}, as `{}`", self.name);
        if is_lost(error) {
            return Error::new(
                &codes::TRANSACTION_LOST,
                format!("the transaction of `{}` is lost", self.name),
            )
            .with_detail(format!("{error} (code {})", error.code()))
            .with_retry(false);
        }
        match error {
            E::ConcurrentTransactions | E::TransactionCoordinatorFenced | E::OperationNotAttempted => {
                let message = format!("the transaction before is still being ended, as `{}`", self.name);
                Error::new(&codes::SOURCE_UNAVAILABLE, message)
                    .with_detail(format!("{error} (code {})", error.code()))
                    .with_hint(
                        "It passes by itself, as soon as each broker that took part has the end of it.",
                    )
            }
            E::InvalidTransactionTimeout => {
                let millis = self.timeout.as_millis();
                let message =
                    format!("option `kafka.transaction.timeout.ms` is {millis}, more than the broker allows");
                Error::new(&codes::BAD_VALUE, message).with_hint(
                    "Give less, or raise the broker's `transaction.max.timeout.ms`. An epoch must be written within it.",
                )
            }
            error => {
                let passes = error.is_retriable() || is_stale_leader(error);
                let refusal = refused(error, &words);
                let refusal = if passes { refusal.with_retry(true) } else { refusal };
                self.explained(refusal)
            }
        }
    }

    pub(super) fn without_transactions(&self, what: &str) -> Error {
        let message = format!("kafka refused: {what}: the broker has no transactions");
        self.explained(Error::new(&codes::SOURCE_REFUSED, message))
    }

    /// How to mend what only transactions need.
    pub(super) fn explained(&self, error: Error) -> Error {
        if error.code() == &codes::SOURCE_AUTH {
            let name = &self.name;
            return error.with_hint(format!(
                "Besides WRITE on its topics, the principal needs WRITE and DESCRIBE on the transactional id `{name}`, READ on \
                 the group `{name}` and READ on the topic under which the group's offset stands (the option `topic`); \
                 `transactionalIdPrefix` chooses how both names begin. A running query keeps trying by itself."
            ));
        }
        if error.code() == &codes::SOURCE_REFUSED {
            return error.with_hint(
                "A broker without transactions can be written to with `exactlyOnce: false`: each row at least once.",
            );
        }
        error
    }
}

/// The broker will take nothing more from this author in this transaction.
fn is_lost(error: ResponseError) -> bool {
    use ResponseError as E;
    matches!(
        error,
        E::InvalidProducerEpoch
            | E::ProducerFenced
            | E::InvalidTxnState
            | E::InvalidProducerIdMapping
            | E::UnknownProducerId
            | E::OutOfOrderSequenceNumber
            | E::TransactionAbortable
    )
}

/// True of a code that tells why; partitions beside the one that is refused tell only that nothing was tried.
pub(super) fn is_own_reason(code: i16) -> bool {
    code.err() != Some(ResponseError::OperationNotAttempted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::kafka::{Client, ClientConfig};

    fn told(error: ResponseError) -> Error {
        let client = Client::new(ClientConfig::plain("a:1").unwrap()).unwrap();
        let transactions = Transactions::new(client, "forebay-q", Duration::from_secs(60));
        transactions.outcome(error.code(), "to end its transaction").unwrap_err()
    }

    #[test]
    fn what_passes_is_tried_again_and_what_is_lost_is_not() {
        use ResponseError as E;
        for passes in [
            E::ConcurrentTransactions,
            E::CoordinatorLoadInProgress,
            E::NotCoordinator,
            E::TransactionCoordinatorFenced,
            E::UnstableOffsetCommit,
            E::UnknownTopicOrPartition,
        ] {
            assert!(told(passes).is_retryable(), "{passes:?}");
            assert_ne!(told(passes).code(), &codes::TRANSACTION_LOST, "{passes:?}");
        }
        for lost in
            [E::InvalidProducerEpoch, E::ProducerFenced, E::InvalidTxnState, E::InvalidProducerIdMapping]
        {
            assert_eq!(told(lost).code(), &codes::TRANSACTION_LOST, "{lost:?}");
            assert!(!told(lost).is_retryable(), "{lost:?}");
        }
    }

    #[test]
    fn refusals_say_how_to_mend_them() {
        let denied = told(ResponseError::TransactionalIdAuthorizationFailed);
        assert_eq!(denied.code(), &codes::SOURCE_AUTH);
        assert!(denied.hint().contains("`forebay-q`") && denied.hint().contains("DESCRIBE"), "{denied:?}");
        let timeout = told(ResponseError::InvalidTransactionTimeout);
        assert!(timeout.hint().contains("transaction.max.timeout.ms") && !timeout.is_retryable());
        assert!(told(ResponseError::UnsupportedForMessageFormat).hint().contains("exactlyOnce: false"));
    }
}
