//! Channels that are spoken to over HTTP: the client, and what an answer means.
//!
//! What must stay true: no address is connected to that [`target`] has not looked at; and nothing of an answer is kept but its status.

use std::time::Duration;

use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::{Error, Result};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode, Url, redirect};

use super::carrier::Sent;
use super::target::Guarded;
use crate::top::server::deepest;

/// Longest pause that a receiver may ask for: one that says more is asked again after this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// A client that goes where the options of a channel allow, and nowhere else.
pub fn client(options: &Options, url: &Url) -> Result<Client> {
    let mut builder = Client::builder()
        .no_proxy()
        .http1_only()
        .redirect(redirect::Policy::none())
        .dns_resolver(Guarded { allows_local: options.bool("allowLocal") })
        .pool_max_idle_per_host(1)
        .timeout(options.duration("timeout").unwrap_or(Duration::from_secs(10)));
    if url.scheme() == "http" {
        // No certificates are read that are not needed: a bare machine has none.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| {
        Error::new(&codes::HTTP, "no TLS connection can be made from here")
            .with_detail(deepest(&error))
            .with_hint(
                "TLS needs the certificates of this machine's CAs; SSL_CERT_FILE names a file with others.",
            )
    })
}

/// Sends a request, and says what came of it.
pub async fn send(request: RequestBuilder) -> Sent {
    match request.send().await {
        Ok(answer) => judged(answer.status(), answer.headers()),
        Err(error) if error.is_timeout() => Sent::Later("it does not answer in time".to_owned(), None),
        Err(error) => Sent::Later(deepest(&error.without_url()), None),
    }
}

/// What an answer means.
fn judged(status: StatusCode, headers: &HeaderMap) -> Sent {
    let pause = || {
        let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
    };
    match status.as_u16() {
        200..300 => Sent::Taken,
        400 | 413 | 415 | 422 => Sent::Refused(format!("it answers {status}")),
        300..400 => Sent::Later(format!("it answers {status}, and redirects are not followed"), None),
        _ => Sent::Later(format!("it answers {status}"), pause()),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn an_answer_says_whether_to_try_again_and_when() {
        let judge = |status: u16, after: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            after.map(|after| headers.insert(RETRY_AFTER, HeaderValue::from_static(after)));
            judged(StatusCode::from_u16(status).unwrap(), &headers)
        };
        assert_eq!((judge(200, None), judge(204, None)), (Sent::Taken, Sent::Taken));
        for status in [400, 413, 415, 422] {
            assert!(matches!(judge(status, None), Sent::Refused(_)), "{status}");
        }
        for status in [301, 308, 401, 403, 404, 408, 429, 500, 503] {
            assert!(matches!(judge(status, None), Sent::Later(_, None)), "{status}");
        }
        let pause = |after| match judge(503, Some(after)) {
            Sent::Later(_, pause) => pause.map(|pause| pause.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!((pause("7"), pause("99999999"), pause("soon")), (Some(7), Some(3_600), None));
    }
}
