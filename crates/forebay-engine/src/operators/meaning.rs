//! What the state of an operator means, as a text that is the same as long as its state is good.
//!
//! The columns of a table alone do not tell `sum(a)` from `sum(b)`, nor windows of a minute from those of an hour: state of the
//! one would be taken for the other. So a table's layout carries this text, and a query that means something else is
//! refused. Where in its rows the operator finds a column is not part of it: a filter more may move columns.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

use crate::plan::graph::{AggregateSpec, Gap, JoinSpec, SessionSpec, SideEnds};
use crate::state::MEANING;

/// Values with their meaning.
pub(super) fn values(fields: Vec<Arc<Field>>, meaning: String) -> SchemaRef {
    Arc::new(Schema::new(fields).with_metadata([(MEANING.to_owned(), meaning)].into()))
}

/// Of an aggregation.
pub(super) fn aggregate(spec: &AggregateSpec) -> String {
    let window = spec.window.as_ref().map(|window| {
        let sliding = window.sliding;
        let parts = (sliding.size_us, sliding.slide_us, sliding.start_us);
        format!("window({}, {} µs, {} µs, {} µs)", text(&window.ts), parts.0, parts.1, parts.2)
    });
    let ends = if spec.watermarked { "ending by watermark" } else { "never ending" };
    let sets: Vec<String> = spec.sets.iter().map(|set| set.number.to_string()).collect();
    let sets = if sets.is_empty() { String::new() } else { format!(", in sets {}", sets.join(", ")) };
    told(&spec.keys, window, &spec.aggregates, &spec.filters, ends) + &sets
}

/// Of sessions.
pub(super) fn session(spec: &SessionSpec) -> String {
    // The gap of rows that are held is in their sessions' ends; another one is good for new rows.
    let gap = match &spec.gap {
        Gap::Static(_) => "",
        Gap::PerRow(_) => " of each row",
    };
    let ends = if spec.watermarked { "ending by watermark" } else { "never ending" };
    let window = format!("session{gap} by {}", text(&spec.ts));
    told(&spec.keys, Some(window), &spec.aggregates, &spec.filters, ends)
}

/// Of one side of a join.
pub(super) fn join(spec: &JoinSpec, is_left: bool) -> String {
    let (side, name) = if is_left { (&spec.left, "left") } else { (&spec.right, "right") };
    let keys = spec.left.keys.iter().zip(&spec.right.keys);
    let mut on: Vec<String> = keys.map(|(left, right)| format!("{} = {}", text(left), text(right))).collect();
    let width = super::join::visible(&spec.left.input);
    let of_pair = |column: &Column| {
        let side = if column.index() < width { "left" } else { "right" };
        format!("{side}.{}", column.name())
    };
    on.extend(spec.condition.as_ref().map(|condition| named(condition, of_pair)));
    let columns: Vec<&str> = side.input.fields().iter().map(|field| field.name().as_str()).collect();
    let ends = match side.ends {
        SideEnds::Never => "never forgotten".to_owned(),
        SideEnds::Key(key) => format!("forgotten by {}", side.keys.get(key).map(text).unwrap_or_default()),
        SideEnds::Time { column, shift_ms } => {
            format!(
                "forgotten by {} {:+} ms",
                columns.get(column).copied().unwrap_or_default(),
                shift_ms.saturating_neg()
            )
        }
    };
    let columns = columns[..super::join::visible(&side.input)].join(", ");
    format!("{name} ({columns}) of a {:?} join on {}, {ends}", spec.kind, on.join(" AND "))
}

fn told(
    keys: &[Arc<dyn PhysicalExpr>],
    window: Option<String>,
    aggregates: &[Arc<AggregateFunctionExpr>],
    filters: &[Option<Arc<dyn PhysicalExpr>>],
    ends: &str,
) -> String {
    let filters = filters.iter().map(Option::as_ref).chain(std::iter::repeat(None));
    let aggregates: Vec<String> = aggregates.iter().zip(filters).map(|(it, by)| function(it, by)).collect();
    let groups: Vec<String> = keys.iter().map(text).chain(window).collect();
    format!("{} by {}, {ends}", aggregates.join(", "), groups.join(", "))
}

fn function(function: &AggregateFunctionExpr, filter: Option<&Arc<dyn PhysicalExpr>>) -> String {
    let of: Vec<String> = function.expressions().iter().map(text).collect();
    let by = |by: &PhysicalSortExpr| {
        let expr = renamed(&by.expr, |column| column.name().to_owned());
        without_numbers(&PhysicalSortExpr { expr, options: by.options }.to_string())
    };
    let order: Vec<String> = function.order_bys().iter().map(by).collect();
    let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
    let distinct = if function.is_distinct() { "DISTINCT " } else { "" };
    let filter = filter.map_or_else(String::new, |filter| format!(" FILTER {}", text(filter)));
    format!("{}({distinct}{}{order}){filter}", function.fun().name(), of.join(", "))
}

/// A number that no column has, so that nothing else in a text is taken for one.
const NONE: usize = usize::MAX;

/// An expression without the numbers of its columns.
fn text(expression: &Arc<dyn PhysicalExpr>) -> String {
    named(expression, |column| column.name().to_owned())
}

/// The same with other names of its columns.
fn named(expression: &Arc<dyn PhysicalExpr>, name: impl Fn(&Column) -> String) -> String {
    without_numbers(&renamed(expression, name).to_string())
}

fn renamed(expression: &Arc<dyn PhysicalExpr>, name: impl Fn(&Column) -> String) -> Arc<dyn PhysicalExpr> {
    let renamed = Arc::clone(expression).transform_up(|expr| {
        Ok(match expr.downcast_ref::<Column>() {
            Some(column) => {
                Transformed::yes(Arc::new(Column::new(&name(column), NONE)) as Arc<dyn PhysicalExpr>)
            }
            None => Transformed::no(expr),
        })
    });
    renamed.map_or_else(|_| Arc::clone(expression), |renamed| renamed.data)
}

fn without_numbers(text: &str) -> String {
    text.replace(&format!("@{NONE}"), "")
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{BinaryExpr, lit};

    use super::*;

    #[test]
    fn where_a_column_stands_is_no_part_of_what_it_means_and_a_text_is() {
        let is = |place: usize, value: &str| {
            let column = Arc::new(Column::new("mail", place));
            text(&(Arc::new(BinaryExpr::new(column, Operator::Eq, lit(value))) as Arc<dyn PhysicalExpr>))
        };
        assert_eq!(is(12, "x@1"), is(0, "x@1"));
        assert_eq!(is(12, "x@1"), "mail = x@1");
        assert_ne!(is(0, "x@1"), is(0, "x@2"));
    }
}
