//! What an expression is, told as a text over the columns of the sources: the same as long as it computes the same of them.
//!
//! ```text
//! SELECT k, sum(v) FROM (SELECT k, CAST(i AS DOUBLE) AS v FROM l) GROUP BY k   ─▶   sum(CAST(i AS Float64)) by k
//! ```
//!
//! State is told by such texts, so that state of one thing is not taken for that of another. What must stay true: two
//! expressions that compute something else have other texts. So a literal has its type, a text its quotes, a column that could
//! be taken for something else is quoted, and brackets stand where operators could be read in two ways. Where a column stands
//! among the others is no part of it. How columns are followed down to the sources: [`columns`].

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

use super::functions::TRY_AVG;

pub(super) mod columns;

/// An expression over columns that are told already.
pub(crate) type Told = Arc<dyn PhysicalExpr>;

/// The number of a column that is told already: no other column has it, so that nothing else in a text is taken for one.
const NONE: usize = usize::MAX;

/// Longer texts are told by a checksum: columns that are made of others many times over double with each.
const MAX_TEXT: usize = 2_000;

/// Something that is told by this text.
fn leaf(text: impl AsRef<str>) -> Told {
    Arc::new(Column::new(text.as_ref(), NONE))
}

/// A column of a source, by its name.
fn named(name: &str) -> Told {
    let is_plain = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.contains(|it: char| it.is_whitespace() || it.is_control() || "()[],\"'`".contains(it));
    if is_plain { leaf(name) } else { leaf(format!("`{}`", name.replace('`', "``"))) }
}

/// The text of an expression over columns of which these are told; the others are told by their names.
pub(crate) fn text_over(expression: &Arc<dyn PhysicalExpr>, columns: &[Told]) -> String {
    text(&over(expression, columns))
}

fn told_or_named(columns: &[Told], index: usize, name: &str) -> Told {
    columns.get(index).cloned().unwrap_or_else(|| named(name))
}

/// The text of a column of these.
pub(crate) fn column_of(columns: &[Told], index: usize, name: &str) -> String {
    text(&told_or_named(columns, index, name))
}

/// The text of an expression over pairs of rows, the first `width` columns of which are those of the left side.
pub(crate) fn text_of_pair(
    expression: &Arc<dyn PhysicalExpr>,
    width: usize,
    [left, right]: [&[Told]; 2],
) -> String {
    let of_side = |column: &Column| match column.index().checked_sub(width) {
        None => leaf(format!("left.{}", closed(&told_or_named(left, column.index(), column.name())))),
        Some(index) => leaf(format!("right.{}", closed(&told_or_named(right, index, column.name())))),
    };
    text(&put(expression, of_side))
}

/// The text of an aggregate function over columns of which these are told.
pub(crate) fn function(
    function: &AggregateFunctionExpr,
    filter: Option<&Arc<dyn PhysicalExpr>>,
    columns: &[Told],
) -> String {
    let by = |by: &PhysicalSortExpr| {
        let expr = leaf(text_over(&by.expr, columns));
        without_numbers(&PhysicalSortExpr { expr, options: by.options }.to_string())
    };
    // What both keep is the same.
    let name = Some(function.fun().name()).filter(|name| *name != TRY_AVG).unwrap_or("avg");
    let of = function.expressions();
    let of: Vec<String> = match of.as_slice() {
        // Every row is counted, whatever the literal.
        [one] if name == "count" && is_value(one) => vec!["1".to_owned()],
        of => of.iter().map(|of| text_over(of, columns)).collect(),
    };
    let order: Vec<String> = function.order_bys().iter().map(by).collect();
    let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
    let distinct = if function.is_distinct() { "DISTINCT " } else { "" };
    let nulls = if function.ignore_nulls() { " IGNORE NULLS" } else { "" };
    let filter = filter.map_or_else(String::new, |filter| format!(" FILTER {}", text_over(filter, columns)));
    format!("{name}({distinct}{}{order}){nulls}{filter}", of.join(", "))
}

/// True of a literal that is not NULL.
fn is_value(expression: &Arc<dyn PhysicalExpr>) -> bool {
    expression.downcast_ref::<Literal>().is_some_and(|literal| !literal.value().is_null())
}

/// An expression with what its columns are put in their places.
fn over(expression: &Arc<dyn PhysicalExpr>, columns: &[Told]) -> Told {
    put(expression, |column| told_or_named(columns, column.index(), column.name()))
}

