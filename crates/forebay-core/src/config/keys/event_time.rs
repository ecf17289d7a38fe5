//! The keys of `watermark` and `deduplicate`.

use super::{KeySpec, Section, key, required};

/// `watermark:` of a source.
pub static WATERMARK: Section = Section {
    path: "`sources.NAME.watermark`",
    doc: "Spark's `withWatermark`: windows, sessions, de-duplication and joins over time need it. The watermark is the \
          highest event time so far less the delay. A window is closed when the watermark reaches its end; rows that come \
          for it afterwards are late. In SQL it can also be written `FROM iot WATERMARK at DELAY OF INTERVAL 10 SECONDS`.",
    keys: &[
        required(
            "column",
            "SQL",
            "Which time of a row is its event time: a column of the type TIMESTAMP, or an expression that gives one, such as \
             `timestamp_seconds(timestamp)`. A query may use either as the event time: the same expression, or the column \
             `_event_time`.",
        ),
        required("delay", "duration", "How far behind the highest event time rows may come and still count."),
        key(
            "maxFutureSkew",
            "duration or `none`",
            Some("5 minutes"),
            "An event time further ahead of the clock than this does not move the watermark: one device with a fast clock \
             must not make all others late. Its row is processed like any other, and counted for the query and for the device. Spark has `none`.",
        ),
        key(
            "idleTimeout",
            "duration",
            None,
            "A source without rows for so long no longer holds back the watermark of a query that reads others too. If all \
             are silent, event time goes on with the clock as far as open windows need it, so that these are closed. \
             Without it, as in Spark, windows stay open until rows come.",
        ),
    ],
};

const DEDUPLICATE_KEYS: &[KeySpec] = &[
    required(
        "keys",
        "list of columns",
        "Columns of the SELECT's result that together tell rows apart. NULLs are equal to each other.",
    ),
    key(
        "within",
        "duration",
        None,
        "For how long after its event time a key is remembered: Spark's `dropDuplicatesWithinWatermark`. Without it the \
         event time is one of the keys, and they are forgotten when the watermark passes it; else keys are remembered for \
         ever.",
    ),
];

/// `deduplicate:` of a query.
pub static QUERY_DEDUPLICATE: Section = Section {
    path: "`queries.NAME.deduplicate`",
    doc: "Only the first of the rows with the same keys is written, across epochs and restarts.",
    keys: DEDUPLICATE_KEYS,
};

/// `deduplicate:` of a view.
pub static VIEW_DEDUPLICATE: Section = Section {
    path: "`views.NAME.deduplicate`",
    doc: "Only the first of the rows with the same keys goes on, in each query that reads the view.",
    keys: DEDUPLICATE_KEYS,
};
