//! The types of a statement's parameters, `$1`, `$2`, …: as the client says, else as their place tells, else text.
//!
//! Drivers encode a value by the type that they are told, so a place tells the type that PostgreSQL has there: LIMIT a
//! `bigint`, a condition a `boolean`, what is added to a time an `interval`. What must stay true: all places of a parameter
//! have one type; a type that the client gives holds whatever its place is.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::{InList, Placeholder, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Union, Values,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::text::MOST;
use crate::adhoc::bounds::seen_by;

pub(super) mod series;
#[cfg(test)]
mod tests;

/// Functions with arguments that are whole numbers, from this place on.
const WHOLE_FROM: [(&str, usize); 10] = [
    ("substr", 1),
    ("substring", 1),
    ("left", 1),
    ("right", 1),
    ("repeat", 1),
    ("lpad", 1),
    ("rpad", 1),
    ("split_part", 2),
    ("__round_to", 1),
    ("__trunc_to", 1),
];
/// Functions whose arguments are all of one type.
const ALIKE: [&str; 5] = ["coalesce", "greatest", "least", "nullif", "make_array"];
/// Functions whose second argument is a time.
const OF_TIME: [&str; 2] = ["date_trunc", "date_part"];

/// The type that a cast of ours makes of its argument.
fn cast_to(function: &str) -> Option<DataType> {
    Some(match function {
        "__int2" => DataType::Int16,
        "__int4" => DataType::Int32,
        "__int8" => DataType::Int64,
        "__float4" => DataType::Float32,
        "__float8" | "__exp" | "__sqrt" | "__ln" | "__log10" | "__power" | "__log" => DataType::Float64,
        "__text" | "__output" => DataType::Utf8,
        "__timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "__timestamptz" => instant(),
        "__bytea" => DataType::Binary,
        "__to_interval" => INTERVAL,
        _ => return None,
    })
}

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// The plan with a type for each parameter.
pub(super) fn typed(plan: LogicalPlan, given: &[Option<DataType>]) -> Result<(LogicalPlan, Vec<DataType>)> {
    let placed = placed(&plan, given)?;
    let mut most = given.len();
    for id in placed.keys() {
        match number(id).filter(|number| (1..=MOST).contains(number)) {
            Some(number) => most = most.max(number),
            None => return Err(DataFusionError::Plan(format!("there is no parameter {id}"))),
        }
    }
    let mut types = vec![DataType::Utf8; most];
    for (at, data_type) in types.iter_mut().enumerate() {
        let found = placed.get(&format!("${}", at + 1)).cloned().flatten();
        *data_type = given.get(at).cloned().flatten().or(found).unwrap_or(DataType::Utf8);
    }
    if placed.is_empty() {
        return Ok((plan, types));
    }
    let mut is_changed = false;
    let plan = plan.transform_up_with_subqueries(|node| {
        let node = node.map_expressions(|expr| {
            expr.transform_up(|expr| match expr {
                Expr::Placeholder(Placeholder { id, field }) => {
                    let Some(wanted) = number(&id).and_then(|number| types.get(number - 1)) else {
                        return Ok(Transformed::no(Expr::Placeholder(Placeholder { id, field })));
                    };
                    let is_it = field.as_ref().is_some_and(|field| field.data_type() == wanted);
                    let made = || Arc::new(Field::new("", wanted.clone(), true));
                    let field = if is_it { field } else { Some(made()) };
                    let placeholder = Expr::Placeholder(Placeholder::new_with_field(id, field));
                    Ok(if is_it { Transformed::no(placeholder) } else { Transformed::yes(placeholder) })
                }
                other => Ok(Transformed::no(other)),
            })
        })?;
        // Whoever stands above may show what changed.
        is_changed |= node.transformed;
        if is_changed { node.map_data(recomputed) } else { Ok(node) }
    })?;
    series::agree(&plan.data, &types)?;
    Ok((plan.data, types))
}

/// The node with the types of what is in it; DataFusion looks at VALUES only once.
fn recomputed(node: LogicalPlan) -> Result<LogicalPlan> {
    match node {
        LogicalPlan::Values(Values { values, .. }) => LogicalPlanBuilder::values(values)?.build(),
        other => other.recompute_schema(),
    }
}

/// The number of a parameter by its name.
fn number(id: &str) -> Option<usize> {
    id.strip_prefix('$').and_then(|digits| digits.parse().ok())
}

