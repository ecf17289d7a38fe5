//! UNION of streams: both parts are resolved, and hand on of their records what both have.
//!
//! Of the later parts only the place of a column counts, so what they call it need not be told apart.
//!
//! What a SELECT hands on stands at the end of its list ([`super::record`]), so parts that hand on the same are as wide as each
//! other. Where they do not, or where equal rows are to count once, the rest is taken off again.

use datafusion::sql::sqlparser::ast::{SelectItem, SetExpr};

use super::Planner;
use super::scope::Scope;
use crate::plan::sql_error::SqlError;

impl Planner<'_> {
    /// Resolves the two parts of a union; with `is_once` equal rows of it count once.
    pub(super) fn union(
        &mut self,
        left: &mut SetExpr,
        right: &mut SetExpr,
        outer: Option<&Scope<'_>>,
        is_once: bool,
    ) -> Result<(), SqlError> {
        self.set_expr(left, outer, None)?;
        let of_left = std::mem::take(&mut self.carries_now);
        self.later(|planner| planner.set_expr(right, outer, None))?;
        let of_right = std::mem::take(&mut self.carries_now);
        let is_kept = |name: &&str| !is_once && of_left.contains(name) && of_right.contains(name);
        keep(left, of_left.len(), &is_kept);
        keep(right, of_right.len(), &is_kept);
        self.carries_now = of_left.iter().copied().filter(|name| is_kept(name)).collect();
        Ok(())
    }

    /// Resolves a later part.
    pub(super) fn later(
        &mut self,
        resolve: impl FnOnce(&mut Self) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        let outer = std::mem::replace(&mut self.is_later, true);
        let resolved = resolve(self);
        self.is_later = outer;
        resolved
    }
}

/// Of so many columns at the end of the list of every SELECT of a part leaves only those that are kept.
fn keep(part: &mut SetExpr, carried: usize, is_kept: &impl Fn(&&str) -> bool) {
    match part {
        SetExpr::Select(select) => {
            let own = select.projection.len().saturating_sub(carried);
            let carried = select.projection.split_off(own);
            let stays = |item: &SelectItem| match item {
                SelectItem::ExprWithAlias { alias, .. } => is_kept(&alias.value.as_str()),
                _ => true,
            };
            select.projection.extend(carried.into_iter().filter(stays));
        }
        SetExpr::Query(query) => keep(&mut query.body, carried, is_kept),
        SetExpr::SetOperation { left, right, .. } => {
            keep(left, carried, is_kept);
            keep(right, carried, is_kept);
        }
        _ => {}
    }
}
