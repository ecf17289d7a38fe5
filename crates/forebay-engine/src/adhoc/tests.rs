//! Statements over tables at rest: answers, refusals and limits.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields};
use async_trait::async_trait;
use datafusion::datasource::MemTable;
use forebay_core::Result;
use futures::TryStreamExt;

use super::render::{OutputFormat, Renderer};
use super::*;

mod bytes;
mod calendar;
mod doubles;
mod exploded;
mod functions;
mod growing;
mod hostile;
mod patterns;
mod written;
mod zones;

struct Tables(Arc<dyn TableProvider>);

#[async_trait]
impl TableResolver for Tables {
    async fn resolve(&self, kind: Option<&str>, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let found = match kind {
            None => name.eq_ignore_ascii_case("readings") || name.eq_ignore_ascii_case("lake.Readings"),
            Some("delta") => name.trim_end_matches('/') == "/mnt/delta/iot_data",
            Some(_) => false,
        };
        Ok(found.then(|| Arc::clone(&self.0)))
    }

    async fn names(&self) -> Result<Vec<String>> {
        Ok(vec!["readings".to_owned(), "lake.readings".to_owned()])
    }

    fn views(&self) -> Vec<(String, String)> {
        [
            ("hot", "SELECT * FROM Readings WHERE temperature > 70"),
            ("hot_n", "SELECT n FROM HOT"),
            ("self", "SELECT * FROM self"),
            ("early", "SELECT * FROM late"),
            ("late", "SELECT temprature FROM readings"),
        ]
        .map(|(name, sql)| (name.to_owned(), sql.to_owned()))
        .into()
    }
}

fn tables() -> Tables {
    let kafka = Fields::from(vec![Field::new("offset", DataType::Int64, false)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("Device_Id", Arc::new(StringArray::from(vec![Some("a"), Some("b"), Some("a"), None]))),
        ("temperature", Arc::new(Float64Array::from(vec![Some(20.0), Some(75.5), Some(21.0), None]))),
        ("n", Arc::new(Int64Array::from(vec![1, 2, 3, i64::MAX]))),
        (
            "_kafka",
            Arc::new(StructArray::new(kafka, vec![Arc::new(Int64Array::from(vec![10, 11, 12, 13]))], None)),
        ),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, name != "_kafka")),
    )
    .unwrap();
    Tables(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap()))
}

fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

fn ask(sql: &str, format: OutputFormat, limits: Limits) -> Result<String> {
    ask_of(&tables(), sql, format, limits)
}

fn ask_of(tables: &Tables, sql: &str, format: OutputFormat, limits: Limits) -> Result<String> {
    block(async {
        let answer = run(tables, None, sql, Takes::All, limits, 1_700_000_000_000).await?;
        let schema = Arc::clone(&answer.schema);
        let batches: Vec<RecordBatch> = answer.batches.try_collect().await?;
        let mut text = Vec::new();
        let mut renderer = Renderer::new(&mut text, format, schema);
        for batch in &batches {
            renderer.write(batch).unwrap();
        }
        renderer.finish().unwrap();
        Ok(String::from_utf8(text).unwrap())
    })
}

fn csv(sql: &str) -> String {
    match ask(sql, OutputFormat::Csv, Limits::default()) {
        Ok(text) => text.trim_end().replace('\n', "; "),
        Err(error) => format!("{error} | {}", error.hint()),
    }
}

