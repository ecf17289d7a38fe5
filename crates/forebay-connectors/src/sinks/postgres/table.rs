//! The table on the other side: looked at, made, compared with the query.
//!
//! What must stay true: a table that exists is changed only as `mergeSchema` asks for, and one that does not fit is refused
//! with every difference by its name. Columns are found by their names as they stand; if there is none, without regard to
//! case, since PostgreSQL makes names without quotes lower case.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::config::{Config, WriteMode};
use super::kinds::{self, PgType, Way, Wire};
use super::names::{literal, quoted, quoted_list};
use super::session::Session;

/// A column of a table.
#[derive(Clone, Debug, Default)]
pub struct Column {
    pub name: String,
    pub kind: PgType,
    /// As PostgreSQL writes its type: `numeric(10,2)`.
    pub shown: String,
    pub not_null: bool,
    /// It has a value of its own where none is given.
    pub has_default: bool,
    /// Its value is always computed.
    pub is_computed: bool,
}

/// How the rows of a query get into a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// Of each column of the query the one of the table.
    pub columns: Vec<String>,
    /// How each is sent.
    pub wires: Arc<[Wire]>,
    /// Of those that PostgreSQL reads from text, the type that it reads.
    pub read_as: Vec<Option<String>>,
    /// The columns of the table by which rows are replaced.
    pub key: Vec<String>,
    pub write: WriteMode,
}

impl Fit {
    /// Whether rows go through a table of their own first.
    pub fn is_staged(&self) -> bool {
        self.write == WriteMode::Upsert || self.read_as.iter().any(Option::is_some)
    }
}

/// The columns of a table; `None` if there is no such table.
pub async fn look(session: &Session, config: &Config) -> Result<Option<Vec<Column>>> {
    let what = "look at the table";
    let name = literal(&config.table.sql());
    let kind = session
        .first(what, &format!("SELECT relkind::text FROM pg_class WHERE oid = to_regclass({name})"))
        .await?;
    match kind.as_deref() {
        None => return Ok(None),
        Some("r" | "p" | "f" | "v") => {}
        Some(_) => {
            let message = format!("`{}` is no table that rows can be written to", config.table);
            return Err(Error::new(&codes::SINK_UNSUPPORTED, message).with_hint("Name a table in `dbtable`."));
        }
    }
    // A domain over a domain has its base only at the end.
    let sql = format!(
        "WITH RECURSIVE base AS (
           SELECT a.attnum, t.oid, t.typname, t.typtype, t.typbasetype, t.typelem, t.typcategory,
                  CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS modifier
             FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
            WHERE a.attrelid = to_regclass({name}) AND a.attnum > 0 AND NOT a.attisdropped
           UNION ALL
           SELECT b.attnum, t.oid, t.typname, t.typtype, t.typbasetype, t.typelem, t.typcategory,
                  CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE b.modifier END
             FROM base b JOIN pg_type t ON t.oid = b.typbasetype WHERE b.typtype = 'd')
         SELECT a.attname, b.oid, b.typname, b.typtype, b.modifier,
                CASE WHEN b.typcategory = 'A' THEN b.typelem END, e.typname,
                format_type(a.atttypid, a.atttypmod), a.attnotnull,
                a.atthasdef OR a.attidentity <> '', a.attgenerated <> '' OR a.attidentity = 'a'
           FROM base b JOIN pg_attribute a ON a.attrelid = to_regclass({name}) AND a.attnum = b.attnum
           LEFT JOIN pg_type e ON e.oid = b.typelem AND b.typcategory = 'A'
          WHERE b.typtype <> 'd' ORDER BY b.attnum"
    );
    let rows = session.rows(what, &sql).await?;
    Ok(Some(rows.into_iter().map(column).collect()))
}

fn column(mut row: Vec<Option<String>>) -> Column {
    let mut text = |index: usize| row.get_mut(index).and_then(Option::take).unwrap_or_default();
    let number = |text: String| text.parse().unwrap_or_default();
    let kind = PgType {
        oid: number(text(1)),
        name: text(2),
        kind: text(3).chars().next().unwrap_or('b'),
        modifier: text(4).parse().unwrap_or(-1),
        element: text(5).parse().ok().map(|oid| (oid, text(6))),
    };
    Column {
        name: text(0),
        kind,
        shown: text(7),
        not_null: text(8) == "t",
        has_default: text(9) == "t",
        is_computed: text(10) == "t",
    }
}

