//! What single values look like: the words in which [`keys`](crate::config::keys) says what a key takes, as schemas.
//!
//! YAML has numbers, booleans and texts, the pipeline file only texts: `1000`, `true` and `"true"` are all taken, so
//! each schema takes what a YAML reader may make of a good text. Words of Spark count in any case, which JSON Schema
//! can only say by a pattern.

use serde_json::{Map, Value, json};

use super::one_of;
use crate::config::Registry;
use crate::config::keys::KeySpec;
use crate::options::ConnectorSpec;

/// Units of durations and sizes, as [`parse_duration`](crate::options::parse_duration) and
/// [`parse_size`](crate::options::parse_size) read them.
const DURATION: &str = "([Mm][Ss]|[Mm][Ii][Ll][Ll][Ii][Ss][Ee][Cc][Oo][Nn][Dd][Ss]?|[Ss]([Ee][Cc]([Oo][Nn][Dd])?[Ss]?)?|\
     [Mm]([Ii][Nn]([Uu][Tt][Ee])?[Ss]?)?|[Hh]([Oo][Uu][Rr][Ss]?)?|[Dd]([Aa][Yy][Ss]?)?|[Ww]([Ee][Ee][Kk][Ss]?)?)";
const SIZE: &str = "([KkMmGgTt]([Ii]?[Bb])?|[Bb])?";

/// A text of which a part comes from the environment or a file: options take it, whatever their kind.
pub(super) const SECRET: &str = "\\$\\{.+\\}";

/// The shapes that many keys share, by their names under `definitions`.
pub(super) fn definitions() -> Map<String, Value> {
    let shapes = [
        ("text", json!({ "type": ["string", "number", "boolean"] })),
        (
            "boolean",
            json!({
                "anyOf": [{ "type": "boolean" }, { "type": "string", "pattern": any_case(&["true", "false"]) }],
            }),
        ),
        (
            "duration",
            json!({
                "type": "string",
                "pattern": format!("^\\s*([0-9]+\\s*{DURATION}\\s*)+$"),
                "patternErrorMessage": "expected a duration such as `10 seconds`",
            }),
        ),
        (
            "size",
            json!({
                "anyOf": [
                    { "type": "integer", "minimum": 0 },
                    {
                        "type": "string",
                        "pattern": format!("^\\s*[0-9]+\\s*{SIZE}\\s*$"),
                        "patternErrorMessage": "expected a size such as `64MiB`",
                    },
                ],
            }),
        ),
        ("secret", json!({ "type": "string", "pattern": SECRET })),
    ];
    shapes.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect()
}

/// One of the shared shapes.
pub(super) fn shared(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

/// Any text.
pub(super) fn text() -> Value {
    shared("text")
}

/// One of these words, in any case. Editors complete from the list.
pub(super) fn word(words: &[&str]) -> Value {
    let mut listed: Vec<Value> = words.iter().map(|word| json!(word)).collect();
    listed.extend(words.iter().filter_map(|word| word.parse::<bool>().ok()).map(Value::Bool));
    json!({ "anyOf": [{ "enum": listed }, { "type": "string", "pattern": any_case(words) }] })
}

/// The name of one of these connectors.
pub(super) fn connector(specs: &[&ConnectorSpec]) -> Value {
    word(&specs.iter().map(|spec| spec.name).collect::<Vec<_>>())
}

/// The alternatives of a kind that says what a key takes, "`stop` or `dropOldest`", "duration or `forever`": the
/// literal words, and the others.
pub(super) fn alternatives(kind: &str) -> (Vec<&str>, Vec<&str>) {
    let parts = kind.split(" or ").flat_map(|part| part.split(", ")).map(str::trim);
    let (words, kinds): (Vec<&str>, Vec<&str>) =
        parts.filter(|part| !part.is_empty()).partition(|part| is_word(part));
    (words.into_iter().map(|word| word.trim_matches('`')).collect(), kinds)
}

/// True of a word in back quotes that is meant as it stands; `SOURCE.FIELD` is a form.
fn is_word(part: &str) -> bool {
    let word = part.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
    word.is_some_and(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
}

/// The schema of one such kind, as `key` has it; `None` if the words are not known here.
pub(super) fn of_kind(kind: &str, key: &KeySpec, registry: &Registry<'_>) -> Option<Value> {
    // Connectors are named by these two keys; elsewhere a source is one of the file's own.
    let names_connector = matches!(key.name, "format" | "value");
    Some(match kind {
        "name" => json!({ "type": "string", "pattern": super::NAME }),
        "text" | "SQL" | "SQL condition" | "Spark DDL" | "path" | "name of a table" | "column" | "field"
        | "time zone" => text(),
        "time" => text(),
        "64 hexadecimal digits" => json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{64}$" }),
        "list of rows" => json!({ "type": "array", "items": { "type": "object" } }),
        "list of codes" => json!({ "type": "array", "items": { "type": ["string", "object"] } }),
        "list of columns" | "list of topic filters" => {
            one_of(vec![json!({ "type": "array", "items": text(), "minItems": 1 }), text()])
        }
        "number" => {
            json!({ "anyOf": [{ "type": "number" }, { "type": "string", "pattern": "^[+-]?[0-9.]" }] })
        }
        "duration" | "size" => shared(kind),
        "name of a source" if names_connector => connector(registry.sources),
        "name of a decoder" if names_connector => connector(registry.formats),
        "name of a table format" if names_connector => connector(registry.tables),
        "name of a gateway" if names_connector => connector(registry.gateways),
        "name of a channel" if names_connector => connector(registry.channels),
        "name of a sink" if names_connector => connector(registry.sinks),
        _ => return None,
    })
}

/// A pattern for exactly one of these words, in upper or lower case.
pub(super) fn any_case(words: &[&str]) -> String {
    format!("^({})$", words.iter().map(|word| letters(word)).collect::<Vec<_>>().join("|"))
}

fn letters(word: &str) -> String {
    word.chars()
        .map(|c| match c {
            c if c.is_ascii_alphabetic() => {
                format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase())
            }
            c if c.is_ascii_digit() || c == '_' || c == '-' => c.to_string(),
            c => format!("\\{c}"),
        })
        .collect()
}
