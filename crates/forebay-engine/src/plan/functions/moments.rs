//! Statistics of numbers and of pairs of numbers as Spark has them: `corr`, `covar_pop`, `covar_samp`, the `regr_` functions,
//! `skewness`, `kurtosis`.
//!
//! Kept are how many rows there are, their averages, and sums of powers of what rows are away from these, which is added to
//! row by row (Welford) and put together (Chan) by the formulas of Spark. Sums of the squares themselves would cancel each
//! other out where numbers are large and near to each other, as times are. A row in which one of the numbers is NULL does
//! not count. The first argument is y and the second x, as `regr_slope(y, x)` has them; for the others it is the same.

use std::fmt::Debug;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::failed;

/// What is told of what was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Corr,
    CovarPop,
    CovarSamp,
    Count,
    AvgX,
    AvgY,
    Sxx,
    Syy,
    Sxy,
    Slope,
    Intercept,
    R2,
    Skewness,
    Kurtosis,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Moments {
    name: &'static str,
    kind: Kind,
    signature: Signature,
}

pub(super) fn all() -> impl Iterator<Item = AggregateUDF> {
    let all = [
        ("corr", Kind::Corr),
        ("covar_pop", Kind::CovarPop),
        ("covar_samp", Kind::CovarSamp),
        ("regr_count", Kind::Count),
        ("regr_avgx", Kind::AvgX),
        ("regr_avgy", Kind::AvgY),
        ("regr_sxx", Kind::Sxx),
        ("regr_syy", Kind::Syy),
        ("regr_sxy", Kind::Sxy),
        ("regr_slope", Kind::Slope),
        ("regr_intercept", Kind::Intercept),
        ("regr_r2", Kind::R2),
        ("skewness", Kind::Skewness),
        ("kurtosis", Kind::Kurtosis),
    ];
    all.into_iter().map(|(name, kind)| {
        let signature = Signature::user_defined(Volatility::Immutable);
        AggregateUDF::from(Moments { name, kind, signature })
    })
}

impl Kind {
    /// True if it is of one number a row, and not of two.
    fn is_single(self) -> bool {
        matches!(self, Self::Skewness | Self::Kurtosis)
    }

    fn columns(self) -> &'static [&'static str] {
        if self.is_single() { Single::COLUMNS } else { Pairs::COLUMNS }
    }
}

impl AggregateUDFImpl for Moments {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let wanted = if self.kind.is_single() { 1 } else { 2 };
        let is_number = |of: &DataType| {
            of.is_numeric()
                || matches!(of, DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        };
        if types.len() != wanted || !types.iter().all(is_number) {
            let what = if wanted == 1 { "one number" } else { "two numbers" };
            return plan_err!("{} takes {what}", self.name);
        }
        Ok(vec![DataType::Float64; wanted])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.kind == Kind::Count { DataType::Int64 } else { DataType::Float64 })
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = |column: &&str| {
            FieldRef::new(Field::new(format_state_name(args.name, column), DataType::Float64, true))
        };
        Ok(self.kind.columns().iter().map(field).collect())
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(match self.kind.is_single() {
            true => Box::new(All { kind: self.kind, kept: Single::default() }),
            false => Box::new(All { kind: self.kind, kept: Pairs::default() }),
        })
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(match self.kind.is_single() {
            true => Box::new(Groups::<Single> { kind: self.kind, each: Vec::new() }),
            false => Box::new(Groups::<Pairs> { kind: self.kind, each: Vec::new() }),
        })
    }
}

/// What is kept of the rows of one group.
trait Kept: Copy + Debug + Default + Send + Sync + 'static {
    /// The names of its numbers.
    const COLUMNS: &'static [&'static str];
    /// Whether a row can be taken back.
    const TAKES_BACK: bool;

    fn count(&self) -> f64;
    fn add(&mut self, row: [f64; 2]);
    fn take_back(&mut self, row: [f64; 2]);
    fn merge(&mut self, other: &Self);
    fn numbers(&self) -> [f64; 6];
    fn of(numbers: [f64; 6]) -> Self;
    /// The result; `None` is NULL.
    fn tell(&self, kind: Kind) -> Option<f64>;
}

