//! Which columns a lowered expression reads, and the same expression where its columns are elsewhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;

/// The columns that an expression reads.
pub(crate) fn read(expr: &Arc<dyn PhysicalExpr>) -> BTreeSet<usize> {
    collect_columns(expr).iter().map(Column::index).collect()
}

/// An expression whose columns are elsewhere; `None` if one of them is nowhere.
pub(crate) fn moved(
    expr: &Arc<dyn PhysicalExpr>,
    place: impl Fn(usize) -> Option<usize>,
) -> Option<Arc<dyn PhysicalExpr>> {
    let mut is_there = true;
    let moved = Arc::clone(expr).transform_up(|expr| {
        let Some(column) = expr.downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
        let Some(index) = place(column.index()) else {
            is_there = false;
            return Ok(Transformed::no(expr));
        };
        Ok(Transformed::yes(Arc::new(Column::new(column.name(), index)) as Arc<dyn PhysicalExpr>))
    });
    moved.ok().filter(|_| is_there).map(|moved| moved.data)
}
