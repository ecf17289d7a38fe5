//! What several queries over one source have in common: the rows of an epoch are decoded and computed once for all of them.
//!
//! ```text
//!  query A ─┐                     ┌─▶ its columns ─▶ A's sink, outcome, commit
//!  query B ─┼─▶ a span: columns ──┼─▶ its columns ─▶ B's sink, outcome, commit
//!  query C ─┘   of all, once      └─▶ its columns ─▶ C's sink, outcome, commit
//! ```
//!
//! Each stays a query of its own, with its positions, plans, commits and quarantine; a hundred alerts over one topic are a hundred
//! queries. A **span** is what they read together: ranges from where several stand. Whoever comes first computes its [`Product`], by a
//! SELECT with the columns of all ([`Sharing`]); the others plan the same ranges, each at its own time, and take their columns of it. So a
//! SELECT that asks for the epoch's time has no part in this. One that stands elsewhere reads for itself, up to where another stands: so they come together.
//!
//! What must stay true: a plan that was made with others is one that the query could have made alone, so a restart repeats it alone;
//! what a product lacks, for whatever reason, each computes by itself, and meets its own errors; no query waits for another but for the
//! product of a span that both have planned; and what nobody can come to any more is let go.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use forebay_core::limits::share_out;
use forebay_core::source::Wanted;
use forebay_core::{PositionRange, Positions, Result, TopicIds};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::epoch::lane::Tally;
use crate::plan::StreamPlan;
use crate::quarantine::Entry;

/// Most records of a span: what a product holds is in memory as a whole.
const RECORDS: u64 = 1 << 18;
/// Fewest that a span is cut to where products were too large.
const FEWEST: u64 = 1 << 12;
/// Most products that are held for those who come later.
const SPANS: usize = 4;
/// How many spans are not shared after one of which the product failed: what fails for all is computed twice.
const RESTS: u32 = 32;

/// The queries that may have spans in common, and the SELECT that gives the columns of all of them.
#[derive(Debug)]
pub struct Sharing {
    plan: Arc<StreamPlan>,
    board: Mutex<Board>,
}

/// The part of one query: which of the columns are its own.
#[derive(Clone, Debug)]
pub struct Share {
    sharing: Arc<Sharing>,
    columns: Arc<[usize]>,
    schema: SchemaRef,
}

#[derive(Debug, Default)]
struct Board {
    /// The number of the next seat.
    next: u64,
    /// `None` as long as a query has not said where it is.
    seats: BTreeMap<u64, Option<Stand>>,
    /// The oldest first.
    spans: Vec<Arc<Span>>,
    rests: u32,
    /// Most records of a span, halved so often.
    halved: u32,
}

/// Where a query is.
#[derive(Debug)]
struct Stand {
    /// Where its present epoch begins.
    at: Positions,
    /// Where it ends.
    coming: Positions,
}

/// What several queries read together.
#[derive(Debug)]
pub(crate) struct Span {
    pub ranges: Vec<PositionRange>,
    topics: TopicIds,
    /// `None` within if it cannot be had.
    product: OnceCell<Option<Arc<Product>>>,
}

/// What came of a span, lane by lane.
#[derive(Debug)]
pub(crate) struct Product {
    /// The time of the epoch in which it was computed, by which its ages are told.
    pub planned_at_ms: i64,
    pub lanes: Vec<LaneProduct>,
}

/// What a lane gave, with the columns of all queries.
#[derive(Debug)]
pub(crate) struct LaneProduct {
    pub batches: Vec<RecordBatch>,
    pub tally: Tally,
    /// What could not be decoded, as of the epoch of whoever computed it.
    pub bad: Vec<Entry>,
}

/// Why there is no product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lacks {
    /// It would take too much memory.
    Room,
    /// It failed; each finds out by itself why.
    Cause,
}

impl Sharing {
    /// Queries whose columns are among those of this one.
    pub fn new(plan: Arc<StreamPlan>) -> Arc<Self> {
        Arc::new(Self { plan, board: Mutex::default() })
    }
}

