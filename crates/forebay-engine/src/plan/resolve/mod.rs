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
//! its schema spells it, or an error with its place was returned. [`from`] handles FROM, [`select`] one SELECT,
//! [`expr`] expressions, [`calls`] functions, [`naming`] the names of unnamed columns, [`streaming`] what a stream
//! cannot do, [`record`] what views hand on of their records if they are asked to.

mod calls;
mod expr;
mod from;
mod naming;
mod record;
mod scope;
mod select;
mod streaming;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Fields};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlan, ScalarUDF, TableSource};
use datafusion::sql::planner::SqlToRel;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName, OrderBy, Query, SetExpr, Statement};
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::options::unknown_name;

use self::scope::{Column, Scope};
use super::JsonDecoderFactory;
use super::deadline::Deadline;
use super::provider::{PlannedTable, Provider};
use super::session;
use super::sql_error::SqlError;

/// Most tables, views and subqueries of one statement, counted each time they are read with all that they read:
/// thirty views of which each reads the one before it twice would be a plan of a billion scans.
const MAX_READS: u64 = 2_000;

/// Deepest expression when the optimizer has put the expressions of all subqueries and views into each other.
const MAX_DEPTH: usize = 600;

/// How deep views stand on each other: whoever reads the last one plans all of them, so that a file in which each view
/// reads the one before it takes the square of its length.
const MAX_STACKED: usize = 32;

/// Most columns of all SELECTs of a statement over tables: each is planned, optimized and kept.
const MAX_ALL_COLUMNS: u64 = 20_000;

/// Most fields of an answer over tables, nested ones counted.
const MAX_FIELDS: usize = 20_000;

/// The same of a subquery, view or common table expression, which may be used often by what is around it.
const MAX_FIELDS_ASIDE: usize = 2_000;

/// The weight of something that can be scanned.
const SOURCE: Weight = Weight { reads: 1, depth: 0, columns: 0 };

/// What a planned table costs whoever reads it.
#[derive(Clone, Copy)]
struct Weight {
    /// The tables it reads, itself included.
    reads: u64,
    /// The depth of its deepest expression, with the deepest of what it reads under it.
    depth: usize,
    /// The columns of all SELECTs in it.
    columns: u64,
}

/// Finds tables and views by name.
pub(crate) trait Lookup {
    /// What a name in FROM stands for; `views_before` is the number of views that may be seen from here.
    fn find(&self, name: &ObjectName, views_before: usize) -> Result<Option<Found>, SqlError>;

    /// Names to suggest.
    fn names(&self) -> Vec<String>;

    /// What to write if there are no names to suggest.
    fn without_names(&self) -> &'static str;
}

/// What a name in FROM stands for.
pub(crate) enum Found {
    /// Something that can be scanned.
    Table {
        source: Arc<dyn TableSource>,
        /// Columns that `*` leaves out.
        hidden: &'static [&'static str],
    },
    /// SQL text that sees the views before `index`.
    View { name: String, sql: String, index: usize },
}

/// A common table expression in scope: its name and the table it was planned as.
type Cte = (String, usize, Vec<Ident>);

/// Plans one statement.
pub(crate) struct Planner<'a> {
    state: &'a SessionState,
    lookup: &'a dyn Lookup,
    json: Option<&'a dyn JsonDecoderFactory>,
    /// True for a query over a stream.
    streaming: bool,
    /// True if views and subqueries hand on the record's columns.
    carries: bool,
    /// How many queries that are put aside the planner stands in.
    nested: usize,
    /// How many of them are views.
    stacked: usize,
    tables: Vec<Arc<dyn TableSource>>,
    weights: Vec<Weight>,
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
    ctes: Vec<Cte>,
    views_before: usize,
    /// When planning gives up.
    deadline: Option<Deadline>,
    /// The tables of the catalogue that the statement names, as it writes them.
    pub(crate) reads: Vec<String>,
}

impl<'a> Planner<'a> {
    pub fn new(
        state: &'a SessionState,
        lookup: &'a dyn Lookup,
        json: Option<&'a dyn JsonDecoderFactory>,
        streaming: bool,
    ) -> Self {
        Self {
            state,
            lookup,
            json,
            streaming,
            carries: false,
            nested: 0,
            stacked: 0,
            tables: Vec::new(),
            weights: Vec::new(),
            size: 0,
            columns: 0,
            below: 0,
            depth: 0,
            functions: HashMap::new(),
            decoders: BTreeMap::new(),
            ctes: Vec::new(),
            views_before: usize::MAX,
            deadline: None,
            reads: Vec::new(),
        }
    }

