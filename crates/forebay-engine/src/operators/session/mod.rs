//! Sessions: rows of a key belong together as long as each comes before the gap of those before it has run out.
//!
//! ```text
//! rows          |--gap--)      |--gap--)
//!                    |--gap--)
//! sessions      |------------) |-------)      two that touch become one, as in Spark
//! ```
//!
//! A row alone is a session from its time to its time plus gap. The lane makes pieces of those that meet ([`pieces`]); the
//! operator merges the pieces of all lanes with the sessions that are open ([`merge`]). Two tables hold them:
//!
//! | table | key | values | expires |
//! |---|---|---|---|
//! | 0 | group keys | the starts of the key's sessions | when the last of them ends |
//! | 1 | group keys, start | end, states of the aggregates | when it ends |
//!
//! Table 0 is how the sessions of a key are found. It may name sessions that have ended since; those are not in table 1.
//! As in Spark, a row is late by the session that it alone would be, in complete mode too.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use forebay_core::output_mode::OutputMode;
use forebay_core::{Result, ddl};

use super::accumulators::Aggregates;
use super::groups::take_all;
use super::{EpochTimes, Operator, PORTS, Partial, Step, meaning, out};
use crate::plan::graph::SessionSpec;
use crate::state::{Layout, Table};

mod merge;
mod pieces;

use self::pieces::Lane;

/// GROUP BY with `session_window`.
pub(crate) struct Sessions {
    plan: Arc<Plan>,
}

/// Sessions as planned, with what follows from it.
struct Plan {
    spec: Arc<SessionSpec>,
    aggregates: Arc<Aggregates>,
    index: Arc<Layout>,
    sessions: Arc<Layout>,
    /// The columns of a partial's batch: those of the sessions.
    partial: SchemaRef,
}

impl Sessions {
    pub fn new(spec: Arc<SessionSpec>) -> Result<Self> {
        let aggregates = Aggregates::new(&spec.aggregates, &spec.filters, &spec.input)?;
        let starts = Field::new_list("starts", Field::new_list_field(ddl::timestamp(), false), false);
        let index = Layout::new(spec.key_fields.clone(), Arc::new(Schema::new(vec![starts])));
        let mut keys = spec.key_fields.clone();
        keys.push(Arc::new(Field::new("session_start", ddl::timestamp(), false)));
        let mut values = vec![Arc::new(Field::new("session_end", ddl::timestamp(), false))];
        values.extend(aggregates.fields().iter().cloned());
        let partial = Arc::new(Schema::new([keys.clone(), values.clone()].concat()));
        let sessions = Layout::new(keys, meaning::values(values, meaning::session(&spec)));
        Ok(Self { plan: Arc::new(Plan { spec, aggregates, index, sessions, partial }) })
    }
}

impl Operator for Sessions {
    fn name(&self) -> &str {
        &self.plan.spec.name
    }

    fn spark_name(&self) -> &'static str {
        "sessionWindowStateStoreSave"
    }

    fn layouts(&self) -> Vec<Arc<Layout>> {
        vec![Arc::clone(&self.plan.index), Arc::clone(&self.plan.sessions)]
    }

    fn partial(&self, _: usize, times: &EpochTimes) -> Result<Box<dyn Partial>> {
        let late = self.plan.spec.watermarked.then_some(times.late);
        Ok(Box::new(Lane::new(Arc::clone(&self.plan), late)?))
    }

    fn run(
        &self,
        tables: &[Table],
        [partials, _]: [Vec<RecordBatch>; PORTS],
        times: &EpochTimes,
    ) -> Result<Step> {
        self.plan.run(super::table(tables, 0)?, super::table(tables, 1)?, &partials, times)
    }

    fn follows_watermark(&self, mode: OutputMode) -> bool {
        self.plan.ends(mode)
    }
}

impl Plan {
    /// True if sessions end.
    fn ends(&self, mode: OutputMode) -> bool {
        self.spec.watermarked && mode != OutputMode::Complete
    }

    /// The results of these sessions, in their order.
    fn out(
        &self,
        keys: &[ArrayRef],
        bounds: Vec<(i64, i64)>,
        states: &[ArrayRef],
    ) -> Result<Vec<RecordBatch>> {
        let rows = bounds.len();
        if rows == 0 {
            return Ok(Vec::new());
        }
        let starts: Vec<i64> = bounds.iter().map(|(start, _)| *start).collect();
        let order = out::in_order(Some(&starts), &self.spec.key_fields, keys, rows)?;
        let (starts, ends) =
            order.values().iter().filter_map(|row| bounds.get(*row as usize)).copied().unzip();
        let mut columns = take_all(keys, &order)?;
        let position = self.spec.position.min(columns.len());
        columns.insert(position, out::spans(&self.spec.output, position, starts, ends)?);
        columns.extend(self.aggregates.evaluate(&take_all(states, &order)?, rows)?);
        Ok(vec![out::batch(&self.spec.output, columns, rows)?])
    }
}
