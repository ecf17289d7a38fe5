//! Catalogs: tables by names of three parts, over folders.
//!
//! ```text
//! data_pipelines . kafka_table . pir_stream_test
//!    catalog         schema        table         ─▶  <data>/warehouse/data_pipelines/kafka_table.db/pir_stream_test
//! ```
//!
//! The folders are Spark's own: it puts a schema under its warehouse as `<schema>.db`, and a table below that. With
//! `spark.sql.warehouse.dir` set to the folder of a catalog, both mean the same tables.
//!
//! What must stay true: a name has ASCII letters, digits and `_` alone, as Spark's rule is, so no name leaves the
//! warehouse; case makes no difference, and names are kept in lower case, so a folder has one name. Shorter names mean the
//! default catalog and the default schema, which are called as in Spark.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, Result, codes};

/// The folder of all catalogs, under the data folder.
pub const WAREHOUSE: &str = "warehouse";

/// The catalog of names that name none.
pub const DEFAULT_CATALOG: &str = "spark_catalog";

/// The schema of names that name none.
pub const DEFAULT_SCHEMA: &str = "default";

/// What the name of a schema's folder ends with.
pub const SCHEMA_SUFFIX: &str = ".db";

/// The longest part of a name: folders bear 255 bytes.
const LONGEST: usize = 128;

/// A table's name, whole and in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    catalog: String,
    schema: String,
    table: String,
}

impl TableName {
    /// Reads a name of one to three parts, each with or without backticks.
    ///
    /// # Errors
    /// `FB-1…` (`BAD_VALUE`) if it has more parts, or letters that no name has.
    pub fn parse(text: &str) -> Result<Self> {
        Self::of_parts(&text.split('.').map(unquoted).collect::<Vec<_>>())
    }

    /// The same of its parts.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn of_parts(parts: &[&str]) -> Result<Self> {
        let parts: Vec<String> = parts.iter().map(|part| checked(part)).collect::<Result<_>>()?;
        let mut parts = parts.into_iter().rev();
        let (table, schema, catalog) = (parts.next(), parts.next(), parts.next());
        let (Some(table), None) = (table, parts.next()) else {
            let message = "a table's name has one to three parts";
            return Err(Error::new(&codes::BAD_VALUE, message).with_hint("Write `catalog.schema.table`."));
        };
        let schema = schema.unwrap_or_else(|| DEFAULT_SCHEMA.to_owned());
        let catalog = catalog.unwrap_or_else(|| DEFAULT_CATALOG.to_owned());
        Ok(Self { catalog, schema, table })
    }

    /// The catalog.
    pub fn catalog(&self) -> &str {
        &self.catalog
    }

    /// The schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The table in its schema.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Catalog and schema, as Spark shows a namespace: without its own catalog.
    pub fn namespace(&self) -> String {
        match self.catalog.as_str() {
            DEFAULT_CATALOG => self.schema.clone(),
            catalog => format!("{catalog}.{}", self.schema),
        }
    }

    /// Where the table lies, below the data folder.
    pub fn folder(&self) -> PathBuf {
        [WAREHOUSE, &self.catalog, &format!("{}{SCHEMA_SUFFIX}", self.schema), &self.table].iter().collect()
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.catalog, self.schema, self.table)
    }
}

/// True for a part of a name as it is kept: what else stands among the folders is no table of a catalog.
pub fn is_kept_name(part: &str) -> bool {
    is_name(part) && !part.bytes().any(|letter| letter.is_ascii_uppercase())
}

/// What is called so is the log of a Delta table: beside tables it would make one of their schema.
const LOG: &str = "_delta_log";

fn is_name(part: &str) -> bool {
    !part.eq_ignore_ascii_case(LOG)
        && (1..=LONGEST).contains(&part.len())
        && part.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
}

fn unquoted(part: &str) -> &str {
    let part = part.trim();
    part.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')).unwrap_or(part)
}

fn checked(part: &str) -> Result<String> {
    if is_name(part) {
        return Ok(part.to_ascii_lowercase());
    }
    let shown: String = part.chars().take(40).collect();
    let error = Error::new(&codes::BAD_VALUE, format!("`{shown}` cannot be a part of a table's name"));
    Err(error.with_hint(format!(
        "Catalogs, schemas and tables have names of ASCII letters, digits and `_`, at most {LONGEST} of them, as in Spark; none is `{LOG}`."
    )))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_name_has_one_folder_however_it_is_written() {
        for (text, full) in [
            ("data_pipelines.kafka_table.pir", "data_pipelines.kafka_table.pir"),
            ("Data_Pipelines.`KAFKA_table`.PIR", "data_pipelines.kafka_table.pir"),
            ("kafka_table.pir", "spark_catalog.kafka_table.pir"),
            (" `pir` ", "spark_catalog.default.pir"),
            ("1.2.3", "1.2.3"),
        ] {
            assert_eq!(TableName::parse(text).unwrap().to_string(), full);
        }
        let folder = TableName::parse("a.B.c").unwrap().folder();
        assert_eq!(folder, Path::new("warehouse").join("a").join("b.db").join("c"));
        assert_eq!(TableName::parse("a.b.c").unwrap().namespace(), "a.b");
        assert_eq!(TableName::parse("b.c").unwrap().namespace(), "b");
    }

    #[test]
    fn no_name_leaves_the_warehouse() {
        let long = "a".repeat(129);
        for text in [
            "",
            ".",
            "..",
            "../../etc",
            "a.b.c.d",
            "a..c",
            "a/b",
            "a\\b",
            "a.b%2F",
            "`a``b`",
            "`",
            "a b",
            "ä",
            "a\0",
            "a.b.",
            "-",
            "a:b",
            "a.b._delta_log",
            "_Delta_Log",
            &long,
        ] {
            let error = TableName::parse(text).unwrap_err();
            assert_eq!(error.code(), &codes::BAD_VALUE, "{text}");
        }
        assert!(is_kept_name("a_1") && !is_kept_name("A") && !is_kept_name("a.b") && !is_kept_name(""));
    }
}
