//! Which sliding windows come out of an epoch, and of which panes they are made.
//!
//! Append mode gives those that end in `(late, evict]`, update mode those of which a pane was touched and that had not
//! ended by `late`, complete mode all of which there is a pane.

use arrow::array::RecordBatch;
use datafusion::common::HashSet;
use forebay_core::Result;
use forebay_core::output_mode::OutputMode;

use super::line::{Windows, windows};
use super::panes::Panes;
use super::{Plan, Touched, start_column, untouched};
use crate::operators::groups::{Groups, take_all};
use crate::operators::keys::Interner;
use crate::operators::{EpochTimes, times_of};
use crate::state::{NEVER, Slot, Table};

/// The windows that begin from the first to the last of two starts.
type Span = (i64, i64);

impl Panes {
    /// How long after its first window a pane's last one ends, at most.
    pub fn ahead(&self) -> i64 {
        self.sliding.slide_us.saturating_mul(self.whole)
    }

    /// When the next window ends after `evict`, if the last one that holds the oldest pane ends at `oldest`.
    pub fn next_end(&self, oldest: i64, evict: i64) -> i64 {
        let first = oldest.saturating_sub(self.ahead());
        if evict < first { first } else { self.sliding.end(self.first_after(evict)).min(oldest) }
    }

    /// The start of the first window that ends after this.
    fn first_after(&self, end: i64) -> i64 {
        self.sliding.last_start(self.sliding.start_of(end)).saturating_add(self.sliding.slide_us)
    }

    /// The first and the last start of a window that holds one of these panes.
    fn span(&self, panes: &[i64]) -> Option<Span> {
        let windows = panes.iter().map(|pane| self.windows(*pane));
        windows.reduce(|(first, last), (from, to)| (first.min(from), last.max(to)))
    }
}

/// Panes, with the number of the key of each.
struct Numbered {
    interner: Interner,
    keys: Vec<u32>,
    panes: Vec<i64>,
    groups: Groups,
}

impl Numbered {
    /// None yet.
    fn new(plan: &Plan) -> Result<Self> {
        let interner = Interner::new(&plan.spec.key_fields)?;
        Ok(Self { interner, keys: Vec::new(), panes: Vec::new(), groups: Groups::default() })
    }

    /// And these.
    fn and(mut self, groups: Groups) -> Result<Self> {
        if groups.len > 0 {
            let Some((start, keys)) = groups.keys.split_last() else { return Ok(self) };
            let (numbers, _) = self.interner.intern(keys, groups.len)?;
            self.keys.extend(numbers.iter().map(|number| *number as u32));
            self.panes.extend(times_of(start)?.values());
            self.groups = self.groups.then(groups)?;
        }
        Ok(self)
    }
}

impl Plan {
    pub(super) fn windows_out(
        &self,
        panes: Panes,
        table: &Table,
        touched: &Touched,
        times: &EpochTimes,
    ) -> Result<Vec<RecordBatch>> {
        let all = Numbered::new(self)?;
        match times.mode {
            // The time by which it ends is a key, so all panes of a key end at once.
            OutputMode::Append if !self.ends_by_window() => {
                let all = all.and(self.ended(table, touched, times.evict_us())?)?;
                let span = panes.span(&all.panes);
                self.give(panes, all, span, |_| true)
            }
            OutputMode::Append => {
                let evict = times.evict_us();
                let first = panes.first_after(times.late.micros());
                let last = panes.sliding.last_start(panes.sliding.start_of(evict));
                if last < first {
                    return Ok(Vec::new());
                }
                let reached = table.due(evict.saturating_add(panes.ahead()).min(NEVER - 1));
                let all = all.and(untouched(table, reached, touched)?)?.and(touched.groups.clone())?;
                // No window begins before those of the first pane: the watermark may have come from far.
                let span = panes.span(&all.panes).map(|(from, to)| (from.max(first), to.min(last)));
                self.give(panes, all, span, |_| true)
            }
            OutputMode::Complete => {
                let all = all.and(untouched(table, table.all(), touched)?)?.and(touched.groups.clone())?;
                let span = panes.span(&all.panes);
                self.give(panes, all, span, |_| true)
            }
            OutputMode::Update => {
                let new = all.and(touched.groups.clone())?;
                let open =
                    if self.ends_by_window() { panes.first_after(times.late.micros()) } else { i64::MIN };
                let mut wanted: HashSet<(u32, i64)> = HashSet::default();
                let mut spans: Vec<Option<Span>> = vec![None; new.interner.len()];
                for (key, pane) in new.keys.iter().zip(&new.panes) {
                    let (first, last) = panes.windows(*pane);
                    let first = first.max(open);
                    if first > last {
                        continue;
                    }
                    wanted.extend(between(first, last, panes.sliding.slide_us).map(|start| (*key, start)));
                    if let Some(span) = spans.get_mut(*key as usize) {
                        let (from, to) = span.unwrap_or((first, last));
                        *span = Some((from.min(first), to.max(last)));
                    }
                }
                let others = self.find_panes(panes, table, &new, &spans)?;
                let all = new.and(untouched(table, others, touched)?)?;
                let span = spans.iter().flatten().copied().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
                self.give(panes, all, span, |place| wanted.contains(place))
            }
        }
    }

