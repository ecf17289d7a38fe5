//! Judges detectors on a folder of labelled series, or on made-up ones:
//! `cargo run --release -p forebay-rules --example detector_trial -- DETECTOR[,name=value…] [FOLDER LABELS.json]`.
//!
//! The folder holds CSV files of `timestamp,value`; the labels are a JSON object from a file's path below the folder to a list of
//! `[first, last]` times, as in the Numenta Anomaly Benchmark (`data` and `labels/combined_windows.json`). With `--each` every series
//! has its line, with `--why` every flag too. The formulas are in `detectors/trial/score.rs`.
#![allow(clippy::print_stdout, reason = "a program for a person at a terminal")]

use std::path::Path;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_rules::detectors::trial::made::{USUAL, WRONG, series};
use forebay_rules::detectors::trial::{Series, Tally, folder, judge, run};
use forebay_rules::detectors::{Words, detector};

fn main() -> Result<()> {
    let (switches, words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let chosen = words.first().map_or("auto", String::as_str);
    let (name, settings) = parse(chosen)?;
    let all = match words.get(1..) {
        Some([data, labels]) => folder::read(Path::new(data), Some(Path::new(labels)))?,
        _ => made_up(),
    };
    let mut judged = detector(name, 1, &settings, 1)?;
    let report = judge(judged.as_mut(), &all)?;
    if switches.iter().any(|switch| switch == "--each" || switch == "--why") {
        for (one, (name, tally)) in all.iter().zip(&report.series) {
            show(name, tally);
            if switches.iter().any(|switch| switch == "--why") {
                judged.forget(0);
                for flag in run(judged.as_mut(), one)? {
                    let at = one.at.get(flag.row).copied().unwrap_or(0);
                    let inside = one.windows.iter().any(|(first, last)| (*first..=*last).contains(&at));
                    let mark = if inside { '+' } else { '-' };
                    println!("  {mark} row {}: {}", flag.row, Words::default().say(flag.why));
                }
            }
        }
    }
    show(&format!("{chosen}, {} series", all.len()), &report.total());
    Ok(())
}

/// `name,setting=value,…`.
fn parse(chosen: &str) -> Result<(&str, Vec<(&str, f64)>)> {
    let mut parts = chosen.split(',');
    let name = parts.next().unwrap_or_default();
    let setting = |part: &'_ str| -> Option<f64> { part.split_once('=')?.1.parse().ok() };
    let settings: Option<Vec<_>> =
        parts.map(|part| Some((part.split_once('=')?.0, setting(part)?))).collect();
    let wrong = || Error::new(&codes::WRONG_USE, "a setting is not `name=number`").at(chosen);
    Ok((name, settings.ok_or_else(wrong)?))
}

fn made_up() -> Vec<Series> {
    let mut all = Vec::new();
    for usual in USUAL {
        for wrong in WRONG.map(Some).into_iter().chain([None]) {
            all.extend((1..=4).map(|seed| series(usual, wrong, seed)));
        }
    }
    all
}

fn show(name: &str, tally: &Tally) {
    println!(
        "{name}: precision {:.3}, recall {:.3}, F1 {:.3}, early score {:.1} ({} found, {} missed, {} false)",
        tally.precision(),
        tally.recall(),
        tally.f1(),
        tally.early(),
        tally.hits,
        tally.missed,
        tally.false_flags
    );
}
