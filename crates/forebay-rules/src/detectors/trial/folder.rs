//! Series from a folder: CSV files of `timestamp,value`, and a JSON file of their labelled windows.
//!
//! The layout is that of the Numenta Anomaly Benchmark: the labels are an object from a file's path below the folder to a list of
//! `[first, last]` times. A file without an entry has no window. Times are `2014-02-14 14:30:00`, also with `T`, a fraction or
//! an offset; without one they are UTC. What must stay true: a line that cannot be read is an error with its place, never left out.

use std::path::{Path, PathBuf};

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use serde_json::Value;

use super::Series;

/// Reads all `*.csv` below `folder`, in the order of their paths, with the windows of `labels`.
pub fn read(folder: &Path, labels: Option<&Path>) -> Result<Vec<Series>> {
    let labels: Value = match labels {
        Some(path) => serde_json::from_str(&text(path)?).map_err(|e| {
            Error::new(&codes::BAD_VALUE, "the labels are not JSON").at(path.display()).caused_by(e)
        })?,
        None => Value::Null,
    };
    let mut files = Vec::new();
    find(folder, &mut files)?;
    files.sort();
    let mut all = Vec::new();
    for path in files {
        let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        let mut series = parse(&name, &text(&path)?)?;
        series.windows = windows(&labels, &name)?;
        all.push(series);
    }
    Ok(all)
}

/// A series from the text of a CSV file; the first line names the columns. An empty value is a missing one.
pub fn parse(name: &str, csv: &str) -> Result<Series> {
    let mut series = Series { name: name.to_owned(), ..Series::default() };
    for (number, line) in csv.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let place = || format!("{name}, line {}", number + 1);
        let bad = |what: &str| Error::new(&codes::BAD_VALUE, what.to_owned()).at(place());
        let mut cells = line.split(',').map(str::trim);
        let (at, value) = cells.next().zip(cells.next()).ok_or_else(|| bad("a line lacks a value"))?;
        series.at.push(time(at).ok_or_else(|| bad("a timestamp cannot be read"))?);
        let value = if value.is_empty() { Ok(f64::NAN) } else { value.parse() };
        series.values.push(value.map_err(|_| bad("a value is not a number"))?);
    }
    Ok(series)
}

fn windows(labels: &Value, name: &str) -> Result<Vec<(i64, i64)>> {
    let Some(entry) = labels.get(name).and_then(Value::as_array) else { return Ok(Vec::new()) };
    let window = |pair: &Value| {
        let end = |index: usize| pair.get(index).and_then(Value::as_str).and_then(time);
        end(0).zip(end(1)).filter(|(first, last)| first <= last)
    };
    let found: Option<Vec<_>> = entry.iter().map(window).collect();
    let mut found = found
        .ok_or_else(|| Error::new(&codes::BAD_VALUE, "a labelled window is not a pair of times").at(name))?;
    found.sort_unstable();
    Ok(found)
}

/// Microseconds since 1970.
fn time(text: &str) -> Option<i64> {
    string_to_timestamp_nanos(text).ok().map(|nanos| nanos.div_euclid(1_000))
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let failed =
        |e| Error::new(&codes::FILE_UNREADABLE, "a folder cannot be read").at(folder.display()).caused_by(e);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "csv") {
            files.push(path);
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| {
        Error::new(&codes::FILE_UNREADABLE, "a file cannot be read").at(path.display()).caused_by(e)
    })
}
