//! From the names that people write to the names that the schemas have.
//!
//! DataFusion's SQL planner compares names exactly and knows nothing of Spark's `data.*`, of hidden columns or of
//! views. So the syntax tree is rewritten before DataFusion reads it: bottom-up, every subquery in FROM, view and
//! common table expression is resolved, planned once and put aside under a number; then the names around it are
//! resolved against its schema.
//!
//! ```text
//! SELECT DATA.* FROM (SELECT from_json(CAST(value AS STRING), '…') AS data FROM iot)
//!                     └───────────── planned as __t1, has column `data` ─────────┘
//! SELECT __field(`data`, 'a') AS a, … FROM __t1 AS …
//! ```
//!
//! What must stay true: after [`Planner::plan`] every name of a column and table in the tree is spelled exactly as
//! its schema spells it, or an error with its place was returned. [`query`] is what stands around SELECTs, [`from`] handles FROM, [`joins`] JOIN, [`select`] one SELECT,
//! [`expr`] expressions, [`calls`] functions, [`naming`] the names of unnamed columns, [`streaming`] what a stream
//! cannot do, [`detectors`] what judges rows, [`generators`] rows made of arrays, [`windows`], [`aggregates`] and [`grouping`] what a query with state has, [`union`] rows of several streams,
//! [`event_time`] a source's own time, [`record`]
//! what views hand on of their records if they are asked to, [`bounds`] how much a statement may be.

mod aggregates;
mod bounds;
mod calls;
mod detectors;
mod event_time;
mod expr;
mod from;
mod generators;
mod grouping;
mod joins;
mod known;
mod naming;
mod query;
pub(in crate::plan) mod record;
mod scope;
mod select;
mod sparks;
mod streaming;
mod union;
mod units;
mod windows;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource, WindowUDF};
use datafusion::sql::planner::SqlToRel;
use datafusion::sql::sqlparser::ast::{Expr as AstExpr, Ident, ObjectName, Query, Statement};
use forebay_core::Error;
use forebay_core::detect::{Functions, Model};
use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_core::output_mode::OutputMode;

use self::bounds::{MAX_FIELDS, MAX_FIELDS_ASIDE, SOURCE, Weight};
use self::scope::Column;
pub(crate) use self::streaming::counted_rows;
use super::JsonDecoderFactory;
use super::absent;
use super::catalog::{Behind, Records, SourceTime};
use super::deadline::Deadline;
use super::doubles::coerced;
use super::generator::{Placeholder, placed};
use super::judged::judged;
use super::learned;
use super::once::once;
use super::provider::{PlannedTable, Provider};
use super::session;
use super::sql_error::SqlError;
use super::union::widened;
use super::verify;

/// Finds tables and views by name.
pub(crate) trait Lookup {
    /// What a name in FROM stands for; `views_before` is the number of views that may be seen from here.
    fn find(&self, name: &ObjectName, views_before: usize) -> Result<Option<Found>, SqlError>;

    /// Told of each table that is read. Refuses one that cannot be read again.
    fn reading(&self, name: &ObjectName) -> Result<(), SqlError> {
        let _ = name;
        Ok(())
    }

    /// Names to suggest.
    fn names(&self) -> Vec<String>;

    /// What to write if there are no names to suggest.
    fn without_names(&self) -> &'static str;

    /// What makes the models behind calls of detectors; `None`: there are no such functions.
    fn detectors(&self) -> Option<Arc<dyn Functions>> {
        None
    }
}

/// What a name in FROM stands for.
pub(crate) enum Found {
    /// Something that can be scanned.
    Table {
        source: Arc<dyn TableSource>,
        /// Columns that `*` leaves out.
        hidden: &'static [&'static str],
        /// The SQL of its event time, where that is no column.
        event_time: Option<String>,
    },
    /// A table at rest that a stream is joined with.
    AtRest(Arc<dyn TableSource>),
    /// SQL text that sees the views before `index`.
    View { name: String, sql: String, index: usize, behind: Option<Behind> },
}

/// What a query over a stream may remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing: each row is computed by itself.
    Refused,
    /// What its operators need, in this mode. A view by itself has no mode.
    Kept(Option<OutputMode>),
}

/// A common table expression in scope: its name and the table it was planned as.
type Cte = (String, usize, Vec<Ident>);