    /// The rows of a table that may hold a pane of the windows in each key's span. Others may be among them.
    fn find_panes(
        &self,
        panes: Panes,
        table: &Table,
        new: &Numbered,
        spans: &[Option<Span>],
    ) -> Result<Vec<Slot>> {
        let slide = panes.sliding.slide_us;
        let slides = |span: &Span| between(span.0, span.1.saturating_add(panes.ahead()), slide);
        let many = spans.iter().flatten().map(|span| slides(span).size_hint().0.saturating_mul(2));
        if many.fold(0, usize::saturating_add) >= table.len() {
            return Ok(table.all());
        }
        // Some row of each key, to take the key from.
        let mut row_of = vec![0_u32; spans.len()];
        for (row, key) in (0_u32..).zip(&new.keys) {
            if let Some(place) = row_of.get_mut(*key as usize) {
                *place = row;
            }
        }
        let (mut rows, mut starts) = (Vec::new(), Vec::new());
        for (row, span) in row_of.iter().zip(spans) {
            for start in span.iter().flat_map(slides) {
                rows.push(*row);
                starts.push(start);
                if panes.has_heads() {
                    rows.push(*row);
                    starts.push(panes.body(start));
                }
            }
        }
        let Some((_, keys)) = new.groups.keys.split_last().filter(|_| !rows.is_empty()) else {
            return Ok(Vec::new());
        };
        let mut keys = take_all(keys, &rows.into())?;
        keys.push(start_column(starts));
        let mut slots: Vec<Slot> = table.find(&table.encode(&keys)?).into_iter().flatten().collect();
        // At the end of what 64 bits hold, slides begin at one place.
        slots.sort_unstable();
        slots.dedup();
        Ok(slots)
    }

    /// The windows in this span that are made of these panes, as rows.
    fn give(
        &self,
        panes: Panes,
        mut all: Numbered,
        span: Option<Span>,
        wanted: impl Fn(&(u32, i64)) -> bool,
    ) -> Result<Vec<RecordBatch>> {
        let Some((first, last)) = span.filter(|(first, last)| first <= last) else { return Ok(Vec::new()) };
        let rows = all.keys.iter().copied().zip(all.panes.iter().copied());
        let Windows { places, mut states } = windows(self, panes, rows, &all.groups.states, first, last)?;
        let mut kept: Vec<u32> = Vec::with_capacity(places.len());
        kept.extend((0_u32..).zip(&places).filter(|(_, place)| wanted(place)).map(|(row, _)| row));
        let mut keys: Vec<u32> = Vec::with_capacity(kept.len());
        let mut starts: Vec<i64> = Vec::with_capacity(kept.len());
        for (key, start) in kept.iter().filter_map(|row| places.get(*row as usize)) {
            keys.push(*key);
            starts.push(*start);
        }
        if kept.len() != places.len() {
            states = take_all(&states, &kept.into())?;
        }
        let rows = starts.len();
        self.out(&take_all(&all.interner.emit()?, &keys.into())?, Some(starts), &states, rows)
    }
}

/// The starts of slides from one to another.
fn between(first: i64, last: i64, slide_us: i64) -> impl Iterator<Item = i64> + use<> {
    let slides = (i128::from(last) - i128::from(first)).div_euclid(i128::from(slide_us)) + 1;
    let slides = usize::try_from(slides.max(0)).unwrap_or(usize::MAX);
    (0..slides).map(move |slide| {
        first.saturating_add(slide_us.saturating_mul(i64::try_from(slide).unwrap_or(i64::MAX)))
    })
}
