//! What a row costs each detector: `cargo run --release -p forebay-rules --example detector_speed`.
//!
//! One thread, 10,000 keys in turn, so that the states of keys come and go in the caches as they do in a fleet. `row` is a row of a key that
//! is held; `epoch` one of a key whose state was taken out of the checkpoint's bytes before and is put back behind it: what it costs where an
//! epoch brings one row of each key. Both are CPU time of the detector alone. Time is taken batch by batch, and the median batch counts:
//! on a machine that others use too, the others' share is not the detector's.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a person at a terminal")]

use std::time::Instant;

use forebay_rules::detectors::trained::{Model, Sample, Trained};
use forebay_rules::detectors::{Detector, KINDS, Rows, Verdicts, detector};

const KEYS: usize = 10_000;
/// Rows of each key before time is taken: two windows of the half-space trees, and what their tail needs.
const WARM_UP: usize = 620;
/// Rows of each key that are timed.
const TIMED: usize = 20;
const BATCH: usize = 1_000;
/// Different rows; they come again and again, at other times and of other keys.
const ROWS: usize = 70_000;
const INPUTS: usize = 4;

fn main() {
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
        measure(detector(kind.name, inputs, &[], most_keys).unwrap(), &columns[..inputs]);
    }
    let sample = Sample { features: &["a", "b", "c", "d"], columns: &columns, range: (0, 0) };
    let forest = Model::isolation_forest(&sample, 100, 256, 1).unwrap();
    let centres = Model::k_means(&sample, 2, true, 1).unwrap();
    for model in [forest, centres] {
        measure(Box::new(Trained::new(model, 0.995)), &columns);
    }
}

/// The batches of the rounds after `turn` rows of each key: key numbers and times, and where their values begin.
fn batches(turns: std::ops::Range<usize>) -> impl Iterator<Item = (Vec<u32>, Vec<i64>, usize)> {
    turns.flat_map(|turn| {
        (0..KEYS / BATCH).map(move |part| {
            let keys = (part * BATCH..(part + 1) * BATCH).map(|key| u32::try_from(key).unwrap()).collect();
            let at = vec![i64::try_from(turn).unwrap() * 60_000_000; BATCH];
            (keys, at, (turn * KEYS + part * BATCH) % ROWS)
        })
    })
}

fn measure(mut detector: Box<dyn Detector>, columns: &[&[f64]]) {
    let (mut verdicts, mut held, mut epochs) = (Verdicts::default(), Vec::new(), Vec::new());
    let remembers = detector.bytes_per_key() > 0;
    let warm_up = if remembers { WARM_UP } else { 1 };
    let mut states: Vec<Vec<u8>> = vec![Vec::new(); KEYS];
    for (keys, at, first) in batches(0..warm_up + 2 * TIMED) {
        let turn = usize::try_from(at[0] / 60_000_000).unwrap();
        let by_epoch = turn >= warm_up + TIMED;
        let inputs: Vec<&[f64]> = columns.iter().map(|column| &column[first..first + BATCH]).collect();
        let start = Instant::now();
        if by_epoch && turn > warm_up + TIMED {
            keys.iter().for_each(|key| detector.load(*key, &states[*key as usize]).unwrap());
        }
        detector.observe(&Rows { keys: &keys, at: &at, inputs: &inputs }, &mut verdicts).unwrap();
        if by_epoch {
            for key in &keys {
                states[*key as usize].clear();
                detector.save(*key, &mut states[*key as usize]);
            }
        }
        let nanos = start.elapsed().as_secs_f64() * 1e9 / BATCH as f64;
        match turn {
            turn if turn < warm_up => {}
            turn if turn < warm_up + TIMED => held.push(nanos),
            turn if turn > warm_up + TIMED + 1 => epochs.push(nanos),
            _ => {}
        }
    }
    let (held, epochs) = (median(held), median(epochs));
    let (memory, saved) = (detector.bytes_per_key(), states.iter().map(Vec::len).max().unwrap_or(0));
    println!(
        "{:<20} {:>6} {held:>10.1} {epochs:>12.1} {memory:>12} {saved:>12}",
        detector.name(),
        columns.len()
    );
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
