//! The statements of an epoch, written once for a table and a query.
//!
//! ```text
//!  append              COPY table (…) FROM STDIN
//!  upsert, read types  COPY stage (…) FROM STDIN;  INSERT INTO table (…) SELECT … FROM stage [ON CONFLICT (key) DO UPDATE …]
//! ```
//!
//! The stage is a temporary table of the session, so it is written to no log of the server and seen by nobody else. What must
//! stay true: of several rows of an epoch with the same key the last one wins; in the stage that is the one with the highest
//! `ctid`, since it is only ever appended to.

use super::config::{Config, WriteMode};
use super::names::{quoted, quoted_list};
use super::table::Fit;

/// The stage, in the session's own schema.
const STAGE: &str = "pg_temp.forebay_stage";

/// What an epoch runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statements {
    /// Makes the stage, once a session.
    pub stage: Option<String>,
    /// Takes the rows.
    pub copy: String,
    /// Brings them from the stage into the table.
    pub merge: Option<Merge>,
    /// Empties the table first.
    pub empty: Option<String>,
}

/// From the stage into the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// Where no key comes twice.
    pub plain: String,
    /// Where one may, if rows are replaced.
    pub last: Option<String>,
    /// Empties the stage before the transaction ends.
    pub clear: &'static str,
}

impl Statements {
    pub fn new(config: &Config, fit: &Fit) -> Self {
        let table = config.table.sql();
        let columns = quoted_list(fit.columns.iter().map(String::as_str));
        let empty = (fit.write == WriteMode::Replace).then(|| {
            if config.truncate { format!("TRUNCATE {table}") } else { format!("DELETE FROM {table}") }
        });
        if !fit.is_staged() {
            let copy = format!("COPY {table} ({columns}) FROM STDIN (FORMAT binary)");
            return Self { stage: None, copy, merge: None, empty };
        }
        let each = |as_text: fn(&str) -> String, as_read: fn(&str, &str) -> String| {
            let one = |(name, read): (&String, &Option<String>)| {
                let name = quoted(name);
                read.as_deref().map_or_else(|| as_text(&name), |kind| as_read(&name, kind))
            };
            fit.columns.iter().zip(&fit.read_as).map(one).collect::<Vec<_>>()
        };
        let of_stage = each(str::to_owned, |name, _| format!("NULL::text AS {name}")).join(", ");
        let stage = format!(
            "CREATE TEMP TABLE IF NOT EXISTS forebay_stage ON COMMIT DELETE ROWS AS SELECT {of_stage} FROM {table} WITH NO DATA"
        );
        let given = each(str::to_owned, |name, kind| format!("CAST({name} AS {kind})"));
        let select = given.join(", ");
        let insert = format!("INSERT INTO {table} ({columns})");
        let (conflict, last) = if fit.write == WriteMode::Upsert {
            let key = quoted_list(fit.key.iter().map(String::as_str));
            let others: Vec<String> = fit
                .columns
                .iter()
                .filter(|column| !fit.key.contains(column))
                .map(|column| format!("{0} = EXCLUDED.{0}", quoted(column)))
                .collect();
            let action = match others.is_empty() {
                true => "DO NOTHING".to_owned(),
                false => format!("DO UPDATE SET {}", others.join(", ")),
            };
            let conflict = format!(" ON CONFLICT ({key}) {action}");
            let keys: Vec<&str> = fit
                .columns
                .iter()
                .zip(&given)
                .filter(|(column, _)| fit.key.contains(column))
                .map(|(_, given)| given.as_str())
                .collect();
            let keys = keys.join(", ");
            let last = format!(
                "{insert} SELECT DISTINCT ON ({keys}) {select} FROM {STAGE} ORDER BY {keys}, ctid DESC{conflict}"
            );
            (conflict, Some(last))
        } else {
            (String::new(), None)
        };
        let plain = format!("{insert} SELECT {select} FROM {STAGE}{conflict}");
        Self {
            stage: Some(stage),
            copy: format!("COPY {STAGE} ({columns}) FROM STDIN (FORMAT binary)"),
            merge: Some(Merge { plain, last, clear: "DELETE FROM pg_temp.forebay_stage" }),
            empty,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use forebay_core::Zone;
    use forebay_core::options::Options;

    use super::super::config::SPEC;
    use super::super::kinds::Wire;
    use super::*;

    fn statements(more: &[(&str, &str)], fit: &Fit) -> Statements {
        let given = [("url", "postgresql://h/d"), ("dbtable", "t")].iter().chain(more);
        let raw = given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Statements::new(&Config::new(&Options::parse(&SPEC, &raw).unwrap(), Zone::UTC).unwrap(), fit)
    }

    fn fit(write: WriteMode, key: &[&str], read: Option<&str>) -> Fit {
        Fit {
            columns: vec!["id".into(), "v\"1".into()],
            wires: Arc::from([Wire::Int4, Wire::Text]),
            read_as: vec![None, read.map(str::to_owned)],
            key: key.iter().map(|name| (*name).to_owned()).collect(),
            write,
        }
    }

    #[test]
    fn rows_are_appended_without_a_detour() {
        let all = statements(&[], &fit(WriteMode::Append, &[], None));
        assert_eq!(all.copy, "COPY \"t\" (\"id\", \"v\"\"1\") FROM STDIN (FORMAT binary)");
        assert_eq!((all.stage, all.merge, all.empty), (None, None, None));
    }

    #[test]
    fn rows_that_are_replaced_go_through_the_stage_and_the_last_one_wins() {
        let all = statements(&[], &fit(WriteMode::Upsert, &["id"], None));
        let merge = all.merge.unwrap();
        assert_eq!(
            merge.plain,
            "INSERT INTO \"t\" (\"id\", \"v\"\"1\") SELECT \"id\", \"v\"\"1\" FROM pg_temp.forebay_stage \
             ON CONFLICT (\"id\") DO UPDATE SET \"v\"\"1\" = EXCLUDED.\"v\"\"1\""
        );
        assert!(merge.last.unwrap().contains("SELECT DISTINCT ON (\"id\") \"id\", \"v\"\"1\" FROM pg_temp.forebay_stage ORDER BY \"id\", ctid DESC ON CONFLICT"));
        let all = statements(&[], &fit(WriteMode::Upsert, &["id", "v\"1"], None));
        assert!(all.merge.unwrap().plain.ends_with("DO NOTHING"), "there is nothing to replace");
    }

    #[test]
    fn what_is_read_is_text_on_the_stage() {
        let all = statements(&[], &fit(WriteMode::Append, &[], Some("inet")));
        assert!(
            all.stage.unwrap().contains("SELECT \"id\", NULL::text AS \"v\"\"1\" FROM \"t\" WITH NO DATA")
        );
        let merge = all.merge.unwrap();
        assert!(merge.plain.ends_with("SELECT \"id\", CAST(\"v\"\"1\" AS inet) FROM pg_temp.forebay_stage"));
        assert_eq!(merge.last, None);
    }

    #[test]
    fn all_rows_are_replaced_by_delete_or_truncate() {
        let replace = fit(WriteMode::Replace, &[], None);
        assert_eq!(statements(&[], &replace).empty.as_deref(), Some("DELETE FROM \"t\""));
        assert_eq!(statements(&[("truncate", "true")], &replace).empty.as_deref(), Some("TRUNCATE \"t\""));
    }
}
