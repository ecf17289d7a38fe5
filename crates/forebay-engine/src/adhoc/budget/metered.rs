//! Functions and expressions behind the budget.
//!
//! [`metered`] looks at one expression of a plan. What gives values of a fixed size (numbers, times, truth) stays as it
//! is: a batch has few rows, so that it cannot be much. Every other function is called through [`Metered`]; what is no
//! function but makes texts of its own (CASE, casts, `||`, a scalar subquery) gets one around it that hands its value
//! on, [`HELD`]; it is not told to people.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, ExpressionPlacement, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{Budget, buffers_of, growth};
use crate::plan::functions::FIELD;
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
            let grows = growth::grows(func.name());
            let call = Expr::ScalarFunction(ScalarFunction { func, args });
            if grows || varies(&call) {
                Transformed::yes(behind(call, budget))
            } else {
                Transformed::no(call)
            }
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

/// The expression with what it makes charged.
fn held(expr: Expr, budget: &Arc<Budget>) -> Expr {
    let func = Arc::new(ScalarUDF::from(Hold::new()));
    behind(Expr::ScalarFunction(ScalarFunction { func, args: vec![expr] }), budget)
}

fn is_metered(function: &ScalarUDF) -> bool {
    function.inner().downcast_ref::<Metered>().is_some()
}

/// A call of a function, through the budget.
fn behind(expr: Expr, budget: &Arc<Budget>) -> Expr {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) if !is_metered(&func) => {
            let func = Metered { inner: func, budget: Arc::clone(budget) };
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

    /// What a call is simplified to may be other calls.
    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
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
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant && self.name() != HELD { 1 } else { args.number_rows };
        let expected = growth::expected(self.name(), &args.args, args.return_field.data_type(), rows);
        // What is held is charged although it was made before.
        let given = if self.name() == HELD { Default::default() } else { buffers_of(args.args.iter()) };
        let name = if self.name() == HELD { "the expression" } else { self.name() };
        self.budget.make(name, expected, &given, || self.inner.invoke_with_args(args))
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
