//! The keys of `cycle`.

use super::{Section, key, required};

/// `cycle:` of a query.
pub static CYCLE: Section = Section {
    path: "`queries.NAME.cycle`",
    doc: "The query collects files for a time; then they become one archive under a name with the time, are removed, and it \
          goes on, with the record after the last one. For the sinks `csv` and `parquet`, without `partitionBy`.",
    keys: &[
        required("every", "duration", "How long a cycle collects. It ends with the epoch that runs then."),
        key(
            "merge",
            "`one file with header` or `one file`",
            Some("one file with header"),
            "Whether a CSV archive begins with the names of the columns, whatever the files have.",
        ),
        required(
            "archive",
            "text",
            "Where the archive goes: a path with `{name}`, the query's, and the time in the letters yyyy MM dd HH mm ss SSS, such as \
             `backup/{name}_{yyyyMMdd_HHmmss}.csv`. Relative paths lie under `--data`. A file that is there is never overwritten: \
             the name gets a number.",
        ),
        key(
            "clean",
            "`true` or `false`",
            Some("true"),
            "Whether the files are removed once their archive is durable. With `false` they stay and are in no other archive.",
        ),
        key("repeat", "`forever` or whole number", Some("forever"), "After how many cycles the query ends."),
        key(
            "zone",
            "time zone",
            Some("UTC"),
            "Whose clocks show the time in the name. In the hour that clocks show twice, names go on second by second from the \
             last one, so that they stay in order.",
        ),
    ],
};
