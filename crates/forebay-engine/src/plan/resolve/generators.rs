//! Generators: `explode` and its kin, alone in a SELECT list or behind LATERAL VIEW.
//!
//! Both become a [`Placeholder`] behind what FROM has, whose columns are named as Spark names them. LATERAL VIEW brings them into
//! scope; those of a SELECT list are columns of the list, and of nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DFSchema, DataFusionError, TableReference, internal_err};
use datafusion::logical_expr::{self, EmptyRelation, LogicalPlan, Projection, cast};
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::{
    Expr, Function, Ident, LateralView, Select, SelectItem, Spanned, TableAlias, TableWithJoins,
};
use forebay_core::Error;
use forebay_core::error::codes;

use super::bounds::SOURCE;
use super::expr::{Aliases, Names};
use super::from::numbered;
use super::scope::{Column, Relation, Scope, Tables};
use super::windows::GroupWindow;
use super::{Planner, calls, last_part, naming, quoted, session};
use crate::generate::Gives;
use crate::plan::doubles::coerced;
use crate::plan::generator::{Placeholder, Shape, columns};
use crate::plan::provider::Provider;
use crate::plan::sql_error::SqlError;

/// Most LATERAL VIEWs of a SELECT: each stands on the one before it, and what walks a plan recurses.
const MAX_VIEWS: usize = 16;

/// A call of a generator, as it is written.
struct Call {
    /// In lower case.
    name: String,
    ident: Ident,
    gives: Gives,
    is_outer: bool,
    args: Option<Vec<Expr>>,
    written: String,
}

impl Call {
    fn read(expr: &Expr) -> Option<Self> {
        let Expr::Function(function @ Function { name, over: None, filter: None, .. }) = expr else {
            return None;
        };
        let [part] = name.0.as_slice() else { return None };
        let ident = part.as_ident()?.clone();
        let name = ident.value.to_ascii_lowercase();
        let (gives, is_outer) = generator(&name)?;
        let (args, written) = (calls::positional(function), naming::name_of(expr));
        Some(Self { name, ident, gives, is_outer, args, written })
    }

    fn error(&self, message: impl Into<String>, hint: &str) -> SqlError {
        SqlError::spanned(Error::new(&codes::SQL_PLAN, message).with_hint(hint), self.ident.span)
    }

    /// The names of its columns: those that are given, or else Spark's.
    fn names(&self, aliases: &[Ident], fields: &[FieldRef]) -> Result<Vec<String>, SqlError> {
        let own: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        if aliases.is_empty() {
            return Ok(own);
        }
        if aliases.len() != own.len() {
            let (count, given) = (own.len(), aliases.len());
            let columns = if count == 1 { "column" } else { "columns" };
            let message = format!(
                "{}(…) gives {count} {columns} ({}), and AS names {given}",
                self.name,
                own.join(", ")
            );
            return Err(self.error(
                message,
                "Name all of them, or none: SELECT explode(props) AS (k, v), LATERAL VIEW explode(props) t AS k, v.",
            ));
        }
        Ok(aliases.iter().map(|alias| alias.value.clone()).collect())
    }
}

/// What a generator of this name gives, and whether also of nothing.
fn generator(name: &str) -> Option<(Gives, bool)> {
    Some(match name {
        "explode" => (Gives::Elements, false),
        "explode_outer" => (Gives::Elements, true),
        "posexplode" => (Gives::Positions, false),
        "posexplode_outer" => (Gives::Positions, true),
        "inline" => (Gives::Fields, false),
        "inline_outer" => (Gives::Fields, true),
        _ => return None,
    })
}

