//! The conditions of a source's expectations over a batch.
//!
//! All of them are one plan, so that a batch is evaluated once, column by column, and what several share is computed once. Where an
//! expression fails the batch is halved until the rows are alone for which it does: that costs only where it happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::SchemaRef;
use forebay_core::error::codes;
use forebay_core::{Error, Result, Zone};

use super::Check;
use crate::plan::{Catalog, Executor, Fates, JsonDecoderFactory, SourceColumns, StreamPlan, row_conditions};

/// Most bytes that a compiled pattern may take, as in SQL.
const PATTERN_BYTES: usize = 10 << 20;

/// The conditions, planned.
#[derive(Debug)]
pub(super) struct Conditions {
    /// All of them.
    together: Arc<StreamPlan>,
    /// Each alone, for rows for which one cannot be computed.
    each: Vec<Arc<StreamPlan>>,
}

/// For which rows of a batch a condition is false or cannot be computed.
#[derive(Debug)]
pub(super) struct Failing {
    /// They.
    pub rows: BooleanBuffer,
    /// Why it cannot be computed, for those for which it cannot.
    pub broken: BTreeMap<usize, String>,
    /// What else is to be told of a row than its own values.
    pub beside: BTreeMap<usize, String>,
}

impl Failing {
    pub fn of(rows: BooleanBuffer) -> Self {
        Self { rows, broken: BTreeMap::new(), beside: BTreeMap::new() }
    }
}

impl Conditions {
    pub fn new(
        source: &str,
        schema: &SchemaRef,
        checks: &[Check],
        time_zone: Zone,
        json: Option<&dyn JsonDecoderFactory>,
    ) -> Result<Self> {
        let mut catalog = Catalog::in_zone(time_zone);
        catalog.add_source(source, SourceColumns::Decoded(Arc::clone(schema)))?;
        let plan = |sql: &[&str]| {
            row_conditions(&catalog, source, sql, json).map(Arc::new).map_err(|error| error.error)
        };
        let all: Vec<&str> = checks.iter().map(|check| check.sql.as_str()).collect();
        let each = checks.iter().map(|check| {
            plan(&[check.sql.as_str()])
                .map_err(|error| error.at(format_args!("expectation `{}`", check.expected.name)))
        });
        Ok(Self { each: each.collect::<Result<_>>()?, together: plan(&all)? })
    }

    /// What evaluates them, for one lane.
    pub fn evaluator(&self) -> Evaluator {
        // No condition asks for the time.
        let executor = |plan: &Arc<StreamPlan>| plan.only_input().map(|input| input.executor(0));
        Evaluator { together: executor(&self.together), each: self.each.iter().map(executor).collect() }
    }
}

/// Evaluates conditions. An error of a plan would be the engine's own; it shows with the first batch.
pub(super) struct Evaluator {
    together: Result<Executor>,
    each: Vec<Result<Executor>>,
}

impl Evaluator {
    /// For each condition the rows that fail it.
    pub fn failing(&mut self, rows: &RecordBatch) -> Result<Vec<Failing>> {
        let count = rows.num_rows();
        let none = || Failing::of(BooleanBuffer::new_unset(count));
        if count == 0 {
            return Ok(self.each.iter().map(|_| none()).collect());
        }
        let together = self.together.as_mut().map_err(|error| error.clone())?;
        match masks(together, rows) {
            Ok(masks) => Ok(masks.into_iter().map(Failing::of).collect()),
            Err(error) if error.code() == &codes::QUERY_FAILED => self
                .each
                .iter_mut()
                .map(|each| alone(each.as_mut().map_err(|error| error.clone())?, rows))
                .collect(),
            Err(error) => Err(error),
        }
    }

    /// Computes one condition over some rows, for who measures that; what comes of it is left.
    pub fn try_alone(&mut self, condition: usize, rows: &RecordBatch) {
        if let Some(Ok(each)) = self.each.get_mut(condition) {
            drop(masks(each, rows));
        }
    }
}

/// The rows that fail one condition, of which some cannot be computed.
fn alone(executor: &mut Executor, rows: &RecordBatch) -> Result<Failing> {
    let mut failed = Vec::with_capacity(rows.num_rows());
    let mut broken = BTreeMap::new();
    // The pieces that are still to be evaluated, the first on top.
    let mut pieces = vec![(0, rows.num_rows())];
    while let Some((from, count)) = pieces.pop() {
        match masks(executor, &rows.slice(from, count)) {
            Ok(found) => failed.extend(found.first().into_iter().flat_map(BooleanBuffer::iter)),
            Err(error) if error.code() != &codes::QUERY_FAILED => return Err(error),
            Err(_) if count > 1 => {
                pieces.push((from + count / 2, count - count / 2));
                pieces.push((from, count / 2));
            }
            Err(error) => {
                broken.insert(from, error.detail().unwrap_or(error.message()).to_owned());
                failed.push(true);
            }
        }
    }
    if failed.len() != rows.num_rows() {
        return Err(miscounted());
    }
    Ok(Failing { broken, ..Failing::of(BooleanBuffer::from(failed)) })
}

/// For each condition of an executor where it is false.
fn masks(executor: &mut Executor, rows: &RecordBatch) -> Result<Vec<BooleanBuffer>> {
    let held = executor.process(rows.clone(), &mut Fates::default())?;
    if held.num_rows() != rows.num_rows() {
        return Err(miscounted());
    }
    let columns = held.columns().iter();
    columns.map(|column| column.as_boolean_opt().map(falsehood).ok_or_else(miscounted)).collect()
}

/// Where a condition is false; NULL is not.
fn falsehood(mask: &BooleanArray) -> BooleanBuffer {
    let is_false = !mask.values();
    match mask.nulls() {
        Some(valid) => &is_false & valid.inner(),
        None => is_false,
    }
}

fn miscounted() -> Error {
    Error::new(&codes::INTERNAL, "the conditions of a source do not give one answer for each row")
}

/// Looks whether a text is a regular expression.
///
/// # Errors
/// `BAD_VALUE`, with what is wrong with it.
pub fn check_pattern(pattern: &str) -> Result<()> {
    let built = regex::RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build();
    let Err(error) = built else { return Ok(()) };
    let told = error.to_string();
    // The last line says what; those above draw the place.
    let why = told.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    Err(Error::new(&codes::BAD_VALUE, "the pattern is not a regular expression").with_detail(why).with_hint(
        "It is written as for `RLIKE`: `^[A-Z]{2}[0-9]+$`. There are no look-around and no back-references.",
    ))
}
