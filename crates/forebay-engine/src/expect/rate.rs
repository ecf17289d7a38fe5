//! How fast values change: each against the last one of its key that was accepted, in the order of its partition.
//!
//! ```text
//! row ── key, time, value ──▶ last of the key ──▶ allowed? ──yes──▶ it is the last one now, unless it is late
//!                                                  └─no──▶ the row fails, and the last one stays
//! ```
//!
//! A row without a key, a time or a finite value meets the expectation and leaves no trace, and so does, whatever its value, one that
//! another expectation takes out. What must stay true: what is remembered after a row follows from the rows of its partition up to it,
//! so no border between batches or epochs can be seen in it; and what is remembered of a key is one time and one number.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use arrow::error::ArrowError;
use forebay_core::error::codes;
use forebay_core::expectation::OnFail;
use forebay_core::last::{Lane, LastValue, LastValues};
use forebay_core::{Error, Partition, Result};

use super::Check;
use super::conditions::Failing;

type Keys = HashMap<Box<str>, LastValue>;

/// What is held to a rate, and by what.
#[derive(Clone, Debug)]
pub struct Rate {
    /// What it is about, as it is remembered: another column, key or time is another rate.
    pub id: Arc<str>,
    /// The column with the value, by its names from the top down.
    pub column: Vec<String>,
    /// That with the key.
    pub key: Vec<String>,
    /// That with the time: a timestamp, a date or a number of seconds.
    pub time: Vec<String>,
    /// The greatest change in a second.
    pub max: f64,
}

/// Holds rows to the rates of a source.
pub(super) struct Rates {
    /// Which of the checks they are.
    rules: Vec<(usize, Rate)>,
    before: Arc<LastValues>,
    said: LastValues,
}

/// A rate over the rows of a batch, and what is remembered for it.
struct Held<'r> {
    /// Which of the checks it is.
    check: usize,
    max: f64,
    lane: Lane,
    columns: Columns,
    on_fail: OnFail,
    rule: &'r Rate,
    /// What keys said last before this decoder began, and since.
    before: Option<&'r Keys>,
    said: Keys,
    /// Rows that changed too fast, with the values that they were held against.
    too_fast: Vec<(usize, LastValue)>,
}

/// What is looked at of each row.
struct Columns {
    keys: StringArray,
    times: Int64Array,
    values: Float64Array,
}

impl Columns {
    /// Key and value of a row, if it has all of them.
    fn at(&self, row: usize) -> Option<(&str, LastValue)> {
        let is_whole = self.keys.is_valid(row) && self.times.is_valid(row) && self.values.is_valid(row);
        let value = is_whole.then(|| self.values.value(row)).filter(|value| value.is_finite())?;
        Some((self.keys.value(row), LastValue { time_us: self.times.value(row), value }))
    }
}

impl Held<'_> {
    /// What a key said last.
    fn last(&self, key: &str) -> Option<LastValue> {
        self.said.get(key).or_else(|| self.before?.get(key)).copied()
    }

    /// Looks whether a row changes too fast.
    fn look(&mut self, row: usize) -> bool {
        let Some((key, now)) = self.columns.at(row) else { return false };
        let Some(last) = self.last(key).filter(|last| !last.allows(now, self.max)) else { return false };
        self.too_fast.push((row, last));
        true
    }

    /// Remembers a row that is accepted.
    fn remember(&mut self, row: usize) {
        if self.too_fast.last().is_some_and(|(failed, _)| *failed == row) {
            return;
        }
        let Some((key, now)) = self.columns.at(row) else { return };
        let last = self.last(key).map_or(now, |last| last.then(now));
        if let Some(known) = self.said.get_mut(key) {
            *known = last;
            return;
        }
        let key = Box::from(key);
        self.said.insert(key, last);
    }
}

impl Rates {
    /// Those among these checks; `None` if there is none.
    pub fn new(checks: &[Check]) -> Option<Self> {
        let rules = checks.iter().enumerate();
        let rules: Vec<_> = rules.filter_map(|(at, check)| Some((at, check.rate.clone()?))).collect();
        (!rules.is_empty()).then(|| Self { rules, before: Arc::default(), said: LastValues::default() })
    }

    /// Which of the checks they are.
    pub fn checks(&self) -> Vec<usize> {
        self.rules.iter().map(|(check, _)| *check).collect()
    }

    pub fn begin(&mut self, before: Arc<LastValues>) {
        (self.before, self.said) = (before, LastValues::default());
    }

    pub fn said(&mut self) -> LastValues {
        std::mem::take(&mut self.said)
    }

    /// Keys that it knows, those that have spoken since room was made counted once more.
    #[cfg(test)]
    pub fn remembered(&self) -> usize {
        self.before.len() + self.said.len()
    }

    /// Once as many keys have said something since the last time, forgets those that have not.
    pub fn make_room(&mut self, most: usize) {
        if self.said.len() >= most {
            self.before = Arc::new(std::mem::take(&mut self.said));
        }
    }