/// All parameters of a plan, with the type that the first of their places tells.
fn placed(plan: &LogicalPlan, given: &[Option<DataType>]) -> Result<HashMap<String, Option<DataType>>> {
    let mut places = Places { found: HashMap::new(), given };
    plan.apply_with_subqueries(|node| {
        let schema = seen_by(node);
        match node {
            LogicalPlan::Limit(limit) => {
                for expr in limit.skip.iter().chain(&limit.fetch) {
                    places.tell(expr, &DataType::Int64);
                }
            }
            LogicalPlan::Values(Values { values, schema }) => {
                for column in 0..schema.fields().len() {
                    let column: Vec<&Expr> = values.iter().filter_map(|row| row.get(column)).collect();
                    places.alike(&column, &DFSchema::empty());
                }
            }
            LogicalPlan::Union(union) => places.united(union),
            LogicalPlan::Filter(filter) => places.tell(&filter.predicate, &DataType::Boolean),
            LogicalPlan::TableScan(scan) => {
                for (id, wanted) in series::parameters(scan) {
                    places.add(&id, wanted);
                }
            }
            _ => {}
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                places.look(expr, &schema);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(places.found)
}

/// Parameters that were found, with their types.
struct Places<'a> {
    found: HashMap<String, Option<DataType>>,
    /// What the client says.
    given: &'a [Option<DataType>],
}

impl Places<'_> {
    fn add(&mut self, id: &str, data_type: Option<DataType>) {
        let known = self.found.entry(id.to_owned()).or_default();
        if known.is_none() {
            *known = data_type.filter(|found| !found.is_null());
        }
    }

    /// Of what stands here this is the type, should it be a parameter that has none.
    fn tell(&mut self, expr: &Expr, data_type: &DataType) {
        if let Expr::Placeholder(Placeholder { id, field: None }) = expr {
            self.add(id, Some(data_type.clone()));
        }
    }

    /// The parameter itself, and those that this expression tells of.
    fn look(&mut self, expr: &Expr, schema: &DFSchema) {
        match expr {
            Expr::Placeholder(Placeholder { id, field }) => {
                self.add(id, field.as_ref().map(|field| field.data_type().clone()));
            }
            Expr::Cast(cast) => self.tell(&cast.expr, cast.field.data_type()),
            Expr::Not(inner)
            | Expr::IsTrue(inner)
            | Expr::IsFalse(inner)
            | Expr::IsNotTrue(inner)
            | Expr::IsNotFalse(inner) => self.tell(inner, &DataType::Boolean),
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
                self.tell(left, &DataType::Boolean);
                self.tell(right, &DataType::Boolean);
            }
            Expr::Between(between) => self.alike(&[&between.low, &between.high, &between.expr], schema),
            Expr::InList(InList { expr, list, .. }) => {
                let sides: Vec<&Expr> = std::iter::once(expr.as_ref()).chain(list).collect();
                self.alike(&sides, schema);
            }
            Expr::WindowFunction(call) if matches!(call.fun.name(), "lag" | "lead") => {
                if let [value, offset, rest @ ..] = call.params.args.as_slice() {
                    self.tell(offset, &DataType::Int32);
                    let values: Vec<&Expr> = std::iter::once(value).chain(rest).collect();
                    self.alike(&values, schema);
                }
            }
            Expr::Case(case) => {
                if let Some(of) = case.expr.as_deref() {
                    let whens = case.when_then_expr.iter().map(|(when, _)| when.as_ref());
                    let sides: Vec<&Expr> = std::iter::once(of).chain(whens).collect();
                    self.alike(&sides, schema);
                }
                if case.expr.is_none() {
                    let conditions = case.when_then_expr.iter().map(|(when, _)| when);
                    conditions.for_each(|when| self.tell(when, &DataType::Boolean));
                }
                let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
                let results: Vec<&Expr> = results.chain(case.else_expr.as_deref()).collect();
                self.alike(&results, schema);
            }
            Expr::ScalarFunction(call) => self.call(call, schema),
            _ => {}
        }
    }

    /// The parameters that are columns of a UNION's parts: of the type that the column has in another.
    fn united(&mut self, union: &Union) {
        for (at, _) in union.schema.fields().iter().enumerate() {
            let told = union.inputs.iter().find_map(|part| match shown(part, at) {
                Some(Expr::Placeholder(Placeholder { field: None, .. })) => None,
                _ => part.schema().fields().get(at).map(|field| field.data_type().clone()),
            });
            if let Some(told) = told.filter(|told| !told.is_null()) {
                let parts = union.inputs.iter().filter_map(|part| shown(part, at));
                parts.for_each(|expr| self.tell(expr, &told));
            }
        }
    }

    /// Of expressions that have one type: that of the first that has any.
    fn alike(&mut self, exprs: &[&Expr], schema: &DFSchema) {
        let known = |expr: &&Expr| match expr {
            Expr::Placeholder(Placeholder { id, field: None }) => {
                number(id).and_then(|number| self.given.get(number.checked_sub(1)?)).cloned().flatten()
            }
            expr => expr.get_type(schema).ok().filter(|known| !known.is_null()),
        };
        if let Some(known) = exprs.iter().find_map(known) {
            exprs.iter().for_each(|expr| self.tell(expr, &known));
        }
    }

    fn call(&mut self, call: &ScalarFunction, schema: &DFSchema) {
        let args: Vec<&Expr> = call.args.iter().collect();
        match (call.name(), args.as_slice()) {
            // Arrays in `x = ANY($1)`.
            ("array_has" | "array_contains", [list, of]) => {
                if let Ok((_, item)) = of.to_field(schema) {
                    // What its type says beside itself (that it is a number of the catalogue) goes along.
                    let item = Field::new_list_field(item.data_type().clone(), true)
                        .with_metadata(item.metadata().clone());
                    self.tell(list, &DataType::List(Arc::new(item)));
                }
            }
            (name, args) if cast_to(name).is_some() => {
                if let Some(to) = cast_to(name) {
                    args.iter().for_each(|expr| self.tell(expr, &to));
                }
            }
            (name, args) if ALIKE.contains(&name) => self.alike(args, schema),
            (name, [_, time, ..]) if OF_TIME.contains(&name) => self.tell(time, &instant()),
            (name, args) => {
                let from = WHOLE_FROM.iter().find(|(own, _)| *own == name).map(|(_, from)| *from);
                let whole = from.and_then(|from| args.get(from..)).unwrap_or_default();
                whole.iter().for_each(|expr| self.tell(expr, &DataType::Int32));
            }
        }
    }
}

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// What a part of a UNION gives in this place.
fn shown(part: &LogicalPlan, at: usize) -> Option<&Expr> {
    let LogicalPlan::Projection(projection) = part else { return None };
    let mut expr = projection.expr.get(at)?;
    while let Expr::Alias(alias) = expr {
        expr = &alias.expr;
    }
    Some(expr)
}

