//! Aggregation by keys and windows: tumbling, sliding, by keys alone, or of everything.
//!
//! ```text
//! lanes:   rows ─▶ groups of (keys, pane), aggregated          [partial]
//! run:     those of all lanes + the table's of the same ─▶ touched groups ─▶ upserts
//!                                                                 │
//!                       append: what ends in (late, evict]        │
//!                       update: what was touched      ◀───────────┴── + the table's where needed
//!                       complete: everything
//! ```
//!
//! The table has a row for each (keys, pane), whose values are the states of the aggregates; a tumbling window is one
//! pane. Windows are put together when they come out ([`sliding`]). A row expires when the last window that holds its
//! pane ends. What must stay true: a window comes out in append mode exactly once for each key, in the epoch in which
//! it ends; a row that is late touches nothing.
//!
//! As in Spark, complete mode has no late rows and forgets nothing, and an aggregation without GROUP BY gives one row in
//! every epoch, whether rows came or not.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::HashSet;
use forebay_core::output_mode::OutputMode;
use forebay_core::{Result, ddl};

use super::accumulators::Aggregates;
use super::groups::{Groups, take_all};
use super::keys::{Interner, everything, everything_field};
use super::{EpochTimes, Operator, PORTS, Partial, Step, meaning, misplaced, out, times_of};
use crate::plan::graph::AggregateSpec;
use crate::state::{Changes, Layout, NEVER, Slot, Table, Upserts};

mod line;
mod numbers;
mod panes;
mod partial;
mod sliding;

use self::panes::Panes;
use self::partial::Lane;

/// The name of the key column that holds where a pane begins.
const START: &str = "window_start";

/// GROUP BY with or without a window.
pub(crate) struct Aggregation {
    plan: Arc<Plan>,
}

/// An aggregation as planned, with what follows from it.
struct Plan {
    spec: Arc<AggregateSpec>,
    aggregates: Arc<Aggregates>,
    panes: Option<Panes>,
    /// Keys, the start of the pane if there are windows; states.
    layout: Arc<Layout>,
    /// The columns of a partial's batch: those of the layout.
    partial: SchemaRef,
}

/// What an epoch did to groups.
struct Touched {
    groups: Groups,
    expires: Vec<i64>,
    /// The row of the table whose place each takes.
    found: Vec<Option<Slot>>,
}

impl Aggregation {
    pub fn new(spec: Arc<AggregateSpec>) -> Result<Self> {
        let aggregates = Aggregates::new(&spec.aggregates, &spec.filters, &spec.input)?;
        let panes = spec.window.as_ref().map(|window| Panes::new(window.sliding));
        let mut keys = spec.key_fields.clone();
        if panes.is_some() {
            keys.push(Arc::new(Field::new(START, ddl::timestamp(), false)));
        } else if keys.is_empty() {
            keys.push(everything_field());
        }
        let values = aggregates.fields().to_vec();
        let partial = Arc::new(Schema::new([keys.clone(), values.clone()].concat()));
        let layout = Layout::new(keys, meaning::values(values, meaning::aggregate(&spec)));
        Ok(Self { plan: Arc::new(Plan { spec, aggregates, panes, layout, partial }) })
    }
}

impl Operator for Aggregation {
    fn name(&self) -> &str {
        &self.plan.spec.name
    }

    fn spark_name(&self) -> &'static str {
        "stateStoreSave"
    }

    fn layouts(&self) -> Vec<Arc<Layout>> {
        vec![Arc::clone(&self.plan.layout)]
    }

    fn partial(&self, _: usize, times: &EpochTimes) -> Result<Box<dyn Partial>> {
        let forgets = self.plan.forgets(times.mode);
        Ok(Box::new(Lane::new(Arc::clone(&self.plan), forgets.then_some(times.late))?))
    }

    fn run(
        &self,
        tables: &[Table],
        [partials, _]: [Vec<RecordBatch>; PORTS],
        times: &EpochTimes,
    ) -> Result<Step> {
        let plan = &self.plan;
        let table = super::table(tables, 0)?;
        let touched = plan.touched(table, &partials)?;
        drop(partials);
        let rows = plan.rows(table, &touched, times)?;
        let changes = plan.changes(table, touched, times)?;
        Ok(Step { changes: vec![changes], rows, fates: Default::default() })
    }

    fn follows_watermark(&self, mode: OutputMode) -> bool {
        self.plan.forgets(mode)
    }

    fn next_due(&self, table: &Table, evict_us: i64) -> Option<i64> {
        let oldest = table.oldest()?;
        let sliding = self.plan.sliding().filter(|_| self.plan.ends_by_window());
        Some(sliding.map_or(oldest, |panes| panes.next_end(oldest, evict_us)))
    }

    fn gives_at_once(&self) -> bool {
        self.plan.has_one_group()
    }
}