    /// Adds to what the rows of a partition fail which of them change too fast.
    pub fn hold(
        &mut self,
        rows: &RecordBatch,
        checks: &[Check],
        partition: &Partition,
        failing: &mut [Failing],
    ) -> Result<()> {
        let count = rows.num_rows();
        let taken_out = checks
            .iter()
            .zip(&*failing)
            .filter(|(check, _)| check.expected.on_fail >= OnFail::Drop)
            .fold(BooleanBuffer::new_unset(count), |all, (_, it)| &all | &it.rows);
        let Self { rules, before, said } = self;
        let mut all = Vec::with_capacity(rules.len());
        for (check, rule) in &*rules {
            let on_fail = checks.get(*check).map_or(OnFail::Flag, |check| check.expected.on_fail);
            let held = held(rows, (*check, rule), partition, on_fail).map_err(|error| {
                Error::new(&codes::INTERNAL, "a column that is held to a rate cannot be read")
                    .caused_by(error)
            })?;
            let (before, said) = (before.of(&held.lane), std::mem::take(said.of_mut(&held.lane)));
            all.push(Held { before, said, ..held });
        }
        for row in 0..count {
            let mut is_out = taken_out.value(row);
            for held in &mut all {
                is_out |= held.look(row) && held.on_fail >= OnFail::Drop;
            }
            if !is_out {
                all.iter_mut().for_each(|held| held.remember(row));
            }
        }
        for mut held in all {
            *said.of_mut(&held.lane) = std::mem::take(&mut held.said);
            let Some(failing) = failing.get_mut(held.check).filter(|_| !held.too_fast.is_empty()) else {
                continue;
            };
            let mut mask = vec![false; count];
            for (row, last) in &held.too_fast {
                mask[*row] = true;
                if let Some((_, now)) = held.columns.at(*row) {
                    failing.beside.insert(*row, told(*last, now, held.rule));
                }
            }
            failing.rows = &failing.rows | &BooleanBuffer::from(mask);
        }
        Ok(())
    }
}

/// What is told of a row that fails: the value before it.
fn told(last: LastValue, now: LastValue, rule: &Rate) -> String {
    let seconds = now.time_us.saturating_sub(last.time_us) as f64 / 1e6;
    let column = rule.column.join(".");
    if seconds < 0.0 {
        format!("`{column}` was {:?} {} s after that", last.value, -seconds)
    } else {
        format!("`{column}` was {:?} {seconds} s before", last.value)
    }
}

fn held<'r>(
    rows: &RecordBatch,
    (check, rule): (usize, &'r Rate),
    partition: &Partition,
    on_fail: OnFail,
) -> Result<Held<'r>, ArrowError> {
    let keys = cast(&column(rows, &rule.key)?, &DataType::Utf8)?;
    let values = cast(&column(rows, &rule.column)?, &DataType::Float64)?;
    Ok(Held {
        check,
        max: rule.max,
        lane: (partition.clone(), Arc::clone(&rule.id)),
        columns: Columns {
            keys: keys.as_string::<i32>().clone(),
            times: micros(&column(rows, &rule.time)?)?,
            values: values.as_primitive::<Float64Type>().clone(),
        },
        on_fail,
        rule,
        before: None,
        said: Keys::new(),
        too_fast: Vec::new(),
    })
}

/// A column as microseconds since 1970; a number is one of seconds.
fn micros(times: &ArrayRef) -> Result<Int64Array, ArrowError> {
    if times.data_type().is_numeric() {
        let seconds = cast(times, &DataType::Float64)?;
        let seconds = seconds.as_primitive::<Float64Type>();
        let micros = |seconds: f64| (!seconds.is_nan()).then_some((seconds * 1e6).round() as i64);
        return Ok(seconds.iter().map(|seconds| micros(seconds?)).collect());
    }
    let zone = match times.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let micros = cast(times, &DataType::Timestamp(TimeUnit::Microsecond, zone))?;
    Ok(cast(&micros, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

/// A column by its names from the top down; NULL where something above it is.
pub(super) fn column(rows: &RecordBatch, path: &[String]) -> Result<ArrayRef, ArrowError> {
    let missing = || ArrowError::SchemaError(format!("there is no column `{}`", path.join(".")));
    let mut names = path.iter();
    let mut at = names.next().and_then(|name| rows.column_by_name(name)).cloned().ok_or_else(missing)?;
    if path.len() == 1 {
        return Ok(at);
    }
    let mut nulls: Option<NullBuffer> = at.nulls().cloned();
    for name in names {
        at =
            at.as_struct_opt().and_then(|inside| inside.column_by_name(name)).cloned().ok_or_else(missing)?;
        nulls = NullBuffer::union(nulls.as_ref(), at.nulls());
    }
    let data = at.to_data().into_builder().nulls(nulls).build()?;
    Ok(arrow::array::make_array(data))
}
