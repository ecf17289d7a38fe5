//! What is told of a query: its state, its tables, its ledger.

use forebay_core::Ledger;
use forebay_core::expectation::OnFail;
use serde_json::{Value, json};

use super::words::{count, list, map, number, object, or_null, text, time, to, word, yes_or_no};

pub fn query() -> Value {
    object(&[
        ("name", text()),
        ("kind", word(&["query", "alert"])),
        ("id", or_null(text())),
        ("runId", text()),
        ("state", word(&["starting", "waiting", "running", "retrying", "stopped", "failed"])),
        ("since", or_null(time())),
        ("error", or_null(to("Error"))),
        ("waitingFor", or_null(text())),
        ("committedEpoch", or_null(count())),
        ("lag", or_null(count())),
        ("latency", or_null(object(&[("p50", count()), ("p99", count())]))),
        ("watermark", or_null(time())),
        ("stateBytes", count()),
        ("remembers", or_null(remembers())),
        ("expectations", list(expectation())),
        ("models", list(object(&[("model", text()), ("drift", or_null(number()))]))),
        ("tables", list(table_at_rest())),
        ("ledger", to("Ledger")),
        ("quarantineBytes", count()),
        ("lastProgress", or_null(json!({ "type": "object" }))),
    ])
}

/// What was judged of each source, by query. Of `rules` those have no `onFail` that are in the file no more, and `others` are failures
/// of devices that are not told by name. `rules` of a device and of a point leave out what nothing failed.
pub fn quality() -> Value {
    let counts = [("rows", count()), ("failed", count()), ("unreadable", count())];
    let rule = object(&[
        ("name", text()),
        ("onFail", or_null(word(&OnFail::ALL.map(OnFail::word)))),
        ("failed", count()),
        ("nanosPerRow", or_null(number())),
    ]);
    let by_rule = ("rules", map(count()));
    let device = object(&[("key", text()), ("failed", count()), by_rule.clone()]);
    let source = [
        ("query", text()),
        ("source", text()),
        ("rules", list(rule)),
        ("devices", list(device)),
        ("others", count()),
        ("total", object(&counts)),
        ("points", list(object(&[&[("at", time()), by_rule], &counts[..]].concat()))),
    ];
    let source = object(&[&source[..], &counts[..]].concat());
    object(&[("from", time()), ("to", time()), ("step", count()), ("sources", list(source))])
}

/// What the rows of a source are held to, and how many failed it in all epochs that were committed.
fn expectation() -> Value {
    object(&[
        ("source", text()),
        ("name", text()),
        ("onFail", word(&OnFail::ALL.map(OnFail::word))),
        ("failedRows", count()),
    ])
}

/// What is told of a table that a query is joined with.
fn of_table() -> [(&'static str, Value); 4] {
    [("name", text()), ("version", or_null(text())), ("rows", count()), ("bytes", count())]
}

/// A table that a query is joined with; the error is why a newer version of it cannot be read, and since when none can.
fn table_at_rest() -> Value {
    object(&[&of_table()[..], &[("error", or_null(to("Error"))), ("since", or_null(iso()))]].concat())
}

/// The same of a query, where a newer version of the table cannot be read.
pub fn broken_table() -> Value {
    object(&[&of_table()[..], &[("query", text()), ("error", to("Error")), ("since", iso())]].concat())
}

fn iso() -> Value {
    json!({ "type": "string", "description": "ISO 8601 in UTC" })
}

/// What a query with state holds: its keys, when the first and the last of them are done, what came too late or from
/// too far ahead.
fn remembers() -> Value {
    object(&[
        ("keys", count()),
        ("limit", count()),
        ("oldest", or_null(time())),
        ("newest", or_null(time())),
        ("late", count()),
        ("lateBytes", count()),
        ("ahead", count()),
    ])
}

pub fn ledger() -> Value {
    let counts = Ledger::default().counts().map(|(name, _)| (name, count()));
    object(&[&counts[..], &[("balances", yes_or_no())]].concat())
}
