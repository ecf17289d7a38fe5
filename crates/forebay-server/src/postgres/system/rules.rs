//! What clients write for PostgreSQL's own planner, put into a form that DataFusion plans.
//!
//! For every statement only what keeps its meaning: `= ANY(array)`, `pg_catalog.f(…)`, `OPERATOR(…)`, COLLATE, names as
//! numbers (`'t'::regclass`). Of statements over the catalogue alone more: what cannot be planned there is a subquery
//! that looks for something Forebay has none of, and NULL is its answer.

use std::ops::ControlFlow;
use std::sync::OnceLock;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, JoinOperator, ObjectName, Query, SelectItem, SetExpr, Statement, TableFactor,
    TableWithJoins, Value, ValueWithSpan, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use datafusion_pg_catalog::sql::rules::{
    CurrentUserVariableToSessionUserFunctionCall, FixArrayLiteral, RemoveSubqueryFromProjection,
    RewriteArrayAnyAllOperation, RewritePgCatalogOperator, SqlStatementRewriteRule, StripCallableQualifier,
    StripCollate,
};
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_engine::adhoc::postgres::{PUBLIC, Text};

use super::oids::{self, Oids};
use super::static_tables;

/// Texts of clients' statements that `datafusion-pg-catalog` knows whole.
const WHOLE: [&str; 4] = ["pg_policy", "pg_statistic_ext", "pg_publication", "confkey"];

/// Functions that give several rows; over a catalogue without rows they give none.
const OF_SETS: [&str; 4] = ["unnest", "generate_series", "generate_subscripts", "_pg_expandarray"];

/// Lists of columns in the catalogue, of which parts are taken: of keys and indexes, which there are none of.
const LISTS: [&str; 4] = ["indkey", "conkey", "confkey", "result.keys"];

/// What asyncpg asks about types by walking from each to those that it is made of. Its builtin types are made of
/// builtin ones, so the first step says all.
const TYPES_OF_ASYNCPG: (&str, &str) = (
    "WITH RECURSIVE typeinfo_tree",
    "SELECT t.oid, ns.nspname AS ns, t.typname AS name, t.typtype AS kind, CAST(NULL AS INT) AS basetype, \
     CASE WHEN t.typlen = -1 AND t.typelem <> 0 THEN t.typelem END AS elemtype, t.typdelim AS elemdelim, \
     CAST(NULL AS INT) AS range_subtype, CAST(NULL AS INT) AS attrtypoids, CAST(NULL AS INT) AS attrnames, 0 AS depth, \
     CAST(NULL AS TEXT) AS basetype_name, CAST(NULL AS TEXT) AS elemtype_name, \
     CAST(NULL AS TEXT) AS range_subtype_name \
     FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS ns ON ns.oid = t.typnamespace \
     WHERE t.oid = ANY($1)",
);

