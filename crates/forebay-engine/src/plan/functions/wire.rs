//! `sum` and `avg` of whole numbers and decimals as PostgreSQL has them, for the sessions of the Postgres wire: the sum of
//! BIGINT is a NUMERIC, that of smaller ones a BIGINT; an average is exact, rounded, with sixteen digits behind the point
//! at least. All else is DataFusion's.
//!
//! Their names are not `sum` and `avg`, which are aliases: DataFusion's optimizer takes a function of that name for its own,
//! and sums sums, which would be of another type here.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions_aggregate::{average, sum};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature,
    Volatility,
};

use super::means::{RoundedMean, RoundedMeans, Rounding};

/// Fewest digits behind the point of an average.
const QUOTIENT: i8 = 16;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Total {
    inner: Arc<AggregateUDF>,
    is_mean: bool,
    aliases: Vec<String>,
    signature: Signature,
}

pub(super) fn all() -> [AggregateUDF; 2] {
    [(sum::sum_udaf(), false, "sum"), (average::avg_udaf(), true, "avg")].map(|(inner, is_mean, alias)| {
        let signature = Signature::user_defined(Volatility::Immutable);
        AggregateUDF::from(Total { inner, is_mean, aliases: vec![alias.to_owned()], signature })
    })
}

impl Total {
    fn rounding(&self, result: &DataType) -> Option<Rounding> {
        match (self.is_mean, result) {
            (true, DataType::Decimal128(precision, scale)) => {
                Some(Rounding { precision: *precision, scale: *scale, is_try: false })
            }
            _ => None,
        }
    }
}

/// Whole numbers whose sums are a BIGINT.
fn is_short(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16
    )
}

impl AggregateUDFImpl for Total {
    fn name(&self) -> &'static str {
        if self.is_mean { "mean_of" } else { "sum_of" }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// A fixed point: types that were made alike are asked again.
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let name = if self.is_mean { "avg" } else { "sum" };
        let [of] = types else { return plan_err!("cannot call {name} with these arguments: it takes one") };
        Ok(vec![match of {
            short if is_short(short) && !self.is_mean => short.clone(),
            whole if whole.is_integer() => DataType::Decimal128(20, 0),
            DataType::Null => DataType::Float64,
            float if float.is_floating() => DataType::Float64,
            DataType::Decimal128(..) | DataType::Duration(_) => of.clone(),
            DataType::Interval(_) if !self.is_mean => of.clone(),
            other => return plan_err!("cannot call {name} with these arguments: {other}"),
        }])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let Some(of) = types.first() else { return plan_err!("sum and avg take one argument") };
        Ok(match of {
            short if is_short(short) => DataType::Int64,
            DataType::Decimal128(_, scale) if self.is_mean => {
                DataType::Decimal128(DECIMAL128_MAX_PRECISION, (*scale).max(QUOTIENT))
            }
            _ => return self.inner.return_type(types),
        })
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let (rounding, wide) = (self.rounding(args.return_field.data_type()), wide(&args));
        let inner = self.inner.accumulator(args)?;
        Ok(one(inner, rounding, wide))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let (rounding, wide) = (self.rounding(args.return_field.data_type()), wide(&args));
        let inner = self.inner.create_sliding_accumulator(args)?;
        Ok(one(inner, rounding, wide))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        let (rounding, wide) = (self.rounding(args.return_field.data_type()), wide(&args));
        let inner = self.inner.create_groups_accumulator(args)?;
        Ok(match rounding {
            Some(rounding) => Box::new(RoundedMeans { inner, rounding }),
            None if wide => Box::new(WideSums(inner)),
            None => inner,
        })
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

fn wide(args: &AccumulatorArgs<'_>) -> bool {
    args.return_field.data_type() == &DataType::Int64
}

fn one(inner: Box<dyn Accumulator>, rounding: Option<Rounding>, wide: bool) -> Box<dyn Accumulator> {
    match rounding {
        Some(rounding) => Box::new(RoundedMean { inner, rounding }),
        None if wide => Box::new(WideSum(inner)),
        None => inner,
    }
}

/// Whole numbers as BIGINT, which sums of them are. Of 2^31 numbers at least the sum cannot leave its range.
fn widened(values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    values.iter().map(|column| Ok(cast(column, &DataType::Int64)?)).collect()
}

/// The sums of groups.
struct WideSums(Box<dyn GroupsAccumulator>);

impl GroupsAccumulator for WideSums {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.0.update_batch(&widened(values)?, groups, filter, total)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.0.merge_batch(values, groups, total)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        self.0.evaluate(emit)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        self.0.state(emit)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.0.convert_to_state(&widened(values)?, filter)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

/// The sum of everything, or of a frame.
#[derive(Debug)]
struct WideSum(Box<dyn Accumulator>);

impl Accumulator for WideSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(&widened(values)?)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.retract_batch(&widened(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.0.supports_retract_batch()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.evaluate()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
