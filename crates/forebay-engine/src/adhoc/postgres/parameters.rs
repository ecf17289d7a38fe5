//! The types of a statement's parameters, `$1`, `$2`, …

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use super::text::MOST;
use crate::adhoc::bounds::seen_by;

/// The plan with a type for each parameter: as the client says, else as it follows from the statement, else text.
pub(super) fn typed(
    plan: LogicalPlan,
    given: &[Option<DataType>],
) -> Result<(LogicalPlan, Vec<DataType>), DataFusionError> {
    let fields = plan.get_parameter_fields()?;
    let number = |id: &str| id.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
    let mut most = given.len();
    for id in fields.keys() {
        match number(id).filter(|number| (1..=MOST).contains(number)) {
            Some(number) => most = most.max(number),
            None => return Err(DataFusionError::Plan(format!("there is no parameter {id}"))),
        }
    }
    let mut types = vec![DataType::Utf8; most];
    let placed = placed(&plan)?;
    for (at, data_type) in types.iter_mut().enumerate() {
        let id = format!("${}", at + 1);
        let inferred = fields.get(&id).and_then(Option::as_ref);
        let inferred = inferred.map(|field| field.data_type().clone()).filter(|found| !found.is_null());
        let inferred = inferred.or_else(|| placed.get(&id).cloned());
        *data_type = given.get(at).cloned().flatten().or(inferred).unwrap_or(DataType::Utf8);
    }
    if fields.is_empty() {
        return Ok((plan, types));
    }
    let plan = plan.transform_up_with_subqueries(|node| {
        let node = node.map_expressions(|expr| {
            expr.transform_up(|expr| match expr {
                Expr::Placeholder(Placeholder { id, field: None }) => {
                    let found = number(&id).and_then(|number| types.get(number - 1));
                    let field = found.map(|found| Arc::new(Field::new("", found.clone(), true)));
                    Ok(Transformed::yes(Expr::Placeholder(Placeholder::new_with_field(id, field))))
                }
                other => Ok(Transformed::no(other)),
            })
        })?;
        if node.transformed { node.map_data(LogicalPlan::recompute_schema) } else { Ok(node) }
    })?;
    Ok((plan.data, types))
}

/// The types of parameters that DataFusion does not tell by their place: `$1::date`, and arrays in `x = ANY($1)`.
fn placed(plan: &LogicalPlan) -> Result<HashMap<String, DataType>, DataFusionError> {
    let mut found = HashMap::new();
    plan.apply_with_subqueries(|node| {
        let schema = seen_by(node);
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                match expr {
                    Expr::Cast(cast) => {
                        if let Expr::Placeholder(Placeholder { id, field: None }) = cast.expr.as_ref() {
                            found.entry(id.clone()).or_insert_with(|| cast.field.data_type().clone());
                        }
                    }
                    Expr::ScalarFunction(call) if matches!(call.name(), "array_has" | "array_contains") => {
                        if let [Expr::Placeholder(Placeholder { id, field: None }), of] = call.args.as_slice()
                            && let Ok((_, item)) = of.to_field(&schema)
                        {
                            // What its type says beside itself (that it is a number of the catalogue) goes along.
                            let item = Field::new_list_field(item.data_type().clone(), true)
                                .with_metadata(item.metadata().clone());
                            found.insert(id.clone(), DataType::List(Arc::new(item)));
                        }
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}
