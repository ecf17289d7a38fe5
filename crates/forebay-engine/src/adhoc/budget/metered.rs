//! Functions and expressions behind the budget.
//!
//! [`metered`] looks at one expression of a plan. What takes and gives values of a fixed size (numbers, times, truth)
//! stays as it is: a batch has few rows, so that it cannot be much. Every other function is called through [`Metered`];
//! what is no function but makes texts of its own (CASE, casts, `||`, a scalar subquery) gets one around it that hands its
//! value on, [`HELD`]; it is not told to people. A LIKE that is no plain comparison becomes a function.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::{Like, ScalarFunction};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, ExpressionPlacement, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use parking_lot::Mutex;

use super::{Budget, buffers_of, growth, work};
use crate::plan::functions::{self, FIELD};
use crate::plan::words::HELD;

/// Functions that hand on a part of their argument and make nothing.
const PARTS: [&str; 2] = [FIELD, "get_field"];

/// The expression, metered if its values can grow; its own arguments must be already.
pub(in crate::adhoc) fn metered(expr: Expr, schema: &DFSchema, budget: &Arc<Budget>) -> Transformed<Expr> {
    // A type that cannot be told yet may be anything.
    let varies = |expr: &Expr| expr.get_type(schema).map_or(true, |data_type| growth::varies(&data_type));
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args })
            if !is_metered(&func) && !PARTS.contains(&func.name()) =>
        {
            let args = if func.name() == SEARCH { args.into_iter().map(not_held).collect() } else { args };
            let is_long = |arg: &Expr| !matches!(arg, Expr::Literal(..)) && varies(arg);
            let takes_long = args.iter().any(is_long) || work::is_slow(func.name());
            let call = Expr::ScalarFunction(ScalarFunction { func, args });
            if takes_long || varies(&call) {
                Transformed::yes(behind(call, budget))
            } else {
                Transformed::no(call)
            }
        }
        Expr::Like(like) if is_searched(&like) => {
            let func = Arc::new(ScalarUDF::from(functions::Like::operator(&like)));
            let args = vec![*like.expr, *like.pattern];
            Transformed::yes(behind(Expr::ScalarFunction(ScalarFunction { func, args }), budget))
        }
        Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::ScalarSubquery(_)
        | Expr::BinaryExpr(BinaryExpr { op: Operator::StringConcat, .. })
            if varies(&expr) =>
        {
            Transformed::yes(held(expr, budget))
        }
        other => Transformed::no(other),
    }
}

/// Looks for a value in a list, which it takes as the one constant that it is and does not hand on.
pub(in crate::adhoc) const SEARCH: &str = "__in";

/// The expression without the function that would write it out for each row.
fn not_held(expr: Expr) -> Expr {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, mut args }) if func.name() == HELD && args.len() == 1 => {
            args.remove(0)
        }
        other => other,
    }
}

/// The expression with what it makes charged.
fn held(expr: Expr, budget: &Arc<Budget>) -> Expr {
    let func = Arc::new(ScalarUDF::from(Hold::new()));
    behind(Expr::ScalarFunction(ScalarFunction { func, args: vec![expr] }), budget)
}

/// True for a LIKE that DataFusion would make a regular expression of: all but `LIKE 'x'`, `'x%'`, `'%x'` and `'%x%'`.
fn is_searched(like: &Like) -> bool {
    // What another letter than the backslash should escape is refused later.
    if like.escape_char.is_some_and(|letter| letter != '\\') {
        return false;
    }
    let Expr::Literal(pattern, _) = like.pattern.as_ref() else { return true };
    let Some(pattern) = pattern.try_as_str().flatten() else { return false };
    let inner = pattern.strip_prefix('%').unwrap_or(pattern);
    let inner = inner.strip_suffix('%').unwrap_or(inner);
    like.case_insensitive || inner.contains(['%', '_', '\\'])
}

fn is_metered(function: &ScalarUDF) -> bool {
    function.inner().downcast_ref::<Metered>().is_some()
}

