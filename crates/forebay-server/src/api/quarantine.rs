//! `/quarantine`: the records that could not be decoded, to look at, to replay, to drop.
//!
//! Files are read on threads that may wait. A raw value is shown as text, and in Base64 too where it is none; a long one
//! is cut, since a page shows its beginning.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use forebay_core::checkpoint::RecordId;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{answer, json_answer};
use crate::ask::{Ask, Outcome};
use crate::paging;
use crate::problem::Problem;
use crate::shown::quarantine::{Change, Chosen, Counted, Filter, Place, Quarantine, Record};

/// Bytes of a raw value that are shown.
const SHOWN_BYTES: usize = 16 << 10;

pub(crate) async fn list(ask: Ask) -> Outcome {
    let some = |name: &str| Some(ask.given.text(name).to_owned()).filter(|text| !text.is_empty());
    let filter = Filter { query: some("query"), code: some("code") };
    let list = paging::List::of(&["quarantine", ask.given.text("query"), ask.given.text("code")]);
    let after = list.parts::<3>(ask.given.text("cursor"))?;
    let after = after.map(|parts| place(&parts).ok_or_else(paging::unknown)).transpose()?;
    let limit = ask.given.integer("limit");
    let listed = waiting(&ask, move |quarantine| quarantine.list(&filter, after.as_ref(), limit + 1)).await;
    let (Counted { open, bytes, refused }, mut records) = listed?;
    let has_more = records.len() > limit;
    records.truncate(limit);
    let last = records.last().filter(|_| has_more).map(|record| &record.place);
    let next = last
        .map(|place| list.cursor(&[&place.at.to_string(), &place.id.to_string(), &place.mark.to_string()]));
    Ok(answer(&json!({
        "open": open,
        "refusedRows": refused.iter().map(|of| of.rows).sum::<u64>(),
        "bytes": bytes,
        "records": records.iter().map(record).collect::<Vec<_>>(),
        "next": next,
    })))
}

fn place([at, id, mark]: &[String; 3]) -> Option<Place> {
    Some(Place { at: at.parse().ok()?, id: id.parse().ok()?, mark: mark.parse().ok()? })
}

/// The contract's record.
fn record(record: &Record) -> Value {
    let id = &record.place.id;
    let raw = record.raw.as_deref();
    let cut = raw.map(|raw| &raw[..raw.len().min(SHOWN_BYTES)]);
    let mut body = json!({
        "id": id.to_string(),
        "queries": record.queries,
        "sources": record.sources,
        "refusedBy": record.refused_by,
        "code": record.code,
        "path": record.path,
        "why": record.why,
        "at": record.place.at,
        "topic": id.topic,
        "partition": id.partition,
        "offset": id.offset,
        "key": record.key.as_deref().map(|key| String::from_utf8_lossy(&key[..key.len().min(SHOWN_BYTES)])),
        "raw": cut.map(String::from_utf8_lossy),
        "truncated": raw.is_some_and(|raw| raw.len() > SHOWN_BYTES),
    });
    // What was cut inside of a character is still text.
    let is_text = cut.is_none_or(|cut| match std::str::from_utf8(cut) {
        Ok(_) => true,
        Err(error) => cut.len() == SHOWN_BYTES && error.error_len().is_none(),
    });
    if let Some(cut) = cut.filter(|_| !is_text) {
        body["rawBase64"] = BASE64.encode(cut).into();
    }
    body
}

/// Which records are to be changed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    records: Option<Vec<String>>,
    #[serde(default)]
    all: bool,
    query: Option<String>,
    code: Option<String>,
}

pub(crate) async fn replay(ask: Ask) -> Outcome {
    change(ask, Change::Replay).await
}

pub(crate) async fn drop(ask: Ask) -> Outcome {
    change(ask, Change::Drop).await
}

async fn change(ask: Ask, change: Change) -> Outcome {
    let chosen = match ask.json()? {
        Asked { records: Some(records), all: false, query: None, code: None } if !records.is_empty() => {
            Chosen::Named(records.iter().map(|name| name.parse::<RecordId>()).collect::<Result<_>>()?)
        }
        Asked { records: None, all: true, query, code } => Chosen::All(Filter { query, code }),
        _ => {
            return Err(Problem::bad("the body names no records").hint(
                "Send {\"records\": [\"topic/partition/offset\"]}, or {\"all\": true}, which `query` and `code` narrow.",
            ));
        }
    };
    let requested = waiting(&ask, move |quarantine| quarantine.change(&chosen, change)).await?;
    ask.state.hub.quarantine_changed();
    Ok(json_answer(StatusCode::ACCEPTED, "application/json", &json!({ "requested": requested })))
}

/// Does what reads files on a thread that may wait.
async fn waiting<T: Send + 'static>(
    ask: &Ask,
    work: impl FnOnce(&dyn Quarantine) -> Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let quarantine = ask.state.shown.quarantine.clone();
    let done = tokio::task::spawn_blocking(move || work(&*quarantine)).await;
    let lost = |_| Error::new(&codes::INTERNAL, "the quarantine could not be read to its end");
    Ok(done.map_err(lost)??)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(raw: Option<&[u8]>) -> Value {
        let id = RecordId { topic: "t".into(), partition: 0, offset: 7 };
        record(&Record {
            place: Place { at: 1, id, mark: 0 },
            queries: vec!["lake".into()],
            sources: vec!["iot".into()],
            refused_by: None,
            code: "json.syntax".into(),
            path: "$".into(),
            why: "so".into(),
            key: Some(b"\xff".to_vec()),
            raw: raw.map(<[u8]>::to_vec),
        })
    }

    #[test]
    fn a_raw_value_that_is_no_text_is_shown_in_base64_too() {
        assert_eq!(shown(Some(b"{<script>"))["raw"], "{<script>");
        assert_eq!(shown(Some(b"{"))["rawBase64"], Value::Null);
        assert_eq!(shown(Some(b"{\xff"))["rawBase64"], "e/8=");
        assert_eq!(shown(None)["raw"], Value::Null);
    }

    #[test]
    fn a_long_value_is_cut_and_stays_text() {
        let long = format!("{}ä", "x".repeat(SHOWN_BYTES - 1));
        let body = shown(Some(long.as_bytes()));
        assert_eq!((&body["truncated"], &body["rawBase64"]), (&json!(true), &Value::Null));
        assert!(body["raw"].as_str().unwrap().len() < SHOWN_BYTES + 4);
    }
}
