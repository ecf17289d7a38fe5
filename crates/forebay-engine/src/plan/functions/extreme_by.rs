//! `max_by(x, y)` and `min_by(x, y)`: the `x` of the row with the greatest or least `y`. As in Spark rows without a `y`
//! do not count, and of rows with the same one it is the later.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, BooleanArray, make_comparator};
use arrow::compute::{SortOptions, nullif};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::{counts, failed};
use crate::plan::truth;

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExtremeBy {
    name: &'static str,
    /// The ordering of a later row to an earlier one whose place it does not take.
    stays: Ordering,
    signature: Signature,
}

pub(super) fn all() -> [AggregateUDF; 2] {
    [("max_by", Ordering::Less), ("min_by", Ordering::Greater)].map(|(name, stays)| {
        AggregateUDF::from(ExtremeBy { name, stays, signature: Signature::any(2, Volatility::Immutable) })
    })
}

impl ExtremeBy {
    fn groups(&self, args: &AccumulatorArgs<'_>) -> Result<Groups> {
        let [_, by] = args.expr_fields else { return plan_err!("{} takes two values", self.name) };
        Ok(Groups {
            stays: self.stays,
            none: (
                ScalarValue::try_from(args.return_field.data_type())?,
                ScalarValue::try_from(by.data_type())?,
            ),
            values: Vec::new(),
            by: Vec::new(),
            winners: Vec::new(),
            bytes: 0,
        })
    }
}

impl AggregateUDFImpl for ExtremeBy {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [of, _] => Ok(of.clone()),
            _ => plan_err!("{} takes two values", self.name),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let [_, by] = args.input_fields else { return plan_err!("{} takes two values", self.name) };
        let field = |name: &str, data_type: &DataType| {
            FieldRef::new(Field::new(format_state_name(args.name, name), data_type.clone(), true))
        };
        Ok(vec![field("value", args.return_field.data_type()), field("by", by.data_type())])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Single(self.groups(&args)?)))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.groups(&args)?))
    }

    /// Only rows with the same `y` are told apart by their order; no sort is worth that.
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// What each group has: both values of its row, NULLs before there is one.
#[derive(Debug)]
struct Groups {
    stays: Ordering,
    none: (ScalarValue, ScalarValue),
    values: Vec<ScalarValue>,
    by: Vec<ScalarValue>,
    /// The best row of a batch for each group, counted from 1; 0 between batches.
    winners: Vec<u32>,
    /// What the values take beside themselves.
    bytes: usize,
}

impl Groups {
    fn reach(&mut self, total: usize) {
        if self.values.len() < total {
            self.values.resize(total, self.none.0.clone());
            self.by.resize(total, self.none.1.clone());
            self.winners.resize(total, 0);
        }
    }

    fn take_rows(
        &mut self,
        columns: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        let [values, by] = columns else { return failed("two columns are expected") };
        self.reach(total);
        let compare = make_comparator(by.as_ref(), by.as_ref(), SortOptions::default())?;
        let mut touched = Vec::new();
        for (row, group) in groups.iter().enumerate() {
            if !counts(filter, row) || by.is_null(row) {
                continue;
            }
            let Some(winner) = self.winners.get_mut(*group) else { continue };
            if *winner == 0 {
                touched.push(*group);
            } else if compare(row, *winner as usize - 1) == self.stays {
                continue;
            }
            *winner = row as u32 + 1;
        }
        for group in touched {
            let (Some(winner), Some(best), Some(value)) =
                (self.winners.get_mut(group), self.by.get_mut(group), self.values.get_mut(group))
            else {
                continue;
            };
            let row = std::mem::take(winner) as usize - 1;
            let new = ScalarValue::try_from_array(by, row)?;
            if !best.is_null() && new.partial_cmp(best) == Some(self.stays) {
                continue;
            }
            let before = best.size() + value.size();
            (*best, *value) = (new, ScalarValue::try_from_array(values, row)?);
            self.bytes = (self.bytes + best.size() + value.size()).saturating_sub(before);
        }
        Ok(())
    }

    /// Values and what they were chosen by.
    fn emit(&mut self, emit: EmitTo) -> Result<[ArrayRef; 2]> {
        let (values, by) = (emit.take_needed(&mut self.values), emit.take_needed(&mut self.by));
        self.winners.truncate(self.values.len());
        if self.values.is_empty() {
            self.bytes = 0;
        }
        Ok([ScalarValue::iter_to_array(values)?, ScalarValue::iter_to_array(by)?])
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.take_rows(values, groups, filter, total)
    }

    /// A state without a row has no `y`, and counts as little as a row without one.
    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.take_rows(states, groups, None, total)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        self.emit(emit).map(|[values, _]| values)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        self.emit(emit).map(Vec::from)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let [values, by] = values else { return failed("two columns are expected") };
        let by = match filter {
            // A row that does not count has no `y`.
            Some(filter) => nullif(by, &BooleanArray::new(!&truth(filter), None))?,
            None => ArrayRef::clone(by),
        };
        Ok(vec![ArrayRef::clone(values), by])
    }

    fn size(&self) -> usize {
        let each = 2 * size_of::<ScalarValue>() + size_of::<u32>();
        size_of_val(self) + self.values.capacity() * each + self.bytes
    }
}

/// One group of everything.
#[derive(Debug)]
struct Single(Groups);

impl Single {
    fn only(of: &[ScalarValue], none: &ScalarValue) -> ScalarValue {
        of.first().unwrap_or(none).clone()
    }
}

impl Accumulator for Single {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |column| column.len());
        self.0.take_rows(values, &vec![0; rows], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(Self::only(&self.0.values, &self.0.none.0))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?, Self::only(&self.0.by, &self.0.none.1)])
    }

    fn size(&self) -> usize {
        size_of::<Self>() - size_of::<Groups>() + self.0.size()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn a_row_that_a_filter_refuses_does_not_count_whether_the_filter_knows_null_or_not() {
        let none = (ScalarValue::Utf8(None), ScalarValue::Int64(None));
        let (values, by, winners) = (Vec::new(), Vec::new(), Vec::new());
        let groups = Groups { stays: Ordering::Less, none, values, by, winners, bytes: 0 };
        let columns: [ArrayRef; 2] =
            [Arc::new(StringArray::from(vec!["a", "b"])), Arc::new(Int64Array::from(vec![1, 2]))];
        for second in [Some(false), None] {
            let filter = BooleanArray::from(vec![Some(true), second]);
            let states = groups.convert_to_state(&columns, Some(&filter)).unwrap();
            assert_eq!(states[1].as_ref(), &Int64Array::from(vec![Some(1), None]) as &dyn Array);
        }
    }
}