/// A call of a function, through the budget.
fn behind(expr: Expr, budget: &Arc<Budget>) -> Expr {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) if !is_metered(&func) => {
            let func = Metered { inner: func, budget: Arc::clone(budget), pattern: Mutex::default() };
            Expr::ScalarFunction(ScalarFunction { func: Arc::new(ScalarUDF::from(func)), args })
        }
        other => other,
    }
}

/// A function whose calls are charged.
#[derive(Debug)]
struct Metered {
    inner: Arc<ScalarUDF>,
    budget: Arc<Budget>,
    /// The regular expression of the last call.
    pattern: Mutex<Option<work::Pattern>>,
}

/// The same function is the same, whatever it is charged to: there is one budget in a plan.
impl PartialEq for Metered {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Metered {}

impl Hash for Metered {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Metered {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
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
        self.inner.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(args)
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner.placement(args)
    }

    /// What a call is simplified to may be other calls; a regular expression stays one.
    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if work::has_pattern(self.name()) {
            return Ok(ExprSimplifyResult::Original(args));
        }
        Ok(match self.inner.simplify(args, context)? {
            ExprSimplifyResult::Simplified(expr) => {
                let simpler =
                    expr.transform_up(|expr| Ok(Transformed::yes(behind(expr, &self.budget))))?.data;
                ExprSimplifyResult::Simplified(match simpler {
                    expr @ (Expr::Case(_) | Expr::Cast(_) | Expr::TryCast(_) | Expr::BinaryExpr(_)) => {
                        held(expr, &self.budget)
                    }
                    expr => expr,
                })
            }
            original => original,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.budget.in_time()?;
        let gives = args.return_field.data_type();
        if !growth::varies(gives) && !growth::grows(self.name()) {
            return self.worked(args);
        }
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant && self.name() != HELD { 1 } else { args.number_rows };
        let expected = growth::expected(self.name(), &args.args, gives, rows);
        // What is held is charged although it was made before.
        let given = if self.name() == HELD { Default::default() } else { buffers_of(args.args.iter()) };
        let name = if self.name() == HELD { "the expression" } else { self.name() };
        self.budget.make(name, expected, &given, || self.worked(args))
    }
}

impl Metered {
    /// The function's result, in several calls if it works long.
    fn worked(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if !work::is_slow(self.name()) {
            return self.inner.invoke_with_args(args);
        }
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let pieces = work::pieces(self.name(), &args.args, rows, &mut self.pattern.lock())?;
        if pieces.len() <= 1 {
            return self.inner.invoke_with_args(args);
        }
        let mut made: Vec<ArrayRef> = Vec::with_capacity(pieces.len());
        let mut start = 0;
        for rows in pieces {
            self.budget.in_time()?;
            let part = |arg: &ColumnarValue| match arg {
                ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(start, rows)),
                scalar => scalar.clone(),
            };
            let part = ScalarFunctionArgs {
                args: args.args.iter().map(part).collect(),
                arg_fields: args.arg_fields.clone(),
                number_rows: rows,
                return_field: Arc::clone(&args.return_field),
                config_options: Arc::clone(&args.config_options),
            };
            made.push(self.inner.invoke_with_args(part)?.into_array(rows)?);
            start += rows;
        }
        let made: Vec<&dyn Array> = made.iter().map(|array| array.as_ref()).collect();
        Ok(ColumnarValue::Array(concat(&made)?))
    }
}

/// Hands its argument on, written out for each row: as a constant it would be so later, and not charged.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Hold {
    signature: Signature,
}

impl Hold {
    fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Hold {
    fn name(&self) -> &str {
        HELD
    }

    /// Columns are called after what is inside.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [held] => Ok(held.schema_name().to_string()),
            _ => plan_err!("{HELD} takes one argument"),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [held] => Ok(held.clone()),
            _ => plan_err!("{HELD} takes one argument"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        match args.arg_fields {
            [held] => Ok(Arc::clone(held)),
            _ => plan_err!("{HELD} takes one argument"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [held] => Ok(ColumnarValue::Array(held.to_array(args.number_rows)?)),
            _ => plan_err!("{HELD} takes one argument"),
        }
    }
}