    /// The same; with `carries`, views and subqueries hand on the record's columns.
    pub fn carrying(self, carries: bool) -> Self {
        Self { carries, ..self }
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

    /// Refuses a query over tables whose types are too large: one that puts a struct twice into another, again and
    /// again, has types that double each time.
    fn bounded(&self, plan: &LogicalPlan, most: usize) -> Result<(), SqlError> {
        if self.streaming || has_at_most(plan.schema().fields(), most).is_some() {
            return Ok(());
        }
        let message = format!("a query gives more than {most} fields, those of structs counted");
        Err(Error::new(&codes::SQL_PLAN, message).with_hint("Leave out what is not needed.").into())
    }

    fn to_plan(&self, query: Box<Query>) -> Result<LogicalPlan, SqlError> {
        let provider = Provider { state: self.state, tables: &self.tables, functions: &self.functions };
        SqlToRel::new_with_options(&provider, session::parser_options(self.state))
            .sql_statement_to_plan(Statement::Query(query))
            .map_err(SqlError::planning)
    }

    fn add_table(&mut self, table: Arc<dyn TableSource>, weight: Weight) -> usize {
        self.tables.push(table);
        self.weights.push(weight);
        self.tables.len() - 1
    }

    /// Counts that the query at hand reads a table.
    fn count_read(&mut self, index: usize) -> Result<(), SqlError> {
        let weight = self.weights.get(index).copied().unwrap_or(SOURCE);
        self.size += weight.reads;
        self.count_columns(weight.columns)?;
        self.below = self.below.max(weight.depth);
        if self.size > MAX_READS {
            let message = format!("the query reads more than {MAX_READS} tables, views and subqueries");
            return Err(Error::new(&codes::SQL_PLAN, message)
                .with_hint("Count each view with all that it reads, each time it is read.")
                .into());
        }
        Ok(())
    }

    /// Counts columns of a SELECT, each time that it is read.
    fn count_columns(&mut self, columns: u64) -> Result<(), SqlError> {
        self.columns += columns;
        if self.streaming || self.columns <= MAX_ALL_COLUMNS {
            return Ok(());
        }
        let message = format!("the columns of all its SELECTs are more than {MAX_ALL_COLUMNS}");
        Err(Error::new(&codes::SQL_PLAN, message)
            .with_hint("Name those that you need where tables are read; subqueries and views count each time they are read.")
            .into())
    }

    /// The weight of the query at hand, if it can be borne.
    fn weigh(&self) -> Result<Weight, SqlError> {
        let depth = self.below + self.depth;
        if depth > MAX_DEPTH {
            let message = format!("an expression is more than {MAX_DEPTH} operators deep");
            return Err(Error::new(&codes::SQL_PLAN, message)
                .with_hint("The views and subqueries that it uses are counted with it; simplify them.")
                .into());
        }
        Ok(Weight { reads: self.size + 1, depth, columns: self.columns })
    }

    /// Resolves and plans a query that stands on its own, and puts it aside as a table.
    fn aside(&mut self, mut query: Box<Query>) -> Result<usize, SqlError> {
        let outer = (self.size, self.below, self.depth, self.columns);
        (self.size, self.below, self.depth, self.columns) = (0, 0, 0, 0);
        self.nested += 1;
        self.query(&mut query, None)?;
        self.nested -= 1;
        let weight = self.weigh()?;
        let plan = self.to_plan(query)?;
        self.bounded(&plan, MAX_FIELDS_ASIDE)?;
        (self.size, self.below, self.depth, self.columns) = outer;
        Ok(self.add_table(Arc::new(PlannedTable::new(plan)), weight))
    }

    /// Resolves a query in place.
    fn query(&mut self, query: &mut Query, outer: Option<&Scope<'_>>) -> Result<(), SqlError> {
        let odd = [
            (!query.locks.is_empty(), "FOR UPDATE"),
            (query.for_clause.is_some(), "FOR XML/JSON"),
            (query.settings.is_some(), "SETTINGS"),
            (query.format_clause.is_some(), "FORMAT"),
            (!query.pipe_operators.is_empty(), "|>"),
        ];
        if let Some((_, what)) = odd.iter().find(|(there, _)| *there) {
            return Err(Error::new(&codes::NOT_YET, format!("{what} is not supported")).into());
        }
        if let Some(deadline) = self.deadline {
            deadline.check()?;
        }
        if self.streaming {
            streaming::query(query)?;
        }
        let outer_ctes = self.ctes.len();
        if let Some(with) = query.with.take() {
            if with.recursive {
                return Err(Error::new(&codes::NOT_YET, "WITH RECURSIVE is not supported").into());
            }
            for cte in with.cte_tables {
                let index = self.aside(cte.query)?;
                let columns = cte.alias.columns.into_iter().map(|column| column.name).collect();
                self.ctes.push((cte.alias.name.value, index, columns));
            }
        }
        let mut order_by = query.order_by.take();
        let resolved = self.set_expr(&mut query.body, outer, order_by.as_mut());
        query.order_by = order_by;
        self.ctes.truncate(outer_ctes);
        resolved
    }

    fn set_expr(
        &mut self,
        body: &mut SetExpr,
        outer: Option<&Scope<'_>>,
        order_by: Option<&mut OrderBy>,
    ) -> Result<(), SqlError> {
        match body {
            SetExpr::Select(select) => self.select(select, outer, order_by),
            SetExpr::Query(query) => self.query(query, outer),
            SetExpr::SetOperation { op, right, .. } if self.streaming => streaming::set_operation(*op, right),
            SetExpr::SetOperation { left, right, .. } => {
                self.set_expr(left, outer, None)?;
                self.set_expr(right, outer, None)
            }
            SetExpr::Values(values) => {
                let scope = Scope { relations: Vec::new(), parent: outer };
                for expr in values.rows.iter_mut().flat_map(|row| row.content.iter_mut()) {
                    self.expr(expr, &scope)?;
                }
                Ok(())
            }
            SetExpr::Table(_) => Err(Error::new(&codes::NOT_YET, "TABLE is not supported here")
                .with_hint("Write SELECT * FROM the table.")
                .into()),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(Error::new(&codes::SQL_PLAN, "a query cannot write").with_hint("Write a SELECT.").into())
            }
        }
    }

    /// The columns of a table that was put aside.
    fn columns(&self, index: usize, hidden: &[&str]) -> Vec<Column> {
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

/// How many more fields there might be; `None` if there are more than `most` already.
fn has_at_most(fields: &Fields, most: usize) -> Option<usize> {
    fields.iter().try_fold(most, |left, field| {
        let left = left.checked_sub(1)?;
        match field.data_type() {
            DataType::Struct(inside) => has_at_most(inside, left),
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _)
            | DataType::Map(item, _) => has_at_most(&Fields::from(vec![Arc::clone(item)]), left),
            _ => Some(left),
        }
    })
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
