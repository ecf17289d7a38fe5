//! A notice as a POST of JSON.
//!
//! What must stay true: the same notice is the same body under the same `Idempotency-Key`, whenever it is sent; neither URL nor secret
//! stands in a log or an error.

use std::fmt::Write as _;
use std::sync::Arc;

use forebay_core::Result;
use forebay_core::clock::Clock;
use forebay_core::config::ChannelConfig;
use forebay_core::progress::iso_millis;
use forebay_core::scram::ScramHash;
use forebay_rules::Notice;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use serde_json::json;

use super::carrier::{Around, Sent};
use super::{post, target};

/// Where notices of a channel are posted to.
pub struct Webhook {
    client: Client,
    url: Url,
    secret: Option<String>,
    pipeline: String,
    clock: Arc<dyn Clock>,
}

impl Webhook {
    /// The webhook of a channel; connects to nobody.
    pub fn new(config: &ChannelConfig, around: &Around) -> Result<Self> {
        let url = target::of(&config.options)?;
        let client = post::client(&config.options, &url)?;
        let secret = config.options.text("secret").map(str::to_owned);
        Ok(Self { client, url, secret, pipeline: around.pipeline.clone(), clock: Arc::clone(&around.clock) })
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
        post::send(request.body(body)).await
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

pub(super) fn hex(bytes: &[u8]) -> String {
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

/// A notice in words, a line for each transition.
pub(super) fn text(notice: &Notice) -> String {
    let line = |line: &forebay_rules::Line| {
        let (event, severity) = (line.event.word(), line.severity.word());
        // One line, whatever a key holds: none of its words stands where a transition of its own would.
        let message: String = line.message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("{event} ({severity}): {message} at {}", iso_millis(line.at))
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
}