/// The statement as DataFusion plans it.
pub(super) fn rewritten(
    oids: &Oids,
    text: &Text,
    statement: Statement,
    of_catalogue: bool,
) -> Result<Statement> {
    let mut statement = statement;
    if of_catalogue && WHOLE.iter().any(|part| text.sql().contains(part)) {
        static PARSER: OnceLock<PostgresCompatibilityParser> = OnceLock::new();
        let parsed = PARSER.get_or_init(PostgresCompatibilityParser::new).parse(text.sql());
        statement = only(parsed.unwrap_or_default()).unwrap_or(statement);
    }
    let (begin, instead) = TYPES_OF_ASYNCPG;
    if of_catalogue && text.sql().starts_with(begin) {
        let parsed = Parser::parse_sql(&PostgreSqlDialect {}, instead);
        statement = only(parsed.unwrap_or_default()).unwrap_or(statement);
    }
    let rules: [&dyn SqlStatementRewriteRule; 6] = [
        &RewriteArrayAnyAllOperation,
        &StripCallableQualifier,
        &FixArrayLiteral,
        &CurrentUserVariableToSessionUserFunctionCall,
        &StripCollate,
        &RewritePgCatalogOperator,
    ];
    let mut statement = rules.iter().fold(statement, |statement, rule| rule.rewrite(statement));
    if of_catalogue {
        statement = RemoveSubqueryFromProjection.rewrite(statement);
    }
    match statement.visit(&mut Casts(oids, of_catalogue)) {
        ControlFlow::Continue(()) => Ok(statement),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The one statement of a text that has no other.
fn only(statements: Vec<Statement>) -> Option<Statement> {
    let [statement] = <[Statement; 1]>::try_from(statements).ok()?;
    Some(statement)
}

/// Names that are cast to numbers of the catalogue; and whether the statement is over that alone.
struct Casts<'a>(&'a Oids, bool);

fn is_type(data_type: &DataType, name: &str) -> bool {
    let lower = data_type.to_string().to_lowercase();
    lower.strip_prefix("pg_catalog.").unwrap_or(&lower) == name
}

fn number(oid: i64) -> Expr {
    Expr::Value(Value::Number(oid.to_string(), false).with_empty_span())
}

impl VisitorMut for Casts<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        if let SetExpr::Select(select) = query.body.as_mut()
            && self.1
            && reads_nothing_of(&select.from)
        {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
                    && let Expr::Function(call) = &*expr
                    && call.name.0.last().is_some_and(|name| OF_SETS.contains(&name.to_string().as_str()))
                {
                    *expr = Expr::Cast {
                        kind: CastKind::Cast,
                        expr: Box::new(Expr::Value(Value::Null.with_empty_span())),
                        data_type: DataType::Int(None),
                        array: false,
                        format: None,
                    };
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        // `ARRAY(SELECT …)` stands where rights and members are listed, of which there are none.
        if let Expr::Function(call) = expr
            && let FunctionArguments::Subquery(_) = call.args
            && self.1
        {
            *expr = Expr::Value(Value::Null.with_empty_span());
        }
        // Of keys, sequences and the like there are none, so what is taken apart there is NULL.
        let is_nothing = match &*expr {
            Expr::CompoundFieldAccess { root, .. } => {
                let text = root.to_string().to_lowercase();
                text.contains("_pg_expandarray")
                    || LISTS.iter().any(|name| text.trim_end_matches(')').ends_with(name))
            }
            Expr::Subquery(query) => reads_nothing(query) || query.to_string().contains("json_build_object"),
            _ => false,
        };
        if self.1 && is_nothing {
            *expr = Expr::Value(Value::Null.with_empty_span());
        }
        // Whether a schema is one of those that need not be named, as Grafana asks it.
        if let Expr::InSubquery { expr: asked, subquery, negated } = expr
            && self.1
            && subquery.to_string().contains("current_setting('search_path')")
        {
            let path = Expr::Value(Value::SingleQuotedString(PUBLIC.to_owned()).with_empty_span());
            *expr = Expr::InList { expr: asked.clone(), list: vec![path], negated: *negated };
        }
        if self.1
            && let Expr::Subquery(query) = expr
        {
            one_of(query);
        }
        let Expr::Cast { expr: inner, data_type, .. } = expr else { return ControlFlow::Continue(()) };
        let Some(kind) = ["regclass", "regtype", "regnamespace", "regproc", "regrole"]
            .into_iter()
            .find(|kind| is_type(data_type, kind))
        else {
            return ControlFlow::Continue(());
        };
        if let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(name), .. }) = inner.as_ref() {
            match self.oid(kind, name) {
                Some(oid) => *expr = number(oid),
                None => {
                    let what = match kind {
                        "regclass" => "table",
                        "regtype" => "type",
                        "regnamespace" => "schema",
                        "regproc" => "function",
                        _ => "role",
                    };
                    return ControlFlow::Break(Error::new(
                        &codes::SQL_PLAN,
                        format!("unknown {what} `{name}`"),
                    ));
                }
            }
        } else if kind == "regclass"
            && let Expr::Value(ValueWithSpan { value: Value::Placeholder(_), .. }) = inner.as_ref()
        {
            *expr = call("to_regclass", inner.as_ref().clone());
        }
        ControlFlow::Continue(())
    }
}

/// Tables of the catalogue that never have a row.
const EMPTY: [&str; 12] = [
    "pg_attrdef",
    "pg_constraint",
    "pg_depend",
    "pg_description",
    "pg_enum",
    "pg_index",
    "pg_inherits",
    "pg_policy",
    "pg_sequence",
    "pg_shdescription",
    "pg_statistic_ext",
    "pg_trigger",
];

/// True for a query whose one value is NULL, because the table that it begins with has no rows.
fn reads_nothing(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let counts = select.projection.iter().any(|item| item.to_string().to_lowercase().contains("count("));
    !counts && select.from.first().is_some_and(|from| is_empty(&from.relation))
}

fn is_empty(table: &TableFactor) -> bool {
    let TableFactor::Table { name, .. } = table else { return false };
    let name = name.0.last().and_then(|part| part.as_ident()).map(|name| name.value.to_lowercase());
    name.is_some_and(|name| EMPTY.contains(&name.as_str()))
}

