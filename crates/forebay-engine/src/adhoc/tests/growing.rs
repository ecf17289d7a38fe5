//! What operators hold and nobody counts: windows that gather, and keys that are arrays.

use super::*;

/// Not much, so that these tests need little if it is not kept.
const SMALL: Limits = Limits { time: Some(Duration::from_secs(120)), memory: 8 << 20, rows: None };

/// Readings by readings, so often.
fn crossed(times: usize) -> String {
    (0..times).map(|n| format!("readings r{n}")).collect::<Vec<_>>().join(", ")
}

fn refused(sql: &str) {
    match ask(sql, OutputFormat::Csv, SMALL) {
        Err(error) => assert_eq!(error.code(), &codes::QUERY_LIMIT, "{sql}: {error}"),
        Ok(text) => panic!("{sql}: {text}"),
    }
}

#[test]
fn what_a_window_gathers_for_each_row_ends_at_the_pool() {
    let rows = format!("SELECT r0.n % 7 n, r1.device_id d FROM {}", crossed(6));
    for (function, of) in [
        ("array_agg(n)", "size"),
        ("collect_list(n)", "size"),
        ("collect_set(d)", "size"),
        ("string_agg(d, ',')", "length"),
        // They give numbers, and look at all that they saw for each.
        ("median(n)", "abs"),
        ("percentile_cont(n, 0.5)", "abs"),
        ("sum(DISTINCT n)", "abs"),
    ] {
        refused(&format!(
            "SELECT max({of}(g)) FROM (SELECT {function} OVER (ORDER BY n ROWS UNBOUNDED PRECEDING) g FROM ({rows}))"
        ));
    }
    for function in ["array_agg(n)", "string_agg(d, ',')"] {
        refused(&format!("SELECT count(g) FROM (SELECT {function} OVER () g FROM ({rows}))"));
    }
    for (function, expected) in [
        // Few rows in each frame.
        ("size(array_agg(n) OVER (ORDER BY n ROWS BETWEEN 2 PRECEDING AND CURRENT ROW))", "x\n3\n"),
        ("sum(n % 7) OVER (ORDER BY n)", "x\n6\n"),
    ] {
        let sql = format!("SELECT max(g) x FROM (SELECT {function} g FROM readings)");
        assert_eq!(ask(&sql, OutputFormat::Csv, SMALL).unwrap(), expected, "{sql}");
    }
    // Over a whole partition it is computed once, and what is counted grows with the rows.
    let sql = format!(
        "SELECT count(m) x FROM (SELECT median(n) OVER (PARTITION BY d) m, sum(n) OVER (ORDER BY n) s FROM ({rows}))"
    );
    assert_eq!(ask(&sql, OutputFormat::Csv, SMALL).unwrap(), "x\n4096\n");
}

#[test]
fn keys_that_are_arrays_count_with_what_is_made_of_them() {
    let key = |list: &str| format!("{list} k FROM {}", crossed(6));
    let number = "r0.n % 7 + 4 * (r1.n % 7) + 16 * (r2.n % 7) + 64 * (r3.n % 7) + 256 * (r4.n % 7) + 1024 * (r5.n % 7)";
    let (list, map) =
        (format!("array_repeat({number}, 20)"), format!("map('a', array_repeat({number}, 20))"));
    for list in [&list, &map, &format!("array({list}, {list})"), &format!("named_struct('x', {list})")] {
        refused(&format!("SELECT count(*) FROM (SELECT DISTINCT {})", key(list)));
        refused(&format!("SELECT max(c) FROM (SELECT k, count(*) c FROM (SELECT {}) GROUP BY k)", key(list)));
    }
    for (list, expected) in [
        ("array(r0.n % 7)", "x\n4\n"),
        ("named_struct('x', r0.n % 7, 'y', r1.device_id)", "x\n12\n"),
        ("map('a', r0.n % 7)", "x\n4\n"),
    ] {
        let sql = format!("SELECT count(*) x FROM (SELECT DISTINCT {})", key(list));
        assert_eq!(ask(&sql, OutputFormat::Csv, SMALL).unwrap(), expected, "{list}");
    }
}

/// Each element has a number while it is copied, however few bits it has itself.
#[test]
fn what_small_elements_cost_on_the_way_ends_at_the_budget() {
    let number = "r0.n % 7 + 4 * (r1.n % 7) + 16 * (r2.n % 7) + 64 * (r3.n % 7) + 256 * (r4.n % 7)";
    let rows = format!("SELECT DISTINCT {number} n FROM {}", crossed(5));
    for value in ["CAST(n % 7 AS TINYINT)", "n > 1"] {
        for of in ["#", "array_distinct(array_concat(#, array(NULL)))", "array_reverse(#)"] {
            let list = of.replace('#', &format!("array_repeat({value}, 3000)"));
            refused(&format!("SELECT max(size({list})) FROM ({rows})"));
        }
    }
    let sql = format!("SELECT max(size(array_distinct(array_repeat(n > 1, 200)))) x FROM ({rows})");
    assert_eq!(ask(&sql, OutputFormat::Csv, SMALL).unwrap(), "x\n1\n");
}

/// DataFusion counts the whole batch for each value that it keeps of one.
#[test]
fn distinct_structs_are_counted_within_the_memory_that_they_take() {
    let many = "readings a, readings b, readings c, readings d, readings e, readings f";
    let pair =
        "named_struct('a', a.n, 'b', b.n, 'c', c.n, 'd', array(d.n, e.n), 'e', concat(f.device_id, f.n))";
    let memory = Limits { memory: 16 << 20, ..Limits::default() };
    let counted = |sql: &str| ask(sql, OutputFormat::Csv, memory).map_err(|error| error.to_string());
    let sql = format!("SELECT count(*) n, count(DISTINCT {pair}) d FROM {many}");
    assert_eq!(counted(&sql).as_deref(), Ok("n,d\n4096,4096\n"));
    let some = "SELECT count(*) n, count(DISTINCT named_struct('a', device_id)) a, \
                count(DISTINCT CASE WHEN n < 3 THEN named_struct('a', device_id) END) b FROM readings";
    assert_eq!(counted(some).as_deref(), Ok("n,a,b\n4,3,2\n"), "a NULL is not counted, a struct of NULLs is");
    let by = "SELECT device_id, count(*) n, count(DISTINCT array(n % 2)) a FROM readings GROUP BY device_id ORDER BY 1";
    assert_eq!(counted(by).as_deref(), Ok("device_id,n,a\n,1,1\na,2,1\nb,1,1\n"));
}