fn put(expression: &Arc<dyn PhysicalExpr>, of: impl Fn(&Column) -> Told) -> Told {
    let put = Arc::clone(expression).transform_up(|expr| {
        Ok(match expr.downcast_ref::<Column>() {
            Some(column) if column.index() != NONE => Transformed::yes(of(column)),
            _ => Transformed::no(expr),
        })
    });
    put.map_or_else(|_| Arc::clone(expression), |put| put.data)
}

/// The same, by a checksum if its text is very long.
fn bounded(told: Told) -> Told {
    let text = text(&told);
    if text.len() <= MAX_TEXT {
        return told;
    }
    leaf(format!("#{:08x} of {} bytes", crc32c::crc32c(text.as_bytes()), text.len()))
}

/// One of several ways to a column: the same, if all are.
fn either(ways: &[Told]) -> Told {
    let texts: Vec<String> = ways.iter().map(text).collect();
    match (ways, texts.as_slice()) {
        ([one, ..], [first, rest @ ..]) if rest.iter().all(|text| text == first) => Arc::clone(one),
        _ => bounded(leaf(format!("({})", texts.join(" | ")))),
    }
}

/// The text of an expression whose columns are told.
fn text(told: &Told) -> String {
    let spelled = Arc::clone(told).transform_up(spelled);
    without_numbers(&spelled.map_or_else(|_| told.to_string(), |spelled| spelled.data.to_string()))
}

/// The same, in brackets if nothing else tells where it ends.
fn closed(told: &Told) -> String {
    if is_open(told) { format!("({})", text(told)) } else { text(told) }
}

fn without_numbers(text: &str) -> String {
    text.replace(&format!("@{NONE}"), "")
}

/// The same expression so that DataFusion writes it in a way that nothing else is written in. What is below it is so already.
fn spelled(expr: Told) -> Result<Transformed<Told>> {
    if let Some(value) = expr.downcast_ref::<Literal>() {
        return Ok(Transformed::yes(leaf(literal(value.value()))));
    }
    let wants_brackets = |(place, child): (usize, &&Told)| match expr.downcast_ref::<BinaryExpr>() {
        // What stands on the left comes first anyway.
        Some(binary) => place == 1 && is_bracketed_on_the_right(binary.op(), child),
        None => is_open(&expr) && is_open(child),
    };
    let children = expr.children();
    let brackets: Vec<bool> = children.iter().enumerate().map(wants_brackets).collect();
    if !brackets.contains(&true) {
        return Ok(Transformed::no(expr));
    }
    let children = children.into_iter().zip(brackets).map(|(child, brackets)| match brackets {
        true => leaf(format!("({child})")),
        false => Arc::clone(child),
    });
    let children = children.collect();
    Arc::clone(&expr).with_new_children(children).map(Transformed::yes)
}

/// True if nothing tells where an expression ends but what stands around it.
fn is_open(expr: &Told) -> bool {
    expr.downcast_ref::<BinaryExpr>().is_some()
        || expr.downcast_ref::<NotExpr>().is_some()
        || expr.downcast_ref::<IsNullExpr>().is_some()
        || expr.downcast_ref::<IsNotNullExpr>().is_some()
        || expr.downcast_ref::<LikeExpr>().is_some()
        || expr.downcast_ref::<InListExpr>().is_some()
}

/// True of `b - c` in `a - (b - c)`, which DataFusion writes as `a - b - c`. Of AND and OR the order is no matter.
fn is_bracketed_on_the_right(operator: &Operator, right: &Told) -> bool {
    let Some(right) = right.downcast_ref::<BinaryExpr>() else { return false };
    let is_same = matches!(operator, Operator::And | Operator::Or) && right.op() == operator;
    right.op().precedence() == operator.precedence() && operator.precedence() != 0 && !is_same
}

/// A literal with its type, a text in quotes.
fn literal(value: &ScalarValue) -> String {
    match value {
        ScalarValue::List(list) if !list.is_null(0) => format!("List[{}]", elements(&list.value(0))),
        ScalarValue::Struct(fields) if !fields.is_null(0) => {
            let fields: Vec<String> = fields.columns().iter().map(elements).collect();
            format!("Struct[{}]", fields.join(", "))
        }
        value => match value.try_as_str() {
            Some(Some(text)) => format!("{}({text:?})", value.data_type()),
            _ => format!("{value:?}"),
        },
    }
}

fn elements(values: &ArrayRef) -> String {
    let element = |index| ScalarValue::try_from_array(values, index);
    let elements = (0..values.len())
        .map(|index| element(index).map_or_else(|error| error.to_string(), |value| literal(&value)));
    elements.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