impl Planner<'_> {
    /// Resolves the LATERAL VIEWs of a SELECT, each of which sees those before it; gives what is in scope behind them.
    pub(super) fn lateral_views(
        &mut self,
        select: &mut Select,
        tables: Tables,
        parent: Option<&Scope<'_>>,
    ) -> Result<Tables, SqlError> {
        if let Some(view) = select.lateral_views.get(MAX_VIEWS) {
            let message = format!("a SELECT has more than {MAX_VIEWS} LATERAL VIEWs");
            let error = Error::new(&codes::SQL_PLAN, message).with_hint("Take some of them into a subquery.");
            return Err(SqlError::spanned(error, view.lateral_view.span()));
        }
        let mut scope = Scope { tables, parent };
        for LateralView { lateral_view, lateral_view_name, lateral_col_alias, outer } in
            std::mem::take(&mut select.lateral_views)
        {
            let Some(mut call) = Call::read(&lateral_view) else { return Err(no_generator(&lateral_view)) };
            call.is_outer |= outer;
            // As in Spark, `LATERAL VIEW explode(a) AS x` has a table of the name AS; so nobody means it.
            let named = |part: &&Ident| part.quote_style.is_some() || !part.value.eq_ignore_ascii_case("as");
            let name = last_part(&lateral_view_name).filter(named);
            let is_taken = |name: &&Ident| scope.relation(&name.value).is_some();
            if let Some(name) = name.filter(is_taken) {
                let message = format!("FROM has two tables named `{}`", name.value);
                let error = Error::new(&codes::SQL_PLAN, message)
                    .with_hint("Give the LATERAL VIEW another name: LATERAL VIEW explode(tags) t AS tag.");
                return Err(SqlError::spanned(error, name.span));
            }
            let aliases: Vec<Ident> =
                lateral_col_alias.into_iter().filter(|alias| !alias.value.is_empty()).collect();
            let names = Names { scope: &scope, aliases: Aliases::None, window: None };
            let (relation, table) = self.generated(&call, &aliases, name, &names)?;
            select.from.push(table);
            scope.tables.extend(Tables::one(relation));
        }
        Ok(scope.tables)
    }

    /// The items of a SELECT list with the columns of its generator in place of the call.
    pub(super) fn with_generator(
        &mut self,
        items: Vec<SelectItem>,
        select: &mut Select,
        scope: &mut Scope<'_>,
        (window, makes_groups): (Option<&GroupWindow>, bool),
    ) -> Result<Vec<SelectItem>, SqlError> {
        let mut out = Vec::with_capacity(items.len());
        let mut first: Option<String> = None;
        for item in items {
            let (expr, aliases) = match &item {
                SelectItem::UnnamedExpr(expr) => (expr, Vec::new()),
                SelectItem::ExprWithAlias { expr, alias } => (expr, vec![alias.clone()]),
                SelectItem::ExprWithAliases { expr, aliases } => (expr, aliases.clone()),
                _ => {
                    out.push(item);
                    continue;
                }
            };
            let Some(call) = Call::read(expr) else {
                out.push(item);
                continue;
            };
            if let Some(first) = first.replace(call.written.clone()) {
                let message =
                    format!("a SELECT list has one generator at most, not `{first}` and `{}`", call.written);
                let hint = "As in Spark. Take one of them into LATERAL VIEW: FROM … LATERAL VIEW explode(tags) t AS tag.";
                return Err(call.error(message, hint));
            }
            if makes_groups {
                return Err(beside_groups(&call));
            }
            let names = Names { scope: &*scope, aliases: Aliases::None, window };
            let (relation, table) = self.generated(&call, &aliases, None, &names)?;
            let column = |column: &Column| {
                let parts = [&relation.qualifier, &column.name].map(|part| quoted(part, &call.ident));
                let expr = Expr::CompoundIdentifier(parts.to_vec());
                SelectItem::ExprWithAlias { expr, alias: quoted(&column.name, &call.ident) }
            };
            out.extend(relation.columns.iter().map(column));
            select.from.push(table);
            scope.tables.relations.push(relation);
        }
        Ok(out)
    }

    /// Puts a generator aside as what stands in FROM for it.
    fn generated(
        &mut self,
        call: &Call,
        aliases: &[Ident],
        name: Option<&Ident>,
        names: &Names<'_>,
    ) -> Result<(Relation, TableWithJoins), SqlError> {
        let tables = &names.scope.tables;
        if tables.relations.is_empty() {
            let error = match self.streaming {
                true => Error::new(&codes::NOT_STREAMING, "the query reads no source")
                    .with_hint("Add FROM and the name of a source or view."),
                false => Error::new(&codes::SQL_PLAN, format!("{}(…) needs a FROM", call.name))
                    .with_hint("An array of constants can stand there: FROM (SELECT array(1, 2) AS xs)."),
            };
            return Err(SqlError::spanned(error, call.ident.span));
        }
        if self.streaming && tables.streams == 0 {
            let message = format!("{}(…) over tables at rest alone is not supported yet", call.name);
            let error = Error::new(&codes::NOT_STREAMING, message)
                .with_hint("Join the table with the stream first: FROM stream JOIN table … LATERAL VIEW explode(…) t AS x.");
            return Err(SqlError::spanned(error, call.ident.span));
        }
        let Some([argument]) = call.args.as_deref() else {
            let message = format!("{} is called with the wrong arguments", call.name);
            return Err(call.error(message, "It takes one: an array, or a map."));
        };
        let mut argument = argument.clone();
        self.expr_with(&mut argument, names)?;
        let (array, data_type) = self.array(argument, names.scope).map_err(SqlError::planning)?;
        let fields = columns(&call.name, call.gives, call.is_outer, &data_type)
            .map_err(|error| SqlError::spanned(error, call.ident.span))?;
        let named = call.names(aliases, &fields)?;
        for (index, name) in named.iter().enumerate() {
            if named.iter().take(index).any(|earlier| earlier.eq_ignore_ascii_case(name)) {
                let message = format!("{}(…) gives two columns named `{name}`", call.name);
                return Err(call.error(message, "Name them otherwise behind AS; case makes no difference."));
            }
        }
        let column = |(name, field): (&String, &FieldRef)| Column {
            name: name.clone(),
            data_type: field.data_type().clone(),
            hidden: false,
        };
        let columns = named.iter().zip(&fields).map(column).collect();
        let (gives, is_outer, written) = (call.gives, call.is_outer, call.written.clone());
        let shape = Shape { gives, is_outer, names: named, written };
        let index = self.add_table(Arc::new(Placeholder::new(shape, array, &fields)), SOURCE);
        self.count_read(index)?;
        let own = || quoted(format!("__g{index}"), &call.ident);
        let name = name.map_or_else(own, |name| quoted(&name.value, name));
        let relation = Relation { qualifier: name.value.clone(), columns, is_at_rest: true };
        let alias = TableAlias { explicit: true, name, columns: Vec::new(), at: None };
        Ok((relation, TableWithJoins { relation: numbered(index, alias), joins: Vec::new() }))
    }

    /// What a generator takes apart, over the columns in scope, and its type.
    fn array(
        &self,
        argument: Expr,
        scope: &Scope<'_>,
    ) -> Result<(logical_expr::Expr, DataType), DataFusionError> {
        let columns = scope.tables.relations.iter().flat_map(|relation| {
            let qualifier = TableReference::bare(relation.qualifier.as_str());
            relation.columns.iter().map(move |column| {
                let field = Field::new(column.name.as_str(), column.data_type.clone(), true);
                (Some(qualifier.clone()), Arc::new(field))
            })
        });
        let schema = Arc::new(DFSchema::new_with_metadata(columns.collect(), HashMap::new())?);
        let provider = Provider {
            state: self.session,
            tables: &self.tables,
            functions: &self.functions,
            learners: &self.learners,
        };
        let array = SqlToRel::new_with_options(&provider, session::parser_options(self.session))
            .sql_to_expr(argument, &schema, &mut PlannerContext::new())?;
        let leaf = LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema });
        let plan = Projection::try_new(vec![array.alias("array")], Arc::new(leaf))?;
        let plan = coerced(LogicalPlan::Projection(plan))?;
        let of = plan.schema().field(0).data_type().clone();
        let Some(array) = plan.expressions().pop().map(logical_expr::Expr::unalias) else {
            return internal_err!("a projection without an expression");
        };
        Ok(match of {
            DataType::LargeList(item)
            | DataType::FixedSizeList(item, _)
            | DataType::ListView(item)
            | DataType::LargeListView(item) => {
                let list = DataType::List(item);
                (cast(array, list.clone()), list)
            }
            other => (array, other),
        })
    }
}

fn no_generator(expr: &Expr) -> SqlError {
    let message = format!("LATERAL VIEW cannot take `{}`", naming::name_of(expr));
    let error = Error::new(&codes::NOT_YET, message)
        .with_hint("It takes explode, posexplode and inline of a column, each also with _outer.");
    SqlError::spanned(error, naming::place_of(expr).span)
}

fn beside_groups(call: &Call) -> SqlError {
    let message = format!("{}(…) in the SELECT list of a query with groups is not supported yet", call.name);
    let error = Error::new(&codes::NOT_YET, message).with_hint(
        "To make groups of elements write LATERAL VIEW: FROM iot LATERAL VIEW explode(tags) t AS tag GROUP BY tag. To take a \
         group's array apart make the groups in a subquery: SELECT k, explode(xs) FROM (SELECT k, collect_list(x) AS xs FROM … GROUP BY k).",
    );
    SqlError::spanned(error, call.ident.span)
}
