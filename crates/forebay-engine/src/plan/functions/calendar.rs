//! Times and how far they are from each other, by a calendar: `timestampadd(unit, number, time)`, `timestampdiff(unit, from, to)`,
//! `months_between(to, from[, roundOff])`, and what other clocks show: `convert_timezone(from, to, time)`.
//!
//! As in Spark a month that is added to the 31st ends on the last of the next one, and days are those of the session's zone; hours and
//! less are lengths. Whole units between two times are counted by what its clocks show, the rest cut off.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Int64Type};
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use forebay_core::Zone;

use super::failed;
use super::seconds::timestamp_type;
use super::zone::{DAY_US, beyond, given, local_type, names, shift, times};

const SECOND_US: i64 = 1_000_000;

pub(super) fn all(zone: Zone) -> impl Iterator<Item = ScalarUDF> {
    let all = [
        ("timestampadd", Kind::Add),
        ("timestampdiff", Kind::Difference),
        ("months_between", Kind::Months),
        ("convert_timezone", Kind::Convert),
    ];
    all.into_iter().map(move |(name, kind)| {
        // Those of other clocks are told both zones.
        let (told, aliases) = names(name, if kind == Kind::Convert { Zone::UTC } else { zone });
        let signature = Signature::user_defined(Volatility::Immutable);
        ScalarUDF::from(Calendar { name, told, aliases, kind, zone, signature })
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Add,
    Difference,
    Months,
    Convert,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// So many months.
    Months(i64),
    /// So many days of the calendar.
    Days(i64),
    /// So many microseconds.
    Micros(i64),
}

impl Unit {
    fn of(word: &str) -> Option<Self> {
        Some(match word.to_ascii_uppercase().as_str() {
            "YEAR" => Self::Months(12),
            "QUARTER" => Self::Months(3),
            "MONTH" => Self::Months(1),
            "WEEK" => Self::Days(7),
            "DAY" | "DAYOFYEAR" => Self::Days(1),
            "HOUR" => Self::Micros(3_600 * SECOND_US),
            "MINUTE" => Self::Micros(60 * SECOND_US),
            "SECOND" => Self::Micros(SECOND_US),
            "MILLISECOND" => Self::Micros(1_000),
            "MICROSECOND" => Self::Micros(1),
            _ => return None,
        })
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Calendar {
    name: &'static str,
    /// With its zone.
    told: String,
    aliases: Vec<String>,
    kind: Kind,
    zone: Zone,
    signature: Signature,
}

impl ScalarUDFImpl for Calendar {
    fn name(&self) -> &str {
        &self.told
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let is_text = |of: &DataType| of.is_string() || of.is_null();
        let is_time = |of: &DataType| {
            is_text(of) || matches!(of, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
        };
        let is_number = |of: &DataType| of.is_numeric() || of.is_null();
        let (text, time) = (DataType::Utf8, timestamp_type());
        match (self.kind, types) {
            (Kind::Add, [unit, number, of]) if is_text(unit) && is_number(number) && is_time(of) => {
                let is_local = matches!(of, DataType::Timestamp(_, None));
                Ok(vec![text, DataType::Int64, if is_local { local_type() } else { time }])
            }
            (Kind::Difference, [unit, from, to]) if is_text(unit) && is_time(from) && is_time(to) => {
                Ok(vec![text, time.clone(), time])
            }
            (Kind::Months, [to, from, rounds @ ..])
                if is_time(to)
                    && is_time(from)
                    && matches!(rounds, [] | [DataType::Boolean | DataType::Null]) =>
            {
                Ok([time.clone(), time].into_iter().chain(rounds.iter().map(|_| DataType::Boolean)).collect())
            }
            (Kind::Convert, [from, to, of]) if is_text(from) && is_text(to) && is_time(of) => {
                Ok(vec![text.clone(), text, local_type()])
            }
            (Kind::Add, _) => plan_err!("{} takes a unit, a number and a time", self.name),
            (Kind::Difference, _) => plan_err!("{} takes a unit and two times", self.name),
            (Kind::Months, _) => {
                plan_err!("{} takes two times, and may take whether it rounds", self.name)
            }
            (Kind::Convert, _) => plan_err!("{} takes two zones and a time", self.name),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::Add => types.get(2).cloned().unwrap_or_else(timestamp_type),
            Kind::Difference => DataType::Int64,
            Kind::Months => DataType::Float64,
            Kind::Convert => local_type(),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<ArrayRef>>>()?;
        let made = match (self.kind, columns.as_slice()) {
            (Kind::Add, [unit, number, of]) => self.added(unit, number, of)?,
            (Kind::Difference, [unit, from, to]) => self.differences(unit, times(from)?, times(to)?)?,
            (Kind::Months, [to, from, rounds @ ..]) => {
                self.months(times(to)?, times(from)?, rounds.first())?
            }
            (Kind::Convert, [from, to, of]) => converted(from, to, times(of)?)?,
            _ => return failed(format!("{} of other arguments", self.name)),
        };
        given(made, constant)
    }
}

impl Calendar {
    fn unit(&self, units: &ArrayRef, row: usize) -> Result<Unit> {
        let word = units.as_string_opt::<i32>().map(|units| units.value(row)).unwrap_or_default();
        match Unit::of(word) {
            Some(unit) => Ok(unit),
            None => failed(format!("{} knows no unit `{word}`", self.name)),
        }
    }

    fn added(&self, units: &ArrayRef, numbers: &ArrayRef, of: &ArrayRef) -> Result<ArrayRef> {
        let (Some(numbers), all) = (numbers.as_primitive_opt::<Int64Type>(), times(of)?) else {
            return failed(format!("{} takes a whole number", self.name));
        };
        // What clocks show is added to as if it were UTC.
        let zone = if *of.data_type() == local_type() { Zone::UTC } else { self.zone };
        let mut made = Vec::with_capacity(all.len());
        for row in 0..all.len() {
            if units.is_null(row) || numbers.is_null(row) || all.is_null(row) {
                made.push(None);
                continue;
            }
            let (at, number) = (all.value(row), numbers.value(row));
            let times = |length: i64| number.checked_mul(length);
            let shifted = match self.unit(units, row)? {
                Unit::Months(months) => times(months).and_then(|months| shift(zone, at, months, 0, 0)),
                Unit::Days(days) => times(days).and_then(|days| shift(zone, at, 0, days, 0)),
                Unit::Micros(micros) => times(micros).and_then(|micros| shift(zone, at, 0, 0, micros)),
            };
            match shifted {
                Some(shifted) => made.push(Some(shifted)),
                None => return beyond(),
            }
        }
        Ok(Arc::new(TimestampMicrosecondArray::from(made).with_data_type(of.data_type().clone())))
    }

    fn differences(
        &self,
        units: &ArrayRef,
        from: &TimestampMicrosecondArray,
        to: &TimestampMicrosecondArray,
    ) -> Result<ArrayRef> {
        let mut made = Vec::with_capacity(from.len());
        for row in 0..from.len() {
            if units.is_null(row) || from.is_null(row) || to.is_null(row) {
                made.push(None);
                continue;
            }
            let (from, to) = (self.zone.local(from.value(row)), self.zone.local(to.value(row)));
            let length = i128::from(to) - i128::from(from);
            let whole = match self.unit(units, row)? {
                Unit::Micros(micros) => i64::try_from(length / i128::from(micros)).ok(),
                Unit::Days(days) => i64::try_from(length / i128::from(days * DAY_US)).ok(),
                Unit::Months(months) => whole_months(from, to).map(|whole| whole / months),
            };
            match whole {
                Some(whole) => made.push(Some(whole)),
                None => return beyond(),
            }
        }
        Ok(Arc::new(Int64Array::from(made)))
    }

    fn months(
        &self,
        to: &TimestampMicrosecondArray,
        from: &TimestampMicrosecondArray,
        rounds: Option<&ArrayRef>,
    ) -> Result<ArrayRef> {
        let rounds = rounds.and_then(|rounds| rounds.as_boolean_opt());
        let mut made = Vec::with_capacity(to.len());
        for row in 0..to.len() {
            if to.is_null(row) || from.is_null(row) || rounds.is_some_and(|rounds| rounds.is_null(row)) {
                made.push(None);
                continue;
            }
            match self.months_between(to.value(row), from.value(row)) {
                Some(months) if rounds.is_none_or(|rounds| rounds.value(row)) => {
                    made.push(Some(half_up(months * 1e8) / 1e8));
                }
                Some(months) => made.push(Some(months)),
                None => return beyond(),
            }
        }
        Ok(Arc::new(Float64Array::from(made)))
    }

    /// Spark's: whole months between equal days of the month, and between last days; else a day is the 31st part of one.
    fn months_between(&self, to: i64, from: i64) -> Option<f64> {
        let (one, other) = (self.day(to)?, self.day(from)?);
        let months = (month(&one.0) - month(&other.0)) as f64;
        let is_last = |day: &NaiveDate| day.succ_opt().is_none_or(|next| next.day() == 1);
        if one.0.day() == other.0.day() || (is_last(&one.0) && is_last(&other.0)) {
            return Some(months);
        }
        let days = i64::from(one.0.day()) - i64::from(other.0.day());
        let seconds = days * 86_400 + one.1 - other.1;
        Some(months + seconds as f64 / (31.0 * 86_400.0))
    }

    /// The day on which an instant is, and how many whole seconds it is old by then.
    fn day(&self, at: i64) -> Option<(NaiveDate, i64)> {
        let local = self.zone.local(at);
        let day = DateTime::<Utc>::from_timestamp_micros(local)?.date_naive();
        let start = self.zone.day_start(local.div_euclid(DAY_US));
        Some((day, at.checked_sub(start)? / SECOND_US))
    }
}

/// The whole months from one time to another, as clocks show them: Java's, which first cuts off what is no whole day.
fn whole_months(from: i64, to: i64) -> Option<i64> {
    let split = |local: i64| {
        let day = DateTime::<Utc>::from_timestamp_micros(local)?.date_naive();
        Some((day, local.rem_euclid(DAY_US)))
    };
    let ((from, of_from), (to, of_to)) = (split(from)?, split(to)?);
    let to = match to.cmp(&from) {
        Ordering::Greater if of_to < of_from => to.pred_opt()?,
        Ordering::Less if of_to > of_from => to.succ_opt()?,
        _ => to,
    };
    // No month has 32 days, so months that are not whole are no whole steps of this.
    let packed = |day: &NaiveDate| month(day) * 32 + i64::from(day.day());
    Some((packed(&to) - packed(&from)) / 32)
}

/// Months since the year 0.
fn month(day: &NaiveDate) -> i64 {
    i64::from(day.year()) * 12 + i64::from(day.month0())
}

/// Rounds as Java does: halves up.
fn half_up(number: f64) -> f64 {
    let below = number.floor();
    if number - below >= 0.5 { below + 1.0 } else { below }
}

/// What clocks of another zone show when those of the first show this.
fn converted(from: &ArrayRef, to: &ArrayRef, of: &TimestampMicrosecondArray) -> Result<ArrayRef> {
    let (Some(from), Some(to)) = (from.as_string_opt::<i32>(), to.as_string_opt::<i32>()) else {
        return failed("the zones of convert_timezone are texts");
    };
    let mut made = Vec::with_capacity(of.len());
    for row in 0..of.len() {
        if from.is_null(row) || to.is_null(row) || of.is_null(row) {
            made.push(None);
            continue;
        }
        let zones = [from.value(row), to.value(row)].map(|name| (name, Zone::read(name)));
        match zones {
            [(_, Ok(from)), (_, Ok(to))] => made.push(Some(to.local(from.instant(of.value(row))))),
            [(name, Err(_)), _] | [_, (name, Err(_))] => {
                let name: String = name.chars().take(64).collect();
                return failed(format!("`{name}` is no time zone"));
            }
        }
    }
    Ok(Arc::new(TimestampMicrosecondArray::from(made)))
}
