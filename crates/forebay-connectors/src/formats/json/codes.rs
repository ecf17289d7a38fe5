//! What each code of a bad record means, and what to try: the pages of `forebay explain json.…`.
//!
//! What must stay true: every code that a [`Fault`](super::fault::Fault) can carry has its page, and
//! `docs/json-decoding.md` says the same in the same words.

use forebay_core::format::RecordCode;

use super::fault::code;

const SENDER: &str = "Look at the record with `forebay quarantine show`, and at what sends it. What was cut or garbled on its way can \
     only be sent again; `forebay quarantine drop` gives the record up.";
const SCHEMA: &str = "Compare the field with the source's `schema`. If the schema is wrong, mend it, restart and \
     `forebay quarantine replay`; `forebay schema infer` says what the topic holds.";

/// The codes, in the order of the reference: first what is no JSON object, then what does not fit the schema.
pub static CODES: &[RecordCode] = &[
    RecordCode { id: code::EMPTY, meaning: "is empty or only white space", remedy: SENDER },
    RecordCode {
        id: code::NULL,
        meaning: "is null (a tombstone)",
        remedy: "A compacted topic marks deleted keys so. Drop them with `forebay quarantine drop`, or read the source \
                 without `value` and leave out `value IS NULL`.",
    },
    RecordCode { id: code::TRUNCATED, meaning: "ends before its value is complete", remedy: SENDER },
    RecordCode {
        id: code::SYNTAX,
        meaning: "is not JSON: NaN, hex, single quotes, comments, leading zeros, raw control characters, lone surrogates, \
                  a byte-order mark …",
        remedy: "Mend what writes the record: a JSON library writes none of these. Mode `PERMISSIVE` takes some of them, as Spark does.",
    },
    RecordCode {
        id: code::TRAILING,
        meaning: "has something after its first value",
        remedy: "One message is one object: let the sender write two objects as two messages.",
    },
    RecordCode {
        id: code::NOT_OBJECT,
        meaning: "is an array, a string, a number, `true`, `false` or `null`",
        remedy: "The columns are the fields of an object: let the sender write `{\"field\": …}`, for an array a message for each \
                 of its elements.",
    },
    RecordCode {
        id: code::UTF8,
        meaning: "has a byte sequence that is not UTF-8, anywhere",
        remedy: "Let the sender write UTF-8; Latin-1 and Windows code pages are the usual causes.",
    },
    RecordCode {
        id: code::DEPTH,
        meaning: "is nested deeper than 128 levels, its own braces being the first",
        remedy: "Raise the option `maxDepth` if the sender means it.",
    },
    RecordCode {
        id: code::TYPE,
        meaning: "has a value of another JSON type than its field wants",
        remedy: SCHEMA,
    },
    RecordCode {
        id: code::RANGE,
        meaning: "has a number outside the range or precision of its field, or a date or time that does not exist",
        remedy: "Give the field a wider type in the source's `schema` (INT to BIGINT, a larger DECIMAL), restart and `forebay \
                 quarantine replay`. A time that does not exist comes from a broken clock.",
    },
    RecordCode {
        id: code::FORMAT,
        meaning: "has a string that is no date, timestamp or base64 where one is wanted",
        remedy: "Say how the sender writes times with the option `timestampFormat` or `dateFormat`, or read the field as STRING.",
    },
    RecordCode {
        id: code::REQUIRED,
        meaning: "has NULL or nothing for a field that is NOT NULL",
        remedy: "Take `NOT NULL` out of the source's `schema` if the field may be missing.",
    },
    RecordCode {
        id: code::DUPLICATE_KEY,
        meaning: "has the same field, or the same key of a MAP, twice",
        remedy: "Which of the two is meant only the sender knows: let it write each once.",
    },
    RecordCode {
        id: code::LIMIT,
        meaning: "has a string above 16 MiB or an array above 100,000 elements in a field of the schema",
        remedy: "Raise `maxStringLength` or `maxArrayLength` if the sender means it, or leave the field out of the schema.",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_a_fault_has_its_page() {
        let source = include_str!("fault.rs");
        let declared = source.split("&str = \"json.").skip(1).filter_map(|rest| rest.split('"').next());
        let declared: Vec<String> = declared.map(|word| format!("json.{word}")).collect();
        assert_eq!(declared, CODES.iter().map(|code| code.id).collect::<Vec<_>>());
    }

    #[test]
    fn the_page_about_decoding_says_the_same() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json-decoding.md");
        let page = std::fs::read_to_string(page).unwrap();
        for code in CODES {
            assert!(page.contains(&format!("| `{}` | {} |", code.id, code.meaning)), "{}", code.id);
        }
    }
}