/// Of pairs: averages of both, and the sums of the products of what they are away from them.
#[derive(Clone, Copy, Debug, Default)]
struct Pairs {
    count: f64,
    y: f64,
    x: f64,
    xy: f64,
    yy: f64,
    xx: f64,
}

impl Kept for Pairs {
    const COLUMNS: &'static [&'static str] = &["count", "y", "x", "xy", "yy", "xx"];
    const TAKES_BACK: bool = true;

    fn count(&self) -> f64 {
        self.count
    }

    fn add(&mut self, [y, x]: [f64; 2]) {
        self.count += 1.0;
        let (dy, dx) = (y - self.y, x - self.x);
        self.y += dy / self.count;
        self.x += dx / self.count;
        self.xy += dy * (x - self.x);
        self.yy += dy * (y - self.y);
        self.xx += dx * (x - self.x);
    }

    fn take_back(&mut self, [y, x]: [f64; 2]) {
        if self.count <= 1.0 {
            *self = Self::default();
            return;
        }
        let now = *self;
        self.count -= 1.0;
        self.y -= (y - now.y) / self.count;
        self.x -= (x - now.x) / self.count;
        self.xy -= (y - self.y) * (x - now.x);
        self.yy -= (y - self.y) * (y - now.y);
        self.xx -= (x - self.x) * (x - now.x);
    }

    fn merge(&mut self, other: &Self) {
        let count = self.count + other.count;
        let (dy, dx) = (other.y - self.y, other.x - self.x);
        let both = self.count * other.count;
        self.y += dy / count * other.count;
        self.x += dx / count * other.count;
        self.xy += other.xy + dy * (dx / count) * both;
        self.yy += other.yy + dy * (dy / count) * both;
        self.xx += other.xx + dx * (dx / count) * both;
        self.count = count;
    }

    fn numbers(&self) -> [f64; 6] {
        [self.count, self.y, self.x, self.xy, self.yy, self.xx]
    }

    fn of([count, y, x, xy, yy, xx]: [f64; 6]) -> Self {
        Self { count, y, x, xy, yy, xx }
    }

    fn tell(&self, kind: Kind) -> Option<f64> {
        let Self { count, y, x, xy, yy, xx } = *self;
        let slope = (xx != 0.0).then(|| xy / xx);
        let any = |value: f64| (count > 0.0).then_some(value);
        match kind {
            // Where one of them is always the same there is none; Spark's query ends there.
            Kind::Corr => (count > 1.0 && xx != 0.0 && yy != 0.0).then(|| xy / (xx * yy).sqrt()),
            Kind::CovarPop => any(xy / count),
            Kind::CovarSamp => (count > 1.0).then(|| xy / (count - 1.0)),
            Kind::Count => Some(count),
            Kind::AvgX => any(x),
            Kind::AvgY => any(y),
            Kind::Sxx => any(xx),
            Kind::Syy => any(yy),
            Kind::Sxy => any(xy),
            Kind::Slope => slope,
            Kind::Intercept => slope.map(|slope| y - slope * x),
            // So it is in Spark, and not the other way about as in other databases.
            Kind::R2 if yy == 0.0 => None,
            Kind::R2 if xx == 0.0 => Some(1.0),
            Kind::R2 => Some((xy / (xx * yy).sqrt()).powi(2)),
            Kind::Skewness | Kind::Kurtosis => None,
        }
    }
}

/// Of single numbers: their average, and the sums of the second, third and fourth powers of what they are away from it.
#[derive(Clone, Copy, Debug, Default)]
struct Single {
    count: f64,
    mean: f64,
    second: f64,
    third: f64,
    fourth: f64,
}

