//! When a row of one side of a join has met all that it can meet, told from the condition: Spark's state watermark.
//!
//! Rows of the other side come with times of at least the watermark W. So where the condition says `other + c < this`, only
//! rows with `this > W + c` are still met; those at or before it are done. With `<=` it is `this >= W + c`, and those at
//! or before W + c - 1 ms are. Times are counted in milliseconds, as in Spark, and of several conditions the one that
//! holds rows longest counts.
//!
//! In a session time zone a day that is added is one of the calendar, whose length is known of each row only. In a region
//! rows are held for [`CHANGE_US`] longer than so many times 24 hours: a pair that meets on the night on which clocks go back
//! is not lost.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use forebay_core::Zone;

use super::functions::zone::sum_of;

/// By how much a day of the calendar is longer or shorter than 24 hours, at most, in microseconds.
const CHANGE_US: i128 = 2 * 3_600_000_000;

const DAY_US: i128 = 86_400_000_000;

/// The state watermark of the rows of one side, as this column of theirs and what to add to the watermark, in milliseconds.
/// `this` and `other` tell the columns of this side, and those of the other side that are its event time.
pub(super) fn of(
    conditions: &[Expr],
    this: impl Fn(&Column) -> Option<usize>,
    other: impl Fn(&Column) -> bool,
    preferred: Option<usize>,
) -> Option<(usize, i64)> {
    let found: Vec<(usize, i64)> =
        conditions.iter().filter_map(|condition| of_one(condition, &this, &other)).collect();
    let is_preferred = |(column, _): &&(usize, i64)| Some(*column) == preferred;
    let column = found.iter().find(is_preferred).or(found.first())?.0;
    found.into_iter().filter(|(of, _)| *of == column).min_by_key(|(_, shift)| *shift)
}

fn of_one(
    condition: &Expr,
    this: &impl Fn(&Column) -> Option<usize>,
    other: &impl Fn(&Column) -> bool,
) -> Option<(usize, i64)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return None };
    let (less, more, back) = match op {
        Operator::Lt => (left, right, 0),
        Operator::LtEq => (left, right, 1),
        Operator::Gt => (right, left, 0),
        Operator::GtEq => (right, left, 1),
        _ => return None,
    };
    // `less - more < 0`: the other side's time counts up, this side's down.
    let mut sum = Sum::default();
    sum.add(less, false)?;
    sum.add(more, true)?;
    let (mut mine, mut theirs) = (None, false);
    for (column, negated) in &sum.columns {
        match this(column) {
            Some(index) if *negated && mine.is_none() => mine = Some(index),
            None if !negated && !theirs && other(column) => theirs = true,
            _ => return None,
        }
    }
    let shift = i64::try_from((sum.micros - sum.unsure).div_euclid(1_000)).ok()?;
    Some((mine.filter(|_| theirs)?, shift - back))
}

/// An expression as columns that are added or taken away, and a length of time.
#[derive(Default)]
struct Sum {
    columns: Vec<(Column, bool)>,
    micros: i128,
    /// By how much it may be off, since clocks change.
    unsure: i128,
}

impl Sum {
    /// `None` if the expression is no such sum.
    fn add(&mut self, expr: &Expr, negated: bool) -> Option<()> {
        match expr {
            Expr::Alias(alias) => self.add(&alias.expr, negated),
            Expr::Column(column) => {
                self.columns.push((column.clone(), negated));
                Some(())
            }
            Expr::Cast(cast)
                if matches!(cast.field.data_type(), DataType::Timestamp(TimeUnit::Microsecond, Some(_))) =>
            {
                self.add(&cast.expr, negated)
            }
            Expr::Negative(of) => self.add(of, !negated),
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Plus | Operator::Minus), right }) => {
                self.add(left, negated)?;
                self.add(right, negated != (*op == Operator::Minus))
            }
            Expr::ScalarFunction(_) => {
                let (time, length, back, zone) = sum_of(expr)?;
                self.add(time, negated)?;
                let before = self.micros;
                self.add(length, negated != back)?;
                let has_days = (self.micros - before).abs() >= DAY_US;
                self.unsure += if has_days && matches!(zone, Zone::Region(_)) { CHANGE_US } else { 0 };
                Some(())
            }
            Expr::Literal(value, _) => {
                let micros = micros(value)?;
                self.micros += if negated { -micros } else { micros };
                Some(())
            }
            _ => None,
        }
    }
}

/// A length of time; months have none.
fn micros(value: &ScalarValue) -> Option<i128> {
    match value {
        ScalarValue::IntervalMonthDayNano(Some(interval)) if interval.months == 0 => {
            Some(i128::from(interval.days) * 86_400_000_000 + i128::from(interval.nanoseconds / 1_000))
        }
        ScalarValue::IntervalDayTime(Some(interval)) => {
            Some(i128::from(interval.days) * 86_400_000_000 + i128::from(interval.milliseconds) * 1_000)
        }
        ScalarValue::DurationMicrosecond(Some(micros)) => Some(i128::from(*micros)),
        _ => None,
    }
}
