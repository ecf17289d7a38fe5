//! The operators of one port: groups, DISTINCT, `deduplicate`, ORDER BY and LIMIT, each with everything below it.

use std::sync::Arc;

use datafusion::logical_expr::{Distinct, FetchType, LogicalPlan, SkipType};
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_core::output_mode::OutputMode;

use super::{Builder, Given, Rows, arrow_schema, one_time};
use crate::plan::graph::{DeduplicateSpec, LimitSpec, StepPlan};
use crate::plan::lineage::Origin;
use crate::plan::modes::Kind;
use crate::plan::once::{self, Once};
use crate::plan::sort::SortSpec;
use crate::plan::sql_error::SqlError;
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
            other => match once::of(other) {
                Some(once) => self.deduplicate(once),
                None => {
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
}
