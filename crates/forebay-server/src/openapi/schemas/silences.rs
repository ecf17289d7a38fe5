//! What is told of silences, and how one is asked for.

use serde_json::{Value, json};

use super::devices::{remark, severity};
use super::said;
use super::words::{list, object, or_null, text, time, to, with_optional, word, yes_or_no};
use crate::shown::alerts::{LONGEST_NAME, MOST_NAMES, SilenceState};

/// Those that people made, and those of the file.
pub fn silences() -> Value {
    let of_file = object(&[
        ("name", text()),
        ("rules", list(text())),
        ("keys", list(text())),
        ("severities", list(severity())),
        ("from", or_null(time())),
        ("until", or_null(time())),
        ("active", yes_or_no()),
    ]);
    object(&[("silences", list(to("Silence"))), ("ofFile", list(of_file))])
}

pub fn silence() -> Value {
    let members = [
        ("id", text()),
        ("state", word(&SilenceState::WORDS)),
        ("rules", list(text())),
        ("keys", list(text())),
        ("severities", list(severity())),
        ("from", time()),
        ("until", time()),
        ("made", remark()),
    ];
    with_optional(&members, &[("key", or_null(text())), ("ended", remark())])
}

/// What names nothing is about all, which has to be said.
pub fn silencing() -> Value {
    let name = |least: u64| json!({ "type": "string", "minLength": least, "maxLength": LONGEST_NAME });
    let names = |about: &str| json!({ "type": "array", "items": name(1), "maxItems": MOST_NAMES, "description": about });
    let key = json!({ "anyOf": [name(0), { "type": "null" }], "description": "The one key; null is NULL." });
    let severities = json!({ "type": "array", "items": severity(), "maxItems": SEVERITIES, "description": "Which severities; none means all." });
    let end = |about: &str| json!({ "anyOf": [time(), { "type": "null" }], "description": about });
    let length = json!({ "anyOf": [text(), { "type": "null" }], "description": "How long it lasts, in place of `until`." });
    let members = [
        ("rules", names("The alert rules; none means all.")),
        ("key", key),
        ("keys", names("Patterns of keys, in which `*` stands for any text; none means all keys.")),
        ("severities", severities),
        (
            "all",
            json!({ "type": "boolean", "default": false, "description": "That all alerts are meant: to be said where nothing is named." }),
        ),
        ("from", end("When it begins; now if none is given.")),
        ("until", end("When it ends.")),
        ("for", length),
        ("comment", or_null(said(0))),
    ];
    let mut schema = with_optional(&[], &members);
    schema["examples"] = json!([{ "keys": ["press-*"], "for": "2 hours", "comment": "new rolls" }]);
    schema
}

/// How many severities there are.
const SEVERITIES: usize = 3;
