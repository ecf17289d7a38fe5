//! A notice as a POST of JSON.
//!
//! What must stay true: the same notice is the same body under the same `Idempotency-Key`, whenever it is sent; neither URL nor secret
//! stands in a log or an error; nothing of an answer is kept but its status.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::clock::Clock;
use forebay_core::config::ChannelConfig;
use forebay_core::error::codes;
use forebay_core::progress::iso_millis;
use forebay_core::scram::ScramHash;
use forebay_core::{Error, Result};
use forebay_rules::Notice;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url, redirect};
use serde_json::json;

use super::target::{self, Guarded};
use crate::top::server::deepest;

/// Longest pause that a receiver may ask for: one that says more is asked again after this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Where notices of a channel are posted to.
pub struct Webhook {
    client: Client,
    url: Url,
    secret: Option<String>,
    pipeline: String,
    clock: Arc<dyn Clock>,
}

/// What came of sending a notice.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was taken.
    Taken,
    /// It never will be, and why.
    Refused(String),
    /// Not now, and why; and for how long the receiver asks to be left alone.
    Later(String, Option<Duration>),
}

impl Webhook {
    /// The webhook of a channel; connects to nobody.
    pub fn new(pipeline: &str, config: &ChannelConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let options = &config.options;
        let url = target::of(options)?;
        let timeout = options.duration("timeout").unwrap_or(Duration::from_secs(10));
        let mut builder = Client::builder()
            .no_proxy()
            .http1_only()
            .redirect(redirect::Policy::none())
            .dns_resolver(Guarded { allows_local: options.bool("allowLocal") })
            .pool_max_idle_per_host(1)
            .timeout(timeout);
        if url.scheme() == "http" {
            // No certificates are read that are not needed: a bare machine has none.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| {
            Error::new(&codes::HTTP, "no TLS connection can be made from here").with_detail(deepest(&error)).with_hint(
                "TLS needs the certificates of this machine's CAs; SSL_CERT_FILE names a file with others.",
            )
        })?;
        let secret = options.text("secret").map(str::to_owned);
        Ok(Self { client, url, secret, pipeline: pipeline.to_owned(), clock })
    }

    /// Sends a notice once.
    pub async fn send(&self, notice: &Notice) -> Sent {
        let body = body(&self.pipeline, notice);
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", key(notice));
        if let Some(secret) = &self.secret {
            let at = self.clock.now_ms().div_euclid(1_000).to_string();
            let signature = signature(secret, &at, &body);
            request = request.header("X-Forebay-Timestamp", at).header("X-Forebay-Signature", signature);
        }
        match request.body(body).send().await {
            Ok(answer) => judged(answer.status(), answer.headers()),
            Err(error) if error.is_timeout() => Sent::Later("it does not answer in time".to_owned(), None),
            Err(error) => Sent::Later(deepest(&error.without_url()), None),
        }
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

/// The name of a notice in a header: 64 hexadecimal digits, whatever its id holds.
fn key(notice: &Notice) -> String {
    hex(&ScramHash::Sha256.digest(notice.id.as_bytes()))
}

fn signature(secret: &str, at: &str, body: &str) -> String {
    let parts = [at.as_bytes(), b".", body.as_bytes()];
    format!("v1={}", hex(&ScramHash::Sha256.sign(secret.as_bytes(), &parts)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The body: what programs read, and a text for people, which chats show.
fn body(pipeline: &str, notice: &Notice) -> String {
    let body = json!({
        "id": notice.id,
        "pipeline": pipeline,
        "channel": notice.channel,
        "count": notice.count,
        "text": text(notice),
        "transitions": notice.lines,
    });
    body.to_string()
}

fn text(notice: &Notice) -> String {
    let line = |line: &forebay_rules::Line| {
        let (event, severity) = (line.event.word(), line.severity.word());
        format!("{event} ({severity}): {} at {}", line.message, iso_millis(line.at))
    };
    let mut lines: Vec<String> = notice.lines.iter().map(line).collect();
    let more = notice.count.saturating_sub(lines.len() as u64);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use forebay_core::config::Severity;
    use forebay_rules::{Event, Line};
    use reqwest::header::HeaderValue;

    use super::*;

    fn notice() -> Notice {
        let line = Line {
            transition: "hot/␀/5#1".into(),
            alert: "hot/␀/5".into(),
            rule: "hot".into(),
            key: None,
            event: Event::Opened,
            at: 5,
            severity: Severity::Critical,
            worst: Severity::Critical,
            message: "hot: NULL, temperature 71.5".into(),
        };
        Notice { id: "ops/hot/␀/5#1".into(), channel: "ops".into(), lines: vec![line], count: 3 }
    }

    #[test]
    fn a_notice_is_the_same_body_under_the_same_key() {
        let (first, again) = (body("plant", &notice()), body("plant", &notice()));
        assert_eq!((&first, key(&notice())), (&again, key(&notice())));
        assert!(key(&notice()).len() == 64 && key(&notice()).bytes().all(|byte| byte.is_ascii_hexdigit()));
        let told: serde_json::Value = serde_json::from_str(&first).unwrap();
        assert_eq!(told["id"], "ops/hot/␀/5#1");
        assert_eq!(told["transitions"][0]["event"], "opened");
        assert_eq!(
            told["text"],
            "opened (critical): hot: NULL, temperature 71.5 at 1970-01-01T00:00:00.005Z\nand 2 more"
        );
    }

    /// Computed with `printf '17.{}' | openssl dgst -sha256 -hmac key`.
    #[test]
    fn the_signature_is_what_others_compute() {
        assert_eq!(
            signature("key", "17", "{}"),
            "v1=e66392eac42eafc68c35a01c712811e016386c12456975fc3af80c9268568e3a"
        );
    }

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
