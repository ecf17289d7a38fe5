//! `min` and `max` of structs and arrays; DataFusion's depend on the order of rows where a field is NULL or NaN.
//!
//! The state is DataFusion's: the value itself.

use std::cmp::Ordering;
use std::collections::VecDeque;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use arrow::row::OwnedRow;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::best::{Best, Keeps, states};
use super::failed;

/// True if values of this type hold others.
pub(super) fn is_nested(of: &DataType) -> bool {
    matches!(of, DataType::Struct(_) | DataType::List(_))
}

/// The greatest or the least of groups, or of everything.
#[derive(Debug)]
pub(super) struct Extreme(Best);

impl Extreme {
    pub fn greatest(of: &DataType) -> Result<Self> {
        Best::new(of, Keeps::Value, Ordering::is_gt).map(Self)
    }

    pub fn least(of: &DataType) -> Result<Self> {
        Best::new(of, Keeps::Value, Ordering::is_lt).map(Self)
    }

    fn take_rows(
        &mut self,
        columns: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        let [values] = columns else { return failed("one column is expected") };
        self.0.take_rows(values, groups, filter, total).map(drop)
    }
}

impl GroupsAccumulator for Extreme {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.take_rows(values, groups, filter, total)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.take_rows(states, groups, None, total)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        self.0.emit(emit)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.0.emit(emit)?])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let [values] = values else { return failed("one column is expected") };
        Ok(vec![states(values, filter)?])
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

impl Accumulator for Extreme {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |column| column.len());
        self.take_rows(values, &vec![0; rows], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        Accumulator::update_batch(self, states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.first()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.0.first()?])
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

/// That of a frame.
#[derive(Debug)]
pub(super) struct Moving {
    best: Best,
    /// The rows of the frame that none behind them surpasses, with their numbers from 1: the first is the result.
    rows: VecDeque<(usize, OwnedRow)>,
    /// How many rows came into the frame.
    came: usize,
    /// How many left it.
    left: usize,
}

impl Moving {
    pub fn new(of: Extreme) -> Self {
        Self { best: of.0, rows: VecDeque::new(), came: 0, left: 0 }
    }
}

impl Accumulator for Moving {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values] = values else { return failed("one column is expected") };
        let (rows, nulls) = (self.best.rows(values)?, values.logical_nulls());
        for (at, row) in rows.iter().enumerate() {
            self.came += 1;
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(at)) {
                continue;
            }
            while self.rows.pop_back_if(|(_, last)| !self.best.wins(last.row(), row)).is_some() {}
            self.rows.push_back((self.came, row.owned()));
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.left += values.first().map_or(0, |column| column.len());
        let left = self.left;
        while self.rows.pop_front_if(|(number, _)| *number <= left).is_some() {}
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.best.value(self.rows.front().map(|(_, row)| row))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        let rows: usize = self.rows.iter().map(|(_, row)| row.as_ref().len()).sum();
        let own = size_of_val(self) - size_of_val(&self.best);
        own + self.best.size() + self.rows.capacity() * size_of::<(usize, OwnedRow)>() + rows
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Float64Array, Int64Array, StructArray};
    use arrow::buffer::NullBuffer;
    use arrow::datatypes::{Field, Fields, Float64Type, Int64Type};
    use proptest::prelude::*;

    use super::*;

    /// `STRUCT<f DOUBLE, k BIGINT>`.
    type Value = (Option<f64>, Option<i64>);

    fn fields() -> Fields {
        vec![Field::new("f", DataType::Float64, true), Field::new("k", DataType::Int64, true)].into()
    }

    fn column(values: &[Option<Value>]) -> [ArrayRef; 1] {
        let f: Float64Array = values.iter().map(|value| value.and_then(|value| value.0)).collect();
        let k: Int64Array = values.iter().map(|value| value.and_then(|value| value.1)).collect();
        let there: NullBuffer = values.iter().map(Option::is_some).collect::<Vec<bool>>().into();
        [Arc::new(StructArray::try_new(fields(), vec![Arc::new(f), Arc::new(k)], Some(there)).unwrap())]
    }

    fn value(told: &ScalarValue) -> Option<Value> {
        let ScalarValue::Struct(told) = told else { panic!("{told}") };
        let (f, k) =
            (told.column(0).as_primitive::<Float64Type>(), told.column(1).as_primitive::<Int64Type>());
        told.is_valid(0).then(|| (f.iter().next().unwrap(), k.iter().next().unwrap()))
    }

    /// Spark's order, field by field.
    fn order(a: &Value, b: &Value) -> Ordering {
        let class = |value: &Value| value.0.map_or(0, |f| if f.is_nan() { 2 } else { 1 });
        let number = |value: &Value| value.0.filter(|f| !f.is_nan()).unwrap_or(0.0) + 0.0;
        class(a).cmp(&class(b)).then(number(a).total_cmp(&number(b))).then(a.1.cmp(&b.1))
    }

    fn best(values: &[Option<Value>], is_max: bool) -> Option<Value> {
        let values = values.iter().flatten().copied();
        if is_max { values.max_by(order) } else { values.min_by(order) }
    }

    fn extreme(is_max: bool) -> Extreme {
        let of = DataType::Struct(fields());
        if is_max { Extreme::greatest(&of).unwrap() } else { Extreme::least(&of).unwrap() }
    }

    fn is_same(a: Option<Value>, b: Option<Value>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => order(&a, &b).is_eq(),
            (a, b) => a.is_none() && b.is_none(),
        }
    }

    fn values() -> impl Strategy<Value = Vec<Option<Value>>> {
        let odd = [f64::NAN, -f64::NAN, 0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1.5, -2.0];
        let f = prop::option::of(prop::sample::select(odd.to_vec()));
        prop::collection::vec(prop::option::of((f, prop::option::of(-2_i64..3))), 1..24)
    }

    proptest! {
        #[test]
        fn no_order_and_no_division_of_rows_changes_the_least_and_the_greatest(
            values in values(), turn in 0_usize..24, part in 1_usize..9, is_max: bool,
        ) {
            let mut turned = values.clone();
            turned.rotate_left(turn % values.len());
            let mut all = extreme(is_max);
            for part in turned.chunks(part) {
                let mut one = extreme(is_max);
                Accumulator::update_batch(&mut one, &column(part)).unwrap();
                let state = Accumulator::state(&mut one).unwrap()[0].to_array().unwrap();
                Accumulator::merge_batch(&mut all, &[state]).unwrap();
            }
            let told = Accumulator::evaluate(&mut all).unwrap();
            prop_assert!(is_same(value(&told), best(&values, is_max)), "{told}");
            let mut once = extreme(is_max);
            Accumulator::update_batch(&mut once, &column(&values)).unwrap();
            // Not even which of two zeros or NaNs it is.
            prop_assert_eq!(format!("{:?}", Accumulator::evaluate(&mut once).unwrap()), format!("{told:?}"));
        }

        #[test]
        fn a_frame_has_the_least_and_the_greatest_of_its_rows(
            values in values(), wide in 1_usize..5, is_max: bool,
        ) {
            let mut moving = Moving::new(extreme(is_max));
            for end in 1..=values.len() {
                moving.update_batch(&column(&values[end - 1..end])).unwrap();
                let start = end.saturating_sub(wide);
                if start > 0 {
                    moving.retract_batch(&column(&values[start - 1..start])).unwrap();
                }
                let told = moving.evaluate().unwrap();
                prop_assert!(is_same(value(&told), best(&values[start..end], is_max)), "{told}");
            }
        }
    }
}
