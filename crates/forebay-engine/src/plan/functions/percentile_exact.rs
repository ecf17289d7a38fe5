//! `percentile(x, percentage[, frequency])`, which `median` and `percentile_cont` are too, and `percentile_disc`: exact, of all
//! numbers of a group. As in Spark they are DOUBLEs, whatever `x` is.
//!
//! Kept are the different numbers of a group and how often each is there: two lists, in the order of the numbers. A group
//! of a sensor's readings that repeat is small, and how many there may be is bounded as that of `collect_list`.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Builder, Int64Array, Int64Builder, ListBuilder,
};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::counted::{Counted, Way};
use super::percentages::{Percentages, only};
use super::{counts, failed};

/// The name of the one that lies between two numbers where none is at its place.
pub(in crate::plan) const PERCENTILE_EXACT: &str = "percentile";

/// The name of the one that is always a number that is there.
pub(in crate::plan) const PERCENTILE_DISC: &str = "percentile_disc";

/// The same two, counted from the greatest down.
pub(in crate::plan) const PERCENTILE_DOWN: &str = "__percentile_down";
pub(in crate::plan) const PERCENTILE_DISC_DOWN: &str = "__percentile_disc_down";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Percentile {
    way: Way,
    signature: Signature,
}

pub(super) fn all() -> [AggregateUDF; 4] {
    [(false, false), (true, false), (false, true), (true, true)].map(|(is_discrete, is_down)| {
        let signature = Signature::user_defined(Volatility::Immutable);
        AggregateUDF::from(Percentile { way: Way { is_discrete, is_down }, signature })
    })
}

impl AggregateUDFImpl for Percentile {
    fn name(&self) -> &str {
        match (self.way.is_discrete, self.way.is_down) {
            (false, false) => PERCENTILE_EXACT,
            (true, false) => PERCENTILE_DISC,
            (false, true) => PERCENTILE_DOWN,
            (true, true) => PERCENTILE_DISC_DOWN,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let is_number = |of: &DataType| of.is_numeric() || *of == DataType::Null;
        let usage = || plan_err!("{} takes numbers, a percentage and how often each counts", self.name());
        let [of, percentages, frequency @ ..] = types else { return usage() };
        let Some(percentages) = Percentages::coerced(percentages) else { return usage() };
        match frequency {
            [] if is_number(of) => Ok(vec![DataType::Float64, percentages]),
            [often] if is_number(of) && (often.is_integer() || *often == DataType::Null) => {
                Ok(vec![DataType::Float64, percentages, DataType::Int64])
            }
            _ => usage(),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [_, percentages, ..] => Ok(Percentages::result(percentages, DataType::Float64)),
            _ => plan_err!("{} takes numbers and a percentage", self.name()),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let list = |name: &str, of: DataType| {
            FieldRef::new(Field::new(format_state_name(args.name, name), DataType::new_list(of, true), true))
        };
        Ok(vec![list("numbers", DataType::Float64), list("counts", DataType::Int64)])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(All(self.groups(&args)?)))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.groups(&args)?))
    }
}

impl Percentile {
    fn groups(&self, args: &AccumulatorArgs<'_>) -> Result<Groups> {
        let percentages = Percentages::of(args)?;
        Ok(Groups { way: self.way, percentages, each: Vec::new() })
    }
}

/// Those of all groups.
#[derive(Debug)]
struct Groups {
    way: Way,
    percentages: Percentages,
    each: Vec<Counted>,
}

impl Groups {
    fn take_rows(
        &mut self,
        columns: &[ArrayRef],
        group_of: impl Fn(usize) -> usize,
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let [numbers, _, often @ ..] = columns else { return failed("a percentile is one of numbers") };
        let Some(numbers) = numbers.as_primitive_opt::<Float64Type>() else {
            return failed("a percentile is one of numbers");
        };
        let often: Option<&Int64Array> =
            often.first().and_then(|often| often.as_primitive_opt::<Int64Type>());
        for row in 0..numbers.len() {
            let count = match often {
                Some(often) if often.is_null(row) => 0,
                Some(often) => often.value(row),
                None => 1,
            };
            if !counts(filter, row) || numbers.is_null(row) || count == 0 {
                continue;
            }
            if count < 0 {
                return failed(format!("a number counts {count} times in a percentile"));
            }
            if let Some(counted) = self.each.get_mut(group_of(row)) {
                counted.add(numbers.value(row), count);
            }
        }
        Ok(())
    }

