//! The unique indexes of a table that exists, held against what the query says tells its rows apart (`key`).
//!
//! | the index is on | rows with different keys | so |
//! |---|---|---|
//! | the key, or the key and more | never meet in it | nothing is said |
//! | a part of the key | meet, and all but the first would be refused | an error |
//! | other columns of the query, or an expression, or some rows | may meet | a warning: it may be meant |
//! | a column that the table fills in itself | do not meet | nothing is said |
//!
//! What must stay true: a query without a key is not judged, since nobody said what tells its rows apart.

use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::config::Config;
use super::names::{literal, quoted, quoted_list};
use super::session::Session;
use super::table::Fit;

/// A unique index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Index {
    name: String,
    is_primary: bool,
    /// It looks at some rows only.
    is_partial: bool,
    /// Its columns; `None` for an expression.
    columns: Vec<Option<String>>,
}

/// Refuses an upsert into a table that has no unique index on its key, which PostgreSQL would refuse at the first row.
pub async fn check_key(session: &Session, config: &Config, key: &[String]) -> Result<()> {
    let names = key.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT 1 FROM pg_index i WHERE i.indrelid = to_regclass({}) AND i.indisunique AND i.indisvalid AND i.indimmediate
            AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = {} AND NOT EXISTS (
              SELECT FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) AS k(n) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n
               WHERE a.attname NOT IN ({names}))",
        literal(&config.table.sql()),
        key.len(),
    );
    if session.rows("look at the table's indexes", &sql).await?.is_empty() {
        let list = listed(key);
        let message = format!(
            "the table `{}` has no unique index on ({list}), so rows cannot be replaced by it",
            config.table
        );
        let hint = format!(
            "CREATE UNIQUE INDEX ON {} ({list}), or name the columns of its primary key in `key`.",
            config.table.sql()
        );
        return Err(Error::new(&codes::SINK_SCHEMA, message).with_hint(hint));
    }
    Ok(())
}

/// Refuses a table in which rows with different keys would collide, and tells of indexes in which they may.
pub async fn check_others(session: &Session, config: &Config, fit: &Fit) -> Result<Vec<String>> {
    if fit.key.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT c.relname, i.indisprimary, i.indpred IS NOT NULL, a.attname
           FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
          CROSS JOIN LATERAL generate_series(0, i.indnkeyatts - 1) AS k(n)
           LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.n] AND a.attnum > 0
          WHERE i.indrelid = to_regclass({}) AND i.indisunique AND i.indisvalid ORDER BY c.relname, k.n",
        literal(&config.table.sql()),
    );
    let mut indexes: Vec<Index> = Vec::new();
    for row in session.rows("look at the table's indexes", &sql).await? {
        let [Some(name), is_primary, is_partial, column] = <[_; 4]>::try_from(row).unwrap_or_default() else {
            continue;
        };
        let is = |flag: Option<String>| flag.as_deref() == Some("t");
        if indexes.last().is_none_or(|last| last.name != name) {
            let (is_primary, is_partial) = (is(is_primary), is(is_partial));
            indexes.push(Index { name, is_primary, is_partial, columns: Vec::new() });
        }
        if let Some(last) = indexes.last_mut() {
            last.columns.push(column);
        }
    }
    judged(config, fit, &indexes)
}

