//! The schemas of bodies and answers. An object has exactly the members that are listed, unless it says otherwise.

mod words;

use forebay_core::config::Role;
use serde_json::{Value, json};

use self::words::{
    count, list, map, number, object, or_null, text, time, to, whole, with_optional, word, yes_or_no,
};
use crate::shown::reload::Fate;

/// All schemas by name.
pub(super) fn all() -> Value {
    let schemas = [
        ("Problem", problem()),
        ("EndPoints", object(&[("pipeline", text()), ("endPoints", map(text()))])),
        ("Document", json!({ "type": "object" })),
        (
            "Health",
            with_optional(
                &[("status", word(&["ok", "failing"]))],
                &[
                    ("pipeline", text()),
                    ("problems", problems()),
                    ("refusedReload", refused_reload()),
                    ("brokenTables", list(broken_table())),
                ],
            ),
        ),
        ("SignIn", object(&[("token", text())])),
        ("Session", object(&[("name", text()), ("role", role())])),
        ("Trouble", trouble()),
        ("Pipelines", list(to("Pipeline"))),
        ("Pipeline", pipeline()),
        ("Schema", schema()),
        ("Field", field()),
        ("Panel", panel()),
        ("Queries", list(to("Query"))),
        ("Query", query()),
        ("Progress", list(json!({ "type": "object" }))),
        ("Ledger", ledger()),
        ("Ledgers", object(&[("total", to("Ledger")), ("queries", map(to("Ledger"))), ("note", text())])),
        ("Devices", devices()),
        ("Device", device()),
        ("History", history()),
        ("Alerts", object(&[("open", count()), ("alerts", list(to("Alert"))), ("next", or_null(text()))])),
        ("Alert", alert()),
        (
            "Quarantine",
            object(&[
                ("open", count()),
                ("bytes", count()),
                ("records", list(to("Record"))),
                ("next", or_null(text())),
            ]),
        ),
        ("Record", record()),
        ("Chosen", chosen()),
        ("Requested", object(&[("requested", count())])),
        ("Statement", statement()),
        ("Rows", rows()),
        ("Reloaded", reloaded()),
        ("Error", error()),
    ];
    Value::Object(schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect())
}

fn problem() -> Value {
    let members = [
        ("type", text()),
        ("title", text()),
        ("status", count()),
        ("detail", text()),
        ("code", json!({ "type": "string", "pattern": "^FB-[0-9]{4}$" })),
        ("hint", text()),
    ];
    let optional =
        [("place", object(&[("line", count()), ("column", count())])), ("problems", list(to("Error")))];
    with_optional(&members, &optional)
}

fn error() -> Value {
    object(&[
        ("code", text()),
        ("message", text()),
        ("detail", or_null(text())),
        ("hint", text()),
        ("place", or_null(text())),
    ])
}

fn reloaded() -> Value {
    let query = object(&[
        ("name", text()),
        ("fate", word(&Fate::ALL.map(Fate::word))),
        ("changes", list(text())),
        ("error", or_null(to("Error"))),
    ]);
    object(&[("queries", list(query)), ("dashboard", yes_or_no())])
}

fn problems() -> Value {
    list(to("Trouble"))
}

fn trouble() -> Value {
    object(&[
        ("query", or_null(text())),
        ("source", or_null(text())),
        ("what", text()),
        ("since", or_null(json!({ "type": "string", "description": "ISO 8601 in UTC" }))),
        ("code", or_null(text())),
        ("error", or_null(text())),
        ("hint", or_null(text())),
    ])
}

fn pipeline() -> Value {
    object(&[
        ("name", text()),
        ("version", text()),
        ("startedAt", time()),
        ("status", word(&["ok", "failing"])),
        ("problems", problems()),
        ("refusedReload", refused_reload()),
    ])
}

fn refused_reload() -> Value {
    let refused = object(&[
        ("by", text()),
        ("since", json!({ "type": "string", "description": "ISO 8601 in UTC" })),
        ("what", text()),
        ("code", text()),
        ("error", text()),
        ("hint", text()),
    ]);
    or_null(refused)
}

fn schema() -> Value {
    let source = object(&[
        ("name", text()),
        ("topic", text()),
        ("bootstrap", or_null(text())),
        ("key", or_null(text())),
        ("fields", list(to("Field"))),
    ]);
    let query = object(&[("name", text()), ("sql", text()), ("format", text()), ("trigger", text())]);
    let alert = object(&[
        ("name", text()),
        ("on", text()),
        ("key", text()),
        ("keyField", or_null(text())),
        ("when", text()),
        ("clear", text()),
        ("for", json!({ "type": "integer", "minimum": 0, "description": "milliseconds" })),
        ("severity", severity()),
    ]);
    object(&[
        ("pipeline", text()),
        ("title", text()),
        ("sources", list(source)),
        ("queries", list(query)),
        ("tables", list(text())),
        ("panels", list(to("Panel"))),
        ("alerts", list(alert)),
        ("session", or_null(object(&[("auth", yes_or_no()), ("name", text()), ("role", role())]))),
    ])
}

fn role() -> Value {
    word(&Role::ALL.map(Role::word))
}

fn field() -> Value {
    object(&[
        ("name", text()),
        ("type", text()),
        ("kind", word(&["number", "text", "bool", "time"])),
        ("role", word(&["key", "value", "status", "lat", "lon", "time", "other"])),
        ("unit", or_null(text())),
        ("description", or_null(text())),
    ])
}

/// What a panel has beyond these is for the page.
fn panel() -> Value {
    json!({
        "type": "object",
        "properties": { "id": text(), "title": text(), "chart": text(), "pinned": yes_or_no(), "wide": yes_or_no() },
        "required": ["id", "title", "chart"],
    })
}

