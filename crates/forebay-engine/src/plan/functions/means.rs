//! Averages of decimals as Spark has them: exact sums, rounded half up; DataFusion's are cut off.
//!
//! A sum has ten digits more than what is summed, 38 at most. One that has more is an error, as an average that does not
//! fit its type is; in `try_avg` both are NULL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Decimal256Array};
use arrow::compute::cast;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal256Type, UInt64Type, i256,
};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::failed;

/// How averages come out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounding {
    pub precision: u8,
    pub scale: i8,
    /// True if what does not fit is NULL and no error.
    pub is_try: bool,
}

/// DataFusion's averages, of which only the state is taken: count and sum.
pub(super) struct RoundedMeans {
    pub inner: Box<dyn GroupsAccumulator>,
    pub rounding: Rounding,
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
        self.rounding.means(&self.inner.state(emit)?)
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

/// The average of everything or of a frame, rounded so.
#[derive(Debug)]
pub(super) struct RoundedMean {
    pub inner: Box<dyn Accumulator>,
    pub rounding: Rounding,
}

impl Accumulator for RoundedMean {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(values)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let state = self.inner.state()?.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>>>()?;
        ScalarValue::try_from_array(&self.rounding.means(&state)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}

impl Rounding {
    /// The averages of groups with these states: counts and sums, or with DISTINCT the values.
    fn means(self, state: &[ArrayRef]) -> Result<ArrayRef> {
        let (totals, scale) = totals(state)?;
        let Some(bounds) = Bounds::new(self, scale) else {
            return failed("an average of decimals has no fewer digits than they have");
        };
        let mean = |total: Total| match total.map(|(sum, count)| bounds.mean(sum, count)) {
            None => Ok(None),
            Some(None) if !self.is_try => failed(format!(
                "an average of decimals, or the sum that it is of, does not fit its type, here DECIMAL({},{}); \
                 write try_avg for NULL in its place, or cast to fewer digits",
                self.precision, self.scale
            )),
            Some(mean) => Ok(mean),
        };
        let means = totals.into_iter().map(mean).collect::<Result<Decimal128Array>>()?;
        Ok(Arc::new(means.with_precision_and_scale(self.precision, self.scale)?))
    }
}

/// What bounds the averages of one column, in powers of ten.
struct Bounds {
    /// A sum is below it.
    sum: i256,
    /// By which a sum gets the scale of the average.
    factor: i256,
    /// An average is below it.
    mean: i256,
}

impl Bounds {
    /// Of sums with this scale.
    fn new(rounding: Rounding, scale: i8) -> Option<Self> {
        let power = |exponent: u8| i256::from_i128(10).checked_pow(u32::from(exponent));
        // The type of an average has four digits more than the numbers, that of a sum ten.
        let digits = rounding.precision.saturating_add(6).min(DECIMAL128_MAX_PRECISION);
        let factor = u8::try_from(rounding.scale.checked_sub(scale)?).ok()?;
        Some(Self { sum: power(digits)?, factor: power(factor)?, mean: power(rounding.precision)? })
    }

    /// The average of so many numbers, of which there is one at least; `None` if it or their sum has too many digits.
    fn mean(&self, sum: i256, count: u64) -> Option<i128> {
        if sum.checked_abs()? >= self.sum {
            return None;
        }
        let sum = sum.checked_mul(self.factor)?;
        let count = i256::from_i128(i128::from(count));
        let (whole, rest) = (sum.checked_div(count)?, sum.checked_rem(count)?.checked_abs()?);
        // A half and more is rounded away from zero.
        let is_up = rest.checked_add(rest)? >= count;
        let mean = if is_up { whole.checked_add(sum.signum())? } else { whole };
        if mean.checked_abs()? >= self.mean { None } else { mean.to_i128() }
    }
}

/// A group's sum and how many numbers it is of; `None` if there is no number.
type Total = Option<(i256, u64)>;

/// The totals of groups with these states, and the scale of the sums.
fn totals(state: &[ArrayRef]) -> Result<(Vec<Total>, i8)> {
    match state {
        [counts, sums] => {
            let Some(counts) = counts.as_primitive_opt::<UInt64Type>() else {
                return failed("an average of decimals is kept as a count and a sum");
            };
            let (sums, scale) = wide(sums)?;
            let total = |(sum, count): (Option<i256>, Option<u64>)| sum.zip(count.filter(|count| *count > 0));
            Ok((sums.iter().zip(counts).map(total).collect(), scale))
        }
        [lists] => totals_of_different(lists),
        _ => failed("an average of decimals is kept as a count and a sum"),
    }
}

/// The same where each group has a list of its different numbers.
fn totals_of_different(lists: &ArrayRef) -> Result<(Vec<Total>, i8)> {
    let Some(lists) = lists.as_list_opt::<i32>() else {
        return failed("an average of different decimals is kept as a list");
    };
    let (numbers, scale) = wide(lists.values())?;
    let total = |(from, length): (&i32, usize)| {
        let numbers = numbers.slice(usize::try_from(*from).ok()?, length);
        let count = (numbers.len() - numbers.null_count()) as u64;
        let sum = numbers.iter().flatten().try_fold(i256::ZERO, i256::checked_add)?;
        (count > 0).then_some((sum, count))
    };
    let offsets = lists.offsets();
    Ok((offsets.iter().zip(offsets.lengths()).map(total).collect(), scale))
}

/// Decimals of any width, and their scale.
fn wide(decimals: &ArrayRef) -> Result<(Decimal256Array, i8)> {
    let (DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale)) = *decimals.data_type() else {
        return failed("an average of decimals is kept as a sum of decimals");
    };
    let wide = cast(decimals, &DataType::Decimal256(DECIMAL256_MAX_PRECISION, scale))?;
    match wide.as_primitive_opt::<Decimal256Type>() {
        Some(wide) => Ok((wide.clone(), scale)),
        None => failed("an average of decimals is kept as a sum of decimals"),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ListArray, UInt64Array};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Field;