#[test]
fn tables_are_queried_as_in_spark() {
    for (sql, expected) in [
        (
            "SELECT device_id, AVG(temperature) AS avg_temp, MAX(temperature) FROM readings GROUP BY device_id ORDER BY Device_ID",
            "device_id,avg_temp,max(temperature); ,,; a,20.5,21.0; b,75.5,75.5",
        ),
        // The seed's own statement: a path without quotes.
        (
            "SELECT \n    device_id, \n    AVG(temperature) AS avg_temp\nFROM delta./mnt/delta/iot_data/ \nGROUP BY device_id HAVING avg_temp > 50;",
            "device_id,avg_temp; b,75.5",
        ),
        ("SELECT count(*) FROM delta.`/mnt/delta/iot_data`", "count(1); 4"),
        ("SELECT h.n, r.device_id FROM Hot_N h JOIN readings r ON r.n = h.n", "n,device_id; 2,b"),
        ("WITH hot AS (SELECT 7 x) SELECT * FROM hot", "x; 7"),
        ("SELECT COUNT(DISTINCT r.DEVICE_ID) c FROM Lake.Readings r", "c; 2"),
        ("SELECT * FROM READINGS WHERE n = 2", "Device_Id,temperature,n; b,75.5,2"),
        ("SELECT n, _kafka.Offset FROM readings ORDER BY N DESC LIMIT 1", "n,Offset; 9223372036854775807,13"),
        (
            "SELECT a.n, b.n AS m FROM readings a JOIN readings b USING (device_id) WHERE a.n < b.n",
            "n,m; 1,3",
        ),
        (
            "SELECT DEVICE_ID FROM readings a JOIN readings b USING (device_id) WHERE a.n < b.n",
            "DEVICE_ID; a",
        ),
        (
            "WITH t AS (SELECT device_id d, n FROM readings) SELECT x.D, y.n FROM t x JOIN T y ON x.n = y.N AND x.d = 'b'",
            "D,n; b,2",
        ),
        (
            "SELECT n FROM readings r WHERE EXISTS (SELECT 1 FROM readings s WHERE s.N = r.n + 1) AND n < 9 ORDER BY n",
            "n; 1; 2",
        ),
        ("SELECT n FROM readings WHERE n IN (SELECT max(N) FROM readings)", "n; 9223372036854775807"),
        // A subquery without rows is NULL, also where its column never is.
        ("SELECT (SELECT 1 WHERE false) IS NULL AS a, (SELECT 1) IS NULL AS b", "a,b; true,false"),
        (
            "SELECT coalesce((SELECT 5 FROM readings WHERE false), 0) AS a, (SELECT count(*) FROM readings WHERE false) AS b",
            "a,b; 0,0",
        ),
        (
            "SELECT device_id FROM readings WHERE n < 3 UNION ALL SELECT 'z' ORDER BY device_id",
            "device_id; a; b; z",
        ),
        (
            "SELECT row_number() OVER (PARTITION BY device_id ORDER BY n) r FROM readings WHERE device_id = 'a' ORDER BY r",
            "r; 1; 2",
        ),
        ("SELECT date_format(now(), 'yyyy') y, 7 / 2 d", "y,d; 2023,3.5"),
        (
            "SELECT CASE WHEN temperature > 70 THEN 'hot' ELSE 'ok' END s, count(*) c FROM readings GROUP BY 1 ORDER BY 1",
            "s,c; hot,1; ok,3",
        ),
        ("SHOW TABLES", "namespace,tableName,isTemporary; ,lake.readings,false; ,readings,false"),
        (
            "DESC TABLE readings",
            "col_name,data_type,comment; Device_Id,string,; temperature,double,; n,bigint,; _kafka,struct<offset: bigint>,",
        ),
        (
            "DESCRIBE readings",
            "col_name,data_type,comment; Device_Id,string,; temperature,double,; n,bigint,; _kafka,struct<offset: bigint>,",
        ),
        ("DESCRIBE hot", "col_name,data_type,comment; Device_Id,string,; temperature,double,; n,bigint,"),
        ("SHOW COLUMNS IN readings FROM lake", "col_name; Device_Id; temperature; n; _kafka"),
        (
            "DESCRIBE TABLE EXTENDED hot_n",
            "col_name,data_type,comment; n,bigint,; ,,; # Detailed Table Information,,; Name,hot_n,; Type,VIEW,; Provider,view,",
        ),
    ] {
        assert_eq!(csv(sql), expected, "{sql}");
    }
}

