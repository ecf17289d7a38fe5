//! The names of columns that nobody named, as PostgreSQL gives them: a function's own, `case`, `?column?`.
//!
//! DataFusion names such a column by its text and refuses two of one name. Here each gets an alias, and a name that was
//! given before in the same SELECT a mark and a number behind it, which [`shown`] takes off again: clients see two
//! columns named `count`, as they would of PostgreSQL.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, Select, SelectItem, SetExpr, Statement, VisitMut, VisitorMut,
};

/// Stands between a name and a number; nobody types it.
pub(super) const MARK: char = '\u{1}';

/// The name that a client sees.
pub fn shown(name: &str) -> &str {
    name.split_once(MARK).map_or(name, |(name, _)| name)
}

/// Names what has no name. Gives the names of the outermost SELECT's columns, where all of them can be told.
pub(super) fn labelled(statement: &mut Statement) -> Option<Vec<String>> {
    let names = match statement {
        Statement::Query(query) => match query.body.as_ref() {
            SetExpr::Select(select) => select.projection.iter().map(item_label).collect(),
            _ => None,
        },
        _ => None,
    };
    let _: ControlFlow<()> = statement.visit(&mut Labels);
    names
}

fn item_label(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) => Some(label(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        _ => None,
    }
}

struct Labels;

impl VisitorMut for Labels {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let is_all =
            |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
        let has_all = select.projection.iter().any(is_all);
        // An ORDER BY of a DISTINCT must find its expressions as they stand.
        let keeps = select.distinct.is_some() && !has_all;
        let mut given: HashSet<String> = HashSet::new();
        let named = select.projection.iter().filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
            SelectItem::UnnamedExpr(expr) if column(expr).is_some() => Some(label(expr)),
            _ => None,
        });
        let named: HashSet<String> = named.collect();
        for (number, item) in select.projection.iter_mut().enumerate() {
            let (expr, name) = match item {
                SelectItem::UnnamedExpr(expr) => {
                    let name = label(expr);
                    // A column by itself is named already; only where `*` may give it again it needs another name.
                    if column(expr).is_some() && !has_all && given.insert(expr.to_string()) {
                        continue;
                    }
                    (expr.clone(), name)
                }
                SelectItem::ExprWithAlias { expr, alias } if !given.insert(alias.value.clone()) => {
                    (expr.clone(), alias.value.clone())
                }
                _ => continue,
            };
            let is_free = !has_all && column(&expr).is_none() && !named.contains(&name);
            if keeps && is_free && given.insert(expr.to_string()) {
                continue;
            }
            let alias =
                if is_free && given.insert(name.clone()) { name } else { format!("{name}{MARK}{number}") };
            *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', alias) };
        }
        ControlFlow::Continue(())
    }
}

/// The name of a column that stands by itself.
fn column(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Identifier(name) => Some(&name.value),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.as_str()),
        _ => None,
    }
}

/// What PostgreSQL names an expression.
fn label(expr: &Expr) -> String {
    if let Some(column) = column(expr) {
        return column.to_owned();
    }
    match expr {
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => label(inner),
        Expr::Cast { expr: inner, data_type, .. } => match label(inner) {
            name if name == UNKNOWN => type_label(&data_type.to_string()),
            name => name,
        },
        Expr::Function(call) => last(&call.name),
        Expr::Case { .. } => "case".to_owned(),
        Expr::Exists { .. } => "exists".to_owned(),
        Expr::Extract { .. } => "extract".to_owned(),
        Expr::Ceil { .. } => "ceil".to_owned(),
        Expr::Floor { .. } => "floor".to_owned(),
        Expr::Position { .. } => "position".to_owned(),
        Expr::Substring { .. } => "substring".to_owned(),
        Expr::Trim { .. } => "btrim".to_owned(),
        Expr::Overlay { .. } => "overlay".to_owned(),
        Expr::Array(_) => "array".to_owned(),
        Expr::Interval(_) => "interval".to_owned(),
        Expr::TypedString(typed) => type_label(&typed.data_type.to_string()),
        Expr::AtTimeZone { .. } => "timezone".to_owned(),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => {
                select.projection.first().and_then(item_label).unwrap_or_else(|| UNKNOWN.to_owned())
            }
            _ => UNKNOWN.to_owned(),
        },
        _ => UNKNOWN.to_owned(),
    }
}

const UNKNOWN: &str = "?column?";

fn last(name: &ObjectName) -> String {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.map_or_else(|| UNKNOWN.to_owned(), |name| name.value.to_lowercase())
}

/// PostgreSQL's own word for a type.
fn type_label(data_type: &str) -> String {
    let lower = data_type.to_lowercase();
    let bare = lower.split('(').next().unwrap_or(&lower).trim();
    let bare = bare.rsplit('.').next().unwrap_or(bare);
    match bare {
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "boolean" => "bool",
        "double precision" | "double" | "float" => "float8",
        "real" => "float4",
        "decimal" => "numeric",
        "character varying" => "varchar",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::text::split;
    use super::*;

    fn labels(sql: &str) -> (Option<Vec<String>>, String) {
        let mut statement = split(sql).unwrap()[0].parse().unwrap();
        let names = labelled(&mut statement);
        (names, statement.to_string())
    }

    #[test]
    fn columns_are_named_as_postgresql_names_them() {
        let (names, _) = labels(
            "SELECT a, t.b, count(*), count(*), 1, 'x', n::bigint, '1'::int8, CASE WHEN a THEN 1 END, \
             extract(epoch FROM c), (a), true AS \"Yes\", (SELECT max(a) FROM t) FROM t",
        );
        let expected = [
            "a", "b", "count", "count", "?column?", "?column?", "n", "int8", "case", "extract", "a", "Yes",
            "max",
        ];
        assert_eq!(names.unwrap(), expected);
    }

    #[test]
    fn two_of_one_name_are_told_apart_and_look_the_same() {
        let (_, sql) = labels("SELECT count(*), count(*), a, a, oid, t.* FROM t");
        let marked: Vec<&str> = sql.split('"').filter(|part| part.contains(MARK)).map(shown).collect();
        assert!(marked.contains(&"count") && marked.contains(&"oid"), "{sql}");
        assert_eq!(shown("count\u{1}3"), "count");
        let (_, sql) = labels("SELECT count FROM (SELECT count(*) FROM t) s");
        assert!(sql.contains("count(*) AS \"count\""), "{sql}");
    }
}
