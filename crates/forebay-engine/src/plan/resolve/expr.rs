//! Expressions: every name gets its schema's spelling, every path through structs becomes field accesses.

use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, Query, Subscript, Value, VisitMut, VisitorMut,
};

use super::scope::{Path, Scope, nested_field, unknown};
use super::{Planner, calls, quoted, streaming, units, windows};
use crate::plan::functions::FIELD;
use crate::plan::parse;
use crate::plan::sql_error::SqlError;

/// The aliases of the SELECT list, for the clauses that see them.
#[derive(Clone, Copy)]
pub(super) enum Aliases<'n> {
    None,
    /// GROUP BY, HAVING: a column of FROM wins.
    AfterColumns(&'n [String]),
    /// ORDER BY: the alias wins.
    BeforeColumns(&'n [String]),
}

/// What an expression sees.
pub(super) struct Names<'n> {
    pub scope: &'n Scope<'n>,
    pub aliases: Aliases<'n>,
    /// The call behind the name `window` or `session_window`.
    pub window: Option<&'n windows::GroupWindow>,
}

impl Names<'_> {
    fn alias(&self, name: &Ident) -> Option<String> {
        let (Aliases::AfterColumns(aliases) | Aliases::BeforeColumns(aliases)) = self.aliases else {
            return None;
        };
        aliases.iter().find(|alias| alias.eq_ignore_ascii_case(&name.value)).cloned()
    }
}

impl Planner<'_> {
    /// Resolves an expression in place.
    pub(super) fn expr(&mut self, expr: &mut Expr, scope: &Scope<'_>) -> Result<(), SqlError> {
        self.expr_with(expr, &Names { scope, aliases: Aliases::None, window: None })
    }

    pub(super) fn expr_with(&mut self, expr: &mut Expr, names: &Names<'_>) -> Result<(), SqlError> {
        let mut resolver = Resolver {
            planner: self,
            names,
            subqueries: 0,
            windows: 0,
            depths: Vec::new(),
            lambda_names: Vec::new(),
        };
        match expr.visit(&mut resolver) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(*error),
        }
    }
}

struct Resolver<'r, 'a, 'n> {
    planner: &'r mut Planner<'a>,
    names: &'r Names<'n>,
    /// How many subqueries the visitor stands in: those are resolved as a whole when it enters them.
    subqueries: usize,
    /// How many calls that give windows it stands in: their arguments are columns.
    windows: usize,
    /// How deep the expressions are in which the visitor stands, outermost first.
    depths: Vec<usize>,
    lambda_names: Vec<String>,
}

impl VisitorMut for Resolver<'_, '_, '_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        if self.subqueries == 0
            && let Err(error) = self.planner.query(query, Some(self.names.scope))
        {
            return ControlFlow::Break(Box::new(error));
        }
        self.subqueries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Self::Break> {
        self.subqueries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if self.subqueries > 0 {
            return ControlFlow::Continue(());
        }
        if self.planner.streaming
            && let Err(error) = streaming::expr(expr)
        {
            return ControlFlow::Break(Box::new(error));
        }
        let depth = self.depths.last().copied().unwrap_or_default() + parse::weight(expr);
        self.depths.push(depth);
        self.planner.depth = self.planner.depth.max(depth);
        self.windows += usize::from(windows::name_of(expr).is_some());
        let done = match expr {
            Expr::Lambda(lambda) => {
                self.lambda_names.extend(lambda.params.iter().map(|param| param.name.value.clone()));
                Ok(())
            }
            Expr::CompoundFieldAccess { .. } => self.access(expr),
            Expr::Function(function) => units::read(function),
            _ => Ok(()),
        };
        done.map_or_else(|error| ControlFlow::Break(Box::new(error)), ControlFlow::Continue)
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if self.subqueries > 0 {
            return ControlFlow::Continue(());
        }
        self.depths.pop();
        self.windows = self.windows.saturating_sub(usize::from(windows::name_of(expr).is_some()));
        let done = match expr {
            Expr::Identifier(ident) => {
                let ident = ident.clone();
                self.path(std::slice::from_ref(&ident)).map(|found| replace(expr, found))
            }
            Expr::CompoundIdentifier(parts) => {
                let parts = parts.clone();
                self.path(&parts).map(|found| replace(expr, found))
            }
            Expr::Lambda(lambda) => {
                let outer = self.lambda_names.len().saturating_sub(lambda.params.len());
                self.lambda_names.truncate(outer);
                Ok(())
            }
            // In Spark a text in double quotes is a string.
            Expr::Value(value) => {
                if let Value::DoubleQuotedString(text) = &mut value.value {
                    value.value = Value::SingleQuotedString(std::mem::take(text));
                }
                calls::number(expr);
                Ok(())
            }
            _ => calls::rewrite(self.planner, expr),
        };
        done.map_or_else(|error| ControlFlow::Break(Box::new(error)), ControlFlow::Continue)
    }
}

fn replace(expr: &mut Expr, found: Option<Expr>) {
    if let Some(found) = found {
        *expr = found;
    }
}