/// True if a table that never has a row is joined so that nothing comes without it.
fn reads_nothing_of(from: &[TableWithJoins]) -> bool {
    from.iter().any(|one| {
        let mut inner = one.joins.iter().filter(|join| {
            matches!(
                join.join_operator,
                JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_)
            )
        });
        is_empty(&one.relation) || inner.any(|join| is_empty(&join.relation))
    })
}

/// `(SELECT c FROM t WHERE t.oid = …)` as the greatest of one: DataFusion wants to see that there is no more.
fn one_of(query: &mut Query) {
    let is_whole = query.limit_clause.is_none() && query.order_by.is_none() && query.with.is_none();
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    if let [SelectItem::UnnamedExpr(column) | SelectItem::ExprWithAlias { expr: column, .. }] =
        select.projection.as_mut_slice()
        && is_whole
        && matches!(column, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::BinaryOp { .. })
    {
        *column = call("max", column.clone());
    }
}

fn call(name: &str, arg: Expr) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        args: FunctionArguments::List(FunctionArgumentList {
            args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))],
            duplicate_treatment: None,
            clauses: Vec::new(),
        }),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

impl Casts<'_> {
    fn oid(&self, kind: &str, name: &str) -> Option<i64> {
        if let Ok(number) = name.parse::<i64>() {
            return Some(number);
        }
        let parts: Vec<String> = name
            .split('.')
            .map(|part| match part.strip_prefix('"').and_then(|part| part.strip_suffix('"')) {
                Some(quoted) => quoted.to_owned(),
                None => part.to_lowercase(),
            })
            .collect();
        let (schema, name) = match parts.as_slice() {
            [name] => (None, name.as_str()),
            [schema, name] => (Some(schema.as_str()), name.as_str()),
            _ => return None,
        };
        match kind {
            "regclass" => {
                let own = self.0.of(schema.unwrap_or("public"), name).map(i64::from);
                own.or_else(|| of_static(Static::Classes, name))
            }
            "regnamespace" => self.0.schema(name).map(i64::from),
            "regtype" => of_static(Static::Types, type_name(name)),
            "regproc" => of_static(Static::Functions, name),
            _ => Some(oids::OWNER.into()),
        }
    }
}

/// The number of a type by its name.
pub(super) fn type_oid(name: &str) -> Option<i32> {
    let name = name.strip_prefix("pg_catalog.").unwrap_or(name);
    i32::try_from(of_static(Static::Types, type_name(name))?).ok()
}

enum Static {
    Classes,
    Types,
    Functions,
}

/// The number of what every PostgreSQL has.
fn of_static(what: Static, name: &str) -> Option<i64> {
    use arrow::array::AsArray;
    use arrow::datatypes::Int32Type;
    let tables = static_tables().ok()?;
    let (table, column) = match what {
        Static::Types => (&tables.pg_type, "typname"),
        Static::Functions => (&tables.pg_proc, "proname"),
        // Catalogues by which clients ask for remarks; the numbers are fixed.
        Static::Classes => {
            let known = [
                ("pg_class", 1_259),
                ("pg_type", 1_247),
                ("pg_proc", 1_255),
                ("pg_attribute", 1_249),
                ("pg_namespace", 2_615),
                ("pg_database", 1_262),
                ("pg_constraint", 2_606),
                ("pg_trigger", 2_620),
                ("pg_am", 2_601),
                ("pg_opclass", 2_616),
                ("pg_description", 2_609),
                ("pg_rewrite", 2_618),
                ("pg_extension", 3_079),
                ("pg_tablespace", 1_213),
                ("pg_authid", 1_260),
            ];
            return known.iter().find(|(own, _)| *own == name).map(|(_, oid)| *oid);
        }
    };
    table.data().iter().find_map(|batch| {
        let names = batch.column_by_name(column)?.as_string_opt::<i32>()?;
        let at = names.iter().position(|own| own == Some(name))?;
        Some(batch.column_by_name("oid")?.as_primitive_opt::<Int32Type>()?.value(at).into())
    })
}

/// The name of a type in `pg_type`.
fn type_name(name: &str) -> &str {
    match name {
        "integer" | "int" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "boolean" => "bool",
        "real" => "float4",
        "double precision" => "float8",
        "character varying" => "varchar",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        "decimal" => "numeric",
        other => other,
    }
}