/// Tells a parameter's type where DataFusion would refuse the operator, or take the parameter for what stands beside it:
/// the one that the client gave, else the one that PostgreSQL has there.
#[derive(Debug)]
pub(super) struct Beside(pub Vec<Option<DataType>>);

impl ExprPlanner for Beside {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        use BinaryOperator::{And, Divide, Minus, Modulo, Multiply, Or, Plus, StringConcat};
        let RawBinaryExpr { op, mut left, mut right } = expr;
        if matches!(op, Plus | Minus | Multiply | Divide | Modulo | StringConcat | And | Or) {
            self.given(&mut left);
            self.given(&mut right);
            beside(&mut left, &op, &right, schema);
            beside(&mut right, &op, &left, schema);
        }
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

impl Beside {
    /// The type that the client says.
    fn given(&self, expr: &mut Expr) {
        if let Expr::Placeholder(Placeholder { id, .. }) = expr
            && let Some(given) =
                number(id).and_then(|number| self.0.get(number.checked_sub(1)?)).cloned().flatten()
        {
            place(expr, &given);
        }
    }
}

/// The type of a parameter that has none beside this expression.
fn beside(expr: &mut Expr, op: &BinaryOperator, other: &Expr, schema: &DFSchema) {
    use BinaryOperator::{And, Divide, Multiply, Or, Plus, StringConcat};
    if !matches!(expr, Expr::Placeholder(Placeholder { field: None, .. })) {
        return;
    }
    let Ok(of) = other.get_type(schema) else { return };
    let told = match (op, of) {
        (And | Or, _) => DataType::Boolean,
        // What is added to a time is an interval.
        (Plus, DataType::Timestamp(..) | DataType::Date32) => INTERVAL,
        (Multiply | Divide, DataType::Interval(_) | DataType::Duration(_)) => DataType::Float64,
        (StringConcat, of) if !of.is_null() && !of.is_nested() => DataType::Utf8,
        (StringConcat, _) => return,
        (_, of) if of.is_numeric() => match other {
            Expr::Literal(ScalarValue::Int64(Some(value)), _) if i32::try_from(*value).is_ok() => {
                DataType::Int32
            }
            _ => of,
        },
        _ => return,
    };
    place(expr, &told);
}

fn place(expr: &mut Expr, data_type: &DataType) {
    if let Expr::Placeholder(Placeholder { field: field @ None, .. }) = expr {
        let told: FieldRef = Arc::new(Field::new("", data_type.clone(), true));
        *field = Some(told);
    }
}
