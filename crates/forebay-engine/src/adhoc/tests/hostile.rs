//! Statements that would take everything: each ends with words, and the process lives.

use arrow::datatypes::Schema;
use forebay_core::error::Code;

use super::*;

/// What the server gives a statement, but for the time: these tests share a machine.
const SERVED: Limits = Limits { time: Some(Duration::from_secs(120)), memory: 64 << 20, rows: None };

fn refusal(sql: &str) -> Error {
    match ask(sql, OutputFormat::Csv, SERVED) {
        Err(error) => error,
        Ok(text) => panic!("{}: {} bytes", &sql[..sql.len().min(200)], text.len()),
    }
}

fn is(error: &Error, codes: &[&'static Code]) -> bool {
    codes.contains(&error.code())
}

/// `WITH t0 AS (…), t1 AS (SELECT … FROM t0), …`, so many levels deep.
fn nested(levels: usize, list: &str, inner: &str) -> String {
    let level = |n: usize| format!(", t{n} AS (SELECT {list} FROM t{})", n - 1);
    let levels_in_words: String = (1..=levels).map(level).collect();
    format!("WITH t0 AS ({inner}){levels_in_words} SELECT s FROM t{levels}")
}

#[test]
fn texts_and_arrays_that_double_again_and_again_end_at_the_budget() {
    let text = "SELECT concat(device_id, 'aaaaaaaaaaaaaaa') s, n FROM readings";
    let list = "SELECT array(device_id, 'aaaaaaaaaaaaaaa') s, n FROM readings";
    for (list, inner) in [
        ("replace(s, 'a', s) s", text),
        ("regexp_replace(s, 'a', s) s", text),
        ("regexp_replace(s, '', s) s", text),
        ("concat(s, s) s", text),
        ("concat_ws('-', s, s, s) s", text),
        ("concat_ws(s, 'x', 'y', 'z', 'w') s", text),
        ("s || s s", text),
        ("repeat(s, 8) s", text),
        ("lpad(s, 2 * CAST(length(s) AS INT), s) s", text),
        ("overlay(s PLACING concat(s, s) FROM 1) s", text),
        ("array_to_string(array(s, s, s), s) s", text),
        ("array_join(array(s, s), s) s", text),
        ("translate(concat(s, s), 'a', 'ä') s", text),
        ("CASE WHEN n > 0 THEN concat(s, s) ELSE s || s END s, n", text),
        ("hex(s) s", text),
        ("url_encode(hex(s)) s", text),
        ("coalesce(concat(s, s), s) s", text),
        ("array_concat(s, s) s", list),
        ("array(s, s) s", list),
        ("make_array(s, s) s", list),
        ("flatten(array(s, s)) s", list),
        ("array_append(array(s), s) s", list),
        ("array_repeat(s, 4) s", list),
    ] {
        let error = refusal(&nested(27, list, inner));
        let given = [&codes::QUERY_LIMIT, &codes::QUERY_FAILED];
        assert!(is(&error, &given), "{list}: {error} {:?}", error.detail());
        assert!(!error.message().contains("longer"), "{list}: {error}");
    }
}

/// The optimizer computes them before anything is read.
#[test]
fn types_that_double_are_refused() {
    for list in ["named_struct('a', s, 'b', s) s", "array(struct(s, s)) s"] {
        let error = refusal(&nested(40, list, "SELECT 1 s"));
        assert!(is(&error, &[&codes::SQL_PLAN]), "{list}: {error}");
    }
}

#[test]
fn constants_that_double_end_at_the_budget() {
    for list in ["concat(s, s) s", "replace(s, 'a', s) s", "s || s s", "array_to_string(array(s, s), s) s"] {
        let error = refusal(&nested(27, list, "SELECT 'aaaaaaaaaaaaaaaa' s"));
        assert!(is(&error, &[&codes::QUERY_LIMIT, &codes::QUERY_FAILED]), "{list}: {error}");
    }
    let many = format!("SELECT 1 FROM (VALUES {})", vec!["(repeat('x', 65000))"; 1_200].join(","));
    assert_eq!(refusal(&many).code(), &codes::QUERY_LIMIT);
}

#[test]
fn many_wide_columns_end_at_the_budget() {
    let columns = |expr: &str| {
        (0..900).map(|n| format!("{} c{n}", expr.replace('#', &n.to_string()))).collect::<Vec<_>>().join(", ")
    };
    let many = "readings a, readings b, readings c, readings d, readings e, readings f";
    let inner = format!("SELECT a.n, repeat('x', 1000 + a.n % 2) s, repeat(a.device_id, 900) t FROM {many}");
    for expr in [
        "concat(s, '#')",
        "CASE WHEN n > # THEN s ELSE t END",
        "CAST(array(s, '#') AS STRING)",
        "s || '#'",
        "upper(concat(t, '#'))",
    ] {
        let error = refusal(&format!("SELECT {} FROM ({inner})", columns(expr)));
        assert_eq!(error.code(), &codes::QUERY_LIMIT, "{expr}: {error}");
    }
    // Constants of the plan, written out for each row.
    let constant = format!("SELECT {} FROM (SELECT repeat('x', 60000) x FROM readings)", columns("x"));
    assert_eq!(refusal(&constant).code(), &codes::QUERY_LIMIT);
    let scalar = format!(
        "SELECT {} FROM ({inner})",
        columns("(SELECT repeat(max(device_id), 60000 + #) FROM readings)")
    );
    assert_eq!(refusal(&scalar).code(), &codes::QUERY_LIMIT);
}

#[test]
fn wide_rows_are_not_repeated_by_joins_and_windows() {
    for sql in [
        "SELECT a.s FROM (SELECT repeat(device_id, 60000) s FROM readings) a CROSS JOIN readings b",
        "SELECT a.s FROM (SELECT repeat(device_id, 60000) s, n FROM readings) a JOIN readings b ON a.n < b.n",
        "SELECT a.s FROM (SELECT repeat(device_id, 60000) s, n FROM readings) a JOIN readings b ON a.n = b.n",
        "SELECT first_value(s) OVER (ORDER BY n) FROM (SELECT repeat(device_id, 60000) s, n FROM readings)",
    ] {
        let error = refusal(sql);
        assert_eq!(error.code(), &codes::QUERY_LIMIT, "{sql}: {error}");
        assert!(error.message().contains("too wide"), "{error}");
    }
    let cross = (0..11).map(|n| format!("readings r{n}")).collect::<Vec<_>>().join(", ");
    for sql in [
        format!("SELECT max(s) FROM (SELECT sum(r0.n % 5 + r1.n % 5) OVER () s FROM {cross})"),
        format!("SELECT max(s) FROM (SELECT last_value(r1.device_id) OVER () s FROM {cross})"),
    ] {
        let error = refusal(&sql);
        assert_eq!(error.code(), &codes::QUERY_LIMIT, "{sql}: {error}");
    }
    // What is held of a short frame is little.
    let sql = "SELECT count(*) c FROM (SELECT sum(a.n % 5) OVER (ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) s \
               FROM readings a, readings b, readings c, readings d)";
    assert_eq!(ask(sql, OutputFormat::Csv, SERVED).unwrap(), "c\n256\n");
}

#[test]
fn what_aggregates_gather_ends_at_the_pool() {
    let cross = (1..9).map(|n| format!("readings r{n}")).collect::<Vec<_>>().join(", ");
    for aggregate in [
        "length(string_agg(s, ','))",
        "size(array_agg(s))",
        "size(collect_list(s))",
        "count(DISTINCT s)",
        "max(length(t)) FROM (SELECT string_agg(s, '') t",
    ] {
        let end = if aggregate.contains("FROM") { ")" } else { "" };
        let rows = format!(
            "SELECT concat(repeat(r1.device_id, 2000), r2.n, r3.n, r4.n, r5.n, r6.n, r7.n, r8.n) s FROM {cross}"
        );
        let error = refusal(&format!("SELECT {aggregate} FROM ({rows}){end}"));
        assert_eq!(error.code(), &codes::QUERY_LIMIT, "{aggregate}: {error}");
    }
}

#[test]
fn numbers_that_would_be_allocated_by_are_refused() {
    for (sql, part) in [
        ("SELECT approx_percentile_cont(temperature, 0.5, 1e15) FROM readings", "from 1 to 10000"),
        (
            "SELECT approx_percentile_cont(temperature, 0.5, 18446744073709551615) FROM readings",
            "from 1 to 10000",
        ),
        (
            "SELECT approx_percentile_cont(temperature, 0.5, 1000 * 1000000000) FROM readings",
            "from 1 to 10000",
        ),
        ("SELECT approx_percentile_cont(temperature, 0.5, 0) FROM readings", "from 1 to 10000"),
        (
            "SELECT approx_percentile_cont(0.5, 10001) WITHIN GROUP (ORDER BY temperature) FROM readings",
            "from 1 to 10000",
        ),
        (
            "SELECT approx_percentile_cont_with_weight(temperature, n, 0.5, 1000000000000) FROM readings",
            "from 1 to 10000",
        ),
        (
            "SELECT sum(n) OVER (ORDER BY n ROWS BETWEEN 18446744073709551615 PRECEDING AND CURRENT ROW) FROM readings",
            "at most 100000 are possible",
        ),
        (
            "SELECT sum(n) OVER (ORDER BY n ROWS BETWEEN CURRENT ROW AND 18446744073709551615 FOLLOWING) FROM readings",
            "at most 100000 are possible",
        ),
        (
            "SELECT sum(n) OVER (ORDER BY n GROUPS BETWEEN 18446744073709551615 PRECEDING AND CURRENT ROW) FROM readings",
            "at most 100000 are possible",
        ),
        (
            "SELECT count(*) FROM readings GROUP BY CUBE(n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7, n + 8, n + 9, n + 10)",
            "more than 1024 ways",
        ),
        ("SELECT lag(n, 9223372036854775807) OVER (ORDER BY n) FROM readings", "up to 100000"),
        ("SELECT lead(n, -9223372036854775807) OVER (ORDER BY n) FROM readings", "up to 100000"),
        ("SELECT nth_value(n, 9223372036854775807) OVER (ORDER BY n) FROM readings", "up to 100000"),
        (
            "SELECT array_transform(array(1, 2), x -> device_id) FROM readings",
            "cannot use the column `Device_Id`",
        ),
        ("SELECT unnest(array(1, 2)) FROM readings", "not supported yet"),
    ] {
        let error = refusal(sql);
        assert!(is(&error, &[&codes::SQL_PLAN, &codes::NOT_YET]), "{sql}: {error}");
        assert!(error.to_string().contains(part), "{sql}: {error}");
    }
    for sql in [
        "SELECT approx_percentile_cont(temperature, 0.5, 200) x FROM readings",
        "SELECT approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY temperature) x FROM readings",
        "SELECT sum(n % 5) OVER (ORDER BY n ROWS BETWEEN 100000 PRECEDING AND UNBOUNDED FOLLOWING) x FROM readings",
        "SELECT lag(n, 2) OVER (ORDER BY n) x FROM readings",
        "SELECT lead(n, -2) OVER (ORDER BY n) x FROM readings",
        "SELECT array_transform(array(1, 2), x -> x + temperature) x FROM readings",
    ] {
        assert!(ask(sql, OutputFormat::Csv, SERVED).is_ok(), "{sql}: {}", csv(sql));
    }
}

/// Whatever the engine makes of it, the answer is one of words.
#[test]
fn odd_numbers_end_no_thread() {
    for sql in [
        "SELECT sum(n) OVER (ORDER BY n RANGE BETWEEN 18446744073709551615 PRECEDING AND CURRENT ROW) FROM readings",
        "SELECT ntile(18446744073709551615) OVER (ORDER BY n) FROM readings",
        "SELECT n FROM readings LIMIT 9223372036854775807 OFFSET 9223372036854775807",
        "SELECT n FROM readings LIMIT 18446744073709551615",
        "SELECT percentile_cont(temperature, 2.5) FROM readings",
        "SELECT substring(device_id, 9223372036854775807, 9223372036854775807) FROM readings",
        "SELECT round(temperature, 9223372036854775807) FROM readings",
        "SELECT date_add(DATE '2024-01-01', 2147483647) FROM readings",
        "SELECT factorial(CAST(n AS INT)) FROM readings WHERE n < 4",
        "SELECT array_slice(array(1, 2), 9223372036854775807, -9223372036854775807) FROM readings",
    ] {
        let ended = block(async {
            let answer = run(&tables(), None, sql, Takes::Rows, SERVED, 0).await?;
            answer.batches.try_collect::<Vec<_>>().await
        });
        // A panic would be an error that says so.
        assert!(!ended.is_err_and(|error| error.code() == &codes::INTERNAL), "{sql}");
    }
}

#[test]
fn planning_is_short_or_ends_at_the_deadline() {
    let columns = |count: usize| (0..count).map(|n| format!("n + {n} c{n}")).collect::<Vec<_>>().join(", ");
    let error = refusal(&format!("SELECT {} FROM readings", columns(1_001)));
    assert!(error.message().contains("at most 1000"), "{error}");
    assert!(ask(&format!("SELECT {} FROM readings", columns(1_000)), OutputFormat::Csv, SERVED).is_ok());
    let wide = format!("SELECT {} FROM readings", columns(600));
    let error = refusal(&format!("SELECT * FROM ({wide}) a, ({wide}) b"));
    assert!(error.message().contains("1200 columns"), "{error}");

    let error = refusal(&nested(200, "*", &wide.replace("SELECT ", "SELECT n s, ")));
    assert!(error.message().contains("columns of all its SELECTs"), "{error}");

    let limits = Limits { time: Some(Duration::ZERO), ..SERVED };
    let error = ask("SELECT n FROM readings", OutputFormat::Csv, limits).unwrap_err();
    assert_eq!(error.code(), &codes::QUERY_LIMIT, "{error}");
}

/// A table whose rows make the engine fail.
struct Broken {
    in_planning: bool,
}

#[async_trait]
impl TableResolver for Broken {
    async fn resolve(&self, _: Option<&str>, _: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let rows = || futures::stream::poll_fn(|_| panic!("index out of bounds")).boxed();
        if self.in_planning {
            return Ok(Some(Arc::new(PanicsOnScan(schema))));
        }
        Ok(Some(lanes::table("lanes", schema, vec![rows(), rows()])?))
    }

    async fn names(&self) -> Result<Vec<String>> {
        Ok(vec!["t".to_owned()])
    }
}

/// A table that can be read once, with one row.
struct Once;

#[async_trait]
impl TableResolver for Once {
    async fn resolve(&self, _: Option<&str>, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let row =
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from(vec![1]))]).unwrap();
        let rows = futures::stream::iter([Ok(row)]).boxed();
        Ok((name == "late.minutes").then(|| lanes::table(name, schema, vec![rows])).transpose()?)
    }

    async fn names(&self) -> Result<Vec<String>> {
        Ok(vec!["late.minutes".to_owned()])
    }
}

