//! What is told of devices: how they stand, their clocks, their history, their alerts.

use serde_json::{Value, json};

use super::words::{
    count, list, map, number, object, or_null, text, time, to, whole, with_optional, word, yes_or_no,
};

pub fn devices() -> Value {
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

pub fn device() -> Value {
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

/// The rows of one device: `time` names the first column, by which they are in order.
pub fn device_history() -> Value {
    object(&[
        ("source", text()),
        ("table", text()),
        ("key", text()),
        ("time", text()),
        ("columns", list(object(&[("name", text()), ("type", text())]))),
        ("rows", list(json!({ "type": "array" }))),
        ("rowCount", count()),
        ("truncated", yes_or_no()),
        ("millis", count()),
    ])
}

pub fn history() -> Value {
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

/// How the devices that fit are spread over the values of labels, by the newest that each said; `null` is none.
pub fn labels() -> Value {
    let value = object(&[("value", or_null(text())), ("devices", count())]);
    let label = object(&[("field", text()), ("values", list(value)), ("others", count())]);
    object(&[
        ("source", or_null(text())),
        ("total", count()),
        ("quiet", count()),
        ("late", count()),
        ("lateRows", count()),
        ("labels", list(label)),
    ])
}

/// How many rows had each value of a label, in steps of time.
pub fn shares() -> Value {
    let series = object(&[("value", or_null(text())), ("count", list(count()))]);
    object(&[
        ("source", text()),
        ("field", text()),
        ("step", count()),
        ("start", time()),
        ("series", list(series)),
        ("others", list(count())),
    ])
}

pub fn severity() -> Value {
    word(&["info", "warning", "critical"])
}

pub fn alert() -> Value {
    let values = || json!({ "type": "object" });
    let said = remark();
    let level = object(&[("at", time()), ("severity", severity()), ("value", values())]);
    let row = with_optional(
        &[("at", time()), ("value", values()), ("source", text()), ("topic", text()), ("partition", count())],
        &[("offset", count())],
    );
    with_optional(
        &[
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
            ("value", values()),
            ("clearedValue", or_null(values())),
        ],
        &[
            ("step", count()),
            ("event", word(&["opened", "raised", "lowered", "acknowledged", "cleared"])),
            ("noData", with_optional(&[], &[("field", text())])),
            ("worst", severity()),
            ("levels", list(level)),
            ("rows", list(row)),
            ("acknowledged", said.clone()),
            ("comments", list(said)),
            ("muted", text()),
        ],
    )
}

/// What a person did or said.
pub fn remark() -> Value {
    with_optional(&[("at", time()), ("by", text())], &[("comment", text())])
}
