//! Detectors as the engine's operator drives them: each epoch a judge that knows nothing, with what the table has of its keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, TimestampMicrosecondArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use forebay_core::detect::Model;

use super::super::{KINDS, Kinded, Words};
use super::*;

/// The verdicts of rows that come in epochs which end at these rows; keys are numbered anew in each.
fn judged(model: &Kinded, table: &Table, inputs: usize, ends: &[usize]) -> Vec<String> {
    let (mut states, mut lines, mut first) = (BTreeMap::<u32, Vec<u8>>::new(), Vec::new(), 0);
    for end in ends {
        let mut judge = model.judge().unwrap();
        let mut numbers: Vec<u32> = Vec::new();
        let numbered: Vec<u32> = table.keys[first..*end]
            .iter()
            .map(|key| {
                let known = numbers.iter().position(|other| other == key);
                known.unwrap_or_else(|| {
                    numbers.push(*key);
                    numbers.len() - 1
                }) as u32
            })
            .collect();
        for (number, key) in (0..).zip(&numbers) {
            if let Some(state) = states.get(key) {
                judge.load(number, state).unwrap();
            }
        }
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(table.at[first..*end].to_vec()));
        let columns: Vec<ArrayRef> = table
            .columns
            .iter()
            .take(inputs)
            .map(|column| Arc::new(Float64Array::from(column[first..*end].to_vec())) as ArrayRef)
            .collect();
        let said = judge.judge(&numbered, Some(&times), &columns).unwrap();
        let options = FormatOptions::default().with_null("NULL");
        let cells: Vec<_> =
            said.iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        let bits = said[0].as_primitive::<arrow::datatypes::Float64Type>();
        for row in 0..end - first {
            let words: Vec<String> = cells.iter().map(|cell| cell.value(row).to_string()).collect();
            lines.push(format!("{} {:x}", words.join(" "), bits.value(row).to_bits()));
        }
        for (number, key) in (0..).zip(&numbers) {
            let mut state = Vec::new();
            judge.save(number, &mut state);
            states.insert(*key, state);
        }
        first = *end;
    }
    lines
}

#[test]
fn rows_are_judged_alike_however_they_are_cut_into_epochs() {
    for kind in KINDS {
        let inputs = if kind.several { 2 } else { 1 };
        let words = Words::named(["a", "b"].into_iter().take(inputs));
        let model = Kinded::new(kind.name, quick(kind.name), words).unwrap();
        for seed in 1..=3 {
            let table = Table::awkward(seed, 900);
            let expected = judged(&model, &table, inputs, &[900]);
            assert!(expected.iter().any(|line| !line.starts_with("NULL")), "{} says nothing", kind.name);
            let mut random = Random(seed);
            let mut ends = Vec::new();
            while ends.last().is_none_or(|last| *last < 900) {
                ends.push((ends.last().copied().unwrap_or(0) + 1 + random.below(60)).min(900));
            }
            assert_eq!(judged(&model, &table, inputs, &ends), expected, "{} {seed}", kind.name);
        }
    }
}

#[test]
fn a_threshold_is_no_part_of_what_state_means_and_a_window_is() {
    let meaning =
        |settings: &[(&str, f64)]| Kinded::new("robust_z", settings, Words::named(["a"])).unwrap().meaning();
    assert_eq!(meaning(&[("threshold", 3.0)]), "robust_z");
    assert_eq!(meaning(&[("window", 64.0)]), "robust_z(window=64)");
    assert_eq!(
        Kinded::new("robust_z", &[("widow", 3.0)], Words::named(["a"])).unwrap_err().code().id,
        "FB-1003"
    );
}
