//! `percentile_approx(x, percentage)`, and with an array of percentages: DataFusion's digest of numbers, with the type of `x`
//! as in Spark.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions_aggregate::approx_percentile_cont::approx_percentile_cont_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use datafusion_functions_aggregate_common::tdigest::{DEFAULT_MAX_SIZE, TDigest};

use super::failed;
use super::percentages::{Percentages, only};

/// Its name.
pub(in crate::plan) const PERCENTILE: &str = "percentile_approx";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Percentile {
    /// Whose state ours is.
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

pub(super) fn function() -> AggregateUDF {
    let signature = Signature::user_defined(Volatility::Immutable);
    AggregateUDF::from(Percentile { inner: approx_percentile_cont_udaf(), signature })
}

impl AggregateUDFImpl for Percentile {
    fn name(&self) -> &str {
        PERCENTILE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [of, percentages] = types else {
            return plan_err!("{PERCENTILE} takes numbers and a percentage");
        };
        match (of, Percentages::coerced(percentages)) {
            (DataType::Null, Some(percentages)) => Ok(vec![DataType::Float64, percentages]),
            (of, Some(percentages)) if of.is_numeric() => Ok(vec![of.clone(), percentages]),
            _ => plan_err!("{PERCENTILE} takes numbers and a percentage"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [of, percentages] => Ok(Percentages::result(percentages, of.clone())),
            _ => plan_err!("{PERCENTILE} takes numbers and a percentage"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let to = match args.return_field.data_type() {
            DataType::List(item) => item.data_type().clone(),
            one => one.clone(),
        };
        let percentages = Percentages::of(&args)?;
        Ok(Box::new(Digest { digest: TDigest::new(DEFAULT_MAX_SIZE), percentages, to }))
    }
}

/// A digest of one group's numbers, looked at as DOUBLEs; it gives some of their own type.
#[derive(Debug)]
struct Digest {
    digest: TDigest,
    percentages: Percentages,
    to: DataType,
}

impl Digest {
    fn of_type(&self, results: &ArrayRef) -> Result<ArrayRef> {
        if let Some(lists) = results.as_list_opt::<i32>() {
            let values = self.of_type(lists.values())?;
            let DataType::List(item) = DataType::new_list(self.to.clone(), true) else {
                return failed("a list is expected");
            };
            let list = ListArray::try_new(item, lists.offsets().clone(), values, lists.nulls().cloned())?;
            return Ok(Arc::new(list));
        }
        let Some(numbers) = results.as_primitive_opt::<Float64Type>() else {
            return failed("a number is expected");
        };
        // It may lie between two of them: the nearest whole number.
        let nearest: Float64Array =
            if self.to.is_integer() { numbers.unary(f64::round) } else { numbers.clone() };
        Ok(cast(&nearest, &self.to)?)
    }
}

impl Accumulator for Digest {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [numbers, ..] = values else { return failed("a percentile is one of numbers") };
        let numbers = cast(numbers, &DataType::Float64)?;
        let numbers: Vec<f64> =
            numbers.as_primitive_opt::<Float64Type>().into_iter().flatten().flatten().collect();
        if !numbers.is_empty() {
            self.digest = self.digest.merge_unsorted_f64(numbers);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |column| column.len());
        let mut digests = vec![self.digest.clone()];
        for row in 0..rows {
            let state = states
                .iter()
                .map(|column| ScalarValue::try_from_array(column, row))
                .collect::<Result<Vec<ScalarValue>>>()?;
            // A group that saw nothing.
            if state.iter().any(ScalarValue::is_null) {
                continue;
            }
            let digest = TDigest::from_scalar_state(&state);
            if digest.count() > 0.0 {
                digests.push(digest);
            }
        }
        self.digest = TDigest::merge_digests(&digests);
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let tell = |digest: &mut TDigest, percentage: f64| {
            (digest.count() > 0.0).then(|| digest.estimate_quantile(percentage))
        };
        let results = self.percentages.results(std::iter::once(&mut self.digest), tell);
        only(&self.of_type(&results)?)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(self.digest.to_scalar_state())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.digest.size()
    }
}