/// Plans one statement.
pub(crate) struct Planner<'a> {
    session: &'a SessionState,
    lookup: &'a dyn Lookup,
    json: Option<&'a dyn JsonDecoderFactory>,
    /// True for a query over a stream.
    streaming: bool,
    /// What a query over a stream may remember.
    state: State,
    /// What views and subqueries do with the record's columns.
    carries: Records,
    /// How many queries that are put aside the planner stands in.
    nested: usize,
    /// How many of them are views.
    stacked: usize,
    tables: Vec<Arc<dyn TableSource>>,
    weights: Vec<Weight>,
    /// The columns of each table that `*` leaves out.
    hidden: Vec<Vec<&'static str>>,
    /// Those that the SELECT at hand hands on.
    carries_now: Vec<&'static str>,
    /// True in the later parts of a union, whose columns have the names of the first one's.
    is_later: bool,
    /// The expressions of which the SELECT at hand has grouping sets.
    groups: Vec<AstExpr>,
    /// The aggregate functions of a query over a stream so far.
    aggregates: usize,
    /// What the query at hand reads so far.
    size: u64,
    /// The columns of all SELECTs in it so far.
    columns: u64,
    /// The depth of the deepest table it reads.
    below: usize,
    /// The depth of its own deepest expression.
    depth: usize,
    functions: HashMap<String, Arc<ScalarUDF>>,
    /// Which `from_json` has which number: one decoder for the same schema and options.
    decoders: BTreeMap<(String, Vec<(String, String)>), String>,
    /// Calls of detectors, by what they are: the place of one is a part of its function's name.
    detectors: Vec<String>,
    /// The functions of those that learn.
    learners: HashMap<String, Arc<WindowUDF>>,
    /// The saved models that were named.
    pub(crate) models: Vec<Arc<dyn Model>>,
    ctes: Vec<Cte>,
    views_before: usize,
    /// When planning gives up.
    deadline: Option<Deadline>,
    /// The tables of the catalogue that the statement names, in the order in which they were found.
    pub(crate) reads: Vec<Read>,
}

/// A table of the catalogue that a statement names.
pub(crate) struct Read {
    /// As it writes it.
    pub name: String,
    /// Which table of the planner's it became.
    pub table: usize,
    /// The event time that a WATERMARK clause gives, in place of the source's own.
    pub watermark: Option<SourceTime>,
}

impl<'a> Planner<'a> {
    pub fn new(
        session: &'a SessionState,
        lookup: &'a dyn Lookup,
        json: Option<&'a dyn JsonDecoderFactory>,
        streaming: bool,
    ) -> Self {
        Self {
            session,
            lookup,
            json,
            streaming,
            state: State::Refused,
            carries: Records::Left,
            nested: 0,
            stacked: 0,
            tables: Vec::new(),
            weights: Vec::new(),
            hidden: Vec::new(),
            carries_now: Vec::new(),
            is_later: false,
            groups: Vec::new(),
            aggregates: 0,
            size: 0,
            columns: 0,
            below: 0,
            depth: 0,
            functions: HashMap::new(),
            decoders: BTreeMap::new(),
            detectors: Vec::new(),
            learners: HashMap::new(),
            models: Vec::new(),
            ctes: Vec::new(),
            views_before: usize::MAX,
            deadline: None,
            reads: Vec::new(),
        }
    }

    /// The same; views and subqueries hand on the record's columns.
    pub fn carrying(self, carries: Records) -> Self {
        Self { carries, ..self }
    }

    /// The same; a query over a stream may remember.
    pub fn remembering(self, state: State) -> Self {
        Self { state, ..self }
    }

    /// True for a query over a stream that may remember nothing.
    fn refuses_state(&self) -> bool {
        self.streaming && self.state == State::Refused
    }

    /// The same; planning gives up at a deadline.
    pub fn until(self, deadline: Option<Deadline>) -> Self {
        Self { deadline, ..self }
    }

    /// Resolves and plans a whole query.
    pub fn plan(&mut self, mut query: Box<Query>) -> Result<LogicalPlan, SqlError> {
        self.query(&mut query, None)?;
        self.weigh()?;
        let plan = self.to_plan(query)?;
        self.bounded(&plan, MAX_FIELDS)?;
        Ok(plan)
    }

    /// The same; its rows pass what stands behind it.
    pub fn plan_behind(
        &mut self,
        mut query: Box<Query>,
        behind: Option<&Behind>,
    ) -> Result<LogicalPlan, SqlError> {
        let Some(behind) = behind else { return self.plan(query) };
        self.nested += 1;
        self.query(&mut query, None)?;
        self.nested -= 1;
        self.weigh()?;
        let plan = self.to_plan(query)?;
        self.bounded(&plan, MAX_FIELDS)?;
        let plan = passed(plan, behind, &self.carries_now)?;
        let shown =
            plan.schema().iter().filter(|(_, field)| !self.carries_now.contains(&field.name().as_str()));
        let shown: Vec<Expr> = shown.map(Expr::from).collect();
        LogicalPlanBuilder::from(plan).project(shown).and_then(|it| it.build()).map_err(SqlError::planning)
    }

