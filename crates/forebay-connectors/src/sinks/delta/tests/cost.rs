//! What it costs. Slow, so only on demand: `cargo test --release -p forebay-connectors cost -- --ignored --nocapture`.
#![allow(clippy::print_stdout, reason = "measurements are for reading")]

use std::time::Instant;

use arrow::array::{Float64Array, StringViewArray};

use super::*;

/// Commit at version 5,000 compared with version 10: medians of 200 epochs each, taken in turn, so that whatever
/// else the machine does meets both.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes 5,000 versions"]
async fn a_commit_at_version_5000_costs_what_it_costs_at_version_10() {
    let (young, old) = (Lake::new(&[]), Lake::new(&[]));
    let (mut young_sink, mut old_sink) =
        (young.opened(&rows_schema()).await, old.opened(&rows_schema()).await);
    for (sink, versions) in [(&mut old_sink, 5_000), (&mut young_sink, 10)] {
        for number in 0..versions {
            commit_one(sink, number).await;
            sink.tidy().await.unwrap();
        }
        sink.settle().await;
    }
    let (mut early, mut late) = (Vec::new(), Vec::new());
    for number in 0..200 {
        early.push(commit_one(&mut young_sink, 10 + number).await);
        late.push(commit_one(&mut old_sink, 5_000 + number).await);
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let (early, late) = (median(&mut early), median(&mut late));
    let ratio = late.as_secs_f64() / early.as_secs_f64();
    println!("begin and commit: {early:?} near version 10, {late:?} near version 5,000, ratio {ratio:.2}");
    assert_eq!(old.count().await, 5_200);
    assert!(ratio <= 1.3, "{ratio}");
}

/// Begins and commits an epoch of one row; the time of both without that of the data file.
async fn commit_one(sink: &mut DeltaSink, number: u64) -> Duration {
    let start = Instant::now();
    let Begun::Writers(mut writers) = sink.begin(&epoch(number), 1).await.unwrap() else { panic!() };
    let begun = start.elapsed();
    let mut writer = writers.remove(0);
    writer.write(rows(0..1)).await.unwrap();
    let part = writer.finish().await.unwrap();
    let start = Instant::now();
    sink.commit(&epoch(number), vec![part]).await.unwrap();
    begun + start.elapsed()
}

/// The plant's events, 20 M in four lanes of one epoch: time per row, peak memory.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes 20 million rows"]
async fn rows_are_written_in_bounded_memory() {
    const BATCH: i64 = 8_192;
    let lake = Lake::new(&[]);
    let devices: Vec<String> = (0..1_000).map(|device| format!("device_{device:04}")).collect();
    let batch = |first: i64| {
        let values = |scale: f64| {
            Float64Array::from_iter_values((0..BATCH).map(|i| {
                let x = (first + i).wrapping_mul(6_364_136_223_846_793_005) as u64 >> 40;
                (x as f64 / 16_777_216.0 * scale * 100.0).round() / 100.0
            }))
        };
        table_of(vec![
            (
                "device_id",
                Arc::new(StringViewArray::from_iter_values(
                    (0..BATCH).map(|i| &devices[(first + i) as usize % 1_000]),
                )),
            ),
            ("temperature", Arc::new(values(60.0))),
            ("humidity", Arc::new(values(70.0))),
            (
                "timestamp",
                Arc::new(arrow::array::Int32Array::from_iter_values(
                    (0..BATCH).map(|i| 1_700_000_000 + ((first + i) / 1_000) as i32),
                )),
            ),
        ])
    };
    let mut sink = lake.opened(&batch(0).schema()).await;
    let batches: Vec<_> = (0..64).map(|i| batch(i * BATCH)).collect();
    let before = peak_memory();
    let start = (Instant::now(), cpu_ms());
    let Begun::Writers(mut writers) = sink.begin(&epoch(0), 4).await.unwrap() else { panic!() };
    let mut rows = 0;
    while rows < 20_000_000 {
        for writer in &mut writers {
            writer.write(batches[rows / BATCH as usize % 64].clone()).await.unwrap();
            rows += BATCH as usize;
        }
    }
    let mut parts = Vec::new();
    for writer in writers {
        parts.push(writer.finish().await.unwrap());
    }
    let written = sink.commit(&epoch(0), parts).await.unwrap();
    let per_row = |ms: u128| ms as f64 * 1e6 / written.rows as f64;
    println!(
        "{written:?}: {:.0} ns of CPU per row, {:.0} ns on the clock, peak memory {before} -> {} MB",
        per_row(u128::from(cpu_ms() - start.1)),
        per_row(start.0.elapsed().as_millis()),
        peak_memory()
    );
}

/// CPU time of this process in milliseconds (10 ms steps).
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10
}

/// Peak resident memory of this process in megabytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