impl Plan {
    /// True if rows can be late and groups end.
    fn forgets(&self, mode: OutputMode) -> bool {
        self.spec.watermarked && mode != OutputMode::Complete
    }

    /// True if it is the end of its window by which a group ends, and not a key.
    fn ends_by_window(&self) -> bool {
        self.spec.watermarked && self.panes.is_some() && self.spec.event_key.is_none()
    }

    /// True without GROUP BY: there is one group, and it is there before any row is.
    fn has_one_group(&self) -> bool {
        self.panes.is_none() && self.spec.key_fields.is_empty()
    }

    /// The panes, if a window is more than one of them.
    fn sliding(&self) -> Option<Panes> {
        self.panes.filter(|panes| !panes.sliding.tumbles())
    }

    /// A partial's batch.
    fn partial(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        out::batch(&self.partial, columns, rows)
    }

    /// Puts together what the lanes have and what the table has of the same groups, from the oldest to the newest.
    fn touched(&self, table: &Table, partials: &[RecordBatch]) -> Result<Touched> {
        let width = self.layout.keys.len();
        let mut interner = Interner::new(&self.layout.keys)?;
        if self.has_one_group() {
            interner.intern(&[everything()], 1)?;
        }
        let (mut numbers, mut came) = (Vec::new(), Vec::with_capacity(partials.len() + 1));
        for partial in partials {
            let Groups { keys, states, len } = Groups::from_batch(partial, width);
            numbers.extend_from_slice(interner.intern(&keys, len)?.0);
            came.push(Groups { keys: Vec::new(), states, len });
        }
        let total = interner.len();
        let keys = interner.emit()?;
        let found = table.find(&table.encode(&keys)?);
        let (mut places, replaced): (Vec<usize>, Vec<Slot>) =
            found.iter().enumerate().filter_map(|(group, slot)| slot.map(|slot| (group, slot))).unzip();
        came.insert(0, Groups { keys: Vec::new(), states: table.values(&replaced)?, len: replaced.len() });
        places.append(&mut numbers);
        let mut accumulators = self.aggregates.accumulators()?;
        accumulators.merge(&Groups::all(came)?.states, &places, total)?;
        let expires = self.expiry(&keys, total)?;
        Ok(Touched {
            groups: Groups { keys, states: accumulators.state(total)?, len: total },
            expires,
            found,
        })
    }

    /// When groups with these keys may go (µs).
    fn expiry(&self, keys: &[ArrayRef], rows: usize) -> Result<Vec<i64>> {
        if !self.spec.watermarked {
            return Ok(vec![NEVER; rows]);
        }
        if let Some(panes) = self.panes.filter(|_| self.ends_by_window()) {
            return Ok(starts(keys)?.values().iter().map(|pane| panes.last_end(*pane)).collect());
        }
        let Some(event_time) = self.spec.event_key.and_then(|index| keys.get(index)) else {
            return Ok(vec![NEVER; rows]);
        };
        // A NULL never ends: nothing compares with it.
        Ok(times_of(event_time)?.iter().map(|time| time.unwrap_or(NEVER)).collect())
    }

