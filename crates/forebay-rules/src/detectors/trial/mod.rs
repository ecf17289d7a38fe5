//! How a detector is judged: series with labelled windows, row by row, no look-ahead.
//!
//! ```text
//!  folder of timestamp,value CSVs + labels JSON ── folder ─┐
//!  made-up series of every class of anomaly ────── made ───┴▶ Series ── run ─▶ rows flagged ── score ─▶ Report
//! ```
//!
//! Everything between a series and a report is pure. [`score`] states the formulas; [`made`] makes series from a seed, with the truth.

use forebay_core::Result;

pub mod folder;
pub mod made;
pub mod score;

use super::Detector;
use super::rows::Rows;
use super::verdict::{Verdicts, Why};

pub use self::score::{Report, Tally};

/// Values over time and the windows in which something is wrong.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// What it is called: of a file its path in the folder.
    pub name: String,
    /// Microseconds since 1970, one for each row.
    pub at: Vec<i64>,
    /// One for each row; NaN where it is missing.
    pub values: Vec<f64>,
    /// First and last time of each window, in order and apart.
    pub windows: Vec<(i64, i64)>,
}

/// What a detector said of one row.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// The row's number in its series.
    pub row: usize,
    /// Why it is an anomaly.
    pub why: Why,
}

/// The rows that a detector flags. It sees one row at a time and knows nothing of the labels; its key 0 should be fresh.
pub fn run(detector: &mut dyn Detector, series: &Series) -> Result<Vec<Flag>> {
    let (mut verdicts, mut flags) = (Verdicts::default(), Vec::new());
    for (row, (at, value)) in series.at.iter().zip(&series.values).enumerate() {
        let values = std::slice::from_ref(value);
        let rows = Rows { keys: &[0], at: std::slice::from_ref(at), inputs: &[values] };
        detector.observe(&rows, &mut verdicts)?;
        flags.extend(verdicts.whys.iter().map(|(_, why)| Flag { row, why: *why }));
    }
    Ok(flags)
}

/// Runs a fresh key over each series, and counts.
pub fn judge(detector: &mut dyn Detector, series: &[Series]) -> Result<Report> {
    let mut report = Report::default();
    for one in series {
        detector.forget(0);
        let flags = run(detector, one)?;
        let rows: Vec<usize> = flags.iter().map(|flag| flag.row).collect();
        report.series.push((one.name.clone(), score::tally(one, &rows)));
    }
    detector.forget(0);
    Ok(report)
}
