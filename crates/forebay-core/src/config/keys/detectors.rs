//! The keys of `detectors`.

use super::{Section, key, required};

/// `detectors: NAME:`
pub static DETECTOR: Section = Section {
    path: "`detectors.NAME`",
    doc: "An anomaly model that learns what is usual for each key and judges each row before it learns from it. Queries, \
          alerts and the views below what it watches read it by its name, as a view: the columns of what it watches, and behind \
          them `score` DOUBLE (how far from usual), `likelihood` DOUBLE (the share of usual rows that would score less), \
          `is_anomaly` BOOLEAN and `reason` STRING (in words, where it is one). All four are NULL for a row that is not judged: \
          while the detector warms up, and where a column is NULL or not a number. What it has learned is in the checkpoint of each query that \
          reads it, within that query's `stateLimit`.",
    keys: &[
        required(
            "on",
            "name of a source or view",
            "Whose rows are judged; also a detector that stands above this one.",
        ),
        key(
            "key",
            "column or list of columns",
            Some("all rows are of one thing"),
            "Which columns tell the watched things apart, such as `device_id`. Rows of a key are judged in the order in which \
             they come: best is the column by which the topic is partitioned.",
        ),
        key("column", "column", None, "The number that is judged. Needed, if `columns` is not given."),
        key(
            "columns",
            "list of columns",
            None,
            "Several numbers that are judged together, for kinds that take several.",
        ),
        key(
            "time",
            "column",
            Some("the event time, else the record's timestamp"),
            "When a row happened: a column of the type TIMESTAMP. Kinds that know hours and gaps go by it.",
        ),
        key("unit", "text", None, "What the number is measured in, for `reason`: `°C`."),
        key(
            "kind",
            "text",
            Some("auto"),
            "What judges: `auto`, which needs no settings, `z_score`, `robust_z`, `ewma`, `ewma_chart`, `holt_winters`, `seasonal`, \
             `cusum`, `page_hinkley`, `half_space_trees`, `stuck` or `gap`; or with a `model` that was trained before `isolation_forest` or `k_means` (docs/detectors.md).",
        ),
        key(
            "settings",
            "mapping of settings to numbers",
            None,
            "Settings of the kind, such as `threshold: 4` and `warm_up: 50`.",
        ),
        key(
            "model",
            "path",
            None,
            "The file of a saved model, for kinds that are trained: `forebay train NAME -f FILE --on TABLE` makes it. Relative \
             paths lie under `--data`.",
        ),
    ],
};
