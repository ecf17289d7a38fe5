//! `max_by(x, y)` and `min_by(x, y)`: the `x` of the row with the greatest or least `y`. As in Spark rows without a `y`
//! do not count, and of rows with the same one it is the later.

use std::cmp::Ordering;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::best::{Best, Keeps, states};
use super::failed;

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExtremeBy {
    is_max: bool,
    signature: Signature,
}

pub(super) fn all() -> [AggregateUDF; 2] {
    [true, false].map(|is_max| {
        AggregateUDF::from(ExtremeBy { is_max, signature: Signature::any(2, Volatility::Immutable) })
    })
}

impl ExtremeBy {
    fn groups(&self, args: &AccumulatorArgs<'_>) -> Result<Groups> {
        let [_, by] = args.expr_fields else { return plan_err!("{} takes two values", self.name()) };
        // The later of equals takes the place.
        let wins = if self.is_max { Ordering::is_ge } else { Ordering::is_le };
        Ok(Groups {
            none: ScalarValue::try_from(args.return_field.data_type())?,
            values: Vec::new(),
            by: Best::new(by.data_type(), Keeps::Place, wins)?,
            bytes: 0,
        })
    }
}

impl AggregateUDFImpl for ExtremeBy {
    fn name(&self) -> &str {
        if self.is_max { "max_by" } else { "min_by" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [of, _] => Ok(of.clone()),
            _ => plan_err!("{} takes two values", self.name()),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let [_, by] = args.input_fields else { return plan_err!("{} takes two values", self.name()) };
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
    none: ScalarValue,
    values: Vec<ScalarValue>,
    by: Best,
    /// What the values take beside themselves.
    bytes: usize,
}

impl Groups {
    fn take_rows(
        &mut self,
        columns: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        let [values, by] = columns else { return failed("two columns are expected") };
        if self.values.len() < total {
            self.values.resize(total, self.none.clone());
        }
        for (group, row) in self.by.take_rows(by, groups, filter, total)? {
            let Some(value) = self.values.get_mut(group) else { continue };
            let before = value.size();
            *value = ScalarValue::try_from_array(values, row)?;
            self.bytes = (self.bytes + value.size()).saturating_sub(before);
        }
        Ok(())
    }

    /// Values and what they were chosen by.
    fn emit(&mut self, emit: EmitTo) -> Result<[ArrayRef; 2]> {
        let values = emit.take_needed(&mut self.values);
        if self.values.is_empty() {
            self.bytes = 0;
        }
        Ok([ScalarValue::iter_to_array(values)?, self.by.emit(emit)?])
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
        // A row that does not count has no `y`.
        Ok(vec![ArrayRef::clone(values), states(by, filter)?])
    }

    fn size(&self) -> usize {
        let own = size_of_val(self) - size_of_val(&self.by);
        own + self.by.size() + self.values.capacity() * size_of::<ScalarValue>() + self.bytes
    }
}

/// One group of everything.
#[derive(Debug)]
struct Single(Groups);

impl Accumulator for Single {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |column| column.len());
        self.0.take_rows(values, &vec![0; rows], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.0.values.first().unwrap_or(&self.0.none).clone())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?, self.0.by.first()?])
    }

    fn size(&self) -> usize {
        size_of::<Self>() - size_of::<Groups>() + self.0.size()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn a_row_that_a_filter_refuses_does_not_count_whether_the_filter_knows_null_or_not() {
        let by = Best::new(&DataType::Int64, Keeps::Place, Ordering::is_ge).unwrap();
        let groups = Groups { none: ScalarValue::Utf8(None), values: Vec::new(), by, bytes: 0 };
        let columns: [ArrayRef; 2] =
            [Arc::new(StringArray::from(vec!["a", "b"])), Arc::new(Int64Array::from(vec![1, 2]))];
        for second in [Some(false), None] {
            let filter = BooleanArray::from(vec![Some(true), second]);
            let states = groups.convert_to_state(&columns, Some(&filter)).unwrap();
            assert_eq!(states[1].as_ref(), &Int64Array::from(vec![Some(1), None]) as &dyn Array);
        }
    }
}
