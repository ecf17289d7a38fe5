//! The files of a table in the order of a time, as far as the log tells: the order in which a scan reads them, and the least time of each.
//!
//! What must stay true: all of this is a hint. Who reads rows in order looks at each of them, since a statistic may be wrong, and a scan may
//! read files otherwise.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime};
use datafusion::catalog::TableProvider;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use serde_json::Value;

use super::careful::Careful;

/// By so much a time may be above the upper bound that the log tells: Spark cuts bounds down to milliseconds.
const MICROS_OF_A_BOUND: i64 = 1_000;

/// A file in the order in which it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// How many rows it has.
    pub rows: u64,
    /// No row is older, microseconds since 1970; `i64::MAX` if no row has a time.
    pub least: i64,
    /// No row is younger.
    pub most: i64,
}

/// A table whose files are read in order.
pub struct Ordered {
    /// The table.
    pub table: Arc<dyn TableProvider>,
    /// What is known of the files; `None` if of some of them nothing is.
    pub spans: Option<Vec<Span>>,
}

/// Places of files by their path below the table.
pub(super) type Places = HashMap<String, usize>;

/// A Delta table whose files are read in the order of their least times, else of their writing; `None` for any other table.
pub fn in_order(table: &Arc<dyn TableProvider>, time: Option<&str>) -> Option<Ordered> {
    let careful = table.downcast_ref::<Careful>()?;
    let snapshot = careful.loaded().snapshot().ok()?;
    let mut files: Vec<(Option<Span>, i64, String)> = snapshot
        .log_data()
        .iter()
        .map(|file| {
            let span = time.and_then(|time| Span::of(&file.stats()?, time));
            (span, file.modification_time(), file.object_store_path().to_string())
        })
        .collect();
    let is_known = files.iter().all(|(span, ..)| span.is_some());
    if !is_known {
        files.iter_mut().for_each(|(span, ..)| *span = None);
    }
    files.sort_by(|one, other| {
        let least = |span: &Option<Span>| span.map(|span| span.least);
        (least(&one.0), one.1, &one.2).cmp(&(least(&other.0), other.1, &other.2))
    });
    let spans = files.iter().map(|(span, ..)| *span).collect();
    let places = files.into_iter().enumerate().map(|(place, (.., path))| (path, place)).collect();
    Some(Ordered { table: Arc::new(careful.reading(places)), spans })
}

impl Span {
    /// That of a file with these statistics.
    fn of(stats: &str, time: &str) -> Option<Self> {
        let stats: Value = serde_json::from_str(stats).ok()?;
        let of = |what: &str| stats.get(what)?.get(time);
        let rows = stats.get("numRecords")?.as_u64()?;
        if of("nullCount").and_then(Value::as_u64) == Some(rows) {
            return Some(Self { rows, least: i64::MAX, most: i64::MIN });
        }
        let most = micros(of("maxValues")?)?.saturating_add(MICROS_OF_A_BOUND);
        Some(Self { rows, least: micros(of("minValues")?)?, most })
    }
}

/// A bound of the log as microseconds since 1970.
fn micros(bound: &Value) -> Option<i64> {
    let text = bound.as_str()?;
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Some(time.timestamp_micros()),
        Err(_) => {
            let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
            Some(time.and_utc().timestamp_micros())
        }
    }
}

/// A reader of files that reads them by these places; `None` if it is none.
pub(super) fn placed(scan: &Arc<dyn ExecutionPlan>, places: &Places) -> Option<Arc<dyn ExecutionPlan>> {
    let (config, _) = scan.downcast_ref::<DataSourceExec>()?.downcast_to_file_source::<ParquetSource>()?;
    let place = |path: &str| {
        let mut below = Some(path);
        while let Some(path) = below {
            if let Some(place) = places.get(path) {
                return *place;
            }
            below = path.split_once('/').map(|(_, below)| below);
        }
        usize::MAX
    };
    let in_place = |group: &FileGroup| {
        let mut files = group.files().to_vec();
        files.sort_by_cached_key(|file| place(file.object_meta.location.as_ref()));
        FileGroup::new(files)
    };
    let groups = config.file_groups.iter().map(in_place).collect();
    let config: FileScanConfig = FileScanConfigBuilder::from(config.clone()).with_file_groups(groups).build();
    Some(DataSourceExec::from_data_source(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_between_which_times_its_rows_are() {
        let stats = r#"{"numRecords":3,"minValues":{"t":"1970-01-01T00:00:01.000Z"},"maxValues":{"t":"1970-01-01T00:00:02.000Z"},"nullCount":{"t":1}}"#;
        assert_eq!(Span::of(stats, "t"), Some(Span { rows: 3, least: 1_000_000, most: 2_001_000 }));
        assert_eq!(Span::of(stats, "other"), None);
        let without = r#"{"numRecords":3,"minValues":{},"maxValues":{},"nullCount":{"t":3}}"#;
        assert_eq!(Span::of(without, "t").map(|span| span.least), Some(i64::MAX));
        let plain = r#"{"numRecords":1,"minValues":{"t":"1970-01-01T00:00:01"},"maxValues":{"t":"1970-01-01T00:00:01.5"}}"#;
        assert_eq!(Span::of(plain, "t"), Some(Span { rows: 1, least: 1_000_000, most: 1_501_000 }));
        for none in
            ["", "{}", r#"{"numRecords":3}"#, r#"{"numRecords":3,"minValues":{"t":7},"maxValues":{"t":8}}"#]
        {
            assert_eq!(Span::of(none, "t"), None, "{none}");
        }
    }
}
