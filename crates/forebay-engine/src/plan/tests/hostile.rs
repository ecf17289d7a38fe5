//! SQL that nobody writes by hand: it is refused, within bounded time and stack, and nothing panics.

use super::*;
use crate::plan::resolve::Planner;

#[test]
fn nesting_and_length_are_bounded() {
    let many = 20_000;
    for (name, sql) in [
        ("parentheses", format!("SELECT {}1{} FROM iot", "(".repeat(many), ")".repeat(many))),
        ("open parentheses", format!("SELECT {}", "(".repeat(many))),
        ("brackets", format!("SELECT tags{} FROM iot", "[0".repeat(many))),
        ("subscripts", format!("SELECT tags{} FROM iot", "[0]".repeat(15_000))),
        ("braces", format!("SELECT {}", "{'a': ".repeat(10_000))),
        ("additions", format!("SELECT 1{} FROM iot", " + 1".repeat(10_000))),
        ("additions that fit the words", format!("SELECT 1{} FROM iot", " + 1".repeat(1_990))),
        ("divisions that fit the words", format!("SELECT 1{} FROM iot", " div 1".repeat(1_990))),
        ("quotients", format!("SELECT 1{} FROM iot", " / 1".repeat(120))),
        ("conditions", format!("SELECT * FROM iot WHERE true{}", " OR true".repeat(10_000))),
        ("tests", format!("SELECT * FROM iot WHERE true{}", " IS NULL".repeat(10_000))),
        ("tests that fit the words", format!("SELECT * FROM iot WHERE true{}", " IS NULL".repeat(1_990))),
        ("negations", format!("SELECT {} true FROM iot", "NOT ".repeat(many))),
        ("minus signs", format!("SELECT {}1 FROM iot", "- ".repeat(many))),
        ("minus signs that fit the words", format!("SELECT {}1 FROM iot", "- ".repeat(3_900))),
        ("calls", format!("SELECT {}1{} FROM iot", "abs(".repeat(2_000), ")".repeat(2_000))),
        (
            "cases",
            format!("SELECT {}1{} FROM iot", "CASE WHEN true THEN ".repeat(2_000), " END".repeat(2_000)),
        ),
        (
            "cases that fit the words",
            format!("SELECT {}1{} FROM iot", "CASE WHEN true THEN ".repeat(700), " END".repeat(700)),
        ),
        ("subqueries", format!("SELECT * FROM {}iot{}", "(SELECT * FROM ".repeat(500), ") x".repeat(500))),
        ("unions", format!("SELECT 1, 2{}", " UNION ALL SELECT 1, 2".repeat(5_000))),
        ("dots", format!("SELECT a{} FROM iot", ".a".repeat(many))),
        ("fields of a result", format!("SELECT upper(a){} FROM iot", ".a".repeat(many))),
        ("types", format!("SELECT CAST(1 AS {}INT{}) FROM iot", "ARRAY<".repeat(2_000), ">".repeat(2_000))),
        ("open types", format!("SELECT CAST(1 AS {}", "ARRAY<".repeat(many))),
        ("structs", format!("SELECT CAST(1 AS {}", "STRUCT<a: INT, b: ".repeat(4_000))),
        // `array <` may open a type or compare; whatever it is, the words count.
        ("comparisons", format!("SELECT * FROM iot WHERE {}", "array < 1 AND true AND ".repeat(4_000))),
        (
            "chains in brackets",
            (0..40).fold("1".to_owned(), |inner, _| format!("({inner}{})", " + 1".repeat(150))),
        ),
        ("casts with a mistake", format!("SELECT {}1 1{}", "CAST(".repeat(48), " AS DOUBLE)".repeat(48))),
        ("cases with a mistake", format!("SELECT {}1 1 1", "CASE WHEN true THEN ".repeat(45))),
        ("substrings with a mistake", format!("SELECT {}1 1{}", "substring(".repeat(45), ")".repeat(45))),
        ("roundings with a mistake", format!("SELECT {}1 1{}", "ceil(".repeat(14), ")".repeat(14))),
        ("intervals", format!("SELECT {}1", "INTERVAL ".repeat(45))),
        ("length", format!("SELECT '{}' FROM iot", "x".repeat(2 << 20))),
    ] {
        let sql = if sql.starts_with("SELECT") { sql } else { format!("SELECT {sql} FROM iot") };
        let text = outcome(&sql);
        assert!(text.starts_with("FB-4001"), "{name}: {}", &text[..text.len().min(200)]);
    }
    for (sql, expected) in [
        (format!("SELECT\n {}1", "(".repeat(60)), "nested deeper than 50 levels | SQL line 2, column 52"),
        (format!("SELECT\n {}1", "- ".repeat(60)), "nested deeper than 50 levels | SQL line 2, column"),
        (
            format!("SELECT\n x{}", "+x".repeat(3_000)),
            "is more than 4000 words long | SQL line 2, column 4001",
        ),
        (
            format!("SELECT 1{}", " UNION SELECT 1".repeat(401)),
            "more than 400 UNION, EXCEPT and INTERSECT | SQL line 1",
        ),
    ] {
        let text = outcome(&sql);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn what_counts_once_is_bounded_as_all_else_is() {
    let runtime = Arc::new(RuntimeEnv::default());
    let batch = Purpose::Batch { now_ms: 0, deadline: None };
    let session = session::session(batch, forebay_core::Zone::UTC, runtime).unwrap();
    let columns = (0..900).map(|n| format!("s AS c{n}")).collect::<Vec<_>>().join(", ");
    let fields = (0..30).map(|n| format!("'f{n}', big")).collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT {columns} FROM (SELECT named_struct({fields}) AS s FROM iot)");
    let catalog = catalog();
    for once in [None, Some(Deduplicate { keys: Vec::new(), within_us: None })] {
        let Statement::Query(query) = parse::one_statement(&sql, parse::Paths::No).unwrap() else { panic!() };
        let behind = once.clone().map(crate::plan::catalog::Behind::Once);
        let planned = Planner::new(&session, &catalog, None, false).plan_behind(query, behind.as_ref());
        let error = planned.unwrap_err().to_string();
        assert!(error.contains("more than 20000 fields"), "{once:?}: {error}");
    }
}

/// The deepest expressions that are taken are computed on a stack of two megabytes, as a runtime's worker has.
#[test]
fn what_is_taken_is_computed_on_a_small_stack() {
    let chain = |by: &str, times: usize| by.repeat(times);
    for sql in [
        format!("SELECT temperature{} x FROM iot WHERE device_id = 'a'", chain(" + 0.5", 395)),
        format!("SELECT temperature{} x FROM iot WHERE device_id = 'a'", chain(" / timestamp", 98)),
        format!("SELECT price{} x FROM iot WHERE device_id = 'a'", chain(" + timestamp", 395)),
        format!("SELECT device_id FROM iot WHERE false{}", chain(" OR device_id LIKE '%a'", 395)),
        format!("SELECT length(device_id{}) x FROM iot WHERE device_id = 'a'", chain(" || deviceName", 390)),
    ] {
        let text = outcome(&sql);
        // A type may have an end before the expression does; the stack must not.
        assert!(
            text.ends_with('a') || text.starts_with("x; ") || text.starts_with("FB-4002"),
            "{}",
            &text[..text.len().min(300)]
        );
    }
    // Views add up: each is small, and the optimizer puts them into each other.
    let mut catalog = Catalog::new();
    catalog.add_source("iot", SourceColumns::Decoded(schema())).unwrap();
    catalog.add_view("v0", "SELECT temperature FROM iot").unwrap();
    for n in 1..20 {
        let sql = format!("SELECT temperature{} AS temperature FROM v{}", " + 0.5".repeat(50), n - 1);
        catalog.add_view(&format!("v{n}"), &sql).unwrap();
    }
    let deep = plan(&catalog, "SELECT * FROM v11", None).unwrap();
    let out = deep.executor(0).process(input(&deep), &mut Fates::default()).unwrap();
    assert_eq!(out.column(0).as_primitive::<arrow::datatypes::Float64Type>().value(0), 20.5 + 11.0 * 25.0);
    let error = plan(&catalog, "SELECT * FROM v19", None).unwrap_err();
    assert!(error.to_string().contains("an expression is more than 600 operators deep"), "{error}");
    let ctes: Vec<String> =
        (1..12).map(|n| format!("c{n} AS (SELECT x{} AS x, t FROM c{})", " + t".repeat(50), n - 1)).collect();
    let text = outcome(&format!(
        "WITH c0 AS (SELECT price x, timestamp t FROM iot WHERE device_id = 'b'), {} SELECT x FROM c11",
        ctes.join(", ")
    ));
    assert_eq!(text, "x; -550.05");
    let ctes: Vec<String> =
        (1..40).map(|n| format!("c{n} AS (SELECT x{} AS x FROM c{})", " + 0.5".repeat(50), n - 1)).collect();
    let text =
        outcome(&format!("WITH c0 AS (SELECT humidity x FROM iot), {} SELECT x FROM c39", ctes.join(", ")));
    assert!(text.starts_with("FB-4002 an expression is more than 600 operators deep"), "{text}");
}

#[test]
fn long_lists_and_moderate_chains_work() {
    let list: Vec<String> = (0..10_000).map(|n| format!("'{n}'")).collect();
    assert_eq!(
        outcome(&format!("SELECT device_id FROM iot WHERE device_id IN ('a', {})", list.join(","))),
        "device_id; a"
    );
    let chain = " OR device_id = 'a'".repeat(300);
    assert_eq!(outcome(&format!("SELECT device_id FROM iot WHERE false{chain}")), "device_id; a");
    let nested = format!(
        "SELECT device_id FROM {}iot{} WHERE device_id = 'a'",
        "(SELECT * FROM ".repeat(10),
        ") x".repeat(10)
    );
    assert_eq!(outcome(&nested), "device_id; a");
}

#[test]
fn views_on_views_stay_bounded() {
    let mut catalog = Catalog::new();
    catalog.add_source("iot", SourceColumns::Decoded(schema())).unwrap();
    catalog.add_view("v0", "SELECT timestamp + timestamp AS timestamp FROM iot").unwrap();
    for n in 1..300 {
        let sql = format!("SELECT timestamp + timestamp AS timestamp FROM v{}", n - 1);
        catalog.add_view(&format!("v{n}"), &sql).unwrap();
    }
    plan(&catalog, "SELECT * FROM v31", None).unwrap();
    for deep in ["v32", "v299"] {
        let error = plan(&catalog, &format!("SELECT * FROM {deep}"), None).unwrap_err();
        assert_eq!(error.error.code().id, "FB-4002", "{error}");
        assert!(error.to_string().contains("views stand more than 32 deep on each other"), "{error}");
    }
    let mut wide = Catalog::new();
    wide.add_source("iot", SourceColumns::Decoded(schema())).unwrap();
    wide.add_view("w0", "SELECT * FROM iot").unwrap();
    for n in 1..40 {
        wide.add_view(&format!("w{n}"), &format!("SELECT a.* FROM w{0} a JOIN w{0} b ON true", n - 1))
            .unwrap();
    }
    assert!(plan(&wide, "SELECT * FROM w39", None).is_err());
}

/// Words and signs in random order: most is refused, some runs, nothing panics and nothing takes long.
#[test]
fn random_sql_never_panics() {
    const WORDS: [&str; 64] = [
        "SELECT",
        "FROM",
        "WHERE",
        "iot",
        "raw",
        "hot",
        "device_id",
        "temperature",
        "place",
        "place.hall",
        "tags",
        "props",
        "_kafka",
        "*",
        ",",
        "(",
        ")",
        "[",
        "]",
        ".",
        "0",
        "1",
        "-1",
        "1.5",
        "1e400",
        "'x'",
        "''",
        "NULL",
        "true",
        "+",
        "-",
        "/",
        "%",
        "div",
        "=",
        "<=>",
        "<",
        "AND",
        "OR",
        "NOT",
        "IN",
        "LIKE",
        "BETWEEN",
        "IS",
        "CASE",
        "WHEN",
        "THEN",
        "END",
        "CAST",
        "AS",
        "INT",
        "STRING",
        "STRUCT",
        "from_json",
        "date_format",
        "split",
        "AS x",
        "upper",
        "`",
        "\"",
        "->",
        "JOIN",
        "WITH",
        "UNION",
    ];
    let seed = 0x5eed_f04e_ba11_u64;
    println!("seed {seed:#x}");
    let mut state = seed;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let (mut ran, mut refused) = (0, 0);
    for round in 0..3_000 {
        let mut sql = String::from("SELECT ");
        for _ in 0..next(12) + 1 {
            sql.push_str(WORDS[next(WORDS.len())]);
            sql.push(' ');
        }
        if round % 2 == 0 {
            sql.push_str("FROM iot");
        }
        match planned(&sql) {
            Ok(plan) => {
                ran += 1;
                let _ = plan.executor(0).process(input(&plan), &mut Fates::default());
            }
            Err(error) => {
                refused += 1;
                assert_ne!(error.error.code().id, "FB-9001", "{sql}: {error}");
            }
        }
    }
    println!("{ran} ran, {refused} were refused");
    assert!(ran > 10 && refused > 10);
}

#[test]
fn state_has_bounds() {
    let many = |item: &str, times: usize| vec![item; times].join(", ");
    let numbered =
        |what: &str| (0..10_000).map(|n| format!("{what}(big + {n})")).collect::<Vec<_>>().join(", ");
    let chained =
        (0..40).fold("SELECT at FROM iot".to_owned(), |sql, _| format!("SELECT DISTINCT at FROM ({sql})"));
    for (name, sql) in [
        ("aggregates", format!("SELECT {} FROM iot", numbered("sum"))),
        ("one expression", format!("SELECT greatest({}) x FROM iot", numbered("max"))),
        ("groups", format!("SELECT count(*) FROM iot GROUP BY {}", numbered("abs"))),
        ("the same group", format!("SELECT count(*) FROM iot GROUP BY {}", many("big", 10_000))),
        ("windows", format!("SELECT count(*) FROM iot GROUP BY {}", many("window(at, '1 minute')", 5_000))),
        ("operators", chained),
    ] {
        let catalog = super::drawing::streams();
        let mode = forebay_core::output_mode::OutputMode::Append;
        let started = std::time::Instant::now();
        let error = plan_query(&catalog, &sql, None, mode, None).unwrap_err();
        assert_ne!(error.error.code().id, "FB-9001", "{name}: {error}");
        println!("{name}: {error} after {:?}", started.elapsed());
    }
}