fn query() -> Value {
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
        ("tables", list(table_at_rest())),
        ("ledger", to("Ledger")),
        ("quarantineBytes", count()),
        ("lastProgress", or_null(json!({ "type": "object" }))),
    ])
}

/// The same of a query, where a newer version of the table cannot be read.
fn broken_table() -> Value {
    object(&[
        ("query", text()),
        ("name", text()),
        ("version", or_null(text())),
        ("rows", count()),
        ("bytes", count()),
        ("error", to("Error")),
    ])
}

/// A table that a query is joined with.
fn table_at_rest() -> Value {
    object(&[
        ("name", text()),
        ("version", or_null(text())),
        ("rows", count()),
        ("bytes", count()),
        ("error", or_null(to("Error"))),
    ])
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

fn ledger() -> Value {
    const FATES: [&str; 13] = [
        "read",
        "emitted",
        "aggregated",
        "unmatched",
        "filtered",
        "deduplicated",
        "dropped",
        "quarantined",
        "late",
        "inFlight",
        "replayed",
        "rowsOut",
        "bytesRead",
    ];
    let mut members: Vec<(&str, Value)> = FATES.iter().map(|fate| (*fate, count())).collect();
    members.push(("balances", yes_or_no()));
    object(&members)
}

fn devices() -> Value {
    let counts = object(&[("live", count()), ("quiet", count()), ("alerting", count())]);
    object(&[
        ("total", count()),
        ("counts", counts),
        ("clocks", or_null(clocks())),
        ("devices", list(to("Device"))),
        ("next", or_null(text())),
    ])
}

/// Whose clocks are off: how many, and by how many milliseconds those that are furthest off.
fn clocks() -> Value {
    let off = object(&[("key", text()), ("offset", whole())]);
    object(&[("ahead", count()), ("behind", count()), ("worst", list(off))])
}

/// How far the event times of a device are from its records' own timestamps, in milliseconds: the median of the last nine,
/// and the newest; how many records were too far ahead or behind.
fn clock() -> Value {
    object(&[
        ("offset", whole()),
        ("latest", whole()),
        ("state", word(&["right", "ahead", "behind"])),
        ("ahead", count()),
        ("behind", count()),
    ])
}

fn device() -> Value {
    let value = json!({ "type": ["number", "string", "boolean", "null"] });
    let spark = object(&[("field", text()), ("points", list(or_null(number())))]);
    object(&[
        ("source", text()),
        ("key", text()),
        ("state", word(&["live", "quiet"])),
        ("lastSeen", time()),
        ("rate", number()),
        ("count", count()),
        ("clock", or_null(clock())),
        ("alerts", count()),
        ("severity", or_null(severity())),
        ("values", map(value)),
        ("spark", or_null(spark)),
    ])
}

fn history() -> Value {
    let points = || list(or_null(number()));
    let series = object(&[
        ("key", or_null(text())),
        ("min", points()),
        ("mean", points()),
        ("max", points()),
        ("count", list(count())),
    ]);
    object(&[
        ("source", text()),
        ("field", text()),
        ("unit", or_null(text())),
        ("step", count()),
        ("start", time()),
        ("series", list(series)),
    ])
}

fn severity() -> Value {
    word(&["info", "warning", "critical"])
}

fn alert() -> Value {
    object(&[
        ("id", text()),
        ("rule", text()),
        ("source", text()),
        ("key", or_null(text())),
        ("severity", severity()),
        ("state", word(&["open", "cleared"])),
        ("openedAt", time()),
        ("clearedAt", or_null(time())),
        ("ruleRemoved", yes_or_no()),
        ("seenAt", time()),
        ("message", text()),
        ("value", json!({ "type": "object" })),
        ("clearedValue", or_null(json!({ "type": "object" }))),
    ])
}

fn record() -> Value {
    let members = [
        ("id", json!({ "type": "string", "description": "topic/partition/offset" })),
        ("queries", list(text())),
        ("sources", list(text())),
        ("code", text()),
        ("path", text()),
        ("why", text()),
        ("at", time()),
        ("topic", text()),
        ("partition", json!({ "type": "integer" })),
        ("offset", json!({ "type": "integer" })),
        ("key", or_null(text())),
        ("raw", or_null(text())),
        ("truncated", yes_or_no()),
    ];
    with_optional(&members, &[("rawBase64", text())])
}

fn chosen() -> Value {
    let name = json!({
        "type": "string", "pattern": "^(.|\\n)*/[0-9]{1,9}/[0-9]{1,18}$", "description": "topic/partition/offset",
    });
    let not_all = json!({ "type": "boolean", "enum": [false] });
    let none = || json!({ "type": "null" });
    let named = with_optional(
        &[("records", json!({ "type": "array", "items": name, "minItems": 1 }))],
        &[("all", not_all), ("query", none()), ("code", none())],
    );
    let all = with_optional(
        &[("all", json!({ "type": "boolean", "enum": [true] }))],
        &[("records", none()), ("query", or_null(text())), ("code", or_null(text()))],
    );
    json!({
        "description": "either `records`, or `all: true`, which `query` and `code` narrow",
        "oneOf": [named, all],
    })
}

fn statement() -> Value {
    let limit =
        json!({ "type": "integer", "minimum": 1, "maximum": crate::routes::MOST_ROWS, "default": 1000 });
    let sql = json!({ "type": "string", "minLength": 1 });
    with_optional(&[("sql", sql)], &[("limit", or_null(limit))])
}

fn rows() -> Value {
    object(&[
        ("columns", list(object(&[("name", text()), ("type", text())]))),
        ("rows", list(json!({ "type": "array" }))),
        ("rowCount", count()),
        ("truncated", yes_or_no()),
        ("millis", count()),
    ])
}