/// A column as it is made: its name, and the type that `createTableColumnTypes` gives it, else the usual one.
pub fn made(config: &Config, field: &Field) -> String {
    let given = config.column_types.iter().find(|(name, _)| name.eq_ignore_ascii_case(field.name()));
    let kind = given.map_or_else(|| kinds::created(field.data_type()), |(_, kind)| kind.clone());
    format!("{} {kind}", quoted(field.name()))
}

/// The statement that makes the table for a query.
pub fn create(config: &Config, schema: &Schema, key: &[String]) -> Result<String> {
    let mut columns: Vec<String> = schema.fields().iter().map(|field| made(config, field)).collect();
    let is_there = |name: &str| schema.fields().iter().any(|field| name.eq_ignore_ascii_case(field.name()));
    if let Some((name, _)) = config.column_types.iter().find(|(name, _)| !is_there(name)) {
        let message =
            format!("option `createTableColumnTypes` names `{name}`, which is no column of the query");
        return Err(
            Error::new(&codes::BAD_VALUE, message).with_hint(format!("The query gives {}.", names(schema)))
        );
    }
    if !key.is_empty() {
        columns.push(format!("PRIMARY KEY ({})", quoted_list(key.iter().map(String::as_str))));
    }
    let table = config.table.sql();
    Ok(format!("CREATE TABLE IF NOT EXISTS {table} ({}) {}", columns.join(", "), config.table_options))
}

fn names(schema: &Schema) -> String {
    schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ")
}

/// The columns of the query that `wanted` names, as the query writes them.
pub fn key_columns(schema: &Schema, wanted: &[String]) -> Result<Vec<String>> {
    let find = |name: &String| {
        let fields = || schema.fields().iter().map(|field| field.name());
        let found = fields()
            .find(|field| *field == name)
            .or_else(|| fields().find(|field| field.eq_ignore_ascii_case(name)));
        found.cloned().ok_or_else(|| {
            Error::new(
                &codes::BAD_VALUE,
                format!("option `key` names `{name}`, which is no column of the query"),
            )
            .with_hint(format!("The query gives {}.", names(schema)))
        })
    };
    wanted.iter().map(find).collect()
}

/// The place of a column by name, else without regard to case if only one is called so.
fn position(columns: &[Column], name: &str) -> Option<usize> {
    let lower = name.to_lowercase();
    columns.iter().position(|column| column.name == name).or_else(|| {
        let mut alike = columns.iter().enumerate().filter(|(_, column)| column.name.to_lowercase() == lower);
        let first = alike.next()?;
        alike.next().is_none().then_some(first.0)
    })
}

/// Columns of the query that the table does not have.
pub fn missing<'a>(schema: &'a Schema, columns: &[Column]) -> Vec<&'a Field> {
    let fields = schema.fields().iter().map(AsRef::as_ref);
    fields.filter(|field: &&Field| position(columns, field.name()).is_none()).collect()
}

