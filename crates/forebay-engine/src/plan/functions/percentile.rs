//! `percentile_approx(x, percentage)`, and with an array of percentages: always one of the numbers that came, of their type.
//!
//! What is kept of a group is in [`sampled`](super::sampled): two lists, numbers and for how many each stands. Of a group
//! with few different numbers they are all there, and the result is exact.

use std::fmt::Debug;

use arrow::array::{ArrayRef, AsArray, Int64Builder, ListBuilder, PrimitiveArray, PrimitiveBuilder};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Field, FieldRef, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use super::failed;
use super::percentages::{Percentages, only};
use super::sampled::Sampled;

/// Its name.
pub(in crate::plan) const PERCENTILE: &str = "percentile_approx";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Percentile {
    signature: Signature,
}

pub(super) fn function() -> AggregateUDF {
    AggregateUDF::from(Percentile { signature: Signature::user_defined(Volatility::Immutable) })
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
            (of, Some(percentages)) if of.is_integer() => Ok(vec![of.clone(), percentages]),
            (DataType::Decimal128(..) | DataType::Float32, Some(percentages)) => {
                Ok(vec![of.clone(), percentages])
            }
            (of, Some(percentages)) if of.is_numeric() || *of == DataType::Null => {
                Ok(vec![DataType::Float64, percentages])
            }
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
        let [of, ..] = args.input_fields else {
            return plan_err!("{PERCENTILE} takes numbers and a percentage");
        };
        let list = |name: &str, of: &DataType| {
            let lists = DataType::new_list(of.clone(), true);
            FieldRef::new(Field::new(format_state_name(args.name, name), lists, true))
        };
        Ok(vec![list("numbers", of.data_type()), list("counts", &DataType::Int64)])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let of = match args.return_field.data_type() {
            DataType::List(item) => item.data_type(),
            one => one,
        };
        let percentages = Percentages::of(&args)?;
        Ok(match of {
            DataType::Int8 => Numbers::<Int8Type>::none(of, percentages),
            DataType::Int16 => Numbers::<Int16Type>::none(of, percentages),
            DataType::Int32 => Numbers::<Int32Type>::none(of, percentages),
            DataType::Int64 => Numbers::<Int64Type>::none(of, percentages),
            DataType::UInt8 => Numbers::<UInt8Type>::none(of, percentages),
            DataType::UInt16 => Numbers::<UInt16Type>::none(of, percentages),
            DataType::UInt32 => Numbers::<UInt32Type>::none(of, percentages),
            DataType::UInt64 => Numbers::<UInt64Type>::none(of, percentages),
            DataType::Float32 => Numbers::<Float32Type>::none(of, percentages),
            DataType::Float64 => Numbers::<Float64Type>::none(of, percentages),
            DataType::Decimal128(..) => Numbers::<Decimal128Type>::none(of, percentages),
            other => return plan_err!("{PERCENTILE} takes numbers, not {other}"),
        })
    }
}

/// One group's numbers.
#[derive(Debug)]
struct Numbers<T: ArrowPrimitiveType> {
    of: DataType,
    percentages: Percentages,
    sampled: Sampled<T::Native>,
}

impl<T: ArrowPrimitiveType + Debug> Numbers<T> {
    fn none(of: &DataType, percentages: Percentages) -> Box<dyn Accumulator> {
        Box::new(Self { of: of.clone(), percentages, sampled: Sampled::default() })
    }

    fn numbers(column: &ArrayRef) -> Result<&PrimitiveArray<T>> {
        match column.as_primitive_opt::<T>() {
            Some(numbers) => Ok(numbers),
            None => failed("a percentile is one of numbers"),
        }
    }
}

impl<T: ArrowPrimitiveType + Debug> Accumulator for Numbers<T> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [numbers, ..] = values else { return failed("a percentile is one of numbers") };
        for number in Self::numbers(numbers)?.iter().flatten() {
            self.sampled.add(number, 1);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists: Vec<_> = states.iter().filter_map(|column| column.as_list_opt::<i32>()).collect();
        let [numbers, counts] = lists.as_slice() else {
            return failed("numbers and their counts are expected");
        };
        for (numbers, counts) in numbers.iter().zip(counts.iter()) {
            // A group that saw nothing.
            let (Some(numbers), Some(counts)) = (numbers, counts) else { continue };
            let Some(counts) = counts.as_primitive_opt::<Int64Type>() else {
                return failed("numbers and their counts are expected");
            };
            for (number, count) in Self::numbers(&numbers)?.values().iter().zip(counts.values()) {
                self.sampled.add(*number, u64::try_from(*count).unwrap_or(0));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let group = std::iter::once(&mut self.sampled);
        only(&self.percentages.results_of::<T, _>(&self.of, group, |sampled, at| sampled.tell(at)))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let mut numbers = ListBuilder::new(PrimitiveBuilder::<T>::new().with_data_type(self.of.clone()));
        let mut counts = ListBuilder::new(Int64Builder::new());
        for (number, count) in self.sampled.pairs() {
            numbers.values().append_value(*number);
            counts.values().append_value(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        numbers.append(true);
        counts.append(true);
        Ok(vec![ScalarValue::List(numbers.finish().into()), ScalarValue::List(counts.finish().into())])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sampled.bytes()
    }
}
