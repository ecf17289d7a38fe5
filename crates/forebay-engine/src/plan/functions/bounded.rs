//! Functions whose result is as long as an argument says: refused where a number would make them fill the memory.
//!
//! `repeat('x', 2000000000)` is a short text and two gigabytes. The memory limit of a statement counts what sorts,
//! joins and aggregates hold and not what a function returns, so these functions are asked first how much it will be.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::failed;

/// Most bytes of one value that a function makes out of a number. A constant stands in every row of a batch, so
/// this times 8,192 rows must still be bearable.
const MAX_VALUE: u64 = 64 << 10;
/// Most bytes of all values of one batch.
const MAX_BATCH: u64 = 256 << 20;

/// The functions, by name, and how they grow.
pub(super) const GROWING: [(&str, Grows); 6] = [
    ("repeat", Grows::Repeat),
    ("space", Grows::Length(0)),
    ("lpad", Grows::Length(1)),
    ("rpad", Grows::Length(1)),
    ("array_repeat", Grows::Repeat),
    ("format_string", Grows::Format),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Grows {
    /// The first argument as often as the second says.
    Repeat,
    /// As long as this argument says.
    Length(usize),
    /// As wide as the numbers in the first argument's text say.
    Format,
}

/// A function behind the question how much it will return.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Bounded {
    inner: Arc<ScalarUDF>,
    grows: Grows,
}

impl Bounded {
    pub fn new(inner: Arc<ScalarUDF>, grows: Grows) -> Self {
        Self { inner, grows }
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
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

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        if args.arg_fields.is_empty() {
            return plan_err!("{} needs an argument", self.name());
        }
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let mut all = 0_u64;
        for bytes in self.grows.bytes(&args.args, rows)? {
            all = all.saturating_add(bytes);
            if bytes > MAX_VALUE {
                return failed(format!(
                    "{} would give a value of {bytes} bytes; at most {MAX_VALUE} are possible",
                    self.name()
                ));
            }
        }
        if all > MAX_BATCH {
            return failed(format!("{} would give {all} bytes for {rows} rows", self.name()));
        }
        self.inner.invoke_with_args(args)
    }
}

impl Grows {
    /// How long each row's value becomes; NULL and negative numbers make nothing.
    fn bytes(self, args: &[ColumnarValue], rows: usize) -> Result<Vec<u64>> {
        let numbers = |index: usize| -> Result<Vec<u64>> {
            let Some(numbers) = args.get(index) else { return Ok(vec![0; rows]) };
            let numbers = cast(&numbers.to_array(rows)?, &DataType::Int64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            Ok(numbers.iter().map(|number| number.map_or(0, |n| u64::try_from(n).unwrap_or(0))).collect())
        };
        let Some(first) = args.first() else { return Ok(Vec::new()) };
        match self {
            Self::Length(index) => numbers(index),
            Self::Repeat => {
                let counts = numbers(1)?;
                let sizes = sizes(&first.to_array(rows)?)?;
                Ok(sizes.into_iter().zip(counts).map(|(size, count)| size.saturating_mul(count)).collect())
            }
            Self::Format => {
                let texts = cast(&first.to_array(rows)?, &DataType::Utf8View)?;
                Ok(texts.as_string_view().iter().map(|text| text.map_or(0, widths)).collect())
            }
        }
    }
}

/// The bytes of each value: exact for texts, and for other values the average, at least one.
fn sizes(values: &dyn Array) -> Result<Vec<u64>> {
    if values.data_type().is_string() {
        let texts = cast(values, &DataType::Utf8View)?;
        return Ok(texts.as_string_view().iter().map(|text| text.map_or(0, |t| t.len() as u64)).collect());
    }
    let bytes = values.to_data().get_slice_memory_size()?;
    let average = bytes.div_ceil(values.len().max(1)).max(1);
    Ok(vec![average as u64; values.len()])
}

/// The sum of all whole numbers in a format: no width or precision is larger.
fn widths(format: &str) -> u64 {
    format
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .fold(0_u64, |sum, digits| sum.saturating_add(digits.parse().unwrap_or(u64::MAX)))
}
