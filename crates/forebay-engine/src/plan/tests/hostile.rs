//! SQL that nobody writes by hand: it is refused, within bounded time and stack, and nothing panics.

use super::*;

#[test]
fn nesting_and_length_are_bounded() {
    let many = 20_000;
    for (name, sql) in [
        ("parentheses", format!("SELECT {}1{} FROM iot", "(".repeat(many), ")".repeat(many))),
        ("open parentheses", format!("SELECT {}", "(".repeat(many))),
        ("brackets", format!("SELECT tags{} FROM iot", "[0".repeat(many))),
        ("additions", format!("SELECT 1{} FROM iot", " + 1".repeat(10_000))),
        ("conditions", format!("SELECT * FROM iot WHERE true{}", " OR true".repeat(10_000))),
        ("negations", format!("SELECT {} true FROM iot", "NOT ".repeat(many))),
        ("minus signs", format!("SELECT {}1 FROM iot", "- ".repeat(many))),
        ("calls", format!("SELECT {}1{} FROM iot", "abs(".repeat(2_000), ")".repeat(2_000))),
        (
            "cases",
            format!("SELECT {}1{} FROM iot", "CASE WHEN true THEN ".repeat(2_000), " END".repeat(2_000)),
        ),
        ("subqueries", format!("SELECT * FROM {}iot{}", "(SELECT * FROM ".repeat(500), ") x".repeat(500))),
        ("unions", format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(5_000))),
        ("dots", format!("SELECT a{} FROM iot", ".a".repeat(many))),
        ("types", format!("SELECT CAST(1 AS {}INT{}) FROM iot", "ARRAY<".repeat(2_000), ">".repeat(2_000))),
        ("length", format!("SELECT '{}' FROM iot", "x".repeat(2 << 20))),
    ] {
        let text = outcome(&sql);
        assert!(
            text.starts_with("FB-400") || text.starts_with("FB-1008"),
            "{name}: {}",
            &text[..text.len().min(200)]
        );
    }
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
    plan(&catalog, "SELECT * FROM v30", None).unwrap();
    // Whether so many are taken is a matter of limits; what counts is that there is an answer.
    let _ = plan(&catalog, "SELECT * FROM v299", None);
    let mut wide = Catalog::new();
    wide.add_source("iot", SourceColumns::Decoded(schema())).unwrap();
    wide.add_view("w0", "SELECT * FROM iot").unwrap();
    for n in 1..40 {
        wide.add_view(&format!("w{n}"), &format!("SELECT a.* FROM w{0} a JOIN w{0} b ON true", n - 1))
            .unwrap();
    }
    assert!(plan(&wide, "SELECT * FROM w39", None).is_err());
    let mut doubling = String::from("WITH c0 AS (SELECT device_id FROM iot)");
    for n in 1..40 {
        doubling.push_str(&format!(", c{n} AS (SELECT a.device_id FROM c{0} a JOIN c{0} b ON true)", n - 1));
    }
    let text = outcome(&format!("{doubling} SELECT * FROM c39"));
    assert!(text.contains("reads more than 2000"), "{text}");
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
