//! The names of columns that have none, as Spark gives them: the column itself, the last field of a path, the column
//! under a cast, else the expression written out (`(a + 1)`, `upper(b)`, `count(1)`).

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, CastKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, SelectItem,
    Spanned, Subscript, UnaryOperator, Value,
};

use super::{quoted, units};

/// The name of the column that an item of a resolved SELECT list gives; of a star none.
pub(super) fn given(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
            parts.last().map(|part| part.value.clone())
        }
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(ident.value.clone()),
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        _ => None,
    }
}

/// Gives every column whose name another one before it has a name of its own, where no one asks for it.
pub(super) fn tell_apart(items: &mut [SelectItem]) {
    let mut known = HashSet::new();
    for (index, item) in items.iter_mut().enumerate() {
        let Some(name) = given(item) else { continue };
        if known.insert(name.to_ascii_lowercase()) {
            continue;
        }
        let mut own = format!("{name} #{index}");
        while !known.insert(own.to_ascii_lowercase()) {
            own.push('#');
        }
        let (expr, like) = match item {
            SelectItem::UnnamedExpr(expr) => (expr.clone(), place_of(expr)),
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), alias.clone()),
            _ => continue,
        };
        *item = SelectItem::ExprWithAlias { expr, alias: quoted(own, &like) };
    }
}

/// The name of a SELECT item without an alias.
pub(super) fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Nested(inner) => name_of(inner),
        Expr::Cast { expr: inner, kind: CastKind::Cast, .. } => match field_name(inner) {
            Some(name) => name,
            None => pretty(expr),
        },
        _ => field_name(expr).unwrap_or_else(|| pretty(expr)),
    }
}

/// The name of an expression that is a path: its last part.
pub(super) fn field_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(ident.value.clone()),
        Expr::CompoundIdentifier(parts) => parts.last().map(|part| part.value.clone()),
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(part))) => Some(part.value.clone()),
            _ => None,
        },
        Expr::Nested(inner) => field_name(inner),
        // A resolved path: `__field(base, 'name')`.
        Expr::Function(function)
            if function.name.to_string().trim_matches('`') == crate::plan::functions::FIELD =>
        {
            match &function.args {
                FunctionArguments::List(list) => match list.args.last() {
                    Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))) => {
                        value.value.clone().into_string()
                    }
                    _ => None,
                },
                _ => None,
            }
        }
        _ => None,
    }
}

/// Where an expression stands, as an identifier without a name.
pub(super) fn place_of(expr: &Expr) -> Ident {
    let mut ident = Ident::new("");
    ident.span = expr.span();
    ident
}

fn pretty(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => ident.value.clone(),
        Expr::CompoundIdentifier(parts) => {
            parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".")
        }
        Expr::CompoundFieldAccess { root, access_chain } => {
            let mut text = pretty(root);
            for access in access_chain {
                match access {
                    AccessExpr::Dot(part) => text = format!("{text}.{}", pretty(part)),
                    AccessExpr::Subscript(Subscript::Index { index }) => {
                        text = format!("{text}[{}]", pretty(index))
                    }
                    AccessExpr::Subscript(other) => text = format!("{text}[{other}]"),
                }
            }
            text
        }
        Expr::Nested(inner) => pretty(inner),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.clone(),
            Value::Number(text, _) => text.clone(),
            other => other.to_string(),
        },
        Expr::BinaryOp { left, op, right } => format!("({} {op} {})", pretty(left), pretty(right)),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(_) => format!("-{}", pretty(expr)),
            _ => format!("(- {})", pretty(expr)),
        },
        Expr::UnaryOp { op, expr } => format!("({op} {})", pretty(expr)),
        Expr::RLike { negated, expr, pattern, .. } => {
            let matches = format!("RLIKE({}, {})", pretty(expr), pretty(pattern));
            if *negated { format!("(NOT {matches})") } else { matches }
        }
        Expr::IsNull(inner) => format!("({} IS NULL)", pretty(inner)),
        Expr::IsNotNull(inner) => format!("({} IS NOT NULL)", pretty(inner)),
        Expr::Cast { kind, expr, data_type, .. } => {
            let verb = if *kind == CastKind::TryCast { "TRY_CAST" } else { "CAST" };
            format!("{verb}({} AS {data_type})", pretty(expr))
        }
        Expr::Case { operand, conditions, else_result, .. } => {
            let mut text = "CASE".to_owned();
            if let Some(operand) = operand {
                text = format!("{text} {}", pretty(operand));
            }
            for when in conditions {
                text = format!("{text} WHEN {} THEN {}", pretty(&when.condition), pretty(&when.result));
            }
            if let Some(otherwise) = else_result {
                text = format!("{text} ELSE {}", pretty(otherwise));
            }
            format!("{text} END")
        }
        Expr::Function(function) => pretty_call(function),
        other => other.to_string(),
    }
}

fn pretty_call(function: &Function) -> String {
    let name = units::name_of(function).map(str::to_owned);
    let name = name.unwrap_or_else(|| function.name.to_string().to_ascii_lowercase());
    // What Spark makes of a window is a column of that name.
    if name == "window" || name == "session_window" {
        return name;
    }
    let (distinct, mut args): (&str, Vec<String>) = match &function.args {
        FunctionArguments::List(list) => {
            let args = list
                .args
                .iter()
                .map(|arg| match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => pretty(expr),
                    FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if name == "count" => "1".to_owned(),
                    other => other.to_string(),
                })
                .collect();
            (if list.duplicate_treatment.is_some() { "DISTINCT " } else { "" }, args)
        }
        FunctionArguments::None => ("", Vec::new()),
        FunctionArguments::Subquery(query) => ("", vec![query.to_string()]),
    };
    match name.as_str() {
        "any_value" | "first" | "first_value" | "last" | "last_value" | "approx_count_distinct" => {
            args.truncate(1)
        }
        "percentile" if args.len() == 2 => args.push("1".to_owned()),
        "listagg" | "string_agg" if args.len() == 1 => args.push("NULL".to_owned()),
        "percentile_approx" | "approx_percentile" if args.len() == 2 => args.push("10000".to_owned()),
        _ => {}
    }
    let filter = function.filter.as_ref().map(|filter| format!(" FILTER (WHERE {})", pretty(filter)));
    let filter = filter.unwrap_or_default();
    let over = function.over.as_ref().map(|over| format!(" OVER {over}")).unwrap_or_default();
    format!("{name}({distinct}{}){filter}{over}", args.join(", "))
}
