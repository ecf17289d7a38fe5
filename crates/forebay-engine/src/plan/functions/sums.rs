//! Sums of whole numbers that fail beyond BIGINT: of groups, of everything, of a frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::compute::sum_checked;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;

use super::failed;

/// The sums of groups; it knows if one of them wrapped around.
pub(super) struct CheckedSums {
    sums: Box<dyn GroupsAccumulator>,
    wrapped: Arc<AtomicBool>,
}

impl CheckedSums {
    pub fn new() -> Self {
        let wrapped = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&wrapped);
        let add = move |sum: &mut i64, number: i64| {
            let (to, wraps) = sum.overflowing_add(number);
            *sum = to;
            if wraps {
                told.store(true, Ordering::Relaxed);
            }
        };
        let sums = PrimitiveGroupsAccumulator::<Int64Type, _>::new(&DataType::Int64, add);
        Self { sums: Box::new(sums), wrapped }
    }

    fn check(&self) -> Result<()> {
        if self.wrapped.load(Ordering::Relaxed) { overflows() } else { Ok(()) }
    }
}

impl GroupsAccumulator for CheckedSums {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.sums.update_batch(values, groups, filter, total)?;
        self.check()
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.sums.merge_batch(values, groups, total)?;
        self.check()
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        self.sums.evaluate(emit)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        self.sums.state(emit)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.sums.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        self.sums.size()
    }
}

/// The sum of everything.
#[derive(Debug, Default)]
pub(super) struct CheckedSum {
    sum: Option<i64>,
}

impl Accumulator for CheckedSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(numbers) = values.first().and_then(|column| column.as_primitive_opt::<Int64Type>()) else {
            return failed("a sum of whole numbers was given others");
        };
        let Ok(more) = sum_checked(numbers) else { return overflows() };
        self.sum = match (self.sum, more) {
            (Some(sum), Some(more)) => match sum.checked_add(more) {
                Some(sum) => Some(sum),
                None => return overflows(),
            },
            (sum, more) => sum.or(more),
        };
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(self.sum))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Int64(self.sum)])
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The sum of a frame: what it runs through on its way does not count, only what it comes to.
#[derive(Debug, Default)]
pub(super) struct SlidingSum {
    /// Of 2^63 numbers at least.
    sum: i128,
    /// How many numbers there are.
    count: i64,
}

impl SlidingSum {
    fn take(&mut self, values: &[ArrayRef], sign: i128) -> Result<()> {
        let Some(numbers) = values.first().and_then(|column| column.as_primitive_opt::<Int64Type>()) else {
            return failed("a sum of whole numbers was given others");
        };
        for number in numbers.iter().flatten() {
            self.sum += sign * i128::from(number);
            self.count += sign as i64;
        }
        Ok(())
    }
}

impl Accumulator for SlidingSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.take(values, 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.take(values, -1)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.take(states, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.count == 0 {
            return Ok(ScalarValue::Int64(None));
        }
        i64::try_from(self.sum).map_or_else(|_| overflows(), |sum| Ok(ScalarValue::Int64(Some(sum))))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

fn overflows<T>() -> Result<T> {
    failed("a sum of whole numbers leaves the range of BIGINT; sum a DECIMAL or a DOUBLE, or write try_sum")
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    fn numbers(values: &[i64]) -> [ArrayRef; 1] {
        [Arc::new(Int64Array::from(values.to_vec()))]
    }

    #[test]
    fn a_frames_sum_fails_where_it_comes_to_more_than_bigint() {
        let mut sum = SlidingSum::default();
        assert_eq!(sum.evaluate().unwrap(), ScalarValue::Int64(None));
        sum.update_batch(&numbers(&[i64::MAX, 1])).unwrap();
        assert!(sum.evaluate().unwrap_err().to_string().contains("BIGINT"));
        sum.retract_batch(&numbers(&[i64::MAX])).unwrap();
        assert_eq!(sum.evaluate().unwrap(), ScalarValue::Int64(Some(1)));
        sum.retract_batch(&numbers(&[1])).unwrap();
        assert_eq!(sum.evaluate().unwrap(), ScalarValue::Int64(None));
    }

    #[test]
    fn a_sum_beyond_bigint_fails_and_the_greatest_does_not() {
        let mut sums = CheckedSums::new();
        sums.update_batch(&numbers(&[i64::MAX - 1, i64::MIN]), &[0, 1], None, 2).unwrap();
        sums.merge_batch(&numbers(&[1]), &[0], 2).unwrap();
        let mut sum = CheckedSum::default();
        sum.update_batch(&numbers(&[i64::MAX - 1, 1])).unwrap();
        assert_eq!(sum.evaluate().unwrap(), ScalarValue::Int64(Some(i64::MAX)));
        for error in [
            sums.update_batch(&numbers(&[-1]), &[1], None, 2).unwrap_err(),
            sum.merge_batch(&numbers(&[1])).unwrap_err(),
            CheckedSum::default().update_batch(&numbers(&[i64::MAX, 1])).unwrap_err(),
        ] {
            assert!(error.to_string().contains("BIGINT"), "{error}");
        }
    }
}
