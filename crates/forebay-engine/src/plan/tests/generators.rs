//! Generators in front of operators with state, behind them and in joins and unions: what stands where.

use forebay_core::output_mode::OutputMode::{Append, Complete, Update};

use super::drawing::{draw, planned_as};
use super::*;
use crate::plan::graph::StepPlan;

/// The drawn query has these parts, in this order.
#[track_caller]
fn in_order(cases: &[(&str, OutputMode, &[&str])]) {
    let mut wrong = Vec::new();
    for (sql, mode, parts) in cases {
        let drawn = match planned_as(sql, *mode) {
            Ok(plan) => draw(&plan),
            Err(error) => super::drawing::refused(error),
        };
        let mut rest = drawn.as_str();
        for part in *parts {
            match rest.split_once(part) {
                Some((_, behind)) => rest = behind,
                None => {
                    wrong.push(format!("{mode}: {sql}\n  misses {part}\n  in {drawn}"));
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn what_is_taken_apart_is_a_column_of_its_own_and_only_what_is_read_comes_along() {
    in_order(&[
        (
            "SELECT device_id, explode(tags) AS tag FROM iot WHERE temperature > 20",
            Append,
            &[
                "iot: (device_id, temperature, tags) Filter(temperature@1 > 20) (device_id, __array) Generate(Elements of 1: tag)",
                "| device_id, tag",
            ],
        ),
        (
            "SELECT tag, humidity FROM iot LATERAL VIEW explode(tags) t AS tag LATERAL VIEW OUTER explode(props) p AS k, v \
             WHERE tag <> 'x' AND big > 1 AND v > 2",
            Append,
            &[
                "Filter(big@",
                "Generate(Elements of ",
                ": tag)",
                "Filter(tag@",
                "Generate(Elements or NULL of ",
                ": k, v)",
                "Filter(v@",
                "(tag, humidity)",
            ],
        ),
        (
            "SELECT * FROM (SELECT device_id, posexplode(tags) FROM iot) WHERE device_id = 'a' AND pos = 0",
            Append,
            &[
                "(device_id, __array) Generate(Positions of 1: pos, col)",
                "Filter(device_id@",
                "pos@",
                "| device_id, pos, col",
            ],
        ),
    ]);
}

#[test]
fn event_time_is_looked_at_before_the_array_is_taken_apart() {
    in_order(&[
        (
            "SELECT window.start AS s, tag, count(*) AS c FROM iot LATERAL VIEW explode(tags) t AS tag \
             WHERE temperature > 20 AND tag <> 'x' GROUP BY window(at, '1 minute'), tag",
            Append,
            &[
                "Filter(temperature@",
                "Filled(",
                "Observe(",
                "Filter(at@",
                "Generate(Elements of ",
                "Filter(tag@",
                "| aggregate-0(tag@",
                "window#",
                " ends",
            ],
        ),
        // Where a row without an element comes out, it is seen too.
        (
            "SELECT window.start AS s, k, sum(v) AS v FROM secs LATERAL VIEW OUTER explode(props) p AS k, v GROUP BY window(_event_time, '1 minute'), k",
            Append,
            &["secs: ", "Observe(", "Generate(Elements or NULL of ", "| aggregate-0(k@"],
        ),
        // A condition around a subquery that does not need the elements is asked before, one on the event time behind.
        (
            "SELECT s, tag, count(*) AS c FROM (SELECT at AS s, device_id AS d, explode(tags) AS tag FROM iot) \
             WHERE d = 'a' AND s IS NOT NULL AND tag <> 'x' GROUP BY s, tag",
            Append,
            &[
                "Filter(d@",
                "Filled(",
                "Observe(",
                "Generate(Elements of ",
                "Filter(",
                "IS NOT NULL",
                "tag@",
                "| aggregate-0(",
            ],
        ),
        (
            "SELECT DISTINCT at, tag FROM iot LATERAL VIEW explode(tags) t AS tag",
            Append,
            &["Observe(", "Generate(", "| aggregate-0("],
        ),
    ]);
    let two = "SELECT window.start AS s, tag, k, count(*) AS c FROM iot LATERAL VIEW explode(tags) t AS tag \
               LATERAL VIEW explode(props) p AS k, v GROUP BY window(at, '1 minute'), tag, k";
    let drawn = draw(&planned_as(two, Append).unwrap());
    assert_eq!(drawn.matches("Filled(").count(), 2, "{drawn}");
    assert!(drawn.rfind("Filled(") < drawn.find("Observe("), "{drawn}");
}

#[test]
fn generators_stand_behind_operators_and_in_joins_and_unions() {
    let group = "SELECT device_id AS d, collect_list(temperature) AS xs FROM iot GROUP BY device_id";
    let behind = format!("SELECT d, explode(xs) AS x FROM ({group})");
    in_order(&[
        (&behind, Complete, &["| aggregate-0(device_id@", "Generate(Elements of ", "| d, x"]),
        (&behind, Update, &["| aggregate-0(device_id@", "Generate(Elements of ", "| d, x"]),
        (
            "SELECT device_id, tag FROM iot a LATERAL VIEW explode(a.tags) t AS tag UNION ALL SELECT device_id, explode(tags) FROM plain",
            Append,
            &[
                "i0 iot: ",
                "Generate(Elements of ",
                ": tag)",
                "| i1 plain: ",
                "Generate(Elements of ",
                ": col)",
                "| device_id, tag",
            ],
        ),
        (
            "SELECT col FROM iot LATERAL VIEW explode(tags) t UNION ALL SELECT device_id FROM plain",
            Append,
            &["i0 iot: ", "Generate(", "| i1 plain: "],
        ),
        (
            "SELECT x.tag, p.humidity FROM (SELECT explode(tags) AS tag FROM iot) x JOIN plain p ON x.tag = p.device_id",
            Append,
            &["i0 iot: ", "Generate(Elements of ", "| i1 plain: ", "| join-0 Inner i0 i1 (tag@"],
        ),
        (
            "SELECT l.device_id, tag FROM iot l JOIN plain r ON l.device_id = r.device_id LATERAL VIEW explode(r.tags) t AS tag WHERE tag <> 'x'",
            Append,
            &["| join-0 Inner", "Generate(Elements of ", "Filter(tag@", "| device_id, tag"],
        ),
        ("SELECT col FROM iot LATERAL VIEW explode(tags) t LIMIT 3", Append, &["Generate(", "| limit-0(3)"]),
    ]);
    // A group may become several rows, so its keys no longer tell them apart.
    let plan = planned_as(&behind, Update).unwrap();
    assert_eq!(plan.group_keys(), None);
    assert!(plan.repeats_without_keys());
}

#[test]
fn state_says_what_a_key_is_made_of() {
    let key = |sql: &str| {
        let plan = planned_as(sql, Complete).unwrap();
        let StepPlan::Aggregate(spec) = &plan.graph().steps[0].plan else { panic!("{sql}") };
        crate::plan::told::text_over(&spec.keys[0], &spec.told)
    };
    let of = |view: &str, key: &str| {
        format!("SELECT {key}, count(*) AS c FROM iot LATERAL VIEW {view} GROUP BY {key}")
    };
    assert_eq!(key(&of("explode(tags) t AS tag", "tag")), "explode(tags)");
    assert_eq!(key(&of("explode(tags) other AS called", "called")), "explode(tags)");
    assert_eq!(key(&of("OUTER explode(props) t AS k, v", "v")), "explode_outer(props).value");
    assert_eq!(key(&of("posexplode(tags) t", "pos")), "posexplode(tags).pos");
    assert_eq!(
        key("SELECT t, count(*) AS c FROM (SELECT explode(tags) AS t FROM iot) GROUP BY t"),
        "explode(tags)"
    );
    let told = key(&of("explode(tags) t AS tag", "upper(tag)"));
    assert!(told.contains("explode(tags)") && told.contains("upper"), "{told}");
}
