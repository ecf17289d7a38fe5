//! What it costs. Slow, so only on demand: `cargo test --release -p forebay-connectors cost -- --ignored --nocapture`.
#![allow(clippy::print_stdout, reason = "measurements are for reading")]

use std::time::Instant;

use arrow::array::{Float64Array, StringViewArray};

use super::*;

/// Commit at version 5,000 compared with version 10: medians of 100 epochs each.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes 5,000 versions"]
async fn a_commit_at_version_5000_costs_what_it_costs_at_version_10() {
    let lake = Lake::new(&[]);
    let mut sink = lake.opened(&rows_schema()).await;
    let mut times = Vec::new();
    for number in 0..5_100u64 {
        let Begun::Writers(mut writers) = sink.begin(&epoch(number), 1).await.unwrap() else { panic!() };
        let mut writer = writers.remove(0);
        writer.write(rows(0..1)).await.unwrap();
        let part = writer.finish().await.unwrap();
        let start = Instant::now();
        sink.commit(&epoch(number), vec![part]).await.unwrap();
        times.push(start.elapsed());
        sink.tidy().await.unwrap();
    }
    sink.settle().await;
    let median = |range: std::ops::Range<usize>| {
        let mut part = times[range].to_vec();
        part.sort();
        part[part.len() / 2]
    };
    let (early, late) = (median(10..110), median(5_000..5_100));
    let ratio = late.as_secs_f64() / early.as_secs_f64();
    println!("commit: {early:?} near version 10, {late:?} near version 5,000, ratio {ratio:.2}");
    assert!(ratio <= 1.3, "{ratio}");
    assert_eq!(lake.count().await, 5_100);
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
    let start = Instant::now();
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
    let per_row = start.elapsed().as_nanos() as f64 / written.rows as f64;
    println!(
        "{written:?}: {per_row:.0} ns per row on one thread, peak memory {before} -> {} MB",
        peak_memory()
    );
}

/// Peak resident memory of this process in megabytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