/// The doubts that a table's unique indexes give rise to; an error if one cannot hold the query's rows.
fn judged(config: &Config, fit: &Fit, indexes: &[Index]) -> Result<Vec<String>> {
    let (key, table) = (listed(&fit.key), config.table.sql());
    let mut doubts = Vec::new();
    for index in indexes {
        let kind = if index.is_primary { "primary key" } else { "unique index" };
        let columns: Option<Vec<&String>> = index.columns.iter().map(Option::as_ref).collect();
        let holds_key = |columns: &Vec<&String>| fit.key.iter().all(|name| columns.contains(&name));
        if columns.as_ref().is_some_and(holds_key) {
            continue;
        }
        let Some(columns) = columns.filter(|_| !index.is_partial) else {
            doubts.push(format!(
                "the unique index `{}` of the table `{}` looks at an expression or at some rows only: rows that it \
                 refuses go to the quarantine, whatever `key` ({key}) says",
                index.name, config.table
            ));
            continue;
        };
        let on = quoted_list(columns.iter().map(|name| name.as_str()));
        if columns.iter().all(|name| fit.key.contains(name)) {
            let others: Vec<String> =
                fit.key.iter().filter(|name| !columns.contains(name)).cloned().collect();
            let message = format!(
                "the table `{}` cannot hold the query's rows: its {kind} `{}` is on ({on}), and `key` tells rows apart by ({key})",
                config.table, index.name
            );
            let mend = if index.is_primary {
                format!(
                    "ALTER TABLE {table} DROP CONSTRAINT {}, ADD PRIMARY KEY ({key})",
                    quoted(&index.name)
                )
            } else {
                format!("CREATE UNIQUE INDEX ON {table} ({key}), and drop {}", quoted(&index.name))
            };
            return Err(Error::new(&codes::SINK_SCHEMA, message)
                .with_detail(format!(
                    "of rows that differ in {} alone the table would take the first and refuse the others",
                    listed(&others)
                ))
                .with_hint(format!(
                    "{mend}; or name in `key` what the table has, if there is one row for each; or write to another table."
                )));
        }
        // What the table fills in itself is its own business.
        if columns.iter().all(|name| fit.columns.contains(name)) {
            doubts.push(format!(
                "the {kind} `{}` of the table `{}` is on ({on}), and `key` tells rows apart by ({key}): rows that are \
                 equal in the one and differ in the other are refused and go to the quarantine",
                index.name, config.table
            ));
        }
    }
    Ok(doubts)
}

fn listed(names: &[String]) -> String {
    quoted_list(names.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use forebay_core::Zone;
    use forebay_core::options::Options;

    use super::super::config::{SPEC, WriteMode};
    use super::*;

    /// What is said of a table with this index by a query that gives `a`, `b`, `c`, with this key.
    fn said(key: &[&str], index: &[Option<&str>], is_partial: bool) -> Result<Vec<String>> {
        let raw = [("url", "postgresql://h/d"), ("dbtable", "t")];
        let raw = raw.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let config = Config::new(&Options::parse(&SPEC, &raw).unwrap(), Zone::UTC).unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let fit = Fit {
            columns: names(&["a", "b", "c"]),
            wires: Arc::default(),
            read_as: Vec::new(),
            key: names(key),
            write: WriteMode::Append,
        };
        let columns = index.iter().map(|name| name.map(str::to_owned)).collect();
        judged(&config, &fit, &[Index { name: "i".into(), is_primary: true, is_partial, columns }])
    }

    #[test]
    fn an_index_on_a_part_of_the_key_is_refused_by_its_name() {
        let error = said(&["a", "b"], &[Some("a")], false).unwrap_err();
        assert_eq!(error.code(), &codes::SINK_SCHEMA);
        assert!(error.message().contains("primary key `i` is on (\"a\")"), "{error}");
        assert!(error.detail().unwrap().contains("differ in \"b\" alone"), "{error}");
        assert!(
            error.hint().contains("DROP CONSTRAINT \"i\", ADD PRIMARY KEY (\"a\", \"b\")"),
            "{}",
            error.hint()
        );
    }

    #[test]
    fn an_index_that_tells_apart_what_the_key_does_is_not_spoken_of() {
        let indexes: [&[Option<&str>]; 4] = [
            &[Some("b"), Some("a")],
            &[Some("a"), Some("b"), Some("c")],
            &[Some("id")],
            &[Some("c"), Some("id")],
        ];
        for index in indexes {
            assert!(said(&["a", "b"], index, false).unwrap().is_empty(), "{index:?}");
        }
    }

    #[test]
    fn an_index_in_which_rows_may_meet_is_told() {
        let indexes: [(&[Option<&str>], bool); 4] =
            [(&[Some("c")], false), (&[Some("a"), Some("c")], false), (&[None], false), (&[Some("a")], true)];
        for (index, is_partial) in indexes {
            assert_eq!(said(&["a", "b"], index, is_partial).unwrap().len(), 1, "{index:?}");
        }
    }
}