impl Share {
    /// The part of a query whose columns are these of the common SELECT's, in its order. `None` if it is not a query that can share:
    /// one over a single source that gives just those columns, without state, joins and the epoch's time.
    pub fn of(sharing: &Arc<Sharing>, query: &StreamPlan, columns: &[usize]) -> Option<Self> {
        let schema = query.output_schema();
        let common = sharing.plan.output_schema();
        let is_plain = |plan: &StreamPlan| plan.inputs().len() == 1 && plan.is_of_rows();
        let is_same = |(column, field): (&usize, &arrow::datatypes::FieldRef)| {
            let there = common.fields().get(*column);
            there.is_some_and(|it| {
                it.data_type() == field.data_type() && (field.is_nullable() || !it.is_nullable())
            })
        };
        let is_own = is_plain(query)
            && is_plain(&sharing.plan)
            && query.inputs() == sharing.plan.inputs()
            && columns.len() == schema.fields().len()
            && columns.iter().zip(schema.fields()).all(is_same);
        is_own.then(|| Self { sharing: Arc::clone(sharing), columns: columns.into(), schema })
    }

    /// What its source has to read of an envelope: what any of the queries wants.
    pub fn wanted(&self) -> Wanted {
        self.sharing.plan.each_input().next().map(|input| input.wanted()).unwrap_or_default()
    }

    /// Takes part.
    pub(crate) fn seat(self) -> Seat {
        let mut board = self.sharing.board.lock();
        let number = board.next;
        board.next += 1;
        board.seats.insert(number, None);
        drop(board);
        Seat { share: self, number, span: None }
    }
}

/// A query that takes part; it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    share: Share,
    number: u64,
    span: Option<Arc<Span>>,
}

impl Seat {
    /// The SELECT with the columns of all.
    pub fn plan(&self) -> &StreamPlan {
        &self.share.sharing.plan
    }

    /// Says where it stands while it has nothing to read, or reads alone.
    pub fn stands(&mut self, at: &Positions) {
        self.span = None;
        let mut board = self.share.sharing.board.lock();
        board.note(self.number, at.clone(), at.clone());
        board.forget();
    }

    /// What the next epoch reads: `chosen`, or a part of it, or what others read who stood there before. A query that ends by itself
    /// goes no farther than `target`.
    pub fn join(
        &mut self,
        at: &Positions,
        chosen: Vec<PositionRange>,
        (topics, target): (&TopicIds, Option<&Positions>),
    ) -> Vec<PositionRange> {
        let mut board = self.share.sharing.board.lock();
        board.note(self.number, at.clone(), at.clone());
        board.forget();
        let fits = |span: &&Arc<Span>| {
            starts(&span.ranges) == *at
                && span.topics == *topics
                && target.is_none_or(|target| is_up_to(&ends(&span.ranges), target))
        };
        self.span = board.spans.iter().find(fits).cloned();
        if self.span.is_none() {
            self.span = board.begin(self.number, at, &chosen, topics);
        }
        let ranges = match &self.span {
            Some(span) => span.ranges.clone(),
            None => board.meeting(self.number, at, chosen),
        };
        board.note(self.number, at.clone(), ends(&ranges));
        ranges
    }

    /// The span of the epoch with these ranges, if it has one.
    pub fn span(&self, ranges: &[PositionRange]) -> Option<Arc<Span>> {
        self.span.as_ref().filter(|span| span.ranges == ranges).cloned()
    }

    /// The product of a span, computed by whoever comes first; `None` if it cannot be had.
    pub async fn product(
        &self,
        span: &Span,
        compute: impl Future<Output = Result<Product, Lacks>>,
    ) -> Option<Arc<Product>> {
        let made = span.product.get_or_init(|| async {
            match compute.await {
                Ok(product) => Some(Arc::new(product)),
                Err(lacks) => {
                    let mut board = self.share.sharing.board.lock();
                    match lacks {
                        Lacks::Room if RECORDS >> board.halved > FEWEST => board.halved += 1,
                        _ => board.rests = RESTS,
                    }
                    None
                }
            }
        });
        made.await.clone()
    }

