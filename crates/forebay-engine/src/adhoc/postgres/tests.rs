//! Statements in PostgreSQL's dialect over a table in memory.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::array_value_to_string;
use async_trait::async_trait;
use datafusion::catalog::TableFunction;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{self, Statement};
use forebay_core::Result;
use futures::StreamExt;

use super::*;
use crate::adhoc::lanes;

mod answers;
mod computed;
mod meaning;

#[derive(Debug)]
struct NoTypes;

impl TypePlanner for NoTypes {
    fn plan_type_field(
        &self,
        _: &ast::DataType,
    ) -> datafusion::common::Result<Option<arrow::datatypes::FieldRef>> {
        Ok(None)
    }
}

pub(super) struct NoSystem;

#[async_trait]
impl System for NoSystem {
    fn database(&self) -> &str {
        "plant"
    }

    async fn table(&self, _: &str, _: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(None)
    }

    fn is_catalogue(&self, _: &str, _: &str) -> bool {
        false
    }

    fn functions(&self) -> Vec<Arc<ScalarUDF>> {
        Vec::new()
    }

    fn table_functions(&self) -> Vec<Arc<TableFunction>> {
        Vec::new()
    }

    fn types(&self) -> Arc<dyn TypePlanner> {
        Arc::new(NoTypes)
    }

    fn rewritten(&self, _: &Text, statement: Statement, _: bool) -> Result<Statement> {
        Ok(statement)
    }
}

pub(super) struct Readings;

#[async_trait]
impl TableResolver for Readings {
    async fn resolve(&self, kind: Option<&str>, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if kind.is_some() || !name.eq_ignore_ascii_case("readings") {
            return Ok(None);
        }
        let schema = Arc::new(Schema::new(vec![
            Field::new("deviceId", DataType::Utf8, true),
            Field::new("temperature", DataType::Float64, true),
            Field::new("n", DataType::Int64, true),
        ]));
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                Arc::new(StringArray::from(vec!["a", "b", "a"])),
                Arc::new(Float64Array::from(vec![1.5, 75.5, 2.0])),
                Arc::new(Int64Array::from(vec![1, 2, 3])),
            ],
        );
        lanes::whole(schema, vec![batch.unwrap()]).map(Some)
    }

    async fn names(&self) -> Result<Vec<String>> {
        Ok(vec!["readings".to_owned()])
    }

    fn views(&self) -> Vec<(String, String)> {
        [
            ("hot", "SELECT DEVICEID, n / 2 AS half FROM readings WHERE temperature > 70"),
            ("halves", "SELECT CAST(n / 2 AS INT) AS half, n FROM readings"),
            ("parts", "SELECT n, part FROM readings LATERAL VIEW explode(array(deviceId, 'z')) t AS part"),
        ]
        .map(|(name, sql)| (name.to_owned(), sql.to_owned()))
        .into()
    }
}

async fn answered(
    sql: &str,
    values: Vec<ScalarValue>,
    limits: Limits,
) -> std::result::Result<String, SqlError> {
    let text = split(sql)?.remove(0);
    let planning = Planning::new(&Readings, None, &NoSystem, limits, 1_700_000_000_000);
    let planned = plan(planning, &text, &[]).await?;
    let names: Vec<String> = planned.schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut out = names.join(",");
    let mut answer = planned.run(values).await?;
    while let Some(batch) = answer.batches.next().await {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let cell = |column: &arrow::array::ArrayRef| match column.is_null(row) {
                true => "NULL".to_owned(),
                false => array_value_to_string(column, row).unwrap(),
            };
            out.push_str("; ");
            out.push_str(&batch.columns().iter().map(cell).collect::<Vec<_>>().join(","));
        }
    }
    Ok(out)
}

pub(super) fn asked(
    sql: &str,
    values: Vec<ScalarValue>,
    limits: Limits,
) -> std::result::Result<String, SqlError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(answered(sql, values, limits))
}

#[test]
fn a_statement_means_what_it_means_in_postgresql() {
    for (sql, expected) in [
        ("SELECT deviceid, COUNT(*) FROM readings GROUP BY 1 ORDER BY 1", "deviceId,count; a,2; b,1"),
        ("SELECT \"$T\".\"deviceId\" FROM public.readings \"$T\" WHERE n = 2", "deviceId; b"),
        ("SELECT max(n), max(n), 7 / 2, 1 FROM plant.public.Readings", "max,max,?column?,?column?; 3,3,3,1"),
        (
            "SELECT n::text || 'x' AS \"T\" FROM readings WHERE deviceId ILIKE 'B' AND deviceId ~ '^b$'",
            "T; 2x",
        ),
        ("SELECT EXISTS (SELECT 1 FROM readings WHERE n > 5)", "exists; false"),
        ("SELECT * FROM generate_series(1, 3) ORDER BY 1 DESC LIMIT 1", "value; 3"),
        // In a view a division is Spark's.
        ("SELECT * FROM hot", "DEVICEID,half; b,1.0"),
        // One that makes rows of arrays.
        (
            "SELECT part, count(*) FROM parts WHERE n > 1 GROUP BY part ORDER BY part",
            "part,count; a,1; b,1; z,2",
        ),
        (
            "SELECT timestamptz '2026-07-01 12:00:00+00' AT TIME ZONE 'Europe/Berlin'",
            "timezone; 2026-07-01T14:00:00",
        ),
        ("SELECT n FROM readings ORDER BY NULLIF(n, 2), n LIMIT 2", "n; 1; 3"),
        (
            "SELECT ceiling(1.5) AS a, sign(-2.5) AS b, mod(n + 5, 4) AS c FROM readings WHERE n = 1",
            "a,b,c; 2,-1.0,2",
        ),
        ("SELECT every(n > 0) FROM readings", "every; true"),
        // A text in quotes is of the type that it stands beside: 9 is less than 75.5.
        ("SELECT n FROM readings WHERE temperature > '9' AND (n > 1) = 't'", "n; 2"),
        ("SELECT n FROM readings WHERE n = '2' AND \"deviceId\" = U&'\\0062'", "n; 2"),
    ] {
        assert_eq!(asked(sql, Vec::new(), Limits::default()).unwrap(), expected, "{sql}");
    }
}

