//! What a window holds of its rows and makes of them, none of which DataFusion counts.
//!
//! A window keeps its rows, and copies them into one piece. Most functions give for each row one value, which may be the
//! widest text of its input. Some gather what they saw and walk over all of it for each row (`array_agg`, `median`): what
//! they make and what they do grows with the square of the rows.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::{WindowFrame, WindowFrameBound, WindowFrameUnits};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, SlidingAggregateWindowExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use super::super::bounds::MAX_FRAME;
use super::super::budget::growth::{size_of, varies};
use crate::plan::session::BATCH_ROWS;

/// Aggregates that give one value without looking again at what they saw.
const AT_ONCE: [&str; 34] = [
    "any_value",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "first_value",
    "last_value",
    "max",
    "mean_of",
    "min",
    "nth_value",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "sum",
    "sum_of",
    "try_avg",
    "try_sum",
    "var",
    "var_pop",
];

/// Bytes by which `DISTINCT` remembers a value.
const SEEN: u64 = 128;

/// What a window holds of its rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Keeps {
    /// The last so many of them.
    rows: u64,
    /// Bytes of each row's result before it is a column, and of what is remembered to tell it from others.
    result: u64,
    /// True if any of its rows may get the widest of their texts.
    spreads: bool,
    /// Each row may get all of so many rows.
    gathers: u64,
}

impl Keeps {
    /// `None` if the node is no window.
    pub fn of(node: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let (functions, rows) =
            match (node.downcast_ref::<WindowAggExec>(), node.downcast_ref::<BoundedWindowAggExec>()) {
                (Some(window), _) => (window.window_expr(), u64::MAX),
                (_, Some(window)) => (window.window_expr(), 2 * MAX_FRAME),
                _ => return None,
            };
        let mut keeps = Self { rows, ..Self::default() };
        for function in functions {
            let varies = function.field().map_or(true, |field| varies(field.data_type()));
            let frame = function.get_window_frame();
            let is_whole = frame.start_bound.is_unbounded() && frame.end_bound.is_unbounded();
            keeps.spreads |= varies;
            let Some(aggregate) = aggregate(function.as_any()) else { continue };
            if aggregate.is_distinct() {
                keeps.result += SEEN;
            }
            // Over a whole partition it is computed once.
            if !is_whole {
                keeps.result += std::mem::size_of::<ScalarValue>() as u64;
            }
            if gathers(aggregate) && (varies || !is_whole) {
                keeps.gathers = keeps.gathers.max(reach(frame));
            }
        }
        Some(keeps)
    }
}

fn aggregate(function: &dyn Any) -> Option<&AggregateFunctionExpr> {
    match function.downcast_ref::<PlainAggregateWindowExpr>() {
        Some(plain) => Some(plain.get_aggregate_expr()),
        None => Some(function.downcast_ref::<SlidingAggregateWindowExpr>()?.get_aggregate_expr()),
    }
}

/// True for a function that looks at all it saw to give a value.
fn gathers(aggregate: &AggregateFunctionExpr) -> bool {
    let name = aggregate.fun().name();
    !AT_ONCE.contains(&name) || (aggregate.is_distinct() && name != "count")
}

/// The rows of a frame.
fn reach(frame: &WindowFrame) -> u64 {
    let rows = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::CurrentRow => Some(0),
        WindowFrameBound::Preceding(ScalarValue::UInt64(rows))
        | WindowFrameBound::Following(ScalarValue::UInt64(rows)) => *rows,
        _ => None,
    };
    match (frame.units, rows(&frame.start_bound), rows(&frame.end_bound)) {
        (WindowFrameUnits::Rows, Some(start), Some(end)) => start.saturating_add(end).saturating_add(1),
        _ => u64::MAX,
    }
}

/// What a window holds by now.
pub(super) struct Kept {
    keeps: Keeps,
    last: VecDeque<(u64, u64)>,
    rows: u64,
    bytes: u64,
    widest: u64,
    reservation: MemoryReservation,
}

impl Kept {
    /// Nothing yet.
    pub fn new(keeps: Keeps, reservation: MemoryReservation) -> Self {
        Self { keeps, last: VecDeque::new(), rows: 0, bytes: 0, widest: 0, reservation }
    }

    /// Counts a batch whose widest row has so many bytes; an error if that is too much.
    pub fn take(&mut self, batch: &RecordBatch, width: u64) -> Result<()> {
        let (rows, bytes) = (batch.num_rows() as u64, batch.columns().iter().map(|it| size_of(it)).sum());
        self.last.push_back((rows, bytes));
        self.rows += rows;
        self.bytes += bytes;
        self.widest = self.widest.max(width);
        while let Some((rows, bytes)) = self.last.front()
            && self.rows - rows > self.keeps.rows
        {
            self.rows -= rows;
            self.bytes -= bytes;
            self.last.pop_front();
        }
        self.reservation.try_resize(usize::try_from(self.held()).unwrap_or(usize::MAX))
    }

    fn held(&self) -> u64 {
        let Keeps { result, spreads, gathers, .. } = self.keeps;
        let spread = if spreads { self.rows.saturating_mul(self.widest) } else { 0 };
        let gathered = if gathers > 0 {
            // Of a short frame few rows wait for their result.
            let waiting = self.rows.min(gathers.saturating_add(2 * BATCH_ROWS as u64));
            waiting.saturating_mul(self.bytes.min(gathers.saturating_mul(self.widest)))
        } else {
            0
        };
        // The rows as they came, and all in one piece.
        let rows = self.bytes.saturating_mul(2).saturating_add(self.rows.saturating_mul(result));
        rows.saturating_add(spread).saturating_add(gathered)
    }
}
