//! What a row costs each detector: `cargo run --release -p forebay-rules --example detector_speed`.
//!
//! One thread, batches of 4,096 rows, 1,000 keys in turn, so that the states of keys come and go in the caches as they do in a
//! fleet. `epoch` is a row of a key whose state was taken out of the checkpoint's bytes before and is put back behind it: what it costs where an
//! epoch brings one row of each key. The best of five rounds counts: on a machine that others use too, the others' share is not the detector's.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a person at a terminal")]

use std::time::Instant;

use forebay_rules::detectors::trained::{Model, Sample, Trained};
use forebay_rules::detectors::{Detector, KINDS, Rows, Verdicts, detector};

const ROWS: usize = 400_000;
const BATCH: usize = 4_096;
const KEYS: usize = 1_000;
const INPUTS: usize = 4;

fn main() {
    let keys: Vec<u32> = (0..ROWS).map(|row| u32::try_from(row % KEYS).unwrap()).collect();
    let at: Vec<i64> = (0..ROWS).map(|row| i64::try_from(row / KEYS).unwrap() * 60_000_000).collect();
    let mut state = 1_u64;
    let mut noise = || {
        let mut sum = 0.0;
        for _ in 0..4 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += f64::from(u32::try_from(state >> 32).unwrap()) / f64::from(u32::MAX);
        }
        sum
    };
    let columns: Vec<Vec<f64>> = (0..INPUTS).map(|_| (0..ROWS).map(|_| noise()).collect()).collect();
    let columns: Vec<&[f64]> = columns.iter().map(|column| &column[..]).collect();

    println!(
        "{:<20} {:>6} {:>10} {:>12} {:>12} {:>12}",
        "detector", "inputs", "ns a row", "ns an epoch", "bytes a key", "bytes saved"
    );
    for kind in KINDS {
        let inputs = if kind.several { INPUTS } else { 1 };
        let most_keys = u32::try_from(KEYS).unwrap();
        measure(|| detector(kind.name, inputs, &[], most_keys).unwrap(), inputs, &keys, &at, &columns);
    }
    let sample = Sample { features: &["a", "b", "c", "d"], columns: &columns, range: (0, 0) };
    let forest = Model::isolation_forest(&sample, 100, 256, 1).unwrap();
    let centres = Model::k_means(&sample, 2, true, 1).unwrap();
    for model in [forest, centres] {
        measure(|| Box::new(Trained::new(model.clone(), 0.995)), INPUTS, &keys, &at, &columns);
    }
}

fn measure(
    make: impl Fn() -> Box<dyn Detector>,
    inputs: usize,
    keys: &[u32],
    at: &[i64],
    columns: &[&[f64]],
) {
    let (mut detector, mut verdicts, mut best) = (make(), Verdicts::default(), f64::INFINITY);
    let columns = &columns[..inputs];
    for round in 0..5 {
        let start = Instant::now();
        for first in (0..keys.len()).step_by(BATCH) {
            let range = first..(first + BATCH).min(keys.len());
            let inputs: Vec<&[f64]> = columns.iter().map(|column| &column[range.clone()]).collect();
            let rows = Rows { keys: &keys[range.clone()], at: &at[range], inputs: &inputs };
            detector.observe(&rows, &mut verdicts).unwrap();
        }
        let nanos = start.elapsed().as_secs_f64() * 1e9 / keys.len() as f64;
        // The first round warms up.
        best = if round == 0 { best } else { nanos.min(best) };
    }
    let (epoch, saved) = one_row_an_epoch(detector.as_mut(), keys, at, columns);
    let memory = detector.bytes_per_key();
    println!("{:<20} {inputs:>6} {best:>10.1} {epoch:>12.1} {memory:>12} {saved:>12}", detector.name());
}

/// What a row costs with the state of its key, and how many bytes that has.
fn one_row_an_epoch(
    detector: &mut dyn Detector,
    keys: &[u32],
    at: &[i64],
    columns: &[&[f64]],
) -> (f64, usize) {
    let mut states: Vec<Vec<u8>> = vec![Vec::new(); KEYS];
    for (key, state) in (0..).zip(&mut states) {
        detector.save(key, state);
    }
    let (mut verdicts, mut best) = (Verdicts::default(), f64::INFINITY);
    for round in 0..5 {
        let range = round * KEYS..(round + 1) * KEYS;
        let start = Instant::now();
        for (key, state) in (0..).zip(&states) {
            detector.load(key, state).unwrap();
        }
        let inputs: Vec<&[f64]> = columns.iter().map(|column| &column[range.clone()]).collect();
        let rows = Rows { keys: &keys[range.clone()], at: &at[range], inputs: &inputs };
        detector.observe(&rows, &mut verdicts).unwrap();
        for (key, state) in (0..).zip(&mut states) {
            state.clear();
            detector.save(key, state);
        }
        best = (start.elapsed().as_secs_f64() * 1e9 / KEYS as f64).min(best);
    }
    (best, states.iter().map(Vec::len).max().unwrap_or(0))
}
