//! Which files cannot hold a key: by the smallest and largest values that the log tells of them.
//!
//! What must stay true: a file is passed over only if it is certain. Bounds in the log are wide (text is cut, times
//! have milliseconds and are cut down by Spark), those of floating numbers miss NaN, and other writers may leave out
//! any of them: whatever is not known means that the file is read.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{cast, max, max_string, min, min_string};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use serde_json::Value;

/// What a leaf of a key column holds in an epoch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    path: Vec<String>,
    kind: Kind,
    range: Option<(Bound, Bound)>,
    nulls: bool,
}

/// How bounds of a leaf are told in the log.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Whole,
    Date,
    Time,
    Text,
    /// Its bounds are not looked at.
    Other,
}

#[derive(Clone, Debug, PartialEq, PartialOrd)]
enum Bound {
    Whole(i64),
    Text(String),
}

/// Spark cuts times to milliseconds, also the upper bound.
const MICROS_OF_A_BOUND: i64 = 1_000;

impl Span {
    /// Adds what the leaves of a column hold.
    pub fn over(name: &str, values: &ArrayRef, spans: &mut BTreeMap<Vec<String>, Self>) {
        leaves(vec![name.to_owned()], values, false, spans);
    }

    fn of(path: Vec<String>, values: &ArrayRef, nulls: bool) -> Self {
        let kind = match values.data_type() {
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Kind::Whole,
            DataType::Date32 => Kind::Date,
            DataType::Timestamp(TimeUnit::Microsecond, _) => Kind::Time,
            DataType::Utf8 => Kind::Text,
            _ => Kind::Other,
        };
        let range = match kind {
            Kind::Other => None,
            Kind::Text => {
                let texts = values.as_string::<i32>();
                let bound = |text: &str| Bound::Text(text.to_owned());
                min_string(texts).map(bound).zip(max_string(texts).map(bound))
            }
            Kind::Whole | Kind::Date | Kind::Time => {
                let whole = match values.data_type() {
                    DataType::Date32 => {
                        cast(values, &DataType::Int32).and_then(|days| cast(&days, &DataType::Int64))
                    }
                    _ => cast(values, &DataType::Int64),
                };
                whole.ok().and_then(|whole| {
                    let whole = whole.as_primitive::<Int64Type>();
                    min(whole).map(Bound::Whole).zip(max(whole).map(Bound::Whole))
                })
            }
        };
        Self { path, kind, range, nulls }
    }

    /// Adds what the same leaf holds elsewhere.
    pub fn join(&mut self, other: Self) {
        self.nulls |= other.nulls;
        self.range = match (self.range.take(), other.range) {
            (Some((low, high)), Some((lower, higher))) => {
                Some((if lower < low { lower } else { low }, if higher > high { higher } else { high }))
            }
            (one, other) => one.or(other),
        };
    }

    /// True if a file with these statistics may hold one of the values.
    pub fn may_be_in(&self, stats: &Value) -> bool {
        if self.kind == Kind::Other {
            return true;
        }
        let find = |what: &str| self.path.iter().try_fold(stats.get(what)?, |inside, name| inside.get(name));
        let nulls = find("nullCount").and_then(Value::as_u64);
        if self.nulls && nulls != Some(0) {
            return true;
        }
        let Some((low, high)) = &self.range else { return false };
        let rows = stats.get("numRecords").and_then(Value::as_u64);
        if rows.is_some() && rows == nulls {
            return false;
        }
        let bound = |what: &str, more: i64| find(what).and_then(|value| self.kind.bound(value, more));
        let above = bound("minValues", 0).is_some_and(|smallest| smallest > *high);
        let below = bound("maxValues", MICROS_OF_A_BOUND).is_some_and(|largest| largest < *low);
        !above && !below
    }
}

impl Kind {
    /// A bound of the log; `None` if it cannot be read. `more` is added to a time.
    fn bound(self, value: &Value, more: i64) -> Option<Bound> {
        match self {
            Self::Whole => value.as_i64().map(Bound::Whole),
            Self::Text => value.as_str().map(|text| Bound::Text(text.to_owned())),
            Self::Date => {
                let date = NaiveDate::parse_from_str(value.as_str()?, "%Y-%m-%d").ok()?;
                let days = date.signed_duration_since(NaiveDate::from_ymd_opt(1970, 1, 1)?).num_days();
                Some(Bound::Whole(days))
            }
            Self::Time => {
                let text = value.as_str()?;
                let micros = match DateTime::parse_from_rfc3339(text) {
                    Ok(time) => time.timestamp_micros(),
                    Err(_) => NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
                        .ok()?
                        .and_utc()
                        .timestamp_micros(),
                };
                Some(Bound::Whole(micros.saturating_add(more)))
            }
            Self::Other => None,
        }
    }
}

