//! The keys of `tests`: what `forebay test` gives to the pipeline, and what it expects of it.

use super::{Section, key, required};

/// `tests: -`
pub static TEST: Section = Section {
    path: "`tests`",
    doc: "What `forebay test FILE` tries, each in a world of its own: records are given at times of a clock that only the test \
          moves, and what is expected by then is compared with what came. `given` and `expect` of the test itself are those of \
          its beginning and of its end. More in [testing.md](testing.md).",
    keys: &[
        required("name", "text", "What it shows, such as `a minute is told once it is over`."),
        key(
            "at",
            "time",
            Some("1970-01-01 00:00:00"),
            "When its clock begins: `2026-11-21T10:00:00Z`, `2026-11-21 10:00:00` or `10:00:00` (of 1970-01-01). At the default \
             the seconds since 1970 that devices send are those since the test began.",
        ),
        key(
            "given",
            "mapping of names to records",
            None,
            "The records that are there when it begins, as in a step.",
        ),
        key("steps", "list of steps", None, "What happens, one after the other."),
        key("expect", "mapping", None, "What is there in the end, as in a step."),
    ],
};

/// `tests: - steps: -`
pub static STEP: Section = Section {
    path: "`tests.steps`",
    doc: "A moment: the clock goes on to it, the records come, and every query takes all that is there, in one epoch and those \
          without records that follow when the watermark has moved. Triggers are not waited for.",
    keys: &[
        key(
            "at",
            "time",
            Some("that of the step before"),
            "When: `+5 seconds` after the step before, `10:00:05` of the day on which the test begins, or a time with its date.",
        ),
        key(
            "given",
            "mapping of names to records",
            None,
            "The records that come, in lists by source or topic, and the messages of devices, by gateway: `{ topic, payload, from }`, which \
             go through its routes. A record is written as queries see it: with `value: json` a \
             mapping of its fields, and beside them `_kafka: { key, partition, timestamp, topic }` where that matters; a text \
             is a value as it is, `null` none. Without `value` a mapping is `{ value, key, partition, timestamp, topic }`.",
        ),
        key("expect", "mapping", None, "What is there by then."),
    ],
};

/// `tests: - steps: - expect:`
pub static EXPECT: Section = Section {
    path: "`tests.steps.expect`",
    doc: "What is there by then, from the test's beginning. Rows are compared without regard to their order, and only by the \
          columns that are written; numbers with a fraction may differ in the tenth digit.",
    keys: &[
        key("queries", "mapping of names", None, "What each query has given."),
        key(
            "alerts",
            "mapping of names to rows",
            None,
            "All alerts that a rule has opened, by its name, with the fields that `GET /api/v1/alerts` has: `key`, `state` \
             (`open` or `cleared`), `openedAt`, `clearedAt`, `severity`, `message`, `value`, `clearedValue`.",
        ),
    ],
};

/// `tests: - steps: - expect: queries: NAME:`
pub static EXPECT_QUERY: Section = Section {
    path: "`tests.steps.expect.queries.NAME`",
    doc: "What a query has given by then. Its rows are those of its table: in `outputMode: update` the newest of each key, in \
          `complete` the newest result.",
    keys: &[
        key("rows", "list of rows", None, "All of its rows; `[]` for none."),
        key("contains", "list of rows", None, "Some of its rows: others may be there too."),
        key(
            "late",
            "list of rows",
            None,
            "All rows of its late table, with `_late: { late_by_ms, … }` if you like.",
        ),
        key(
            "quarantined",
            "list of codes",
            None,
            "All records in its quarantine: codes such as `json.truncated`, or rows of `code`, `path`, `why`, `topic`, \
             `partition`, `offset`, `timestamp`, `key`, `value`.",
        ),
        key(
            "ledger",
            "mapping of counts",
            None,
            "How many records met which fate, such as `{ read: 5, filtered: 2 }`: `read`, `emitted`, `aggregated`, `unmatched`, \
             `filtered`, `deduplicated`, `dropped`, `quarantined`, `late`, `rowsOut`, `rowsRefused`.",
        ),
    ],
};
