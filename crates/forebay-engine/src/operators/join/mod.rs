//! Joins of two streams: pairs of rows whose keys are equal and for which the condition holds, whichever came first.
//!
//! ```text
//! lanes of the left:   rows ─▶ late ones out ─▶ key, when it is forgotten ─┐
//! lanes of the right:  rows ─▶ late ones out ─▶ key, when it is forgotten ─┴─▶ run:
//!     left that came   × right that is held ─┐
//!     left that came   × right that came    ─┼─▶ candidates, some thousand at a time ─▶ condition ─▶ pairs come out
//!     left that is held × right that came   ─┘                                          └─▶ both sides have met
//!     outer rows that are forgotten and have not met ─▶ come out alone
//!     rows that came and are not forgotten ─▶ the tables
//! ```
//!
//! # What is kept
//!
//! Of each side two tables: its rows by key and number, numbered from 0 within each key, and the heads: which numbers a key
//! has. So the rows of a key are found without a look at others, and an epoch costs what came and what it may meet. Numbers
//! whose rows are gone leave holes; who comes upon more holes than rows numbers the rows anew, so that holes are paid for by
//! the rows that went (see [`keep`]). A row of an outer side has a flag: whether it has met another.
//!
//! # As Spark 4.0 does it
//!
//! - A row is forgotten by [`SideEnds`], once the epoch's rows have met it. One that has its time behind it when it comes may
//!   still meet what is held; then it goes, and if it is of an outer side and alone, it comes out.
//! - A row without the time by which its side is forgotten is kept for ever: NULL is not at or before anything. If it is of an
//!   outer side and alone, it never comes out. Nor is it ever late.
//! - A row that fails the part of the condition which reads its side alone can meet nothing: of an outer side it comes out alone
//!   at once, else it is dropped.
//! - NULL equals nothing, in any column of the key; such a row of an outer side waits like every other until it is forgotten.
//!   NaN equals NaN and -0.0 equals 0.0.
//! - In a left semi join a row of the left comes out at its first match. Here it goes with that; Spark keeps it until it is
//!   forgotten, which changes nothing but what is held.
//! - The operator behind has the least of the watermark and of both sides' ([`Operator::passes_times`]): a pair may be as
//!   old as the oldest row that is held.
//!
//! # The order of rows
//!
//! Rows come in the order of their lanes. Left rows that came, each with the right rows that are held and then all with those
//! that came; then right rows that came, with the left ones that are held. Rows that are alone follow: first those that were
//! held, by time, key and number, then those that came. What must stay true: the order follows from the rows and their lanes.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use datafusion::physical_expr::split_conjunction;
use forebay_core::Result;
use forebay_core::output_mode::OutputMode;

use super::keys::Interner;
use super::{EpochTimes, Operator, PORTS, Partial, Step, misplaced, out};
use crate::plan::graph::{JoinKind, JoinSpec, SideEnds};
use crate::state::{Layout, Table};

mod condition;
mod found;
mod keep;
mod lane;
mod pairs;
mod side;

use self::condition::Condition;
use self::found::{Came, Held, Keys};
use self::pairs::{Meeting, Which};
use self::side::Side;
pub(super) use self::side::visible;

/// A join of two streams.
pub(crate) struct Join {
    plan: Arc<Plan>,
}

struct Plan {
    spec: Arc<JoinSpec>,
    left: Arc<Side>,
    right: Arc<Side>,
    /// What must hold of a pair beside its keys and what each side has settled.
    condition: Option<Condition>,
}

impl Join {
    pub fn new(spec: Arc<JoinSpec>) -> Result<Self> {
        let width = visible(&spec.left.input);
        if spec.key_fields.is_empty() || width + visible(&spec.right.input) != spec.pair.fields().len() {
            return Err(misplaced());
        }
        let all: Vec<_> = spec.condition.iter().flat_map(split_conjunction).cloned().collect();
        let (of_left, rest) = condition::reading(all, |column| column < width);
        let (of_right, rest) = condition::reading(rest, |column| column >= width);
        let left = Side::new(&spec, true, condition::all(&of_left, Some)?)?;
        let right = Side::new(&spec, false, condition::all(&of_right, |column| column.checked_sub(width))?)?;
        let condition = Condition::new(&rest, &spec.pair, width)?;
        Ok(Self { plan: Arc::new(Plan { spec, left: Arc::new(left), right: Arc::new(right), condition }) })
    }
}

