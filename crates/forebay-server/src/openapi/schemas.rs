//! The schemas of bodies and answers. An object has exactly the members that are listed, unless it says otherwise.

mod devices;
mod queries;
mod silences;
mod words;

use forebay_core::config::Role;
use serde_json::{Value, json};

use self::devices::{alert, device, device_history, devices, history, labels, severity, shares};
use self::queries::{broken_table, ledger, quality, query};
use self::silences::{silence, silences, silencing};
use self::words::{count, list, map, object, or_null, text, time, to, with_optional, word, yes_or_no};
use crate::shown::cycles::Stage;
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
                    ("failingChannels", list(to("Channel"))),
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
        ("DeviceHistory", device_history()),
        ("History", history()),
        ("Labels", labels()),
        ("Shares", shares()),
        ("Alerts", object(&[("open", count()), ("alerts", list(to("Alert"))), ("next", or_null(text()))])),
        ("Alert", alert()),
        ("Acknowledge", with_optional(&[("id", text())], &[("comment", or_null(said(0)))])),
        ("Silences", silences()),
        ("Silence", silence()),
        ("Silencing", silencing()),
        ("Comment", object(&[("id", text()), ("comment", said(1))])),
        (
            "Quarantine",
            object(&[
                ("open", count()),
                ("refusedRows", count()),
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
        ("Channels", list(to("Channel"))),
        ("Channel", channel()),
        ("Gateways", list(gateway())),
        ("Cycles", list(cycle())),
        ("Quality", quality()),
        ("Message", json!({ "description": "A message of any form; an array holds one in each element." })),
        ("Ingested", object(&[("messages", list(place()))])),
    ];
    Value::Object(schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect())
}

fn cycle() -> Value {
    let archive = object(&[
        ("cycle", count()),
        ("name", text()),
        ("rows", count()),
        ("bytes", count()),
        ("at", time()),
    ]);
    object(&[
        ("query", text()),
        ("every", count()),
        ("repeat", or_null(count())),
        ("template", text()),
        ("stage", word(&Stage::ALL.map(Stage::word))),
        ("number", or_null(count())),
        ("since", or_null(time())),
        ("count", count()),
        ("rows", count()),
        ("bytes", count()),
        ("archives", list(archive)),
    ])
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
    let optional = [
        ("place", object(&[("line", count()), ("column", count())])),
        ("problems", list(to("Error"))),
        ("messages", list(outcome())),
    ];
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

fn channel() -> Value {
    let refusal = object(&[("at", text()), ("why", text())]);
    object(&[
        ("name", text()),
        ("format", text()),
        ("up", yes_or_no()),
        ("since", or_null(json!({ "type": "string", "description": "ISO 8601 in UTC" }))),
        ("why", or_null(text())),
        ("failures", count()),
        ("due", count()),
        ("taken", count()),
        ("refused", count()),
        ("newestRefusal", or_null(refusal)),
    ])
}

fn gateway() -> Value {
    let problem =
        object(&[("code", text()), ("message", text()), ("detail", or_null(text())), ("hint", text())]);
    // Of a gateway that goes to a broker or a port by itself.
    let state = object(&[("up", yes_or_no()), ("since", or_null(text())), ("problem", or_null(problem))]);
    object(&[
        ("name", text()),
        ("format", text()),
        ("address", or_null(text())),
        ("counts", map(count())),
        ("state", or_null(state)),
    ])
}

/// Where a message is, and whether a post before with the same key brought it there; or that its route drops it.
fn place() -> Value {
    let there = [("topic", text()), ("partition", count()), ("offset", or_null(count()))];
    let there = with_optional(&there, &[("repeated", yes_or_no())]);
    json!({ "anyOf": [there, object(&[("dropped", yes_or_no())])] })
}

/// The same of a message of a post that was not taken whole, by its number, or why it is not in the log.
fn outcome() -> Value {
    let number = ("message", count());
    let there = [number.clone(), ("topic", text()), ("partition", count()), ("offset", or_null(count()))];
    let there = with_optional(&there, &[("repeated", yes_or_no())]);
    let dropped = object(&[number.clone(), ("dropped", yes_or_no())]);
    let why = [number, ("code", text()), ("error", text()), ("hint", text()), ("again", yes_or_no())];
    json!({ "anyOf": [there, dropped, object(&why)] })
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
        ("gateway", or_null(text())),
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
        ("reads", text()),
        ("topic", text()),
        ("bootstrap", or_null(text())),
        ("key", or_null(text())),
        ("labels", list(text())),
        ("fields", list(to("Field"))),
    ]);
    let query = object(&[
        ("name", text()),
        ("sql", text()),
        ("format", text()),
        ("trigger", text()),
        ("sources", list(text())),
    ]);
    let alert = object(&[
        ("name", text()),
        ("on", text()),
        ("key", text()),
        ("keyFields", map(text())),
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

fn record() -> Value {
    let members = [
        ("id", json!({ "type": "string", "description": "topic/partition/offset" })),
        ("queries", list(text())),
        ("sources", list(text())),
        ("refusedBy", or_null(text())),
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

/// What a person says: no longer than is kept, whatever letters it is of.
fn said(least: u64) -> Value {
    json!({ "type": "string", "minLength": least, "maxLength": 250 })
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
