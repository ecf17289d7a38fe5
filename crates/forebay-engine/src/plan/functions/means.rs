//! Averages of decimals, rounded half up as Spark's are; DataFusion's are cut off.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, UInt64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::failed;

/// DataFusion's averages, of which only the state is taken: count and sum.
pub(super) struct RoundedMeans {
    pub inner: Box<dyn GroupsAccumulator>,
    pub precision: u8,
    pub scale: i8,
}

impl GroupsAccumulator for RoundedMeans {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.inner.update_batch(values, groups, filter, total)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.inner.merge_batch(values, groups, total)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        means(&self.inner.state(emit)?, self.precision, self.scale)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}

/// The average of everything, rounded so.
#[derive(Debug)]
pub(super) struct RoundedMean {
    pub inner: Box<dyn Accumulator>,
    pub precision: u8,
    pub scale: i8,
}

impl Accumulator for RoundedMean {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(values)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let state = self.inner.state()?.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>>>()?;
        ScalarValue::try_from_array(&means(&state, self.precision, self.scale)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}

/// The averages of these counts and sums.
fn means(state: &[ArrayRef], precision: u8, scale: i8) -> Result<ArrayRef> {
    let [counts, sums] = state else { return failed("an average is kept as a count and a sum") };
    let (Some(counts), Some(sums), DataType::Decimal128(_, from)) = (
        counts.as_primitive_opt::<UInt64Type>(),
        sums.as_primitive_opt::<Decimal128Type>(),
        sums.data_type(),
    ) else {
        return failed("an average of decimals is kept as a count and a sum");
    };
    let factor = 10_i128.checked_pow(u32::from((scale - from).unsigned_abs()));
    let most = 10_i128.pow(u32::from(precision.min(38)));
    let mean = |(count, sum): (Option<u64>, Option<i128>)| {
        let (Some(count), Some(sum)) = (count.filter(|count| *count > 0), sum) else { return Ok(None) };
        let count = i128::from(count);
        // A half and more is rounded away from zero.
        let rounded = factor.and_then(|factor| sum.checked_mul(factor)).map(|sum| {
            let (whole, rest) = (sum / count, sum % count);
            whole + if 2 * rest.abs() >= count { sum.signum() } else { 0 }
        });
        match rounded.filter(|mean| mean.abs() < most) {
            Some(mean) => Ok(Some(mean)),
            None => failed("an average of decimals has more digits than its type"),
        }
    };
    let means = counts.iter().zip(sums).map(mean).collect::<Result<Decimal128Array>>()?;
    Ok(Arc::new(means.with_precision_and_scale(precision, scale)?))
}
