//! The tables of a statement: found before it is planned, each under the name by which the statement calls it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Query, Statement, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::options::unknown_name;

use super::names::Spelling;
use super::{PUBLIC, Planning, System};
use crate::adhoc::prepared::Prepared;
use crate::adhoc::{internal, relations};
use crate::plan::parse::{self, Paths};
use crate::plan::resolve::Planner;
use crate::plan::session::{self, Purpose};
use crate::plan::{KAFKA_COLUMN, SqlError};

/// The schema of late rows.
const LATE: &str = "late";

/// A table under the name that the statement has for it.
pub(super) struct Found {
    pub schema: String,
    pub name: String,
    pub provider: Arc<dyn TableProvider>,
    /// True for one of `pg_catalog` and `information_schema`.
    pub is_system: bool,
}

/// A name as PostgreSQL reads it: folded where it has no quotes.
fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

fn parts(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(ObjectNamePart::as_ident).map(folded).collect()
}

/// Finds what a query reads. `has_kafka` if it names the columns of Kafka, which `*` leaves out.
pub(super) async fn find(
    query: &Query,
    has_kafka: bool,
    planning: &Planning<'_>,
    runtime: &Arc<RuntimeEnv>,
) -> Result<Vec<Found>, SqlError> {
    let mut found: Vec<Found> = Vec::new();
    let mut seen = BTreeSet::new();
    let functions = called(query);
    for object in relations(query).into_iter().filter(|object| !functions.contains(object)) {
        let place = object.0.first().and_then(ObjectNamePart::as_ident).map(|ident| ident.span);
        let (schema, name) = match parts(&object).as_slice() {
            [name] => (PUBLIC.to_owned(), name.clone()),
            [schema, name] => (schema.clone(), name.clone()),
            [database, schema, name] if database.eq_ignore_ascii_case(planning.system.database()) => {
                (schema.clone(), name.clone())
            }
            [catalog, schema, name] => (of_catalog(catalog, schema), name.clone()),
            other => return Err(unknown(&other.join("."), planning).await),
        };
        if !seen.insert((schema.clone(), name.clone())) {
            continue;
        }
        let one = one(&schema, &name, has_kafka, planning, runtime).await.map_err(|mut error| {
            if error.place.is_none()
                && let Some(span) = place.filter(|span| span.start.line > 0)
            {
                error.place = Some((span.start.line as usize, span.start.column as usize));
            }
            error
        })?;
        let (provider, is_system) = one;
        found.push(Found { schema, name, provider, is_system });
    }
    Ok(found)
}

/// The functions that stand in FROM.
fn called(query: &Query) -> BTreeSet<ObjectName> {
    struct Calls(BTreeSet<ObjectName>);
    impl Visitor for Calls {
        type Break = ();

        fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { name, args: Some(_), .. } = table {
                self.0.insert(name.clone());
            }
            ControlFlow::Continue(())
        }
    }
    let mut calls = Calls(BTreeSet::new());
    let _: ControlFlow<()> = query.visit(&mut calls);
    calls.0
}

async fn one(
    schema: &str,
    name: &str,
    has_kafka: bool,
    planning: &Planning<'_>,
    runtime: &Arc<RuntimeEnv>,
) -> Result<(Arc<dyn TableProvider>, bool), SqlError> {
    let Planning { tables, system, .. } = planning;
    if let Some(table) = system.table(schema, name).await? {
        return Ok((table, System::is_catalogue(*system, schema, name)));
    }
    let known = match schema {
        PUBLIC => name.to_owned(),
        LATE => format!("{LATE}.{name}"),
        // Of a catalog: `kafka_table`, or `data_pipelines.kafka_table`.
        other => format!("{other}.{name}"),
    };
    if let Some(table) = tables.resolve(None, &known).await? {
        return Ok((without_kafka(&known, table, has_kafka)?, false));
    }
    let views = tables.views();
    let view = views.iter().find(|(view, _)| view.eq_ignore_ascii_case(&known));
    match view {
        Some((view, sql)) => Ok((self::view(view, sql, planning, runtime).await?, false)),
        None => Err(unknown(&known, planning).await),
    }
}

