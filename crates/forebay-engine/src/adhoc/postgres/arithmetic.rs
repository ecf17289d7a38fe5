//! `+`, `-`, `*`, `/`, `%`, unary minus and `||` as in PostgreSQL: a result that does not fit its type is an error, as a
//! division by zero is; a quotient of NUMERIC has sixteen digits behind the point at least; what is joined with a text
//! is written as PostgreSQL writes it.
//!
//! A chain of operators, `a + b - c`, is one call with many arguments ([`Chain`]), computed from left to right: DataFusion
//! writes a call out to name it, and again for each call around it, so that three hundred within each other would
//! take minutes to plan. What must stay true: a step has the type that it has alone (`int4 + int4` overflows as an int4
//! also where a bigint is added to it).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::compute::kernels::concat_elements::concat_elements_utf8;
use arrow::compute::kernels::numeric::{add, div, mul, neg, rem, sub};
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type};
use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::call::{Call, by_zero, out_of_range, plain};
use super::{as_text, digits};

/// An operator of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Op {
    Plus,
    Minus,
    Times,
    Over,
    Rest,
    Join,
}

impl Op {
    fn sign(self) -> &'static str {
        match self {
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Times => "*",
            Self::Over => "/",
            Self::Rest => "%",
            Self::Join => "||",
        }
    }

    /// The type of a step; `None` where it is not ours to compute.
    pub fn gives(self, left: &DataType, right: &DataType) -> Option<DataType> {
        let (left, right) = (&plain(left), &plain(right));
        if self == Self::Join {
            let is_text = |data_type: &DataType| data_type == &DataType::Utf8;
            let fits = |data_type: &DataType| !data_type.is_nested() && !is_bytes(data_type);
            return ((is_text(left) || is_text(right)) && fits(left) && fits(right))
                .then_some(DataType::Utf8);
        }
        if !left.is_numeric() || !right.is_numeric() {
            return None;
        }
        if left.is_floating() || right.is_floating() {
            let both = left == &DataType::Float32 && right == &DataType::Float32;
            return Some(if both { DataType::Float32 } else { DataType::Float64 });
        }
        if left.is_integer() && right.is_integer() {
            return Some(wider(left, right));
        }
        // Sums and differences of decimals are DataFusion's, which checks them.
        match self {
            Self::Times | Self::Over | Self::Rest => digits::gives(self, left, right),
            _ => None,
        }
    }

    fn step(self, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
        let Some(to) = self.gives(left.data_type(), right.data_type()) else {
            return plan_err!("cannot compute {} {} {}", left.data_type(), self.sign(), right.data_type());
        };
        if self == Self::Join {
            let (left, right) = (as_text::written(left)?, as_text::written(right)?);
            let joined = concat_elements_utf8(left.as_string::<i32>(), right.as_string::<i32>())?;
            return Ok(Arc::new(joined));
        }
        if to.is_decimal() {
            return digits::step(self, left, right, &to);
        }
        let (left, right) = (cast(left, &to)?, cast(right, &to)?);
        if to.is_floating() {
            return floating(self, &left, &right);
        }
        let made = match self {
            Self::Plus => add(&left, &right),
            Self::Minus => sub(&left, &right),
            Self::Times => mul(&left, &right),
            Self::Over => div(&left, &right),
            _ => rem(&left, &right),
        };
        made.map_err(|error| of_whole(error, &to))
    }
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
    )
}

/// The type of what is computed of two whole numbers: `int2`, `int4` or `int8`.
fn wider(left: &DataType, right: &DataType) -> DataType {
    let width = |data_type: &DataType| match data_type {
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => 2,
        DataType::UInt16 | DataType::Int32 => 4,
        _ => 8,
    };
    match width(left).max(width(right)) {
        2 => DataType::Int16,
        4 => DataType::Int32,
        _ => DataType::Int64,
    }
}

/// PostgreSQL's name of a type of whole numbers.
pub(super) fn whole_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int16 => "smallint",
        DataType::Int32 => "integer",
        _ => "bigint",
    }
}

fn of_whole(error: ArrowError, data_type: &DataType) -> DataFusionError {
    match error {
        ArrowError::DivideByZero => by_zero(),
        ArrowError::ArithmeticOverflow(_) => out_of_range(format!("{} out of range", whole_name(data_type))),
        other => other.into(),
    }
}

