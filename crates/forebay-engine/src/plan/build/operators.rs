//! The operators of one port: groups, DISTINCT, `deduplicate`, detectors, ORDER BY and LIMIT, each with everything below it.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::logical_expr::{Distinct, FetchType, LogicalPlan, SkipType};
use forebay_core::Error;
use forebay_core::detect::verdict_fields;
use forebay_core::error::codes;
use forebay_core::output_mode::OutputMode;

use super::{Builder, Given, Rows, arrow_schema, one_time};
use crate::plan::catalog::RECORD_COLUMNS;
use crate::plan::graph::{DeduplicateSpec, DetectSpec, LimitSpec, StepPlan};
use crate::plan::judged::{self, Judged};
use crate::plan::lineage::Origin;
use crate::plan::modes::Kind;
use crate::plan::once::{self, Once};
use crate::plan::sort::SortSpec;
use crate::plan::sql_error::SqlError;
use crate::plan::told::columns;
use crate::plan::verify;

impl Builder<'_> {
    /// Builds an operator and everything below it.
    pub(super) fn operator(&mut self, node: &LogicalPlan) -> Result<Given, SqlError> {
        self.refuse_many()?;
        match node {
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Distinct(Distinct::All(input)) => self.distinct(input),
            LogicalPlan::Sort(sort) => {
                let rows = self.whole(&sort.input, &verify::ORDER_BY)?;
                let by = self.order(&sort.expr, &rows.schema)?;
                let spec = SortSpec { rows: arrow_schema(&rows.schema), by, limit: sort.fetch };
                let origins = rows.origins.clone();
                Ok(self.behind(rows, StepPlan::Sort(Arc::new(spec)), origins))
            }
            LogicalPlan::Limit(limit) => {
                let (Ok(FetchType::Literal(most)), Ok(SkipType::Literal(0))) =
                    (limit.get_fetch_type(), limit.get_skip_type())
                else {
                    return Err(verify::OFFSET.error().into());
                };
                let rows = self.rows(&limit.input)?;
                Ok(self.limit(rows, most))
            }
            other => match (once::of(other), judged::of(other)) {
                (Some(once), _) => self.deduplicate(once),
                (None, Some(judged)) => self.detect(judged),
                (None, None) => {
                    let message = format!("the query has the operator {}", other.display());
                    Err(Error::new(&codes::INTERNAL, message).into())
                }
            },
        }
    }

    /// The first of these rows, at most so many. In complete mode an aggregation gives all there are in each epoch, and the
    /// first are those of the epoch.
    fn limit(&mut self, rows: Rows, most: Option<usize>) -> Given {
        let origins = rows.origins.clone();
        if rows.are_groups && self.mode == Some(OutputMode::Complete) {
            let feeds = vec![self.one(rows.feeds)];
            let spec = SortSpec { rows: arrow_schema(&rows.schema), by: Vec::new(), limit: most };
            let plan = StepPlan::Sort(Arc::new(spec));
            return self.behind(Rows { feeds, ..rows }, plan, origins);
        }
        let name = format!("limit-{}", self.kinds.len());
        self.stands(Kind::Limit, rows.are_groups);
        let spec = LimitSpec { name, most: most.unwrap_or(usize::MAX) };
        self.behind(rows, StepPlan::Limit(Arc::new(spec)), origins)
    }

    /// The rows below ORDER BY, which must be all there are.
    fn whole(&mut self, input: &LogicalPlan, refusal: &verify::Refusal) -> Result<Rows, SqlError> {
        let rows = self.rows(input)?;
        if !rows.are_groups {
            return Err(refusal.error().into());
        }
        let feed = self.one(rows.feeds);
        Ok(Rows { feeds: vec![feed], ..rows })
    }

    fn deduplicate(&mut self, once: &Once) -> Result<Given, SqlError> {
        let rows = self.rows(&once.input)?;
        let name = format!("deduplicate-{}", self.kinds.len());
        one_time(&name, &rows.origins)?;
        let is_time = |index: &usize| matches!(rows.origins.get(*index), Some(Origin::Time(_)));
        let is_window = |index: &usize| matches!(rows.origins.get(*index), Some(Origin::Window(_)));
        let key = once.keys.iter().copied().find(is_time).or(once.keys.iter().copied().find(is_window));
        let event_time = key.or_else(|| (0..rows.origins.len()).find(is_time));
        if once.within_us.is_some() && event_time.is_none() {
            let hint =
                "Spark refuses it too. Give the source a `watermark`, and let the SELECT give its column.";
            let message = "`deduplicate` with `within` is not possible without a watermark";
            return Err(Error::new(&codes::WATERMARK_MISSING, message).with_hint(hint).into());
        }
        self.stands(Kind::Deduplicate { timed: key.is_some() || once.within_us.is_some() }, rows.are_groups);
        let input = arrow_schema(&rows.schema);
        let step = StepPlan::Deduplicate(Arc::new(DeduplicateSpec {
            name,
            input,
            told: rows.told.clone(),
            keys: once.keys.clone(),
            event_time,
            within_us: once.within_us,
        }));
        let origins = rows.origins.clone();
        Ok(self.behind(rows, step, origins))
    }

    /// A detector goes by the time that it names, else by the event time of its rows, else by their records'.
    fn detect(&mut self, judged: &Judged) -> Result<Given, SqlError> {
        let rows = self.rows(&judged.input)?;
        let name = format!("detect-{}", self.kinds.len());
        let is_time = |origin: &Origin| matches!(origin, Origin::Time(_));
        if judged.time.is_none() {
            one_time(&name, &rows.origins)?;
        }
        let input = arrow_schema(&rows.schema);
        let time = judged.time.or_else(|| rows.origins.iter().position(is_time));
        let time = time.or_else(|| input.index_of(RECORD_COLUMNS[0]).ok());
        self.stands(Kind::Detect, rows.are_groups);
        let said = verdict_fields();
        let output = input.fields().iter().cloned().chain(said.iter().cloned()).collect::<Vec<_>>();
        let spec = Arc::new(DetectSpec {
            name,
            input,
            output: Arc::new(Schema::new(output)),
            told: rows.told.clone(),
            keys: judged.keys.clone(),
            columns: judged.columns.clone(),
            time,
            model: Arc::clone(&judged.model),
        });
        let others = said.iter().map(|_| Origin::Other);
        let origins = rows.origins.iter().cloned().chain(others).collect();
        let told = columns::judged(&spec);
        let given = self.behind(rows, StepPlan::Detect(spec), origins);
        Ok(Given { told, ..given })
    }
}
