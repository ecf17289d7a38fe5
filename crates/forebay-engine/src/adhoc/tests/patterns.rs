//! LIKE and regular expressions, and what works as long: patterns of any kind end soon, or are refused.

use arrow::datatypes::Schema;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, col};

use super::super::budget::{Budget, metered, work};
use super::*;

fn refusal(sql: &str) -> Error {
    match ask(sql, OutputFormat::Csv, Limits::default()) {
        Err(error) => error,
        Ok(text) => panic!("{sql}: {text}"),
    }
}

#[test]
fn like_takes_patterns_of_any_kind() {
    for (sql, expected) in [
        ("SELECT n FROM readings WHERE device_id LIKE '_' AND n < 3 ORDER BY n", "n; 1; 2"),
        ("SELECT n FROM readings WHERE device_id NOT LIKE '%a_%' AND n < 3 ORDER BY n", "n; 1; 2"),
        ("SELECT n FROM readings WHERE concat(device_id, '_%') LIKE 'b\\\\_\\\\%'", "n; 2"),
        ("SELECT n FROM readings WHERE device_id ILIKE 'B'", "n; 2"),
        ("SELECT n FROM readings WHERE device_id NOT ILIKE 'A%'", "n; 2"),
        // A pattern of each row's own.
        (
            "SELECT n FROM readings WHERE concat(device_id, n) LIKE concat(device_id, '_') ORDER BY n",
            "n; 1; 2; 3",
        ),
        (
            "SELECT r.n, p.p FROM readings r JOIN (VALUES ('b%'), ('%x%')) AS p(p) ON r.device_id LIKE p.p",
            "n,p; 2,b%",
        ),
        ("SELECT like(device_id, '_') l, ilike('ÄB', 'ä_') i FROM readings WHERE n = 1", "l,i; true,true"),
        (
            "SELECT device_id LIKE '_' l, count(*) c FROM readings GROUP BY device_id LIKE '_' ORDER BY l",
            "l,c; ,1; true,3",
        ),
        ("SELECT n FROM readings WHERE device_id LIKE 'a%b' OR NULL LIKE '_'", "n"),
    ] {
        assert_eq!(csv(sql), expected, "{sql}");
    }
    let escaped = "SELECT n FROM readings WHERE device_id LIKE concat('a', '!%') ESCAPE '!'";
    assert!(csv(escaped).starts_with("FB-4"), "{}", csv(escaped));
}

#[test]
fn regular_expressions_are_constants() {
    for (sql, expected) in [
        ("SELECT n FROM readings WHERE device_id RLIKE '^[b-z]$'", "n; 2"),
        ("SELECT n FROM readings WHERE device_id NOT RLIKE 'a' AND n < 9", "n; 2"),
        ("SELECT n FROM readings WHERE regexp_like(device_id, 'B', 'i')", "n; 2"),
        (
            "SELECT regexp_replace(device_id, '(a)', '$1$1') x FROM readings WHERE n < 3 ORDER BY n",
            "x; aa; b",
        ),
        ("SELECT regexp_count('a1b22', '[0-9]+') x, regexp_match('a1', '[0-9]')[0] y", "x,y; 2,1"),
        (
            "SELECT 'ab12' RLIKE '^\\\\w{4}$' x, '2024-02-29' RLIKE '^\\\\d{4}-\\\\d{2}-\\\\d{2}$' y",
            "x,y; true,true",
        ),
        ("SELECT '00:1b:44:11:3a:b7' RLIKE '^([0-9a-f]{2}:){5}[0-9a-f]{2}$' x", "x; true"),
        // What follows from constants is one.
        ("SELECT n FROM readings WHERE device_id RLIKE concat('^', 'b')", "n; 2"),
        ("SELECT n FROM (SELECT n, device_id d, '^b' p FROM readings) WHERE d RLIKE p", "n; 2"),
    ] {
        assert_eq!(csv(sql), expected, "{sql}");
    }
    for sql in [
        "SELECT 'abc' RLIKE device_id FROM readings",
        "SELECT r.n FROM readings r JOIN (VALUES ('b'), ('c')) AS p(p) ON r.device_id RLIKE p.p",
        "SELECT regexp_like(device_id, 'a', device_id) FROM readings",
        "SELECT regexp_replace('abc', device_id, 'x') FROM readings",
        "SELECT regexp_match('abc', device_id) FROM readings",
        "SELECT regexp_count('abc', device_id) FROM readings",
        "SELECT regexp_instr('abc', device_id) FROM readings",
        "SELECT array_any_match(array('a', 'b'), x -> regexp_like('abc', x)) FROM readings",
    ] {
        let error = refusal(sql);
        assert_eq!(error.code(), &codes::NOT_YET, "{sql}: {error}");
        assert!(error.message().contains("must be constants"), "{sql}: {error}");
    }
    for sql in [
        "SELECT device_id RLIKE '\\\\w{500}' FROM readings",
        "SELECT regexp_replace(device_id, '(((a{30}){30}){30}){30}', 'x') FROM readings",
        &format!("SELECT device_id RLIKE '{}' FROM readings", "a".repeat(20_000)),
    ] {
        assert_eq!(refusal(sql).code(), &codes::QUERY_LIMIT, "{}", &sql[..60.min(sql.len())]);
    }
    for operator in ["~", "~*", "!~", "!~*", "~~", "~~*", "!~~", "!~~*", "SIMILAR TO"] {
        let error = refusal(&format!("SELECT n FROM readings WHERE device_id {operator} 'a'"));
        assert_eq!(error.code(), &codes::NOT_YET, "{operator}: {error}");
    }
}