    fn to_plan(&self, query: Box<Query>) -> Result<LogicalPlan, SqlError> {
        let provider = Provider {
            state: self.session,
            tables: &self.tables,
            functions: &self.functions,
            learners: &self.learners,
        };
        let plan = SqlToRel::new_with_options(&provider, session::parser_options(self.session))
            .sql_statement_to_plan(Statement::Query(query))
            .map_err(|error| self.of_detectors(error));
        let plan = if self.learners.is_empty() { plan } else { plan.and_then(|it| self.stand(it)) };
        let has_generators = self.tables.iter().any(|table| table.is::<Placeholder>());
        let plan = if has_generators { plan.and_then(placed) } else { plan };
        let learns = self.streaming && !self.learners.is_empty();
        let plan = if learns { plan.and_then(learned::placed) } else { plan };
        let plan = plan.and_then(absent::nullable).and_then(coerced);
        let plan = if self.streaming { plan.and_then(widened) } else { plan };
        plan.map_err(SqlError::planning)
    }

    fn add_table(&mut self, table: Arc<dyn TableSource>, weight: Weight) -> usize {
        self.tables.push(table);
        self.weights.push(weight);
        self.hidden.push(Vec::new());
        self.tables.len() - 1
    }

    fn hide(&mut self, index: usize, columns: Vec<&'static str>) {
        if let Some(hidden) = self.hidden.get_mut(index) {
            *hidden = columns;
        }
    }

    /// Resolves and plans a query that stands on its own, and puts it aside as a table.
    fn aside(&mut self, query: Box<Query>) -> Result<usize, SqlError> {
        self.aside_behind(query, None)
    }

    /// The same; its rows pass what stands behind it.
    fn aside_behind(&mut self, mut query: Box<Query>, behind: Option<&Behind>) -> Result<usize, SqlError> {
        let outer = (self.size, self.below, self.depth, self.columns);
        (self.size, self.below, self.depth, self.columns) = (0, 0, 0, 0);
        let is_later = std::mem::replace(&mut self.is_later, false);
        self.nested += 1;
        self.query(&mut query, None)?;
        self.nested -= 1;
        self.is_later = is_later;
        let weight = self.weigh()?;
        let mut plan = self.to_plan(query)?;
        if self.streaming && self.stacked > 0 {
            plan = joins::without_places(plan).map_err(SqlError::planning)?;
        }
        self.bounded(&plan, MAX_FIELDS_ASIDE)?;
        let hidden = std::mem::take(&mut self.carries_now);
        let plan = match behind {
            Some(Behind::Once(_)) if self.refuses_state() => return Err(verify::DEDUPLICATE.error().into()),
            Some(Behind::Judged(_)) if self.refuses_state() => return Err(verify::detector().into()),
            Some(behind) => passed(plan, behind, &hidden)?,
            None => plan,
        };
        (self.size, self.below, self.depth, self.columns) = outer;
        let index = self.add_table(Arc::new(PlannedTable::new(plan)), weight);
        self.hide(index, hidden);
        Ok(index)
    }

    /// The columns of a table that was put aside.
    fn columns(&self, index: usize, hidden: &[&'static str]) -> Vec<Column> {
        let Some(table) = self.tables.get(index) else { return Vec::new() };
        table
            .schema()
            .fields()
            .iter()
            .map(|field| Column {
                name: field.name().clone(),
                data_type: field.data_type().clone(),
                hidden: hidden.contains(&field.name().as_str()),
            })
            .collect()
    }
}

/// A plan whose rows pass what stands behind it.
fn passed(plan: LogicalPlan, behind: &Behind, hidden: &[&str]) -> Result<LogicalPlan, Error> {
    match behind {
        Behind::Once(deduplicate) => once(plan, deduplicate, hidden),
        Behind::Judged(detect) => judged(plan, detect, hidden),
    }
}

/// The error for a table that `lookup` does not find.
pub(crate) fn unknown_table(name: &ObjectName, lookup: &dyn Lookup) -> SqlError {
    let parts: Vec<&str> =
        name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.as_str()).collect();
    let names = lookup.names();
    let error = unknown_name("table", &parts.join("."), names.iter().map(String::as_str));
    let hint = if names.is_empty() { lookup.without_names() } else { error.hint() };
    let error = Error::new(&codes::SQL_PLAN, error.message()).with_hint(hint);
    let span = name.0.first().and_then(|part| part.as_ident()).map(|ident| ident.span);
    match span {
        Some(span) => SqlError::spanned(error, span),
        None => error.into(),
    }
}

/// The last part of a table's name, by which its columns can be qualified.
fn last_part(name: &ObjectName) -> Option<&Ident> {
    name.0.last().and_then(|part| part.as_ident())
}

/// A quoted identifier at the place of another one.
fn quoted(name: impl Into<String>, like: &Ident) -> Ident {
    Ident { value: name.into(), quote_style: Some('`'), span: like.span }
}