    fn changes(&self, table: &Table, touched: Touched, times: &EpochTimes) -> Result<Changes> {
        let Touched { groups, expires, found } = touched;
        if !self.forgets(times.mode) {
            return Ok(Changes {
                upserts: upserts(groups, expires),
                found: Some(found),
                ..Changes::default()
            });
        }
        // What ends at once is not written first.
        let evict = times.evict_us();
        let evicts = table.oldest().is_some_and(|oldest| oldest <= evict);
        let evict_through = evicts.then_some(evict);
        let stay: Vec<u32> =
            (0_u32..).zip(&expires).filter(|(_, expiry)| **expiry > evict).map(|(row, _)| row).collect();
        let (upserts, found) = if stay.len() == expires.len() {
            (upserts(groups, expires), found)
        } else {
            let found = stay.iter().filter_map(|row| found.get(*row as usize).copied()).collect();
            let groups = groups.take(&stay.into())?;
            (upserts(groups, expires.into_iter().filter(|expiry| *expiry > evict).collect()), found)
        };
        Ok(Changes { upserts, found: Some(found), evict_through, ..Changes::default() })
    }

    /// The rows that come out.
    fn rows(&self, table: &Table, touched: &Touched, times: &EpochTimes) -> Result<Vec<RecordBatch>> {
        if let Some(panes) = self.sliding() {
            return self.windows_out(panes, table, touched, times);
        }
        let groups = match times.mode {
            OutputMode::Update => touched.groups.clone(),
            OutputMode::Complete => untouched(table, table.all(), touched)?.then(touched.groups.clone())?,
            OutputMode::Append => self.ended(table, touched, times.evict_us())?,
        };
        if groups.len == 0 {
            return Ok(Vec::new());
        }
        let starts = match self.panes {
            Some(_) => Some(starts(&groups.keys)?.values().to_vec()),
            None => None,
        };
        let keys = groups.keys.get(..self.spec.key_fields.len()).unwrap_or_default();
        self.out(keys, starts, &groups.states, groups.len)
    }

    /// The groups that end in this epoch.
    fn ended(&self, table: &Table, touched: &Touched, evict: i64) -> Result<Groups> {
        let ended = (0_u32..).zip(&touched.expires).filter(|(_, expiry)| **expiry <= evict);
        let ended: Vec<u32> = ended.map(|(row, _)| row).collect();
        untouched(table, table.due(evict), touched)?.then(touched.groups.take(&ended.into())?)
    }

    /// The results of these groups, in their order; `starts` are those of their windows.
    fn out(
        &self,
        keys: &[ArrayRef],
        starts: Option<Vec<i64>>,
        states: &[ArrayRef],
        rows: usize,
    ) -> Result<Vec<RecordBatch>> {
        if rows == 0 {
            return Ok(Vec::new());
        }
        let order = out::in_order(starts.as_deref(), &self.spec.key_fields, keys, rows)?;
        let mut columns = take_all(keys, &order)?;
        if let (Some(window), Some(starts)) = (&self.spec.window, starts) {
            let starts: Vec<i64> =
                order.values().iter().filter_map(|row| starts.get(*row as usize)).copied().collect();
            let ends = starts.iter().map(|start| window.sliding.end(*start)).collect();
            let column = out::spans(&self.spec.output, window.position, starts, ends)?;
            columns.insert(window.position.min(columns.len()), column);
        }
        columns.extend(self.aggregates.evaluate(&take_all(states, &order)?, rows)?);
        Ok(vec![out::batch(&self.spec.output, columns, rows)?])
    }
}

/// Those rows of a table that the epoch did not touch.
fn untouched(table: &Table, mut slots: Vec<Slot>, touched: &Touched) -> Result<Groups> {
    if !slots.is_empty() {
        let replaced: HashSet<Slot> = touched.found.iter().flatten().copied().collect();
        slots.retain(|slot| !replaced.contains(slot));
    }
    Groups::of(table, &slots)
}

fn upserts(groups: Groups, expires: Vec<i64>) -> Option<Upserts> {
    (groups.len > 0).then(|| Upserts {
        keys: groups.keys,
        expires: Int64Array::from(expires),
        values: groups.states,
    })
}

/// The key column of these pane starts.
fn start_column(starts: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(starts).with_data_type(ddl::timestamp()))
}

/// Where the panes of these keys begin: their last column.
fn starts(keys: &[ArrayRef]) -> Result<TimestampMicrosecondArray> {
    times_of(keys.last().ok_or_else(misplaced)?)
}