    fn take_states(&mut self, states: &[ArrayRef], group_of: impl Fn(usize) -> usize) -> Result<()> {
        let [numbers, counts] = states else { return failed("numbers and their counts are expected") };
        let (Some(numbers), Some(counts)) = (numbers.as_list_opt::<i32>(), counts.as_list_opt::<i32>())
        else {
            return failed("numbers and their counts are expected");
        };
        for row in 0..numbers.len() {
            if numbers.is_null(row) || counts.is_null(row) {
                continue;
            }
            let (numbers, counts) = (numbers.value(row), counts.value(row));
            let (Some(numbers), Some(counts), Some(counted)) = (
                numbers.as_primitive_opt::<Float64Type>(),
                counts.as_primitive_opt::<Int64Type>(),
                self.each.get_mut(group_of(row)),
            ) else {
                return failed("numbers and their counts are expected");
            };
            for (number, count) in numbers.values().iter().zip(counts.values()) {
                counted.add(*number, *count);
            }
        }
        Ok(())
    }

    fn results(&self, counted: &mut [Counted]) -> ArrayRef {
        counted.iter_mut().for_each(Counted::settle);
        self.percentages.results(counted.iter_mut(), |counted, percentage| counted.tell(percentage, self.way))
    }
}

/// The lists that are kept of these.
fn states(mut counted: Vec<Counted>) -> [ArrayRef; 2] {
    let mut numbers = ListBuilder::new(Float64Builder::new());
    let mut counts = ListBuilder::new(Int64Builder::new());
    for counted in &mut counted {
        counted.settle();
        for (number, count) in &counted.pairs {
            numbers.values().append_value(*number);
            counts.values().append_value(*count);
        }
        numbers.append(true);
        counts.append(true);
    }
    [Arc::new(numbers.finish()), Arc::new(counts.finish())]
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.each.resize(total.max(self.each.len()), Counted::default());
        self.take_rows(values, |row| groups.get(row).copied().unwrap_or(usize::MAX), filter)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.each.resize(total.max(self.each.len()), Counted::default());
        self.take_states(states, |row| groups.get(row).copied().unwrap_or(usize::MAX))
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let mut counted = emit.take_needed(&mut self.each);
        Ok(self.results(&mut counted))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(states(emit.take_needed(&mut self.each)).to_vec())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |column| column.len());
        let percentages = self.percentages.clone();
        let mut each = Self { way: self.way, percentages, each: Vec::new() };
        each.update_batch(values, &(0..rows).collect::<Vec<_>>(), filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        let pairs: usize = self.each.iter().map(|counted| counted.pairs.capacity()).sum();
        size_of_val(self) + self.each.capacity() * size_of::<Counted>() + pairs * size_of::<(f64, i64)>()
    }
}

/// One group of everything.
#[derive(Debug)]
struct All(Groups);

impl All {
    fn reach(&mut self) {
        if self.0.each.is_empty() {
            self.0.each.push(Counted::default());
        }
    }
}

impl Accumulator for All {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.reach();
        self.0.take_rows(values, |_| 0, None)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.reach();
        self.0.take_states(states, |_| 0)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.reach();
        let mut counted = std::mem::take(&mut self.0.each);
        let results = self.0.results(&mut counted);
        self.0.each = counted;
        only(&results)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.reach();
        states(self.0.each.clone()).iter().map(only).collect()
    }

    fn size(&self) -> usize {
        size_of::<Self>() - size_of::<Groups>() + self.0.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_repeats_is_kept_once() {
        let numbers: Vec<f64> = (0..10_000).map(|i| f64::from(i % 7)).collect();
        let counted = Counted::of(&numbers);
        assert_eq!(counted.pairs.len(), 7);
        assert!(counted.pairs.capacity() < 256, "{}", counted.pairs.capacity());
        let (mut merged, [numbers, counts]) = (
            Groups {
                way: Way { is_discrete: false, is_down: false },
                percentages: one(),
                each: vec![Counted::of(&[6.0, f64::NAN, -f64::NAN])],
            },
            states(vec![counted]),
        );
        merged.take_states(&[numbers, counts], |_| 0).unwrap();
        merged.each[0].settle();
        assert_eq!(merged.each[0].pairs.len(), 8);
        assert_eq!(merged.each[0].pairs[6], (6.0, 10_000 / 7 + 1));
        assert!(merged.each[0].at(10_002).unwrap().is_nan());
    }

    fn one() -> Percentages {
        Percentages::one(0.5)
    }
}