fn floating(op: Op, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let made = match op {
        Op::Plus => add(left, right)?,
        Op::Minus => sub(left, right)?,
        Op::Times => mul(left, right)?,
        Op::Over => div(left, right)?,
        _ => rem(left, right)?,
    };
    macro_rules! checked {
        ($kind:ty) => {{
            let (left, right) = (left.as_primitive::<$kind>(), right.as_primitive::<$kind>());
            for ((value, a), b) in made.as_primitive::<$kind>().iter().zip(left.values()).zip(right.values())
            {
                let Some(value) = value else { continue };
                if *b == 0.0 && matches!(op, Op::Over | Op::Rest) && !a.is_nan() {
                    return Err(by_zero());
                }
                if value.is_infinite() && a.is_finite() && b.is_finite() {
                    return Err(out_of_range("value out of range: overflow"));
                }
            }
        }};
    }
    match made.data_type() {
        DataType::Float32 => checked!(Float32Type),
        _ => checked!(Float64Type),
    }
    Ok(made)
}

/// The call for two operands of these types, if it is ours to compute. What is a chain already gets longer.
pub(super) fn planned(op: Op, left: Expr, right: Expr) -> Expr {
    let (mut ops, mut args) = (Vec::new(), Vec::new());
    match left {
        Expr::ScalarFunction(ScalarFunction { func, args: before }) => {
            match func.inner().downcast_ref::<Chain>() {
                Some(chain) => (ops, args) = (chain.ops.clone(), before),
                None => args.push(Expr::ScalarFunction(ScalarFunction { func, args: before })),
            }
        }
        other => args.push(other),
    }
    ops.push(op);
    args.push(right);
    let func =
        Arc::new(ScalarUDF::from(Chain { ops, signature: Signature::user_defined(Volatility::Immutable) }));
    Expr::ScalarFunction(ScalarFunction { func, args })
}

/// Operators between as many arguments and one more.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Chain {
    ops: Vec<Op>,
    signature: Signature,
}

impl Chain {
    fn text(&self, args: &[Expr], name: impl Fn(&Expr) -> String) -> String {
        let mut text = args.first().map(&name).unwrap_or_default();
        for (op, arg) in self.ops.iter().zip(args.iter().skip(1)) {
            text.push_str(&format!(" {} {}", op.sign(), name(arg)));
        }
        format!("({text})")
    }
}

impl ScalarUDFImpl for Chain {
    fn name(&self) -> &'static str {
        "__computed"
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.text(args, ToString::to_string))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.text(args, |arg| arg.schema_name().to_string()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let Some((first, others)) = types.split_first() else { return plan_err!("a chain has no operands") };
        others.iter().zip(&self.ops).try_fold(plain(first), |left, (right, op)| {
            match op.gives(&left, right) {
                Some(to) => Ok(to),
                None => plan_err!("cannot compute {left} {} {right}", op.sign()),
            }
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(Field::new("", self.return_type(&types)?, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let column = |arg: &ColumnarValue| -> Result<ArrayRef> {
            let column = arg.to_array(rows)?;
            let data_type = plain(column.data_type());
            Ok(if column.data_type() == &data_type { column } else { cast(&column, &data_type)? })
        };
        let Some((first, others)) = args.args.split_first() else {
            return plan_err!("a chain has no operands");
        };
        let mut made = column(first)?;
        for (op, arg) in self.ops.iter().zip(others) {
            made = op.step(&made, &column(arg)?)?;
        }
        Ok(ColumnarValue::Array(made))
    }
}

/// Unary minus.
pub(super) const NEGATE: Call = Call {
    name: "__negate",
    takes: |types| match types {
        [DataType::Null] => Ok(vec![DataType::Int32]),
        [DataType::UInt8] => Ok(vec![DataType::Int16]),
        [DataType::UInt16] => Ok(vec![DataType::Int32]),
        [DataType::UInt32 | DataType::UInt64] => Ok(vec![DataType::Int64]),
        [of] if of.is_numeric() || matches!(of, DataType::Interval(_) | DataType::Duration(_)) => {
            Ok(vec![of.clone()])
        }
        _ => plan_err!("cannot compute: there is no minus of this type"),
    },
    gives: |types, _| types.first().map_or_else(|| plan_err!("minus needs a number"), |of| Ok(of.clone())),
    work: |args, to| match args {
        [of] => neg(of).map_err(|error| of_whole(error, to)),
        _ => plan_err!("minus needs a number"),
    },
};