#[test]
fn explain_shows_a_plan_line_by_line() {
    let text =
        ask("EXPLAIN SELECT n FROM readings WHERE n > 1", OutputFormat::Table, Limits::default()).unwrap();
    assert!(!text.contains("\\n"), "{text}");
    let cells: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" |").collect())
        .collect();
    let kinds: Vec<&str> = cells.iter().map(|row| row[0].trim()).filter(|kind| !kind.is_empty()).collect();
    assert_eq!(kinds, ["plan_type", "logical_plan", "physical_plan"], "{text}");
    // A step lies under the one that reads it.
    assert!(cells.iter().any(|row| row[0].trim().is_empty() && row[1].starts_with("   ")), "{text}");
    let measured = csv("EXPLAIN ANALYZE SELECT n FROM readings");
    assert!(measured.contains("Plan with Metrics"), "{measured}");
}

#[test]
fn only_reading_and_only_known_tables() {
    for (sql, part) in [
        ("DROP TABLE readings", "DROP is not possible here"),
        ("INSERT INTO readings VALUES (1)", "INSERT is not possible here"),
        ("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'", "FB-4"),
        ("COPY readings TO '/tmp/x'", "COPY is not possible here"),
        ("SET x = 1", "SET is not possible here"),
        ("EXPLAIN DELETE FROM readings", "DELETE is not possible here"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT * FROM parquet.`/etc/passwd`", "unknown table"),
        ("SELECT * FROM delta./etc/passwd", "unknown table"),
        ("SELECT * FROM '/etc/passwd'", "FB-4"),
        ("SELECT * FROM range(3)", "table function"),
        ("SELECT * FROM information_schema.tables", "unknown table"),
        ("SELECT * FROM redings", "unknown table `redings`"),
        ("SELECT * FROM redings", "Did you mean `readings`? Known: readings, lake.readings."),
        ("SELECT * FROM lake.reading", "Did you mean `lake.readings`?"),
        ("DESCRIBE redings", "Did you mean `readings`?"),
        ("DESCRIBE HISTORY readings", "`readings` has no history: it is no Delta table"),
        ("DESCRIBE HISTORY redings", "Did you mean `readings`?"),
        ("USE lake", "each statement stands alone"),
        ("DESCRIBE late", "unknown column `temprature`"),
        ("SELECT * FROM self", "unknown table `self` (view self, line 1, column 15)"),
        ("SELECT * FROM early", "unknown table `late`"),
        ("SELECT * FROM late", "unknown column `temprature` (view late, line 1, column 8)"),
        ("SELECT uper(device_id) FROM readings", "Did you mean `upper`?"),
        ("SELECT * FROM readings WHERE n < (SELECT avrage(n) FROM readings)", "unknown function `avrage`"),
        ("SELECT CAST(n AS STRNG) FROM readings", "Did you mean `STRING`?"),
        ("SELECT temprature FROM readings", "SQL line 1, column 8"),
        ("SELECT a.n FROM readings a, readings b WHERE n = 1", "column `n` is ambiguous"),
        ("SELECT * FROM readings, readings", "two tables named `readings`"),
        ("SELECT stack(2, 1, 2) FROM readings", "not supported yet"),
        (
            "SELECT n, max(temperature) FROM readings",
            "`readings.n` must stand in GROUP BY or inside of an aggregate",
        ),
        ("SELECT n, max(temperature) FROM readings", "Put it into GROUP BY too"),
        ("SELECT percentile_approx(n) FROM readings", "Write percentile_approx(column, 0.9)"),
        (
            "SELECT count(*), count(DISTINCT n, device_id) FROM readings",
            "count(DISTINCT …) of several columns is not supported yet (SQL line 1, column 18) | Count the rows",
        ),
        ("SELECT n + device_id FROM readings", "cannot compute BIGINT + STRING (SQL line 1, column 8)"),
    ] {
        let text = csv(sql);
        assert!(text.contains(part), "{sql}: {text}");
    }
}

#[test]
fn a_sum_that_leaves_bigint_fails_over_a_frame_too() {
    let over = |sum: &str| {
        format!(
            "SELECT {sum} OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) s FROM readings WHERE n > 1"
        )
    };
    for sum in ["sum(n)", "sum(-n - 1)"] {
        let error = ask(&over(sum), OutputFormat::Csv, Limits::default()).unwrap_err();
        let told = format!("{error} {}", error.detail().unwrap_or_default());
        assert!(error.code() == &codes::QUERY_FAILED && told.contains("range of BIGINT"), "{told}");
    }
    assert_eq!(csv(&over("sum(n - 2)")), "s; 0; 1; 9223372036854775806");
}

/// Nothing is registered.
struct NoTables;

#[async_trait]
impl TableResolver for NoTables {
    async fn resolve(&self, _: Option<&str>, _: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(None)
    }

    async fn names(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

#[test]
fn without_names_the_hint_says_what_can_be_read() {
    for sql in ["SELECT * FROM readings", "DESCRIBE readings"] {
        let error = block(run(&NoTables, None, sql, Takes::All, Limits::default(), 0)).err().unwrap();
        assert_eq!(error.error.message(), "unknown table `readings`");
        assert!(error.error.hint().contains("--pipeline FILE"), "{}", error.error.hint());
        assert!(error.error.hint().contains("delta.`path`"), "{}", error.error.hint());
    }
}

/// What is taken is planned and computed on stacks of two megabytes, as a runtime's workers and this test have.
#[test]
fn deep_statements_need_no_deep_stack() {
    let joins: String = (1..60).map(|i| format!(" JOIN readings r{i} ON r{i}.n = r{}.n", i - 1)).collect();
    let ctes: String = (1..12)
        .map(|i| format!(", c{i} AS (SELECT x{} AS x, t FROM c{})", " + t".repeat(50), i - 1))
        .collect();
    for (sql, expected) in [
        (
            format!(
                "WITH c0 AS (SELECT CAST(n AS DECIMAL(9,2)) x, n t FROM readings WHERE n = 1){ctes} SELECT x FROM c11"
            ),
            "x; 551.00",
        ),
        (format!("SELECT n{} x FROM readings WHERE n = 1", " + 1".repeat(395)), "x; 396"),
        (format!("SELECT n{} x FROM readings WHERE n = 1", " + 0.5".repeat(20)), "x; 11.0"),
        (format!("SELECT n FROM readings WHERE n = 1{}", " OR device_id LIKE '%z'".repeat(395)), "n; 1"),
        (
            format!(
                "SELECT count(*) c FROM (SELECT n FROM readings{})",
                " UNION ALL SELECT n FROM readings".repeat(300)
            ),
            "c; 1204",
        ),
        (format!("SELECT r0.n FROM readings r0{joins} WHERE r0.n = 2"), "n; 2"),
    ] {
        assert_eq!(csv(&sql), expected, "{}", &sql[..60]);
    }
    let mut doubling = String::from("WITH c0 AS (SELECT n FROM readings)");
    for n in 1..40 {
        doubling.push_str(&format!(", c{n} AS (SELECT a.n FROM c{0} a JOIN c{0} b ON true)", n - 1));
    }
    let text = csv(&format!("{doubling} SELECT * FROM c39"));
    assert!(text.contains("reads more than 2000"), "{text}");
    let text = csv(&format!("SELECT n FROM readings WHERE n = 1{}", " + 1".repeat(1_900)));
    assert!(text.contains("FB-4001"), "{text}");
}

#[test]
fn limits_end_a_statement_with_words() {
    let limits = Limits { rows: Some(3), ..Limits::default() };
    let error = ask("SELECT * FROM readings", OutputFormat::Csv, limits).unwrap_err();
    assert_eq!((error.code().id, error.message()), ("FB-4005", "the query gives more than 3 rows"));
    assert!(ask("SELECT * FROM readings LIMIT 3", OutputFormat::Csv, limits).is_ok());

    let cross = "readings a, readings b, readings c, readings d, readings e, readings f, readings g, readings h, \
                 readings i, readings j, readings k, readings l, readings m, readings o";
    let limits = Limits { time: Some(Duration::from_millis(200)), ..Limits::default() };
    let started = std::time::Instant::now();
    let sql = format!("SELECT count(*), max(a.n + o.temperature) FROM {cross}");
    let error = ask(&sql, OutputFormat::Csv, limits).unwrap_err();
    assert_eq!(error.code().id, "FB-4005", "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));

    let limits = Limits { memory: 1 << 20, ..Limits::default() };
    let sql = "SELECT a.n, b.n, c.n, d.n, e.n, f.n, g.n, h.n FROM readings a, readings b, readings c, readings d, \
               readings e, readings f, readings g, readings h ORDER BY 1, 2, 3, 4, 5, 6, 7, 8";
    let error = ask(sql, OutputFormat::Csv, limits).unwrap_err();
    assert_eq!(error.code().id, "FB-4005", "{error}");
}

#[tokio::test]
async fn who_may_ask_for_rows_gets_no_plans() {
    for sql in ["SHOW TABLES", "DESCRIBE readings", "SELECT 1"] {
        let answered = run(&tables(), None, sql, Takes::Rows, Limits::default(), 0).await;
        assert!(answered.is_ok(), "{sql}");
    }
    for sql in ["EXPLAIN SELECT 1", "EXPLAIN ANALYZE SELECT 1", "DELETE FROM readings"] {
        let refused =
            run(&tables(), None, sql, Takes::Rows, Limits::default(), 0).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.error.code(), &codes::SQL_PLAN, "{sql}");
    }
}

#[test]
fn windows_of_a_table_tumble() {
    let times = "(SELECT timestamp_micros(n) AS t, n, device_id, temperature, CAST(n AS DECIMAL(4,1)) AS d FROM readings WHERE n < 9)";
    for (select, expected) in [
        (
            "window.start, window.end AS e, count(*) AS c FROM {t} GROUP BY window(t, '2 microseconds') ORDER BY window.start",
            "start,e,c; 1970-01-01T00:00:00Z,1970-01-01T00:00:00.000002Z,1; 1970-01-01T00:00:00.000002Z,1970-01-01T00:00:00.000004Z,2",
        ),
        (
            "window_time(w) AS t, n FROM (SELECT window(t, '1 minute', '1 minute', '-1 second') AS w, sum(n) AS n FROM {t} GROUP BY w)",
            "t,n; 1970-01-01T00:00:58.999999Z,6",
        ),
        // A row without a time has no window.
        (
            "count(*) AS c FROM (SELECT timestamp_seconds(temperature) AS t FROM readings) GROUP BY window(t, '1 day')",
            "c; 3",
        ),
        ("avg(d), sum(d) FROM {t}", "avg(d),sum(d); 2.00000,6.0"),
        (
            "avg(n) AS a, mean(n) AS b, avg(CAST(n AS DECIMAL(5, 1))) AS c, sort_array(collect_list(n), false)[0] AS d FROM {t}",
            "a,b,c,d; 2.0,2.0,2.00000,3",
        ),
        (
            "min(x) AS a, max(x) AS b, max_by(n, 1) > 0 AS c FROM (SELECT n, CAST(CASE WHEN n = 1 THEN 'NaN' ELSE '5' END AS DOUBLE) AS x FROM {t}) GROUP BY n > 0",
            "a,b,c; 5.0,NaN,true",
        ),
        (
            "count_if(n > 1), max_by(device_id, n), min_by(n, temperature), percentile_approx(n, 0.5), first(n, true) FILTER (WHERE n > 2) AS f, approx_count_distinct(temperature) FROM {t}",
            "count_if((n > 1)),\"max_by(device_id, n)\",\"min_by(n, temperature)\",\"percentile_approx(n, 0.5, 10000)\",f,approx_count_distinct(temperature); 2,a,1,2,3,3",
        ),
    ] {
        let sql = format!("SELECT {}", select.replace("{t}", times));
        assert_eq!(csv(&sql), expected, "{sql}");
    }
    let sliding = csv(&format!("SELECT count(*) FROM {times} GROUP BY window(t, '2 seconds', '1 second')"));
    assert!(sliding.contains("a sliding window(…) is possible over a stream only"), "{sliding}");
    let session = csv(&format!("SELECT count(*) FROM {times} GROUP BY session_window(t, '2 seconds')"));
    assert!(session.contains("session_window(…) is possible over a stream only"), "{session}");
}
