//! A broker's refusals and a network's silence, in Forebay's words.

use forebay_core::Error;
use forebay_core::error::codes;
use kafka_protocol::error::{ParseResponseErrorCode, ResponseError};

/// The broker at `address` does not answer; trying again may help.
pub fn unavailable(address: &str, why: impl std::fmt::Display) -> Error {
    Error::new(&codes::SOURCE_UNAVAILABLE, format!("kafka at {address} does not answer"))
        .with_detail(why)
        .with_hint(format!(
            "Check that a broker runs at {address} and that `kafka.bootstrap.servers` is right."
        ))
}

/// The credentials or the certificate were not accepted.
pub(super) fn not_trusted(address: &str, why: impl std::fmt::Display) -> Error {
    Error::new(&codes::SOURCE_AUTH, format!("no trust between us and kafka at {address}")).with_detail(why)
}

/// The broker sent bytes that are no answer to what was asked.
pub(super) fn garbled(address: &str, why: impl std::fmt::Display) -> Error {
    Error::new(&codes::SOURCE_UNAVAILABLE, format!("what listens at {address} does not answer as kafka"))
        .with_detail(why)
        .with_hint(
            "Check host and port in `kafka.bootstrap.servers`, and whether that listener expects \
             `kafka.security.protocol: SSL`, SASL or PLAINTEXT.",
        )
}

/// `Ok` for code 0, else the refusal of `what`, for example ``topic `t` ``.
pub(super) fn check(code: i16, what: &dyn std::fmt::Display) -> Result<(), Error> {
    match code.err() {
        None => Ok(()),
        Some(error) => Err(refused(error, what)),
    }
}

/// The broker's refusal of `what`. Errors that Kafka calls retriable are `SOURCE_UNAVAILABLE`.
pub fn refused(error: ResponseError, what: &dyn std::fmt::Display) -> Error {
    use ResponseError as E;
    let code = match error {
        E::TopicAuthorizationFailed
        | E::GroupAuthorizationFailed
        | E::ClusterAuthorizationFailed
        | E::TransactionalIdAuthorizationFailed
        | E::SaslAuthenticationFailed
        | E::UnsupportedSaslMechanism
        | E::IllegalSaslState => &codes::SOURCE_AUTH,
        E::CorruptMessage => &codes::BAD_BATCH,
        error if error.is_retriable() => &codes::SOURCE_UNAVAILABLE,
        _ => &codes::SOURCE_REFUSED,
    };
    Error::new(code, format!("kafka refused: {what}")).with_detail(format!("{error} (code {})", error.code()))
}

/// True where the leader is elsewhere by now, or not known yet: metadata must be asked for anew.
pub(super) fn is_stale_leader(error: ResponseError) -> bool {
    use ResponseError as E;
    matches!(
        error,
        E::NotLeaderOrFollower
            | E::LeaderNotAvailable
            | E::UnknownTopicOrPartition
            | E::ReplicaNotAvailable
            | E::FencedLeaderEpoch
            | E::UnknownLeaderEpoch
            | E::KafkaStorageError
            | E::BrokerNotAvailable
            | E::NotController
    )
}