    use super::*;

    /// Of `DECIMAL(38,2)`.
    const WIDE: Rounding = Rounding { precision: 38, scale: 6, is_try: false };

    /// The state of these sums of numbers with two digits behind the point.
    fn state(sums: &[i256], counts: &[u64]) -> [ArrayRef; 2] {
        let sums = Decimal256Array::from(sums.to_vec()).with_precision_and_scale(76, 2).unwrap();
        [Arc::new(UInt64Array::from(counts.to_vec())), Arc::new(sums)]
    }

    fn told(rounding: Rounding, state: &[ArrayRef]) -> Result<Vec<Option<i128>>> {
        let means = rounding.means(state)?;
        assert_eq!(means.data_type(), &DataType::Decimal128(rounding.precision, rounding.scale));
        let means = means.as_primitive::<arrow::datatypes::Decimal128Type>();
        Ok(means.iter().collect())
    }

    #[test]
    fn averages_of_wide_sums_are_rounded_half_up() {
        let sums = [300, -300, 200, -200, 1, -1, 0].map(i256::from_i128);
        let means = told(WIDE, &state(&sums, &[2, 2, 3, 3, 20_000, 20_000, 0])).unwrap();
        let expected =
            [Some(1_500_000), Some(-1_500_000), Some(666_667), Some(-666_667), Some(1), Some(-1), None];
        assert_eq!(means, expected);
    }

    #[test]
    fn an_average_or_a_sum_that_does_not_fit_fails_or_is_null() {
        let ten = |exponent: u32| i256::from_i128(10_i128.pow(exponent));
        // 38 digits with six behind the point: below 10^32, here in hundredths.
        let fits = state(&[ten(34).wrapping_sub(i256::ONE)], &[1]);
        assert_eq!(told(WIDE, &fits).unwrap(), [Some((10_i128.pow(34) - 1) * 10_000)]);
        let sum_fits = state(&[ten(38).wrapping_sub(i256::ONE)], &[1_000_000]);
        assert_eq!(told(WIDE, &sum_fits).unwrap(), [Some(10_i128.pow(36))]);
        for wrong in [state(&[ten(34)], &[1]), state(&[ten(38)], &[1_000_000]), state(&[i256::MIN], &[1])] {
            let error = told(WIDE, &wrong).unwrap_err().to_string();
            assert!(error.contains("DECIMAL(38,6)") && error.contains("try_avg"), "{error}");
            assert_eq!(told(Rounding { is_try: true, ..WIDE }, &wrong).unwrap(), [None]);
        }
    }

    #[test]
    fn different_numbers_are_kept_as_lists() {
        let numbers = Decimal128Array::from(vec![100, 200, 250]).with_precision_and_scale(38, 2).unwrap();
        let item = Arc::new(Field::new_list_field(numbers.data_type().clone(), true));
        let lists =
            ListArray::try_new(item, OffsetBuffer::from_lengths([2, 0, 1]), Arc::new(numbers), None).unwrap();
        let means = told(WIDE, &[Arc::new(lists)]).unwrap();
        assert_eq!(means, [Some(1_500_000), None, Some(2_500_000)]);
    }
}