#[test]
fn what_can_be_read_once_is_named_where_it_is_read_again() {
    let ask = |sql: &str| {
        block(async {
            let limits = Limits::default();
            let answer = run(&Once, None, sql, Takes::All, limits, 0).await.map_err(Error::from)?;
            answer.batches.try_collect::<Vec<_>>().await
        })
    };
    ask("SELECT n FROM late.minutes").unwrap();
    ask("WITH minutes AS (SELECT n FROM late.minutes) SELECT n FROM minutes").unwrap();
    let error = ask("SELECT a.n FROM late.minutes a JOIN late.minutes b ON a.n = b.n").unwrap_err();
    assert_eq!(error.message(), "`late.minutes` can be read once in a statement");
    assert_eq!(error.place(), Some("SQL line 1, column 37"));
    // One that stands in WITH is read where that is.
    let error =
        ask("WITH m AS (SELECT n FROM late.minutes) SELECT a.n FROM m a JOIN m b ON a.n = b.n").unwrap_err();
    assert!(error.to_string().contains("`late.minutes` can be read once in a statement"), "{error}");
}

#[derive(Debug)]
struct PanicsOnScan(SchemaRef);

#[async_trait]
impl TableProvider for PanicsOnScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }

    fn table_type(&self) -> datafusion::logical_expr::TableType {
        datafusion::logical_expr::TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn datafusion::catalog::Session,
        _: Option<&Vec<usize>>,
        _: &[datafusion::logical_expr::Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn datafusion::physical_plan::ExecutionPlan>, DataFusionError> {
        panic!("index out of bounds")
    }
}

#[test]
fn a_panic_of_the_engine_is_an_error_of_the_statement() {
    for in_planning in [true, false] {
        for sql in ["SELECT n FROM t", "SELECT n, count(*) FROM t GROUP BY n ORDER BY n"] {
            let answered = block(async {
                let answer = run(&Broken { in_planning }, None, sql, Takes::Rows, SERVED, 0).await?;
                answer.batches.try_collect::<Vec<_>>().await
            });
            let error = answered.unwrap_err();
            assert_eq!(error.code(), &codes::INTERNAL, "{sql}: {error}");
            assert!(error.detail().is_some_and(|words| words.contains("index out of bounds")), "{error:?}");
        }
    }
}

/// Its work is the product of its texts, and cannot be interrupted.
#[test]
fn what_is_compared_letter_by_letter_is_not_too_long() {
    let texts = "SELECT repeat(device_id, 60000) s, repeat('b', 60000) t FROM readings";
    assert_eq!(refusal(&format!("SELECT levenshtein(s, t) FROM ({texts})")).code(), &codes::QUERY_LIMIT);
    assert_eq!(csv("SELECT levenshtein(device_id, 'abc') d FROM readings WHERE n = 1"), "d; 2");
}

#[test]
fn what_functions_made_is_given_back() {
    let values =
        "readings a, readings b, readings c, readings d, readings e, readings f, readings g, readings h";
    // 65,536 rows of a thousand bytes: more than the budget in all, little at once.
    let sql = format!(
        "SELECT max(length(s)) m FROM (SELECT upper(concat(repeat('x', 1000), a.device_id)) s FROM {values})"
    );
    let limits = Limits { memory: 24 << 20, ..SERVED };
    assert_eq!(ask(&sql, OutputFormat::Csv, limits).unwrap(), "m\n1001\n");
}