impl Kept for Single {
    const COLUMNS: &'static [&'static str] = &["count", "mean", "second", "third", "fourth"];
    const TAKES_BACK: bool = false;

    fn count(&self) -> f64 {
        self.count
    }

    fn add(&mut self, [value, _]: [f64; 2]) {
        self.count += 1.0;
        let d = value - self.mean;
        let part = d / self.count;
        self.mean += part;
        self.second += d * (d - part);
        self.third += d * (d * d - part * part) - 3.0 * part * self.second;
        self.fourth +=
            d * (d * d * d - part * part * part) - 4.0 * part * self.third - 6.0 * part * part * self.second;
    }

    fn take_back(&mut self, _: [f64; 2]) {}

    fn merge(&mut self, other: &Self) {
        let (n, m) = (self.count, other.count);
        let d = other.mean - self.mean;
        let part = d / (n + m);
        let (a, b) = (*self, other);
        self.count = n + m;
        self.mean += part * m;
        self.second += b.second + d * part * n * m;
        self.third +=
            b.third + part * part * d * n * m * (n - m) + 3.0 * part * (n * b.second - m * a.second);
        self.fourth += b.fourth
            + part * part * part * d * n * m * (n * n - n * m + m * m)
            + 6.0 * part * part * (n * n * b.second + m * m * a.second)
            + 4.0 * part * (n * b.third - m * a.third);
    }

    fn numbers(&self) -> [f64; 6] {
        [self.count, self.mean, self.second, self.third, self.fourth, 0.0]
    }

    fn of([count, mean, second, third, fourth, _]: [f64; 6]) -> Self {
        Self { count, mean, second, third, fourth }
    }

    fn tell(&self, kind: Kind) -> Option<f64> {
        // All numbers are the same, or there are none.
        if self.second == 0.0 {
            return None;
        }
        let (n, second) = (self.count, self.second);
        Some(match kind {
            Kind::Skewness => n.sqrt() * self.third / (second * second * second).sqrt(),
            _ => n * self.fourth / (second * second) - 3.0,
        })
    }
}

/// Puts what another kept to this.
fn put<K: Kept>(kept: &mut K, other: &K) {
    if kept.count() == 0.0 {
        *kept = *other;
    } else if other.count() > 0.0 {
        kept.merge(other);
    }
}

/// Hands on each row that counts, with its place.
fn each_row(
    columns: &[ArrayRef],
    filter: Option<&BooleanArray>,
    mut take: impl FnMut(usize, [f64; 2]),
) -> Result<()> {
    let numbers: Option<Vec<&Float64Array>> =
        columns.iter().map(|column| column.as_primitive_opt::<Float64Type>()).collect();
    let Some(numbers) = numbers else { return failed("numbers are expected") };
    let [first, ..] = numbers.as_slice() else { return failed("a number is expected") };
    for row in 0..first.len() {
        let counts = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        if counts && numbers.iter().all(|numbers| numbers.is_valid(row)) {
            let second = numbers.get(1).map_or(0.0, |numbers| numbers.value(row));
            take(row, [first.value(row), second]);
        }
    }
    Ok(())
}

/// Hands on what was kept, with its place.
fn each_state<K: Kept>(states: &[ArrayRef], mut take: impl FnMut(usize, K)) -> Result<()> {
    let columns: Option<Vec<&Float64Array>> =
        states.iter().map(|column| column.as_primitive_opt::<Float64Type>()).collect();
    let Some(columns) = columns else { return failed("states of numbers are expected") };
    for row in 0..columns.first().map_or(0, |column| column.len()) {
        let mut numbers = [0.0; 6];
        for (number, column) in numbers.iter_mut().zip(&columns) {
            *number = if column.is_valid(row) { column.value(row) } else { 0.0 };
        }
        take(row, K::of(numbers));
    }
    Ok(())
}

/// The results, of the type that they have.
fn told<K: Kept>(kind: Kind, kept: &[K]) -> Result<ArrayRef> {
    let results: Float64Array = kept.iter().map(|kept| kept.tell(kind)).collect();
    if kind == Kind::Count {
        return Ok(cast(&results, &DataType::Int64)?);
    }
    Ok(std::sync::Arc::new(results))
}

