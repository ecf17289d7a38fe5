//! `min`, `max`, `sum`, `avg` and `try_avg` as Spark has them, where DataFusion's differ: NaN is above every other number
//! and NULL below every other field, a sum of whole numbers that leaves the range of BIGINT fails, and an average of decimals
//! is exact and rounded. All else is DataFusion's.

use std::sync::Arc;

use arrow::datatypes::{ArrowPrimitiveType, DataType, FieldRef, Float32Type, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::{average, min_max, sum};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature,
    StatisticsArgs,
};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;

use super::means::{RoundedMean, RoundedMeans, Rounding};
use super::nested::{Extreme, Moving, is_nested};
use super::sums::{CheckedSum, CheckedSums, SlidingSum};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Min,
    Max,
    Sum,
    Avg,
    TryAvg,
}

/// The average that is NULL where it does not fit. Its state is that of `avg`.
pub(crate) const TRY_AVG: &str = "try_avg";

/// DataFusion's function, and what of it is ours.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Numbers {
    kind: Kind,
    inner: Arc<AggregateUDF>,
}

pub(super) fn all() -> [AggregateUDF; 5] {
    // The `avg` of `datafusion-spark` gives a DOUBLE for decimals too.
    [
        (Kind::Min, min_max::min_udaf()),
        (Kind::Max, min_max::max_udaf()),
        (Kind::Sum, sum::sum_udaf()),
        (Kind::Avg, average::avg_udaf()),
        (Kind::TryAvg, average::avg_udaf()),
    ]
    .map(|(kind, inner)| AggregateUDF::from(Numbers { kind, inner }))
}

impl Numbers {
    /// How averages of this type are rounded; `None` for what is no average of decimals.
    fn rounding(&self, result: &DataType) -> Option<Rounding> {
        match (self.kind, result) {
            (Kind::Avg | Kind::TryAvg, DataType::Decimal128(precision, scale)) => {
                let is_try = self.kind == Kind::TryAvg;
                Some(Rounding { precision: *precision, scale: *scale, is_try })
            }
            _ => None,
        }
    }

    /// The greatest or the least of nested values; `None` of others.
    fn nested(&self, of: &DataType) -> Result<Option<Extreme>> {
        match self.kind {
            Kind::Min if is_nested(of) => Extreme::least(of).map(Some),
            Kind::Max if is_nested(of) => Extreme::greatest(of).map(Some),
            _ => Ok(None),
        }
    }
}

impl AggregateUDFImpl for Numbers {
    fn name(&self) -> &str {
        if self.kind == Kind::TryAvg { TRY_AVG } else { self.inner.name() }
    }

    fn aliases(&self) -> &[String] {
        if self.kind == Kind::TryAvg { &[] } else { self.inner.aliases() }
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let result = args.return_field.data_type();
        if let Some(extreme) = self.nested(result)? {
            return Ok(Box::new(extreme));
        }
        if let Some(rounding) = self.rounding(result) {
            return Ok(Box::new(RoundedMean { inner: self.inner.accumulator(args)?, rounding }));
        }
        match (self.kind, result) {
            (Kind::Sum, DataType::Int64) if !args.is_distinct => Ok(Box::new(CheckedSum::default())),
            _ => self.inner.accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let result = args.return_field.data_type();
        if let Some(extreme) = self.nested(result)? {
            return Ok(Box::new(Moving::new(extreme)));
        }
        if let Some(rounding) = self.rounding(result) {
            let inner = self.inner.create_sliding_accumulator(args)?;
            return Ok(Box::new(RoundedMean { inner, rounding }));
        }
        match (self.kind, result) {
            (Kind::Sum, DataType::Int64) if !args.is_distinct => Ok(Box::new(SlidingSum::default())),
            _ => self.inner.create_sliding_accumulator(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        let is_extreme = matches!(self.kind, Kind::Min | Kind::Max);
        (is_extreme && is_nested(args.return_field.data_type()))
            || self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        let result = args.return_field.data_type();
        if let Some(extreme) = self.nested(result)? {
            return Ok(Box::new(extreme));
        }
        if let Some(rounding) = self.rounding(result) {
            return Ok(Box::new(RoundedMeans {
                inner: self.inner.create_groups_accumulator(args)?,
                rounding,
            }));
        }
        match (self.kind, result) {
            (Kind::Min, DataType::Float64) => Ok(least::<Float64Type>(f64::NAN)),
            (Kind::Min, DataType::Float32) => Ok(least::<Float32Type>(f32::NAN)),
            (Kind::Max, DataType::Float64) => Ok(greatest::<Float64Type>(f64::NEG_INFINITY)),
            (Kind::Max, DataType::Float32) => Ok(greatest::<Float32Type>(f32::NEG_INFINITY)),
            (Kind::Sum, DataType::Int64) => Ok(Box::new(CheckedSums::new())),
            _ => self.inner.create_groups_accumulator(args),
        }
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    /// Statistics of files leave NaN out, and say nothing of what a sum ran through.
    fn value_from_stats(&self, args: &StatisticsArgs<'_>) -> Option<ScalarValue> {
        let is_float = args.return_type.is_floating();
        if is_float || matches!(self.kind, Kind::Sum | Kind::Avg | Kind::TryAvg) {
            None
        } else {
            self.inner.value_from_stats(args)
        }
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }
}

/// The least number of each group; it begins above all others.
fn least<T>(nan: T::Native) -> Box<dyn GroupsAccumulator>
where
    T: ArrowPrimitiveType + Send,
    T::Native: PartialOrd,
{
    let take = |least: &mut T::Native, number: T::Native| {
        if number < *least || is_nan(*least) {
            *least = number;
        }
    };
    Box::new(PrimitiveGroupsAccumulator::<T, _>::new(&T::DATA_TYPE, take).with_starting_value(nan))
}

/// The greatest number of each group; it begins below all others.
fn greatest<T>(lowest: T::Native) -> Box<dyn GroupsAccumulator>
where
    T: ArrowPrimitiveType + Send,
    T::Native: PartialOrd,
{
    let take = |greatest: &mut T::Native, number: T::Native| {
        if number > *greatest || is_nan(number) {
            *greatest = number;
        }
    };
    Box::new(PrimitiveGroupsAccumulator::<T, _>::new(&T::DATA_TYPE, take).with_starting_value(lowest))
}

#[expect(clippy::eq_op, reason = "only NaN differs from itself")]
pub(super) fn is_nan<N: PartialEq + Copy>(number: N) -> bool {
    number != number
}
