//! `mode(x)`: the value that is there most often, of several the least. NULLs do not count.
//!
//! Kept are the different values of a group and how often each is there; how many there may be is bounded as the elements
//! of `collect_list` are.

use std::cmp::Ordering;
use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use super::failed;

/// Its name.
pub(in crate::plan) const MODE: &str = "mode";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mode {
    signature: Signature,
}

pub(super) fn function() -> AggregateUDF {
    AggregateUDF::from(Mode { signature: Signature::any(1, Volatility::Immutable) })
}

impl AggregateUDFImpl for Mode {
    fn name(&self) -> &str {
        MODE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [of] => Ok(of.clone()),
            _ => plan_err!("{MODE} takes one value"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let list = |name: &str, of: DataType| {
            FieldRef::new(Field::new(format_state_name(args.name, name), DataType::new_list(of, true), true))
        };
        Ok(vec![list("values", args.return_field.data_type().clone()), list("counts", DataType::Int64)])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let of = args.return_field.data_type().clone();
        Ok(Box::new(Counts { of, counts: HashMap::new(), bytes: 0 }))
    }
}

/// How often each value of a group is there.
#[derive(Debug)]
struct Counts {
    of: DataType,
    counts: HashMap<ScalarValue, i64>,
    /// What the values take.
    bytes: usize,
}

impl Counts {
    fn add(&mut self, values: &ArrayRef, count: impl Fn(usize) -> i64) -> Result<()> {
        for row in 0..values.len() {
            let value = ScalarValue::try_from_array(values, row)?;
            if value.is_null() {
                continue;
            }
            let bytes = value.size();
            let all = self.counts.entry(value).or_insert_with(|| {
                self.bytes += bytes;
                0
            });
            *all = all.saturating_add(count(row));
        }
        Ok(())
    }
}

impl Accumulator for Counts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values] = values else { return failed("one value is expected") };
        self.add(values, |_| 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, counts] = states else { return failed("values and their counts are expected") };
        let (Some(values), Some(counts)) = (values.as_list_opt::<i32>(), counts.as_list_opt::<i32>()) else {
            return failed("values and their counts are expected");
        };
        for row in 0..values.len() {
            if values.is_null(row) || counts.is_null(row) {
                continue;
            }
            let counts = counts.value(row);
            let Some(counts) = counts.as_primitive_opt::<Int64Type>() else {
                return failed("values and their counts are expected");
            };
            self.add(&values.value(row), |row| counts.values().get(row).copied().unwrap_or(0))?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let rank = |(a, of_a): &(&ScalarValue, &i64), (b, of_b): &(&ScalarValue, &i64)| {
            of_a.cmp(of_b).then_with(|| b.partial_cmp(a).unwrap_or(Ordering::Equal))
        };
        match self.counts.iter().max_by(rank) {
            Some((value, _)) => Ok(value.clone()),
            None => ScalarValue::try_from(&self.of),
        }
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (values, counts): (Vec<ScalarValue>, Vec<ScalarValue>) = self
            .counts
            .iter()
            .map(|(value, count)| (value.clone(), ScalarValue::Int64(Some(*count))))
            .unzip();
        let list = |values: &[ScalarValue], of: &DataType| {
            ScalarValue::List(ScalarValue::new_list_nullable(values, of))
        };
        Ok(vec![list(&values, &self.of), list(&counts, &DataType::Int64)])
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.bytes
            + self.counts.capacity() * (size_of::<ScalarValue>() + size_of::<i64>())
    }
}