/// What is kept of each group.
#[derive(Debug)]
struct Groups<K> {
    kind: Kind,
    each: Vec<K>,
}

impl<K: Kept> GroupsAccumulator for Groups<K> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.each.resize(total.max(self.each.len()), K::default());
        let each = &mut self.each;
        each_row(values, filter, |row, numbers| {
            if let Some(kept) = groups.get(row).and_then(|group| each.get_mut(*group)) {
                kept.add(numbers);
            }
        })
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.each.resize(total.max(self.each.len()), K::default());
        let each = &mut self.each;
        each_state::<K>(states, |row, other| {
            if let Some(kept) = groups.get(row).and_then(|group| each.get_mut(*group)) {
                put(kept, &other);
            }
        })
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        told(self.kind, &emit.take_needed(&mut self.each))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let kept: Vec<[f64; 6]> = emit.take_needed(&mut self.each).iter().map(Kept::numbers).collect();
        let column = |index: usize| -> ArrayRef {
            let numbers = kept.iter().filter_map(|numbers| numbers.get(index)).copied();
            std::sync::Arc::new(Float64Array::from_iter_values(numbers))
        };
        Ok((0..K::COLUMNS.len()).map(column).collect())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |column| column.len());
        let mut each = Self { kind: self.kind, each: Vec::new() };
        each.update_batch(values, &(0..rows).collect::<Vec<_>>(), filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.each.capacity() * size_of::<K>()
    }
}

/// One group of everything, or of a frame.
#[derive(Debug)]
struct All<K> {
    kind: Kind,
    kept: K,
}

impl<K: Kept> Accumulator for All<K> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        each_row(values, None, |_, numbers| self.kept.add(numbers))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        each_state::<K>(states, |_, other| put(&mut self.kept, &other))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        each_row(values, None, |_, numbers| self.kept.take_back(numbers))
    }

    fn supports_retract_batch(&self) -> bool {
        K::TAKES_BACK
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&told(self.kind, &[self.kept])?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let numbers = self.kept.numbers().into_iter().take(K::COLUMNS.len());
        Ok(numbers.map(|number| ScalarValue::Float64(Some(number))).collect())
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [[f64; 2]; 5] =
        [[1e9 + 1.0, 4.0], [1e9 + 2.0, 5.0], [1e9 - 7.0, -3.0], [1e9, 0.5], [1e9 + 40.0, 9.0]];

    fn kept<K: Kept>(rows: &[[f64; 2]]) -> K {
        let mut kept = K::default();
        rows.iter().for_each(|row| kept.add(*row));
        kept
    }

    fn near<K: Kept>(one: &K, other: &K) -> bool {
        one.numbers().iter().zip(other.numbers()).all(|(a, b)| (a - b).abs() <= 1e-6 * (1.0 + a.abs()))
    }

    #[test]
    fn parts_come_to_what_the_whole_is() {
        for cut in 0..=ROWS.len() {
            let (before, after) = ROWS.split_at(cut);
            let (mut pairs, mut single) = (kept::<Pairs>(before), kept::<Single>(before));
            put(&mut pairs, &kept(after));
            put(&mut single, &kept(after));
            assert!(near(&pairs, &kept(&ROWS)), "{cut}: {pairs:?}");
            assert!(near(&single, &kept(&ROWS)), "{cut}: {single:?}");
        }
    }

    #[test]
    fn a_row_that_leaves_a_frame_is_taken_back() {
        let mut pairs: Pairs = kept(&ROWS);
        ROWS[..3].iter().for_each(|row| pairs.take_back(*row));
        assert!(near(&pairs, &kept(&ROWS[3..])), "{pairs:?}");
        ROWS[3..].iter().for_each(|row| pairs.take_back(*row));
        assert_eq!(pairs.count, 0.0);
    }
}