#[test]
fn a_whole_number_is_an_int4_where_it_fits() {
    let sql = "SELECT 1, -2 AS b, 7 / 2, CASE WHEN true THEN 1 ELSE 0 END, 3000000000, n + 1, 1 + 1.5, a FROM readings, (SELECT 1 AS a) t";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let planned = runtime.block_on(async {
        let text = split(sql).unwrap().remove(0);
        let planning = Planning::new(&Readings, None, &NoSystem, Limits::default(), 1_700_000_000_000);
        plan(planning, &text, &[]).await.unwrap()
    });
    let types: Vec<String> =
        planned.schema.fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(types[..6], ["Int32", "Int32", "Int32", "Int32", "Int64", "Int64"]);
    assert!(types[6].starts_with("Decimal"), "{types:?}");
    assert_eq!(types[7], "Int32");
}

#[test]
fn what_is_told_of_a_column_is_what_comes() {
    for (sql, told, came) in [
        (
            "SELECT CASE WHEN n > 1 THEN 0 ELSE temperature END AS a FROM readings ORDER BY n",
            "Float64",
            "a; 1.5; 0.0; 0.0",
        ),
        ("SELECT max(CASE WHEN n > 1 THEN 0 ELSE temperature END) AS a FROM readings", "Float64", "a; 1.5"),
        (
            "SELECT 1 AS a UNION ALL SELECT temperature FROM readings WHERE n = 1 ORDER BY 1",
            "Float64",
            "a; 1.0; 1.5",
        ),
        ("SELECT 1 AS a UNION ALL SELECT n FROM readings WHERE n = 2 ORDER BY 1", "Int64", "a; 1; 2"),
        (
            "WITH x AS (SELECT CASE WHEN false THEN 1::smallint ELSE 100000 END AS a) SELECT a FROM x",
            "Int32",
            "a; 100000",
        ),
    ] {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let planned = runtime.block_on(async {
            let text = split(sql).unwrap().remove(0);
            let planning = Planning::new(&Readings, None, &NoSystem, Limits::default(), 1_700_000_000_000);
            plan(planning, &text, &[]).await.unwrap()
        });
        assert_eq!(planned.schema.field(0).data_type().to_string(), told, "{sql}");
        assert_eq!(asked(sql, Vec::new(), Limits::default()).unwrap(), came, "{sql}");
    }
}

#[test]
fn parameters_have_the_types_of_their_places() {
    let values = || vec![ScalarValue::Int64(Some(1)), ScalarValue::Utf8(Some("a".to_owned()))];
    let sql = "SELECT n, $2 AS given FROM readings WHERE n > $1 AND deviceId = $2";
    assert_eq!(asked(sql, values(), Limits::default()).unwrap(), "n,given; 3,a");
}

#[test]
fn nothing_is_changed_nothing_else_is_read_and_limits_hold() {
    for (sql, part) in [
        ("INSERT INTO readings VALUES (1)", "cannot execute INSERT"),
        ("WITH x AS (DELETE FROM readings RETURNING *) SELECT * FROM x", ""),
        ("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'", ""),
        ("COPY readings TO '/tmp/x'", "cannot execute COPY"),
        ("SELECT * FROM '/etc/passwd'", "unknown table"),
        ("SELECT * FROM read_csv('/etc/passwd')", ""),
        ("SELECT * FROM other.public.readings", "unknown table"),
        ("WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT 1 FROM r) SELECT * FROM r", ""),
        ("SELECT * FROM nothing", "unknown table `nothing`"),
        ("SELECT nothing FROM readings", "unknown column `nothing`"),
        ("SELECT 1 WHERE 'a' SIMILAR TO 'a'", "SIMILAR TO"),
        ("SELECT 1 FROM readings WHERE n = 'x'", "invalid input syntax for type integer: \"x\""),
    ] {
        let refused = asked(sql, Vec::new(), Limits::default()).unwrap_err();
        assert!(refused.error.message().contains(part), "{sql}: {refused}");
    }
    let mut doubling = String::from("WITH c0 AS (SELECT n FROM readings)");
    for n in 1..40 {
        doubling.push_str(&format!(", c{n} AS (SELECT a.n FROM c{0} a JOIN c{0} b ON true)", n - 1));
    }
    let limits = Limits { time: Some(Duration::from_secs(2)), ..Limits::default() };
    for sql in [
        format!("{doubling} SELECT * FROM c39"),
        "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 100000000) b".to_owned(),
        format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000)),
    ] {
        let started = Instant::now();
        assert!(asked(&sql, Vec::new(), limits).is_err(), "{}", &sql[..40]);
        assert!(started.elapsed() < Duration::from_secs(10), "{}", &sql[..40]);
    }
}

#[test]
fn distinct_rows_are_counted_within_the_memory_that_they_take() {
    let many = "readings a, readings b, readings c, readings d, readings e, readings f, readings g";
    let sql = format!(
        "SELECT count(*) AS n, count(DISTINCT (a.n, b.n, c.n, d.n, e.n, f.n, g.\"deviceId\")) AS d FROM {many}"
    );
    let limits = Limits { memory: 16 << 20, ..Limits::default() };
    assert_eq!(asked(&sql, Vec::new(), limits).unwrap(), "n,d; 2187,1458");
}