    /// The columns of this query.
    pub fn columns(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let column = |at: &usize| batch.columns().get(*at).cloned();
        let columns: Option<Vec<_>> = self.share.columns.iter().map(column).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.share.schema), columns.unwrap_or_default());
        batch.map_err(crate::epoch::lane::internal)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut board = self.share.sharing.board.lock();
        board.seats.remove(&self.number);
        board.forget();
    }
}

impl Board {
    fn note(&mut self, seat: u64, at: Positions, coming: Positions) {
        self.seats.insert(seat, Some(Stand { at, coming }));
    }

    /// A new span from here, if somebody else is here, comes here, or may be here for all that is known.
    fn begin(
        &mut self,
        seat: u64,
        at: &Positions,
        chosen: &[PositionRange],
        topics: &TopicIds,
    ) -> Option<Arc<Span>> {
        let mut others = self.seats.iter().filter(|(number, _)| **number != seat);
        if !others.any(|(_, stand)| may_reach(stand.as_ref(), at)) {
            return None;
        }
        if self.rests > 0 {
            self.rests -= 1;
            return None;
        }
        let most = (RECORDS >> self.halved).max(FEWEST);
        let ranges = self.meeting(seat, at, share_out(most, chosen));
        let span = Span { ranges, topics: topics.clone(), product: OnceCell::new() };
        let span = Arc::new(span);
        self.spans.push(Arc::clone(&span));
        if self.spans.len() > SPANS {
            self.spans.remove(0);
        }
        Some(span)
    }

    /// The ranges, cut where another stands or will stand.
    fn meeting(&self, seat: u64, at: &Positions, ranges: Vec<PositionRange>) -> Vec<PositionRange> {
        let end = ends(&ranges);
        let others = self.seats.iter().filter(|(number, _)| **number != seat);
        let places = others.filter_map(|(_, stand)| stand.as_ref()).flat_map(|it| [&it.at, &it.coming]);
        let between = places.filter(|it| *it != at && is_up_to(at, it) && is_up_to(it, &end));
        let Some(place) = between.min_by_key(|it| it.values().map(|at| i128::from(at.0)).sum::<i128>())
        else {
            return ranges;
        };
        let cut = |range: PositionRange| {
            let to = place.get(&range.partition).copied().unwrap_or(range.to);
            PositionRange { to, ..range }
        };
        ranges.into_iter().map(cut).collect()
    }

    /// Lets go of the spans that nobody can come to.
    fn forget(&mut self) {
        let Self { seats, spans, .. } = self;
        // Each goes on from the end of one before it.
        let mut reached: Vec<Positions> = Vec::new();
        spans.retain(|span| {
            let from = starts(&span.ranges);
            let is_reached =
                reached.contains(&from) || seats.values().any(|stand| may_reach(stand.as_ref(), &from));
            if is_reached {
                reached.push(ends(&span.ranges));
            }
            is_reached
        });
    }
}

/// True if a query is here or comes here next, or may be here for all that is known.
fn may_reach(stand: Option<&Stand>, here: &Positions) -> bool {
    stand.is_none_or(|stand| stand.at == *here || stand.coming == *here)
}

fn starts(ranges: &[PositionRange]) -> Positions {
    ranges.iter().map(|range| (range.partition.clone(), range.from)).collect()
}

fn ends(ranges: &[PositionRange]) -> Positions {
    ranges.iter().map(|range| (range.partition.clone(), range.to)).collect()
}

/// True if positions of the same partitions are nowhere beyond others.
fn is_up_to(positions: &Positions, others: &Positions) -> bool {
    positions.len() == others.len()
        && positions.iter().all(|(partition, at)| others.get(partition).is_some_and(|other| at <= other))
}

#[cfg(test)]
mod tests;
