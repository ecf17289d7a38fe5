//! What the log says about a data file, so that readers can skip it: rows, smallest and largest values, NULLs.
//!
//! Everything comes from the Parquet footer that was just written; no row is looked at twice. What must stay true:
//! a bound may be wide, never wrong. So text is cut as Spark cuts it (32 characters, the upper bound raised), times
//! are rounded outwards to milliseconds, and where a bound is not known for sure (NaN, lists, years beyond 9999) it
//! is left out.

use std::cmp::Ordering;

use chrono::{DateTime, Datelike, NaiveDate};
use parquet::basic::LogicalType;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;

/// Characters of a text bound, as in Spark.
const TEXT_BOUND: usize = 32;
/// How many leaf columns get statistics when the table does not say (`delta.dataSkippingNumIndexedCols`).
pub(crate) const DEFAULT_INDEXED_COLUMNS: usize = 32;

/// The `stats` text of a file's `add`. `has_nan` tells for each top-level column whether a NaN was written to it.
pub(crate) fn of_file(metadata: &ParquetMetaData, has_nan: &[bool], indexed_columns: usize) -> String {
    let rows = metadata.file_metadata().num_rows();
    let descriptor = metadata.file_metadata().schema_descr();
    let (mut smallest, mut largest, mut nulls) = (Tree::default(), Tree::default(), Tree::default());
    for leaf in 0..descriptor.num_columns().min(indexed_columns) {
        let column = descriptor.column(leaf);
        if column.max_rep_level() > 0 {
            continue;
        }
        let root = descriptor.get_column_root_idx(leaf);
        let nested = column.path().parts().len() > 1;
        let chunks = || metadata.row_groups().iter().map(|group| group.column(leaf));
        let path = column.path().parts();
        if let Some(count) = chunks().map(null_count).sum::<Option<u64>>() {
            nulls.put(path, count.to_string());
        }
        let floating =
            matches!(column.physical_type(), parquet::basic::Type::FLOAT | parquet::basic::Type::DOUBLE);
        if floating && (nested || has_nan.get(root).copied().unwrap_or(true)) {
            continue;
        }
        if let Some((low, high)) = bounds(chunks(), &column) {
            if let Some(text) = low.text(&column, Bound::Lower) {
                smallest.put(path, text);
            }
            if let Some(text) = high.text(&column, Bound::Upper) {
                largest.put(path, text);
            }
        }
    }
    format!(
        "{{\"numRecords\":{rows},\"minValues\":{},\"maxValues\":{},\"nullCount\":{}}}",
        smallest.json(),
        largest.json(),
        nulls.json()
    )
}

/// Values under nested names, in the order they came.
#[derive(Default)]
struct Tree(Vec<(String, Node)>);

enum Node {
    Value(String),
    Inside(Tree),
}

impl Tree {
    fn put(&mut self, path: &[String], value: String) {
        let Some((first, rest)) = path.split_first() else { return };
        if rest.is_empty() {
            self.0.push((first.clone(), Node::Value(value)));
            return;
        }
        let known = self.0.iter().position(|(name, _)| name == first).unwrap_or_else(|| {
            self.0.push((first.clone(), Node::Inside(Self::default())));
            self.0.len() - 1
        });
        if let Some((_, Node::Inside(tree))) = self.0.get_mut(known) {
            tree.put(rest, value);
        }
    }

    fn json(&self) -> String {
        let entry = |(name, node): &(String, Node)| {
            let value = match node {
                Node::Value(text) => text.clone(),
                Node::Inside(tree) => tree.json(),
            };
            format!("{}:{value}", quoted(name))
        };
        format!("{{{}}}", self.0.iter().map(entry).collect::<Vec<_>>().join(","))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Bound {
    Lower,
    Upper,
}

/// A bound as Parquet keeps it.
#[derive(Clone, PartialEq)]
enum Scalar {
    Whole(i128),
    Float(f64),
    Text(Vec<u8>),
}

fn null_count(chunk: &ColumnChunkMetaData) -> Option<u64> {
    chunk.statistics()?.null_count_opt()
}

/// The bounds over all row groups; `None` if one of them does not know its own, or there is no value.
fn bounds<'a>(
    chunks: impl Iterator<Item = &'a ColumnChunkMetaData>,
    column: &ColumnDescriptor,
) -> Option<(Scalar, Scalar)> {
    let mut all: Option<(Scalar, Scalar)> = None;
    for chunk in chunks {
        let statistics = chunk.statistics()?;
        if statistics.null_count_opt() == u64::try_from(chunk.num_values()).ok() {
            continue;
        }
        let (low, high) = Scalar::of(statistics, column)?;
        all = Some(match all {
            None => (low, high),
            Some((lowest, highest)) => (
                if low.order(&lowest)? == Ordering::Less { low } else { lowest },
                if high.order(&highest)? == Ordering::Greater { high } else { highest },
            ),
        });
    }
    all
}

impl Scalar {
    fn of(statistics: &Statistics, column: &ColumnDescriptor) -> Option<(Self, Self)> {
        let decimal = matches!(column.logical_type_ref(), Some(LogicalType::Decimal { .. }));
        let text = matches!(column.logical_type_ref(), Some(LogicalType::String));
        let bytes = |low: &[u8], high: &[u8]| {
            if decimal {
                Some((Self::Whole(big_endian(low)?), Self::Whole(big_endian(high)?)))
            } else {
                text.then(|| (Self::Text(low.to_vec()), Self::Text(high.to_vec())))
            }
        };
        match statistics {
            Statistics::Int32(s) => {
                Some((Self::Whole(i128::from(*s.min_opt()?)), Self::Whole(i128::from(*s.max_opt()?))))
            }
            Statistics::Int64(s) => {
                Some((Self::Whole(i128::from(*s.min_opt()?)), Self::Whole(i128::from(*s.max_opt()?))))
            }
            Statistics::Float(s) => {
                Some((Self::Float(f64::from(*s.min_opt()?)), Self::Float(f64::from(*s.max_opt()?))))
            }
            Statistics::Double(s) => Some((Self::Float(*s.min_opt()?), Self::Float(*s.max_opt()?))),
            Statistics::ByteArray(s) => bytes(s.min_opt()?.data(), s.max_opt()?.data()),
            Statistics::FixedLenByteArray(s) => bytes(s.min_opt()?.data(), s.max_opt()?.data()),
            Statistics::Boolean(_) | Statistics::Int96(_) => None,
        }
    }

    fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// The bound as JSON; `None` if JSON has no safe word for it.
    fn text(&self, column: &ColumnDescriptor, bound: Bound) -> Option<String> {
        match (self, column.logical_type_ref()) {
            (Self::Whole(value), Some(LogicalType::Decimal(decimal))) => {
                Some(decimal_text(*value, usize::try_from(decimal.scale).ok()?))
            }
            (Self::Whole(days), Some(LogicalType::Date)) => date_text(i64::try_from(*days).ok()?),
            (Self::Whole(micros), Some(LogicalType::Timestamp(time))) => {
                time_text(i64::try_from(*micros).ok()?, bound, time.is_adjusted_to_u_t_c)
            }
            (Self::Whole(value), _) => Some(value.to_string()),
            (Self::Float(value), _) => value.is_finite().then(|| format!("{value:?}")),
            (Self::Text(bytes), _) => text_bound(std::str::from_utf8(bytes).ok()?, bound),
        }
    }
}

/// Two's complement, at most 16 bytes.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    let start = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
    Some(bytes.iter().fold(start, |value: i128, byte| (value << 8) | i128::from(*byte)))
}

fn decimal_text(unscaled: i128, scale: usize) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn date_text(days: i64) -> Option<String> {
    let date = NaiveDate::from_ymd_opt(1970, 1, 1)?.checked_add_signed(chrono::TimeDelta::try_days(days)?)?;
    (1..=9999).contains(&date.year()).then(|| quoted(&date.format("%Y-%m-%d").to_string()))
}

/// Readers know milliseconds only, so the lower bound is rounded down and the upper one up.
fn time_text(micros: i64, bound: Bound, utc: bool) -> Option<String> {
    let down = micros.div_euclid(1000);
    let up = bound == Bound::Upper && micros.rem_euclid(1000) != 0;
    let time = DateTime::from_timestamp_millis(down + i64::from(up))?;
    let zone = if utc { "Z" } else { "" };
    let text = format!("{}{zone}", time.format("%Y-%m-%dT%H:%M:%S%.3f"));
    (1..=9999).contains(&time.year()).then(|| quoted(&text))
}

fn text_bound(text: &str, bound: Bound) -> Option<String> {
    let Some((cut, next)) = text.char_indices().nth(TEXT_BOUND) else { return Some(quoted(text)) };
    let head = &text[..cut];
    match bound {
        Bound::Lower => Some(quoted(head)),
        // Above everything that begins with these characters, unless they go on with the highest one itself.
        Bound::Upper => (next != char::MAX).then(|| quoted(&format!("{head}{}", char::MAX))),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_rounded_outwards() {
        assert_eq!(time_text(-1, Bound::Lower, true).unwrap(), "\"1969-12-31T23:59:59.999Z\"");
        assert_eq!(time_text(1001, Bound::Upper, true).unwrap(), "\"1970-01-01T00:00:00.002Z\"");
        assert_eq!(time_text(1000, Bound::Upper, false).unwrap(), "\"1970-01-01T00:00:00.001\"");
        assert_eq!(time_text(i64::MAX, Bound::Upper, true), None);
        let long = "ä".repeat(40);
        assert_eq!(text_bound(&long, Bound::Lower).unwrap(), format!("\"{}\"", "ä".repeat(32)));
        assert_eq!(text_bound(&long, Bound::Upper).unwrap(), format!("\"{}\u{10ffff}\"", "ä".repeat(32)));
        assert_eq!(text_bound("a\"b", Bound::Upper).unwrap(), "\"a\\\"b\"");
    }

    #[test]
    fn decimals_keep_every_digit() {
        assert_eq!(decimal_text(-5, 2), "-0.05");
        assert_eq!(decimal_text(12_345, 0), "12345");
        assert_eq!(decimal_text(10_i128.pow(37) + 1, 3), "10000000000000000000000000000000000.001");
        assert_eq!(big_endian(&[0xff, 0xfe]), Some(-2));
        assert_eq!(big_endian(&[0x7f, 0xff]), Some(32767));
        assert_eq!(big_endian(&[]), None);
    }
}