/// What `forebay validate` says of a panel is what the page would say.
#[test]
fn a_pattern_is_refused_where_only_columns_are_known() {
    let schema = Arc::new(Schema::new(vec![Field::new("s", DataType::Utf8, true)]));
    let known = Known { tables: vec![("t".to_owned(), schema)], ..Known::default() };
    assert!(check(&known, None, "SELECT s RLIKE 'a' FROM t").is_ok());
    let refused = check(&known, None, "SELECT s RLIKE s FROM t").unwrap_err();
    assert_eq!(refused.error.code(), &codes::NOT_YET);
}

fn texts(length: usize, rows: usize) -> ColumnarValue {
    ColumnarValue::Array(Arc::new(StringArray::from(vec!["a".repeat(length); rows])))
}

fn constant(text: &str) -> ColumnarValue {
    ColumnarValue::Scalar(ScalarValue::from(text))
}

#[test]
fn long_work_is_done_in_pieces() {
    let pattern = constant("^a");
    let all =
        |function: &str, args: &[ColumnarValue]| work::pieces(function, args, 2_048, &mut None).unwrap();
    // A million steps for each row, 64 rows at once.
    let pieces = all("levenshtein", &[texts(1_024, 2_048), texts(1_024, 2_048)]);
    assert_eq!(pieces, vec![64; 32]);
    assert_eq!(all("levenshtein", &[texts(20, 2_048), texts(20, 2_048)]), [2_048]);
    assert_eq!(all("like", &[texts(1_024, 2_048), texts(1_024, 2_048)]), vec![64; 32]);
    assert_eq!(all("regexp_like", &[texts(20, 2_048), pattern.clone()]), [2_048]);
    let pieces = all("regexp_like", &[texts(8_192, 2_048), pattern.clone()]);
    assert!(pieces.len() > 32 && pieces.iter().sum::<usize>() == 2_048, "{pieces:?}");
    for (function, by) in [("levenshtein", texts(100_000, 1)), ("regexp_like", constant("\\w{4}"))] {
        let one = [texts(1_000_000, 1), by];
        assert!(work::pieces(function, &one, 1, &mut None).is_err(), "{function}");
    }
}

#[test]
fn pieces_make_one_answer() {
    // More than is done at once.
    let cross = "readings a, readings b, readings c, readings d, readings e";
    let sql = format!(
        "SELECT count(*) c, min(d) d, max(r) r FROM (SELECT levenshtein(s, t) d, length(regexp_replace(s, 'x', '')) r \
         FROM (SELECT repeat('x', 400 + a.n % 2) s, repeat('y', 400) t FROM {cross}))"
    );
    assert_eq!(csv(&sql), "c,d,r; 1024,400,0");
    assert!(csv("SELECT levenshtein(repeat('a', 30000), repeat('b', 30000)) d").starts_with("FB-4005"));
}

/// A function that is called once more after the time is up would hold its turn for a statement that has ended.
#[test]
fn no_function_is_called_after_the_deadline() {
    let schema = Schema::new(vec![Field::new("s", DataType::Utf8, true)]);
    let schema = DFSchema::try_from(schema).unwrap();
    let time = Duration::from_secs(1);
    let state =
        session::session(Purpose::Batch { now_ms: 0, deadline: None }, Zone::UTC, Arc::default()).unwrap();
    for (ended, expected) in [(Instant::now(), Some("FB-4005")), (Instant::now() + time * 600, None)] {
        let budget = Arc::new(Budget::new(1 << 20, Some(Deadline { at: ended, time })));
        for name in ["upper", "length", "ascii"] {
            let func = Arc::clone(state.scalar_functions().get(name).unwrap());
            let call = Expr::ScalarFunction(ScalarFunction { func, args: vec![col("s")] });
            let Expr::ScalarFunction(call) = metered::metered(call, &schema, &budget).data else {
                panic!("{name} is a call no more")
            };
            let fields = [Arc::new(Field::new("s", DataType::Utf8, true))];
            let asked = ReturnFieldArgs { arg_fields: &fields, scalar_arguments: &[None] };
            let return_field = call.func.return_field_from_args(asked).unwrap();
            let answered = call.func.invoke_with_args(ScalarFunctionArgs {
                args: vec![texts(3, 2)],
                arg_fields: fields.to_vec(),
                number_rows: 2,
                return_field,
                config_options: Arc::default(),
            });
            let refused = answered.err().map(|error| failed(error).code().id);
            assert_eq!(refused, expected, "{name}");
        }
    }
}
