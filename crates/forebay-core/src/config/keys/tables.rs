//! The keys of `tables`.

use super::{Section, key, required};

/// `tables: NAME:`
pub static TABLE: Section = Section {
    path: "`tables.NAME`",
    doc: "A table at rest that queries and views join with what streams in, by its name: a register of devices, of shifts, of \
          limits. It is held in memory and read again when a new version of it appears.",
    keys: &[
        required("format", "name of a table format", "How the table is kept."),
        key(
            "path",
            "path",
            None,
            "The file or folder; of Delta the folder of the table. It is needed. May also stand among the options, as in \
             Spark.",
        ),
        key(
            "table",
            "name of a table",
            None,
            "In place of `path`, for `delta`: the table of a catalog, `catalog.schema.table`. Under its whole name SQL reads it \
             without an entry here.",
        ),
        key(
            "schema",
            "Spark DDL",
            None,
            "The columns. Needed for `csv` and `json`; Parquet and Delta tables bring their own.",
        ),
        key("options", "mapping", None, "The options of the format."),
        key(
            "maxMemory",
            "size",
            Some("256MiB"),
            "Most memory that its rows may take. A query that needs more does not start; a new version that needs more is not \
             taken.",
        ),
    ],
};
