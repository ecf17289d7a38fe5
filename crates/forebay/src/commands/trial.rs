//! `forebay trial`: judges a detector on series whose anomalies are known, row by row.
//!
//! The detector sees one row after the other and never a label; [`forebay_rules::detectors::trial`] does the work and states the
//! formulas. What must stay true: a trial that judged nothing fails.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_rules::detectors::trial::made::{USUAL, WRONG, series};
use forebay_rules::detectors::trial::{Report, Series, Tally, folder, judge, run as flags};
use forebay_rules::detectors::{Detector, Words, detector};
use serde_json::{Value, json};

use crate::cli::{TrialArgs, TrialFormat};
use crate::talk;

/// Made-up series of each kind: one alone could be luck.
const SEEDS: u64 = 4;

/// Where the labels of a folder stand if nobody says: in it, or where the Numenta Anomaly Benchmark has them, beside its `data`.
const LABELS: [&str; 2] = ["labels.json", "../labels/combined_windows.json"];

pub fn run(args: &TrialArgs) -> anyhow::Result<ExitCode> {
    let (kind, settings) = parse(&args.detector)?;
    let mut judged = detector(kind, 1, &settings, 1)?;
    let all = match &args.folder {
        Some(folder) => read(folder, args.labels.as_deref())?,
        None if args.labels.is_some() => {
            let error = Error::new(&codes::WRONG_USE, "labels need the folder of their series");
            return Err(error.with_hint("`forebay trial FOLDER --labels FILE`.").into());
        }
        None => made_up(),
    };
    let report = judge(judged.as_mut(), &all)?;
    let text = match args.format {
        TrialFormat::Json => format!("{:#}\n", document(&args.detector, &report)),
        TrialFormat::Text => text(args, &all, &report, judged.as_mut())?,
    };
    talk::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// `kind,setting=number,…`.
fn parse(chosen: &str) -> Result<(&str, Vec<(&str, f64)>)> {
    let mut parts = chosen.split(',').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let settings = parts.map(|part| {
        let (name, value) = part.split_once('=')?;
        Some((name.trim(), value.trim().parse().ok()?))
    });
    let wrong = || {
        Error::new(&codes::WRONG_USE, format!("`{chosen}` is not a detector with settings")).with_hint(
            "Write its kind, then `name=number`, between commas: `z_score,threshold=3,warm_up=50`.",
        )
    };
    Ok((kind, settings.collect::<Option<Vec<_>>>().ok_or_else(wrong)?))
}

/// The series of a folder, with their labels.
fn read(folder: &Path, labels: Option<&Path>) -> Result<Vec<Series>> {
    let found = || LABELS.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    let labels = labels.map(Path::to_path_buf).or_else(found);
    let all = folder::read(folder, labels.as_deref())?;
    if all.iter().all(|series| series.values.is_empty()) {
        let error = Error::new(&codes::BAD_VALUE, "the folder holds no series").at(folder.display());
        return Err(
            error.with_hint("Series are files `NAME.csv` of `timestamp,value`, with a line of names on top.")
        );
    }
    if all.iter().all(|series| series.windows.is_empty()) {
        talk::say(&unlabelled(labels));
    }
    Ok(all)
}

fn unlabelled(labels: Option<PathBuf>) -> String {
    match labels {
        Some(labels) => format!("warning: {} has no window of any of these series: every flag counts as wrong", labels.display()),
        None => "warning: there are no labels (labels.json in the folder, or --labels FILE): every flag counts as wrong".to_owned(),
    }
}

fn made_up() -> Vec<Series> {
    let mut all = Vec::new();
    for usual in USUAL {
        for wrong in WRONG.map(Some).into_iter().chain([None]) {
            all.extend((1..=SEEDS).map(|seed| series(usual, wrong, seed)));
        }
    }
    all
}

fn text(args: &TrialArgs, all: &[Series], report: &Report, judged: &mut dyn Detector) -> Result<String> {
    let mut out = String::new();
    for (one, (name, tally)) in all.iter().zip(&report.series).filter(|_| args.each || args.why) {
        out.push_str(&line(&talk::one_line(name), tally));
        if args.why {
            judged.forget(0);
            for flag in flags(judged, one)? {
                let at = one.at.get(flag.row).copied().unwrap_or(0);
                let is_inside = one.windows.iter().any(|(first, last)| (*first..=*last).contains(&at));
                let mark = if is_inside { '+' } else { '-' };
                out.push_str(&format!("  {mark} row {}: {}\n", flag.row, Words::default().say(flag.why)));
            }
        }
    }
    let count = report.series.len();
    out.push_str(&line(&format!("{}, {count} series", args.detector), &report.total()));
    Ok(out)
}

fn line(name: &str, tally: &Tally) -> String {
    let (precision, recall, f1, early) = (tally.precision(), tally.recall(), tally.f1(), tally.early());
    let Tally { hits, missed, false_flags, .. } = tally;
    format!(
        "{name}: precision {precision:.3}, recall {recall:.3}, F1 {f1:.3}, early score {early:.1} ({hits} found, {missed} missed, \
         {false_flags} false)\n"
    )
}

fn document(detector: &str, report: &Report) -> Value {
    let counts = |tally: &Tally| {
        json!({
            "precision": tally.precision(), "recall": tally.recall(), "f1": tally.f1(), "early": tally.early(),
            "found": tally.hits, "missed": tally.missed, "false": tally.false_flags,
        })
    };
    let each = report.series.iter().map(|(name, tally)| {
        let mut of = counts(tally);
        of["name"] = name.as_str().into();
        of
    });
    json!({ "detector": detector, "series": each.collect::<Vec<_>>(), "total": counts(&report.total()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detector_is_written_with_its_settings() {
        assert_eq!(parse("auto").unwrap(), ("auto", Vec::new()));
        assert_eq!(
            parse("z_score, threshold = 3,warm_up=50").unwrap(),
            ("z_score", vec![("threshold", 3.0), ("warm_up", 50.0)])
        );
        for wrong in ["z_score,threshold", "z_score,threshold=high", "z_score,=,"] {
            assert_eq!(parse(wrong).unwrap_err().code(), &codes::WRONG_USE, "{wrong}");
        }
    }
}