/// The leaf's own NULLs and those of what it is inside of are one.
fn leaves(path: Vec<String>, values: &ArrayRef, outer_nulls: bool, spans: &mut BTreeMap<Vec<String>, Span>) {
    let nulls = outer_nulls || values.null_count() > 0;
    if let DataType::Struct(fields) = values.data_type() {
        for (field, values) in fields.iter().zip(values.as_struct().columns()) {
            let mut path = path.clone();
            path.push(field.name().clone());
            leaves(path, values, nulls, spans);
        }
        return;
    }
    let span = Span::of(path.clone(), values, nulls);
    match spans.get_mut(&path) {
        Some(known) => known.join(span),
        None => drop(spans.insert(path, span)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{
        Date32Array, Float64Array, Int32Array, StringArray, StructArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::Field;
    use serde_json::json;

    fn may_be_in(values: impl Array + 'static, stats: Value) -> bool {
        let mut spans = BTreeMap::new();
        Span::over("k", &(Arc::new(values) as ArrayRef), &mut spans);
        assert_eq!(spans.len(), 1);
        spans.into_values().all(|span| span.may_be_in(&stats))
    }

    fn stats(low: Value, high: Value) -> Value {
        json!({"numRecords": 9, "minValues": {"k": low}, "maxValues": {"k": high}, "nullCount": {"k": 0}})
    }

    #[test]
    fn a_file_is_passed_over_only_if_it_is_certain() {
        let whole = |values: &[i32]| Int32Array::from(values.to_vec());
        assert!(!may_be_in(whole(&[1, 4]), stats(json!(5), json!(9))));
        assert!(!may_be_in(whole(&[10]), stats(json!(5), json!(9))));
        assert!(may_be_in(whole(&[1, 5]), stats(json!(5), json!(9))));
        assert!(may_be_in(whole(&[1]), json!({})), "nothing is known");
        assert!(may_be_in(whole(&[1]), stats(json!("odd"), json!(null))));
        let date = Date32Array::from(vec![0]);
        assert!(!may_be_in(date.clone(), stats(json!("1970-01-02"), json!("1970-01-03"))));
        assert!(may_be_in(date, stats(json!("1969-12-31"), json!("1970-01-01"))));
        let text = StringArray::from(vec!["b"]);
        assert!(!may_be_in(text.clone(), stats(json!("c"), json!("d"))));
        assert!(may_be_in(text, stats(json!("a"), json!("b\u{10ffff}"))));
        let odd = Float64Array::from(vec![f64::NAN]);
        assert!(may_be_in(odd, stats(json!(1.0), json!(2.0))), "bounds leave NaN out");
    }

    #[test]
    fn the_upper_bound_of_a_time_may_be_cut_down() {
        let at = |micros| TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC");
        let stats = stats(json!("1970-01-01T00:00:00.000Z"), json!("1970-01-01T00:00:00.001Z"));
        assert!(may_be_in(at(1_999), stats.clone()));
        assert!(!may_be_in(at(2_001), stats.clone()));
        assert!(!may_be_in(at(-1), stats));
        let offset = json!("1970-01-01T01:00:00.000+01:00");
        assert!(may_be_in(at(0), json!({"minValues": {"k": offset}, "maxValues": {"k": offset}})));
    }

    #[test]
    fn nulls_are_found_where_the_log_has_nulls() {
        let nulls = |count: Value| json!({"numRecords": 3, "nullCount": {"k": count}});
        let null = || Int32Array::from(vec![None]);
        assert!(may_be_in(null(), nulls(json!(1))) && may_be_in(null(), json!({"numRecords": 3})));
        assert!(!may_be_in(null(), nulls(json!(0))));
        assert!(!may_be_in(Int32Array::from(vec![1]), nulls(json!(3))), "all of it is NULL");
    }

    #[test]
    fn leaves_of_a_struct_are_looked_at_by_themselves() {
        let window = |start: i32| {
            let field = Field::new("start", DataType::Int32, true);
            let start = Arc::new(Int32Array::from(vec![start])) as ArrayRef;
            StructArray::try_new(vec![field].into(), vec![start], None).unwrap()
        };
        let stats = json!({"minValues": {"k": {"start": 10}}, "maxValues": {"k": {"start": 20}}});
        assert!(may_be_in(window(15), stats.clone()));
        assert!(!may_be_in(window(5), stats));
    }
}
