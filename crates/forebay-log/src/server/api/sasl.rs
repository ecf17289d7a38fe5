//! SaslHandshake, SaslAuthenticate: the way in, where there is a guard.
//!
//! A login that fails is answered, always alike, and then its connection is closed. On a listener without a guard, out of turn and
//! for somebody who is in already the answer is ILLEGAL_SASL_STATE, as Apache Kafka's is.

use super::{Call, Context, Outcome, Started, text};
use crate::server::access::Said;
use crate::server::connection::Ended;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};

/// What a client is told that is not let in.
const NOT_IN: &str =
    "authentication failed: user and token do not belong together, or the user has none for this mechanism";

/// Answers one SaslHandshake: the mechanisms that are offered.
pub(super) fn handshake(cx: &Context, call: &Call, request: &SaslHandshakeRequest) -> Result<Started, Ended> {
    let session = &cx.peer.session;
    let offered = session.mechanisms().into_iter().map(text).collect();
    let answer = SaslHandshakeResponse::default().with_mechanisms(offered);
    match session.choose(&request.mechanism) {
        Said::On(_) => call.now(&answer),
        Said::Refused(why) => {
            let code = ResponseError::UnsupportedSaslMechanism.code();
            last(call, &answer.with_error_code(code), why)
        }
        Said::OutOfTurn => {
            let code = ResponseError::IllegalSaslState.code();
            last(call, &answer.with_error_code(code), "SASL out of turn")
        }
    }
}

/// Answers one SaslAuthenticate: a step of the mechanism that was chosen.
pub(super) fn authenticate(
    cx: &Context,
    call: &Call,
    request: &SaslAuthenticateRequest,
) -> Result<Started, Ended> {
    let refuse = |error: ResponseError, why| {
        SaslAuthenticateResponse::default().with_error_code(error.code()).with_error_message(Some(text(why)))
    };
    match cx.peer.session.hear(&request.auth_bytes) {
        Said::On(answer) => call.now(&SaslAuthenticateResponse::default().with_auth_bytes(answer.into())),
        Said::Refused(why) => {
            let answer = refuse(ResponseError::SaslAuthenticationFailed, NOT_IN);
            last(call, &answer, why)
        }
        Said::OutOfTurn => {
            let answer =
                refuse(ResponseError::IllegalSaslState, "SaslAuthenticate comes after SaslHandshake");
            last(call, &answer, "SASL out of turn")
        }
    }
}

fn last<T: kafka_protocol::protocol::Encodable>(
    call: &Call,
    body: &T,
    why: &'static str,
) -> Result<Started, Ended> {
    Ok(Started::Now(match call.answer(body)? {
        Outcome::Answer(frame) => Outcome::Last(frame, why),
        other => other,
    }))
}
