//! The client's errors, as those of a sink.

use forebay_core::Error;
use forebay_core::error::codes;

/// The same error with the code of a sink. A lost transaction is tried again from here on: by a new author, if it may be.
pub(super) fn of_sink(error: Error) -> Error {
    let (code, retry) = match error.code() {
        code if code == &codes::SOURCE_UNAVAILABLE || code == &codes::SOURCE_AUTH => {
            (&codes::SINK_UNAVAILABLE, error.is_retryable())
        }
        code if code == &codes::SOURCE_REFUSED => (&codes::SINK_REFUSED, error.is_retryable()),
        code if code == &codes::TRANSACTION_LOST => (&codes::TRANSACTION_LOST, true),
        _ => return error,
    };
    let mut told = Error::new(code, error.message()).with_retry(retry);
    if let Some(detail) = error.detail() {
        told = told.with_detail(detail);
    }
    if let Some(place) = error.place() {
        told = told.at(place);
    }
    // A source's remedy is not a sink's; what was said of this case alone stays.
    if error.hint() != error.code().remedy || error.code() == &codes::SOURCE_AUTH {
        told = told.with_hint(error.hint());
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_says_of_sources_is_said_of_the_sink() {
        let away =
            Error::new(&codes::SOURCE_UNAVAILABLE, "kafka at a:1 does not answer").with_hint("Look there.");
        let told = of_sink(away.with_detail("timed out"));
        assert_eq!((told.code(), told.is_retryable()), (&codes::SINK_UNAVAILABLE, true));
        assert_eq!((told.detail(), told.hint()), (Some("timed out"), "Look there."));
        let refused = of_sink(Error::new(&codes::SOURCE_REFUSED, "no").at("t-0"));
        assert_eq!((refused.code(), refused.is_retryable()), (&codes::SINK_REFUSED, false));
        assert_eq!((refused.place(), refused.hint()), (Some("t-0"), codes::SINK_REFUSED.remedy));
        let lost = of_sink(Error::new(&codes::TRANSACTION_LOST, "lost").with_retry(false));
        assert!(lost.is_retryable());
        let denied = of_sink(Error::new(&codes::SOURCE_AUTH, "no trust"));
        assert!(denied.is_retryable(), "who may not write yet is down, not wrong");
    }
}
