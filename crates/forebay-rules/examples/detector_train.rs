//! Trains on rows of numbers from stdin (CSV without a header) and prints what the model says of them, for comparisons with other
//! programs: `detector_train isolation_forest SEED` prints a score a row, `detector_train k_means K SEED` the inertia.
#![allow(clippy::print_stdout, reason = "a program for another program")]

use std::io::Read;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_rules::detectors::trained::{Model, Sample, Shape, Trained};
use forebay_rules::detectors::{Detector, Rows, Verdicts};

fn main() -> Result<()> {
    let wrong = |what: &str| Error::new(&codes::WRONG_USE, what.to_owned());
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|e| wrong("stdin cannot be read").caused_by(e))?;
    let mut columns: Vec<Vec<f64>> = Vec::new();
    for line in text.lines() {
        for (index, cell) in line.split(',').enumerate() {
            if columns.len() <= index {
                columns.push(Vec::new());
            }
            let value = cell.trim().parse().map_err(|_| wrong("a cell is not a number"))?;
            columns.get_mut(index).into_iter().for_each(|column| column.push(value));
        }
    }
    let names: Vec<String> = (0..columns.len()).map(|index| format!("x{index}")).collect();
    let features: Vec<&str> = names.iter().map(String::as_str).collect();
    let columns: Vec<&[f64]> = columns.iter().map(|column| &column[..]).collect();
    let sample = Sample { features: &features, columns: &columns, range: (0, 0) };
    let number = |text: &str| text.parse::<usize>().map_err(|_| wrong("not a number"));
    match words[..] {
        ["isolation_forest", seed] => {
            let model = Model::isolation_forest(&sample, 100, 256, number(seed)? as u64)?;
            let count = columns.first().map_or(0, |column| column.len());
            let (keys, at, mut verdicts) = (vec![0; count], vec![0; count], Verdicts::default());
            let rows = Rows { keys: &keys, at: &at, inputs: &columns };
            Trained::new(model, 0.995).observe(&rows, &mut verdicts)?;
            verdicts.scores.iter().for_each(|score| println!("{score}"));
        }
        ["k_means", k, seed] => {
            let model = Model::k_means(&sample, number(k)?, false, number(seed)? as u64)?;
            if let Shape::KMeans(centres) = model.shape {
                println!("{}", centres.inertia);
            }
        }
        _ => return Err(wrong("`detector_train isolation_forest SEED` or `detector_train k_means K SEED`")),
    }
    Ok(())
}
