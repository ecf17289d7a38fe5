//! GROUPING SETS, ROLLUP and CUBE as Spark writes them: `GROUP BY a, b WITH ROLLUP`, groups of several expressions, and
//! `grouping_id()`, which names none of them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, GroupByWithModifier,
    VisitMut, VisitorMut,
};

use super::calls;

/// Most groups of a CUBE whose groups are several expressions: it has all sets of them.
const MOST_OF_CUBE: usize = 10;

/// Writes what stands behind GROUP BY as its expression, and groups of several expressions as the sets that they make.
pub(super) fn plain(group_by: &mut GroupByExpr) {
    let GroupByExpr::Expressions(exprs, modifiers) = group_by else { return };
    let each = |exprs: &mut Vec<Expr>| std::mem::take(exprs).into_iter().map(|expr| vec![expr]).collect();
    match modifiers.as_slice() {
        [] => {}
        [GroupByWithModifier::Rollup] => *exprs = vec![Expr::Rollup(each(exprs))],
        [GroupByWithModifier::Cube] => *exprs = vec![Expr::Cube(each(exprs))],
        [GroupByWithModifier::GroupingSets(sets)] => *exprs = vec![sets.clone()],
        _ => return,
    }
    modifiers.clear();
    for expr in exprs {
        let several = |groups: &[Vec<Expr>]| groups.iter().any(|group| group.len() != 1);
        match expr {
            Expr::Rollup(groups) if several(groups) => {
                let first = |count: usize| groups.iter().take(count).flatten().cloned().collect();
                *expr = Expr::GroupingSets((0..=groups.len()).rev().map(first).collect());
            }
            Expr::Cube(groups) if several(groups) && groups.len() <= MOST_OF_CUBE => {
                let chosen = |set: usize| {
                    let is_in = |(index, _): &(usize, &Vec<Expr>)| (set >> index) & 1 == 1;
                    groups.iter().enumerate().filter(is_in).flat_map(|(_, group)| group).cloned().collect()
                };
                *expr = Expr::GroupingSets((0..1 << groups.len()).rev().map(chosen).collect());
            }
            _ => {}
        }
    }
}

/// The expressions of which a GROUP BY has sets, each once, in their order; none if it has no sets.
pub(super) fn of_sets(group_by: &GroupByExpr) -> Vec<Expr> {
    let GroupByExpr::Expressions(exprs, _) = group_by else { return Vec::new() };
    let is_set = |expr: &Expr| matches!(expr, Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_));
    if !exprs.iter().any(is_set) {
        return Vec::new();
    }
    let mut all: Vec<Expr> = Vec::new();
    for expr in exprs {
        let of: Vec<&Expr> = match expr {
            Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                sets.iter().flatten().collect()
            }
            other => vec![other],
        };
        for expr in of {
            if !all.contains(expr) {
                all.push(expr.clone());
            }
        }
    }
    all
}

/// Writes the groups into `grouping_id()`.
pub(super) fn named<V: VisitMut>(within: &mut V, groups: &[Expr]) {
    if !groups.is_empty() {
        let _: ControlFlow<()> = within.visit(&mut Ids(groups));
    }
}

struct Ids<'g>(&'g [Expr]);

impl VisitorMut for Ids<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && is_id(function)
            && let FunctionArguments::List(list) = &mut function.args
        {
            let arg = |group: &Expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(group.clone()));
            list.args = self.0.iter().map(arg).collect();
        }
        ControlFlow::Continue(())
    }
}

fn is_id(function: &Function) -> bool {
    function.name.to_string().eq_ignore_ascii_case("grouping_id")
        && calls::positional(function).is_some_and(|args| args.is_empty())
}