/// How the query's rows get into a table with these columns; else all that stands in the way.
pub fn fit(
    config: &Config,
    schema: &Schema,
    columns: &[Column],
    (write, key): (WriteMode, &[String]),
) -> Result<Fit> {
    let (mut wrong, mut taken) = (Vec::new(), vec![false; columns.len()]);
    let mut fit =
        Fit { columns: Vec::new(), wires: Arc::default(), read_as: Vec::new(), key: Vec::new(), write };
    let mut wires = Vec::new();
    for field in schema.fields() {
        let Some(index) = position(columns, field.name()) else {
            wrong.push(format!("the table has no column `{}`", field.name()));
            continue;
        };
        let column = &columns[index];
        if std::mem::replace(&mut taken[index], true) {
            wrong.push(format!("two columns of the query would be written to `{}`", column.name));
        }
        if column.is_computed {
            wrong.push(format!("`{}` is computed by the table itself", column.name));
        }
        match kinds::way(field.data_type(), &column.kind) {
            Ok(Way::Copy(wire)) => {
                wires.push(wire);
                fit.read_as.push(None);
            }
            Ok(Way::Read) => {
                wires.push(Wire::Text);
                fit.read_as.push(Some(column.shown.clone()));
            }
            Err(instead) => wrong.push(format!(
                "`{}` is {} in the query and {} in the table ({instead})",
                column.name,
                kinds::created(field.data_type()),
                column.shown,
            )),
        }
        if key.contains(field.name()) {
            fit.key.push(column.name.clone());
        }
        fit.columns.push(column.name.clone());
    }
    for (column, taken) in columns.iter().zip(&taken) {
        if !taken && column.not_null && !column.has_default && !column.is_computed {
            wrong.push(format!(
                "the table's column `{}` is NOT NULL, and the query does not give it",
                column.name
            ));
        }
    }
    if wrong.is_empty() {
        fit.wires = wires.into();
        return Ok(fit);
    }
    Err(Error::new(&codes::SINK_SCHEMA, format!("the query does not fit the table `{}`", config.table))
        .with_detail(wrong.join("; "))
        .with_hint(
            "Change the SELECT or the table. `mergeSchema: true` adds columns that the table does not have.",
        ))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;
    use forebay_core::Zone;
    use forebay_core::options::Options;

    use super::super::config::SPEC;
    use super::*;

    fn config(more: &[(&str, &str)]) -> Config {
        let given = [("url", "postgresql://h/d"), ("dbtable", "s.t")].iter().chain(more);
        let raw = given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Config::new(&Options::parse(&SPEC, &raw).unwrap(), Zone::UTC).unwrap()
    }

    fn schema(fields: &[(&str, DataType)]) -> Schema {
        Schema::new(
            fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>(),
        )
    }

    fn of(name: &str, kind: &str) -> Column {
        let kind = PgType { name: kind.into(), kind: 'b', modifier: -1, ..PgType::default() };
        Column { name: name.into(), shown: kind.name.clone(), kind, ..Column::default() }
    }

    #[test]
    fn a_new_table_has_the_query_s_columns_with_names_as_they_are() {
        let config = config(&[
            ("createTableColumnTypes", "eventid uuid"),
            ("createTableOptions", "WITH (fillfactor = 70)"),
        ]);
        let query = schema(&[("eventId", DataType::Utf8), ("a \"b\"", DataType::Int64)]);
        assert_eq!(
            create(&config, &query, &["eventId".to_owned()]).unwrap(),
            "CREATE TABLE IF NOT EXISTS \"s\".\"t\" (\"eventId\" uuid, \"a \"\"b\"\"\" bigint, PRIMARY KEY (\"eventId\")) WITH (fillfactor = 70)"
        );
        assert_eq!(made(&config, query.field(0)), "\"eventId\" uuid", "also if it is added later");
        let other = schema(&[("x", DataType::Utf8)]);
        assert!(create(&config, &other, &[]).unwrap_err().message().contains("eventid"));
    }

    #[test]
    fn columns_are_found_by_name_and_then_without_regard_to_case() {
        let query = schema(&[("eventId", DataType::Utf8), ("N", DataType::Int32)]);
        let found = fit(
            &config(&[]),
            &query,
            &[of("n", "int8"), of("eventid", "uuid"), of("N", "int4")],
            (WriteMode::Append, &[]),
        );
        let found = found.unwrap();
        assert_eq!(found.columns, ["eventid", "N"]);
        assert_eq!(&*found.wires, [Wire::Uuid, Wire::Int4]);
        assert!(!found.is_staged());
    }

    #[test]
    fn each_difference_is_named() {
        let query = schema(&[
            ("a", DataType::Int64),
            ("b", DataType::Utf8),
            ("c", DataType::Int32),
            ("C", DataType::Int32),
        ]);
        let mut must = of("must", "text");
        must.not_null = true;
        let mut own = of("own", "int4");
        (own.not_null, own.has_default) = (true, true);
        let columns = [of("a", "int4"), of("c", "int4"), must, own];
        let error = fit(&config(&[]), &query, &columns, (WriteMode::Append, &[])).unwrap_err();
        let detail = error.detail().unwrap();
        for part in ["`a` is bigint", "CAST to INT", "no column `b`", "two columns", "`must` is NOT NULL"] {
            assert!(detail.contains(part), "{part}: {detail}");
        }
        assert!(!detail.contains("own"), "{detail}");
    }

    #[test]
    fn what_postgresql_reads_itself_is_staged() {
        let query = schema(&[("ip", DataType::Utf8)]);
        let found = fit(&config(&[]), &query, &[of("ip", "inet")], (WriteMode::Append, &[])).unwrap();
        assert!(found.is_staged());
        assert_eq!(found.read_as, [Some("inet".to_owned())]);
    }
}
