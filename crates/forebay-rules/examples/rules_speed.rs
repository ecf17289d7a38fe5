//! What a row costs the rules: `cargo run --release -p forebay-rules --example rules_speed [ROWS]`.
//!
//! One thread, batches of 16,384 rows of 10,000 devices in turn, 100 rules, each with the boolean columns that the planner makes of its
//! conditions: `when` holds for the given share of rows, `clear` for 98 % of the others (the rest lies between the two). An epoch is 262,144 rows. The best of three
//! rounds counts: on a machine that others use too, the others' share is not the rules'.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a person at a terminal")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use forebay_core::config::Severity;
use forebay_rules::backtest::Backtest;
use forebay_rules::{Bounds, Rule, ValueColumn, columns};

const BATCH: usize = 16_384;
const DEVICES: usize = 10_000;
const RULES: usize = 100;
/// Different columns of conditions: a rule of two takes the same, at another place.
const KINDS: usize = 10;

fn main() {
    let rows: usize = std::env::args().nth(1).map_or(1 << 18, |rows| rows.parse().unwrap());
    println!(
        "{:>12} {:>8} {:>14} {:>18} {:>12}",
        "rows alerting", "rules", "rows a second", "rule-rows a second", "transitions"
    );
    for (share, words) in [(0.0, "none"), (0.0001, "0.01 %"), (0.01, "1 %"), (0.1, "10 %")] {
        let batches = batches(rows, share);
        for rules in [1, RULES] {
            let mut best = f64::INFINITY;
            let mut transitions = 0;
            for _ in 0..3 {
                let begun = Instant::now();
                transitions = run(rules, &batches);
                best = best.min(begun.elapsed().as_secs_f64());
            }
            let speed = rows as f64 / best;
            println!("{words:>12} {rules:>8} {speed:>14.0} {:>18.0} {transitions:>12}", speed * rules as f64);
        }
    }
}

/// Takes all batches through so many rules; how many transitions there were.
fn run(rules: usize, batches: &[Vec<RecordBatch>]) -> u64 {
    let schema = batches[0][0].schema();
    let mut all: Vec<Backtest> =
        (0..rules).map(|number| Backtest::new(rule(number), Bounds::default(), &schema).unwrap()).collect();
    let mut last = 0;
    for kinds in batches {
        last += BATCH as i64;
        for (number, rule) in all.iter_mut().enumerate() {
            rule.take(&kinds[number % KINDS], last).unwrap();
        }
    }
    all.into_iter().map(|rule| rule.end(last).unwrap().transitions).sum()
}

fn rule(number: usize) -> Rule {
    Rule {
        name: format!("rule {number}"),
        key_column: "device_id".to_owned(),
        key_fields: BTreeMap::new(),
        severity: Severity::Warning,
        hold_ms: 0,
        message: None,
        values: vec![ValueColumn { name: "temperature".to_owned(), shown: true }],
    }
}

/// Of each batch one with each kind of conditions.
fn batches(rows: usize, share: f64) -> Vec<Vec<RecordBatch>> {
    let mut state = 1_u64;
    let mut chance = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let names: Vec<String> = (0..DEVICES).map(|device| format!("vehicle-{device:05}")).collect();
    (0..rows.div_ceil(BATCH))
        .map(|number| {
            let from = number * BATCH;
            let keys: ArrayRef = Arc::new(StringViewArray::from_iter_values(
                (from..from + BATCH).map(|row| &names[row % DEVICES]),
            ));
            let times = TimestampMicrosecondArray::from_iter_values(
                (from..from + BATCH).map(|row| row as i64 * 1_000 + 1_000),
            );
            let times: ArrayRef = Arc::new(times.with_timezone("UTC"));
            let text = |text: &str| Arc::new(arrow::array::StringArray::from(vec![text; BATCH])) as ArrayRef;
            let (topic, source) = (text("telemetry"), text("fleet"));
            let partition: ArrayRef = Arc::new(Int32Array::from(vec![0; BATCH]));
            let values: ArrayRef =
                Arc::new(Float64Array::from_iter_values((0..BATCH).map(|_| chance() * 100.0)));
            (0..KINDS)
                .map(|_| {
                    let when: Vec<bool> = (0..BATCH).map(|_| chance() < share).collect();
                    let clear: Vec<bool> = when.iter().map(|when| !when && chance() < 0.98).collect();
                    let columns = [
                        (columns::KEY.to_owned(), keys.clone()),
                        (columns::WHEN.to_owned(), Arc::new(BooleanArray::from(when)) as ArrayRef),
                        (columns::CLEAR.to_owned(), Arc::new(BooleanArray::from(clear)) as ArrayRef),
                        (columns::TIMESTAMP.to_owned(), times.clone()),
                        (columns::TOPIC.to_owned(), topic.clone()),
                        (columns::PARTITION.to_owned(), partition.clone()),
                        (columns::value_column("temperature"), values.clone()),
                        (columns::SOURCE.to_owned(), source.clone()),
                    ];
                    RecordBatch::try_from_iter(columns).unwrap()
                })
                .collect()
        })
        .collect()
}
