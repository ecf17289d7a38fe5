//! The percentages of `percentile`, `median` and `percentile_approx`: one number, or an array of them, from 0 to 1.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, PrimitiveArray, PrimitiveBuilder};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::physical_expr::expressions::Literal;

use super::failed;

/// What a call asks for.
#[derive(Clone, Debug)]
pub(super) struct Percentages {
    each: Vec<f64>,
    is_array: bool,
}

impl Percentages {
    /// The type of percentages as an argument, from the type that was given; `None` if it is none of theirs.
    pub fn coerced(given: &DataType) -> Option<DataType> {
        let is_number = |of: &DataType| of.is_numeric() || *of == DataType::Null;
        match given {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)
                if is_number(item.data_type()) =>
            {
                Some(DataType::new_list(DataType::Float64, true))
            }
            number if is_number(number) => Some(DataType::Float64),
            _ => None,
        }
    }

    /// The type of the result, where one percentage gives `one`.
    pub fn result(given: &DataType, one: DataType) -> DataType {
        if matches!(given, DataType::List(_)) { DataType::new_list(one, true) } else { one }
    }

    /// Those of a call, its second argument.
    pub fn of(args: &AccumulatorArgs<'_>) -> Result<Self> {
        let literal = args.exprs.get(1).and_then(|arg| arg.downcast_ref::<Literal>());
        let (each, is_array) = match literal.map(Literal::value) {
            Some(ScalarValue::Float64(Some(one))) => (vec![*one], false),
            Some(ScalarValue::List(list)) if list.len() == 1 && list.is_valid(0) => {
                let numbers = list.value(0);
                let Some(numbers) = numbers.as_primitive_opt::<Float64Type>() else {
                    return plan_err!("the percentages of {} are numbers", args.name);
                };
                if numbers.null_count() > 0 {
                    return plan_err!("a percentage of {} is NULL", args.name);
                }
                (numbers.values().to_vec(), true)
            }
            _ => {
                return plan_err!("the percentages of {} are constants: 0.5, or array(0.5, 0.9)", args.name);
            }
        };
        match each.iter().find(|each| !(0.0..=1.0).contains(*each)) {
            Some(wrong) => plan_err!("{wrong} in {} is not between 0 and 1", args.name),
            None => Ok(Self { each, is_array }),
        }
    }

    /// One.
    #[cfg(test)]
    pub fn one(percentage: f64) -> Self {
        Self { each: vec![percentage], is_array: false }
    }

    /// The results of groups, each told by a function that knows the percentages of its group; NULL where there is none.
    pub fn results<'g, G: 'g>(
        &self,
        groups: impl Iterator<Item = &'g mut G>,
        tell: impl Fn(&mut G, f64) -> Option<f64>,
    ) -> ArrayRef {
        self.results_of::<Float64Type, G>(&DataType::Float64, groups, tell)
    }

    /// The same, of another type of numbers.
    pub fn results_of<'g, T: ArrowPrimitiveType, G: 'g>(
        &self,
        of: &DataType,
        groups: impl Iterator<Item = &'g mut G>,
        tell: impl Fn(&mut G, f64) -> Option<T::Native>,
    ) -> ArrayRef {
        if !self.is_array {
            let percentage = self.each.first().copied().unwrap_or_default();
            let results: PrimitiveArray<T> = groups.map(|group| tell(group, percentage)).collect();
            return Arc::new(results.with_data_type(of.clone()));
        }
        let mut lists = ListBuilder::new(PrimitiveBuilder::<T>::new().with_data_type(of.clone()));
        for group in groups {
            let told: Option<Vec<T::Native>> = self.each.iter().map(|each| tell(group, *each)).collect();
            match told {
                Some(told) => {
                    lists.values().append_slice(&told);
                    lists.append(true);
                }
                None => lists.append(false),
            }
        }
        Arc::new(lists.finish())
    }
}

/// The one value of a column.
pub(super) fn only(column: &ArrayRef) -> Result<ScalarValue> {
    if column.len() != 1 {
        return failed("one result is expected");
    }
    ScalarValue::try_from_array(column, 0)
}
