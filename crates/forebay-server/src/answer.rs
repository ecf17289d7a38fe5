//! Answers that are all well: JSON with a line break at its end, and ETags where an answer seldom changes.

use std::fmt::Write as _;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// An answer that is all well.
pub(crate) fn answer(body: &Value) -> Response {
    json_answer(StatusCode::OK, "application/json", body)
}

/// JSON, with a line break at its end: what `curl` shows ends where the next prompt begins.
pub(crate) fn json_answer(status: StatusCode, kind: &'static str, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, kind)], format!("{body}\n")).into_response()
}

/// As [`answer`], for what seldom changes: who has it already is told so (304).
pub(crate) fn tagged(asked: &HeaderMap, body: &Value) -> Response {
    let text = format!("{body}\n");
    let tag = etag(text.as_bytes());
    let mut response = if has(asked, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/json")], text).into_response()
    };
    set_tag(response.headers_mut(), &tag);
    response
}

/// The tag of a body: the same bytes have the same.
pub(crate) fn etag(body: &[u8]) -> String {
    let mut tag = String::from("\"");
    for byte in Sha256::digest(body).iter().take(12) {
        // Writing to a String cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// Sets the tag, and that nobody may use an older answer without asking.
pub(crate) fn set_tag(headers: &mut HeaderMap, tag: &str) {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
}

/// True if the asker has what the tag stands for.
pub(crate) fn has(asked: &HeaderMap, tag: &str) -> bool {
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_answer_does_not_get_it_again() {
        let tag = etag(b"one");
        assert_eq!(tag, etag(b"one"));
        assert_ne!(tag, etag(b"two"));
        let mut asked = HeaderMap::new();
        assert!(!has(&asked, &tag));
        for known in [format!("\"x\", W/{tag}"), tag.clone(), "*".to_owned()] {
            asked.insert(header::IF_NONE_MATCH, HeaderValue::from_str(&known).unwrap());
            assert!(has(&asked, &tag), "{known}");
        }
        asked.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"x\""));
        assert!(!has(&asked, &tag));
    }
}
