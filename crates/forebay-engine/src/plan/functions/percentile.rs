//! `percentile_approx(x, percentage)`: DataFusion's approximate percentile, with the type of `x` as in Spark.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions_aggregate::approx_percentile_cont::approx_percentile_cont_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use super::failed;

/// Its name.
pub(in crate::plan) const PERCENTILE: &str = "percentile_approx";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Percentile {
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
        match types {
            [DataType::Null, _] => Ok(vec![DataType::Float64; 2]),
            [of, _] if of.is_numeric() => Ok(vec![of.clone(), DataType::Float64]),
            _ => plan_err!("{PERCENTILE} takes numbers and a percentage"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [of, ..] => Ok(of.clone()),
            [] => plan_err!("{PERCENTILE} takes numbers and a percentage"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let to = args.return_field.data_type().clone();
        let float = |field: &FieldRef| Arc::new(field.as_ref().clone().with_data_type(DataType::Float64));
        let fields: Vec<FieldRef> = args.expr_fields.iter().map(float).collect();
        let inner = self.inner.accumulator(AccumulatorArgs { expr_fields: &fields, ..args })?;
        Ok(Box::new(Typed { inner, to }))
    }
}

/// Looks at numbers as DOUBLEs, and gives one of their own type.
#[derive(Debug)]
struct Typed {
    inner: Box<dyn Accumulator>,
    to: DataType,
}

impl Accumulator for Typed {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [numbers, ..] = values else { return failed("a percentile is one of numbers") };
        self.inner.update_batch(&[cast(numbers, &DataType::Float64)?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match self.inner.evaluate()? {
            // It may lie between two of them: the nearest whole number.
            ScalarValue::Float64(Some(number)) if self.to.is_integer() => {
                ScalarValue::Int64(Some(number.round() as i64)).cast_to(&self.to)
            }
            other => other.cast_to(&self.to),
        }
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.inner.size()
    }
}