impl Operator for Join {
    fn name(&self) -> &str {
        &self.plan.spec.name
    }

    fn spark_name(&self) -> &'static str {
        "symmetricHashJoin"
    }

    fn layouts(&self) -> Vec<Arc<Layout>> {
        let (left, right) = (&self.plan.left, &self.plan.right);
        [&left.rows, &right.rows, &left.heads, &right.heads].map(Arc::clone).to_vec()
    }

    fn row_tables(&self) -> Option<usize> {
        Some(PORTS)
    }

    fn partial(&self, port: usize, times: &EpochTimes) -> Result<Box<dyn Partial>> {
        let side = if port == 0 { &self.plan.left } else { &self.plan.right };
        Ok(Box::new(lane::Lane::new(Arc::clone(side), times.late)))
    }

    fn run(
        &self,
        tables: &[Table],
        [left, right]: [Vec<RecordBatch>; PORTS],
        times: &EpochTimes,
    ) -> Result<Step> {
        let (plan, evict) = (&*self.plan, times.evict_us());
        let [left_rows, right_rows, left_heads, right_heads] = tables else { return Err(misplaced()) };
        let mut interner = Interner::new(&plan.spec.key_fields)?;
        let mut left = Came::new(&plan.left, &left, &mut interner)?;
        let mut right = Came::new(&plan.right, &right, &mut interner)?;
        let keys = Keys { len: interner.len(), columns: interner.emit()? };
        left.by_key(keys.len);
        right.by_key(keys.len);
        let mut left_held = Held::new((left_rows, left_heads), &keys, |key| right.has(key))?;
        let mut right_held = Held::new((right_rows, right_heads), &keys, |key| left.has(key))?;

        let mut rows = Vec::new();
        for [of_left, of_right] in [[Which::Came, Which::Held], [Which::Came; 2], [Which::Held, Which::Came]]
        {
            let left = left.or_held(&mut left_held, left_rows, plan.left.outer, of_left);
            let right = right.or_held(&mut right_held, right_rows, plan.right.outer, of_right);
            Meeting::new(plan, [left, right], &mut rows).run(of_left == Which::Came)?;
        }
        let (of_left, of_right) = (&plan.left, &plan.right);
        for (side, came, held, table) in
            [(of_left, &left, &left_held, left_rows), (of_right, &right, &right_held, right_rows)]
        {
            if side.outer {
                let alone = keep::alone(side, table, came, held, evict)?;
                alone.into_iter().try_for_each(|(alone, count)| {
                    rows.push(plan.alone(std::ptr::eq(side, of_left), alone, count)?);
                    Ok::<_, forebay_core::Error>(())
                })?;
            }
        }
        let left = keep::keep(of_left, (left_rows, left_heads), &keys, &left, left_held, evict)?;
        let right = keep::keep(of_right, (right_rows, right_heads), &keys, &right, right_held, evict)?;
        let changes = vec![left.rows, right.rows, left.heads, right.heads];
        Ok(Step { changes, rows, fates: [left.counts, right.counts] })
    }

    fn passes_times(&self, times: EpochTimes) -> EpochTimes {
        let ends = [self.plan.spec.left.ends, self.plan.spec.right.ends];
        ends.into_iter().fold(times, |passed, ends| match ends {
            SideEnds::Never | SideEnds::Key(_) => passed,
            SideEnds::Time { shift_ms, .. } => passed.min(times.shifted(shift_ms)),
        })
    }

    fn follows_watermark(&self, _: OutputMode) -> bool {
        let spec = &self.plan.spec;
        spec.left.ends != SideEnds::Never || spec.right.ends != SideEnds::Never
    }
}

impl Plan {
    /// Rows of one side, for each of which there is none of the other.
    fn alone(&self, is_left: bool, mut columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let (fields, width) = (self.spec.pair.fields(), self.left.width);
        let missing = if is_left { &fields[width..] } else { &fields[..width] };
        let missing = missing.iter().map(|field| new_null_array(field.data_type(), rows));
        if is_left {
            columns.extend(missing);
        } else {
            columns.splice(..0, missing.collect::<Vec<_>>());
        }
        out::batch(&self.spec.output, columns, rows)
    }
}

/// True if rows of this side come out alone.
fn is_outer(kind: JoinKind, is_left: bool) -> bool {
    match kind {
        JoinKind::Inner | JoinKind::LeftSemi => false,
        JoinKind::Left => is_left,
        JoinKind::Right => !is_left,
        JoinKind::Full => true,
    }
}