impl Resolver<'_, '_, '_> {
    /// What a path of names becomes; `None` leaves it as it is.
    fn path(&mut self, parts: &[Ident]) -> Result<Option<Expr>, SqlError> {
        let [first, rest @ ..] = parts else { return Ok(None) };
        if self.lambda_names.iter().any(|name| name.eq_ignore_ascii_case(&first.value)) {
            return Ok(None);
        }
        if let Some(window) = self.names.window.filter(|window| self.windows == 0 && window.is_named(first)) {
            return window.path(rest).map(Some);
        }
        if let (Aliases::BeforeColumns(_), []) = (self.names.aliases, rest)
            && let Some(alias) = self.names.alias(first)
        {
            return Ok(Some(Expr::Identifier(quoted(alias, first))));
        }
        if let Some(path) = self.names.scope.path(parts)? {
            return Ok(Some(path_expr(&path, first)));
        }
        if rest.is_empty()
            && let Some(alias) = self.names.alias(first)
        {
            return Ok(Some(Expr::Identifier(quoted(alias, first))));
        }
        if rest.is_empty()
            && let Some(call) = calls::bare(first)
        {
            return Ok(Some(call));
        }
        let mut known = self.names.scope.known();
        // A qualifier that is right narrows the guess to its relation.
        if let ([_], Some(relation)) = (rest, self.names.scope.relation(&first.value)) {
            known = relation.known().collect();
        }
        let wrong = match rest {
            [column, ..] if self.names.scope.relation(&first.value).is_some() => column,
            _ => first,
        };
        Err(unknown("column", wrong, &known))
    }

    /// `a.b[0].c`: the names before the first subscript are one path; what follows is applied step by step.
    fn access(&mut self, expr: &mut Expr) -> Result<(), SqlError> {
        let Expr::CompoundFieldAccess { root, access_chain } = expr else { return Ok(()) };
        let mut chain = std::mem::take(access_chain).into_iter().peekable();
        let mut parts = match root.as_ref() {
            Expr::Identifier(ident) => vec![ident.clone()],
            Expr::CompoundIdentifier(parts) => parts.clone(),
            _ => Vec::new(),
        };
        let mut data_type = None;
        let mut base = if parts.is_empty() {
            std::mem::replace(root.as_mut(), null())
        } else {
            while let Some(AccessExpr::Dot(Expr::Identifier(part))) =
                chain.next_if(|access| matches!(access, AccessExpr::Dot(Expr::Identifier(_))))
            {
                parts.push(part);
            }
            data_type = self.names.scope.path(&parts)?.map(|path| path.data_type);
            self.path(&parts)?.unwrap_or(Expr::CompoundIdentifier(parts))
        };
        for access in chain {
            base = match access {
                AccessExpr::Dot(Expr::Identifier(part)) => {
                    let (name, of) = match &data_type {
                        Some(data_type) => {
                            let (name, of) = nested_field(data_type, &part)?;
                            (name, Some(of))
                        }
                        None => (part.value.clone(), None),
                    };
                    data_type = of;
                    field_access(base, &name, &part)
                }
                AccessExpr::Dot(other) => {
                    data_type = None;
                    Expr::CompoundFieldAccess {
                        root: Box::new(base),
                        access_chain: vec![AccessExpr::Dot(other)],
                    }
                }
                AccessExpr::Subscript(subscript) => {
                    data_type = data_type.as_ref().and_then(|of| element_type(of, &subscript));
                    Expr::CompoundFieldAccess {
                        root: Box::new(base),
                        access_chain: vec![AccessExpr::Subscript(subscript)],
                    }
                }
            };
        }
        *expr = base;
        Ok(())
    }
}

fn element_type(of: &DataType, subscript: &Subscript) -> Option<DataType> {
    match (of, subscript) {
        (DataType::List(item) | DataType::LargeList(item), Subscript::Index { .. }) => {
            Some(item.data_type().clone())
        }
        (DataType::Map(entries, _), Subscript::Index { .. }) => match entries.data_type() {
            DataType::Struct(pair) => pair.get(1).map(|value| value.data_type().clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The expression for a resolved path.
pub(super) fn path_expr(path: &Path, like: &Ident) -> Expr {
    path.fields.iter().fold(columns_expr(&path.of, like), |base, field| field_access(base, field, like))
}

/// A column, or the first of several that is not NULL.
pub(super) fn columns_expr(of: &[(String, String)], like: &Ident) -> Expr {
    let column = |(qualifier, column): &(String, String)| {
        Expr::CompoundIdentifier(vec![quoted(qualifier.clone(), like), quoted(column.clone(), like)])
    };
    match of {
        [one] => column(one),
        several => call("coalesce", several.iter().map(column).collect(), like),
    }
}

/// `__field(base, 'name')`.
pub(super) fn field_access(base: Expr, name: &str, like: &Ident) -> Expr {
    let name = Expr::Value(Value::SingleQuotedString(name.to_owned()).with_span(like.span));
    call(FIELD, vec![base, name], like)
}

/// A call of one of Forebay's own functions.
pub(super) fn call(name: &str, args: Vec<Expr>, like: &Ident) -> Expr {
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(quoted(name, like))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

pub(super) fn null() -> Expr {
    Expr::Value(Value::Null.into())
}
