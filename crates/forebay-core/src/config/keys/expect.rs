//! The keys of `expect`: what a source's rows are expected to be.

use super::{Section, key, required};

/// `sources: NAME:` when it has `invalidOf`.
pub static INVALID: Section = Section {
    path: "`sources.NAME` with `invalidOf`",
    doc: "The records of another source that give no row there: those that cannot be decoded, and those that an expectation sets \
          aside, drops or stops at. One row for each, with the columns `code STRING` (as in the quarantine: `json.type`, \
          `expect.range`), `path STRING`, `why STRING` and `value BINARY`, the bytes as they came; the record's own columns are under \
          `_kafka`. It reads where the other source reads, with its options, and holds records to the same schema and expectations. \
          Records that do give a row there are counted as filtered.",
    keys: &[required(
        "invalidOf",
        "name of another source",
        "The source whose invalid records these are; it decodes values.",
    )],
};

/// `sources: NAME: expect: -`
pub static EXPECTATION: Section = Section {
    path: "`sources.NAME.expect`",
    doc: "What each row is expected to be, beyond the types of the schema, and what becomes of one that is not: as `CHECK` of SQL, \
          or the expectations of Delta Live Tables. One entry is of one kind: a range (`column` with `min`, `max` or both), \
          `required`, `pattern`, `in`, a place (`lat` and `lon`), a `condition` or how fast a value changes (`maxRatePerSecond`). Rows are held to them behind the decoder and \
          before anything else, for whoever reads the source. As with a CHECK, NULL meets all of them but `required`. More in \
          [expectations.md](expectations.md).",
    keys: &[
        key(
            "name",
            "name",
            Some("made of columns and kind, such as `speed_range`"),
            "Its name in metrics, in the quarantine and in `_failed_expectations`. A `condition` needs one.",
        ),
        key(
            "column",
            "column",
            None,
            "The column that it is about, nested ones with dots: `position.speed`.",
        ),
        key(
            "min",
            "number, date or time",
            None,
            "The least value of `column`, itself included. NaN lies in no range.",
        ),
        key("max", "number, date or time", None, "The greatest value of `column`, itself included."),
        key("required", "`true`", None, "`column` is not NULL."),
        key(
            "pattern",
            "regular expression",
            None,
            "Is found in the text of `column`, as with `RLIKE`: `^[A-Z]{2}[0-9]+$` for the whole text. In YAML such a text \
             stands in single quotes.",
        ),
        key("in", "list of values", None, "`column` is one of these. Texts count in upper and lower case."),
        key(
            "lat",
            "column",
            None,
            "The column with the latitude in degrees; with `lon`. Both lie on the globe, and in the box.",
        ),
        key("lon", "column", None, "The column with the longitude in degrees; with `lat`."),
        key("minLat", "number", Some("-90"), "The southern edge of the box."),
        key("maxLat", "number", Some("90"), "The northern edge of the box."),
        key("minLon", "number", Some("-180"), "The western edge of the box."),
        key(
            "maxLon",
            "number",
            Some("180"),
            "The eastern edge of the box; less than `minLon` where the box lies over the 180th meridian.",
        ),
        key(
            "condition",
            "SQL condition",
            None,
            "Holds for the row, such as `fuel >= 0 OR engine = 'off'`. It is over the row alone: no `_kafka`, no clock, no \
             aggregate, no table. A row for which it cannot be computed fails it.",
        ),
        key(
            "maxRatePerSecond",
            "number",
            None,
            "How much `column` may change in a second, up or down, against the last value of the same `key` that was accepted. With `key` \
             and `time`.",
        ),
        key(
            "key",
            "column",
            None,
            "With `maxRatePerSecond`: the column that tells apart whose values they are.",
        ),
        key(
            "time",
            "column",
            None,
            "With `maxRatePerSecond`: the column with the time of a value, a TIMESTAMP, a DATE or a number of seconds.",
        ),
        key(
            "onFail",
            "`quarantine`, `flag`, `drop` or `fail`",
            Some("quarantine"),
            "What becomes of a row that fails it: its record is set aside with its raw bytes; or the row goes on with the names \
             of what it failed in the column `_failed_expectations`; or it is dropped and counted; or the query stops.",
        ),
    ],
};