/// The table without Kafka's own columns, which `*` leaves out in Spark's dialect as well.
fn without_kafka(
    name: &str,
    table: Arc<dyn TableProvider>,
    has_kafka: bool,
) -> Result<Arc<dyn TableProvider>, SqlError> {
    let schema = table.schema();
    let Some((hidden, _)) = schema.column_with_name(KAFKA_COLUMN).filter(|_| !has_kafka) else {
        return Ok(table);
    };
    let shown = (0..schema.fields().len()).filter(|column| *column != hidden).collect();
    let plan = LogicalPlanBuilder::scan(
        datafusion::common::TableReference::bare(name),
        provider_as_source(table),
        Some(shown),
    );
    let plan = plan.and_then(LogicalPlanBuilder::build).map_err(SqlError::planning)?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// A view of the pipeline: its SELECT is in Spark's dialect and keeps that meaning.
async fn view(
    name: &str,
    sql: &str,
    planning: &Planning<'_>,
    runtime: &Arc<RuntimeEnv>,
) -> Result<Arc<dyn TableProvider>, SqlError> {
    let Planning { tables, json, now_ms, deadline, .. } = planning;
    let name = ObjectName::from(vec![Ident::with_quote('`', name)]);
    let prepared = Prepared::load(*tables, [name.clone()].into()).await?;
    let purpose = Purpose::Batch { now_ms: *now_ms, deadline: *deadline };
    let state = session::session(purpose, tables.time_zone(), Arc::clone(runtime)).map_err(internal)?;
    let plan = parse::with_room(|| {
        let Statement::Query(query) = parse::one_statement(&format!("SELECT * FROM {name}"), Paths::No)?
        else {
            return Err(Error::new(&codes::INTERNAL, "the SELECT of a view is none").into());
        };
        let plan = Planner::new(&state, &prepared, *json, false).until(*deadline).plan(query)?;
        // Types and functions are settled here: outside of the view they would mean PostgreSQL's.
        let analyzed = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {});
        analyzed.map_err(SqlError::planning)
    })?;
    Ok(Arc::new(ViewTable::new(plan, Some(sql.to_owned()))))
}

async fn unknown(name: &str, planning: &Planning<'_>) -> SqlError {
    let names = planning.tables.names().await.unwrap_or_default();
    let error = unknown_name("table", name, names.iter().map(String::as_str));
    Error::new(&codes::SQL_PLAN, error.message()).with_hint(error.hint()).into()
}

/// Learns the names of the tables and their columns.
pub(super) fn spelling(found: &[Found]) -> Spelling {
    let mut known = Spelling::default();
    for table in found {
        for name in [&table.schema, &table.name] {
            // Such a word is the table's.
            known.add(&name.to_lowercase());
        }
        table.provider.schema().fields().iter().for_each(|field| known.add(field.name()));
    }
    known
}

/// The schema in which a table of a catalog stands here.
fn of_catalog(catalog: &str, schema: &str) -> String {
    format!("{catalog}.{schema}")
}

/// Takes the database off the names of tables: there is one. A catalog becomes a part of its schema's name.
pub(super) fn without_database(statement: &mut Statement, database: &str) {
    struct Names<'d>(&'d str);
    impl VisitorMut for Names<'_> {
        type Break = ();

        fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<()> {
            let [catalog, schema, table] = name.0.as_slice() else { return ControlFlow::Continue(()) };
            let (Some(catalog), Some(schema)) = (catalog.as_ident(), schema.as_ident()) else {
                return ControlFlow::Continue(());
            };
            let schema = match folded(catalog) {
                catalog if catalog.eq_ignore_ascii_case(self.0) => schema.clone(),
                catalog => Ident::with_quote('"', of_catalog(&catalog, &folded(schema))),
            };
            name.0 = vec![ObjectNamePart::Identifier(schema), table.clone()];
            ControlFlow::Continue(())
        }
    }
    let _: ControlFlow<()> = statement.visit(&mut Names(database));
}
