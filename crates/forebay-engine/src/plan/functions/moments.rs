//! Statistics of numbers and of pairs of numbers as Spark has them: `corr`, `covar_pop`, `covar_samp`, the `regr_` functions,
//! `skewness`, `kurtosis`.
//!
//! What is kept of a group is in [`kept`]; here are the functions and the groups. A row in which one of the numbers is NULL does
//! not count. The first argument is y and the second x, as `regr_slope(y, x)` has them; for the others it is the same.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use self::kept::{Kept, Kind, Pairs, Single, put};
use super::{counts, failed};

mod kept;

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

impl AggregateUDFImpl for Moments {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let wanted = if self.kind.is_single() { 1 } else { 2 };
        let is_number = |of: &DataType| of.is_numeric() || of.is_string() || of.is_null();
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
        if counts(filter, row) && numbers.iter().all(|numbers| numbers.is_valid(row)) {
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
