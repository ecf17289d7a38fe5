//! Panes put together to windows, many windows at once.
//!
//! ```text
//! slides of a key     0   1   2   3   4   5   6 …
//! level 0             a   b   c   d   e   f   g        each slide
//! level 1             ab  bc  cd  de  ef  fg           two, from the one before: 0 and 1, 1 and 2, …
//! level 2             abcd bcde cdef defg              four
//! a window of five    abcd+e  bcde+f  cdef+g           by the bits of five
//! ```
//!
//! So windows of 60 slides cost some ten merges each and not 60. Where few windows are asked for, a level has only the
//! places that they reach, and the merges are no more than the slides that they hold. Many keys take each step together,
//! in columns, but only as many as a processor's cache holds with all their levels. What must stay true: what is merged is
//! merged in the order of time.

use arrow::array::ArrayRef;
use forebay_core::Result;

use super::Plan;
use super::panes::Panes;
use crate::operators::groups::{Groups, take_all};

/// Panes whose keys are put together at once, at the least: a level of them takes some hundred kilobytes.
const PART: usize = 8192;

/// A pane: number of the key, slide, whether it is a body, and its row. In this order they are merged.
type Pane = (u32, i64, bool, u32);

/// States at places of a line: the number of a key, and a slide of it, counted from the first window that is asked for.
/// Places are in order.
#[derive(Default)]
struct Line {
    places: Vec<(u32, i64)>,
    states: Vec<ArrayRef>,
}

/// The windows that begin in a range of slides.
pub(super) struct Windows {
    /// Number of the key and start of each, in this order.
    pub places: Vec<(u32, i64)>,
    /// No columns where there are no windows.
    pub states: Vec<ArrayRef>,
}

/// The windows that begin from `first` to `last`, both starts of windows. `rows` are number of the key and start of the
/// pane of each row of `states`.
pub(super) fn windows(
    plan: &Plan,
    panes: Panes,
    rows: impl Iterator<Item = (u32, i64)>,
    states: &[ArrayRef],
    first: i64,
    last: i64,
) -> Result<Windows> {
    let slide_us = panes.sliding.slide_us;
    let count = slides_between(first, last, slide_us).saturating_add(1);
    let most = panes.whole.saturating_add(count);
    let mut sorted: Vec<Pane> = rows
        .zip(0_u32..)
        .map(|((key, pane), row)| {
            (key, slides_between(first, panes.slide(pane), slide_us), !panes.is_head(pane), row)
        })
        .filter(|(_, slide, ..)| (0..most).contains(slide))
        .collect();
    sorted.sort_unstable();
    let (mut places, mut parts) = (Vec::new(), Vec::new());
    let start = |slide: i64| first.saturating_add(slide.saturating_mul(slide_us));
    let mut rest = &sorted[..];
    while let Some((part, others)) = next_part(rest) {
        rest = others;
        let ended = plan.ended_at(panes, part, states, count)?;
        parts.push(Groups { keys: Vec::new(), states: ended.states, len: ended.places.len() });
        places.extend(ended.places.into_iter().map(|(key, slide)| (key, start(slide))));
    }
    Ok(Windows { places, states: Groups::all(parts)?.states })
}

/// The panes of the first keys, with all of each, and the others.
fn next_part(sorted: &[Pane]) -> Option<(&[Pane], &[Pane])> {
    let (last, ..) = sorted.get(PART.min(sorted.len()).checked_sub(1)?)?;
    Some(sorted.split_at(sorted.partition_point(|(key, ..)| key <= last)))
}

/// How many slides there are from one start to another.
fn slides_between(from: i64, to: i64, slide_us: i64) -> i64 {
    let slides = (i128::from(to) - i128::from(from)).div_euclid(i128::from(slide_us));
    slides.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// The heads in which windows end: those from the slide `whole` on.
fn heads(sorted: &[Pane], states: &[ArrayRef], whole: i64) -> Result<Line> {
    let heads = sorted.iter().filter(|(_, slide, is_body, _)| !is_body && *slide >= whole);
    let (places, rows): (Vec<_>, Vec<u32>) = heads.map(|(key, slide, _, row)| ((*key, *slide), *row)).unzip();
    Ok(Line { places, states: take_all(states, &rows.into())? })
}

/// Level 0: head and body of each slide as one.
fn slides(plan: &Plan, sorted: &[Pane], states: &[ArrayRef]) -> Result<Line> {
    let mut places: Vec<(u32, i64)> = Vec::with_capacity(sorted.len());
    let mut groups = Vec::with_capacity(sorted.len());
    for (key, slide, ..) in sorted {
        if places.last() != Some(&(*key, *slide)) {
            places.push((*key, *slide));
        }
        groups.push(places.len() - 1);
    }
    let rows: Vec<u32> = sorted.iter().map(|(.., row)| *row).collect();
    let states = take_all(states, &rows.into())?;
    if places.len() == groups.len() {
        return Ok(Line { places, states });
    }
    let mut accumulators = plan.aggregates.accumulators()?;
    accumulators.merge(&states, &groups, places.len())?;
    let states = accumulators.state(places.len())?;
    Ok(Line { places, states })
}

impl Plan {
    /// The windows of some keys that begin at the first `count` slides.
    fn ended_at(&self, panes: Panes, sorted: &[Pane], states: &[ArrayRef], count: i64) -> Result<Line> {
        let mut ended = match panes.has_heads() {
            true => heads(sorted, states, panes.whole)?,
            false => Line::default(),
        };
        let mut level = slides(self, sorted, states)?;
        let mut step = 1;
        while step <= panes.whole {
            if panes.whole & step != 0 {
                // What is longer than this step stands before it, what is shorter was put together already.
                let offset = panes.whole & !(2 * step - 1);
                let until = offset.saturating_add(count);
                ended = self.join(&level, &ended, step, |slide| (offset..until).contains(&slide))?;
            }
            if panes.whole >= 2 * step {
                level = self.join(&level, &level, step, |slide| slide & (2 * step - 1) < count)?;
            }
            step *= 2;
        }
        Ok(ended)
    }

    /// What stands at a slide of `left`, and behind it what stands `shift` slides later in `right`: at those slides that
    /// are to be kept.
    fn join(&self, left: &Line, right: &Line, shift: i64, keep: impl Fn(i64) -> bool) -> Result<Line> {
        let mut places = Vec::with_capacity(left.places.len());
        let (mut first, mut second) = (Side::default(), Side::default());
        let mut lefts =
            (0_u32..).zip(left.places.iter().copied()).filter(|(_, (_, slide))| keep(*slide)).peekable();
        let mut rights = (0_u32..)
            .zip(right.places.iter().map(|(key, slide)| (*key, slide - shift)))
            .filter(|(_, (_, slide))| *slide >= 0 && keep(*slide))
            .peekable();
        loop {
            let place = match (lefts.peek(), rights.peek()) {
                (None, None) => break,
                (Some((_, place)), None) | (None, Some((_, place))) => *place,
                (Some((_, left)), Some((_, right))) => *left.min(right),
            };
            if let Some((row, _)) = lefts.next_if(|(_, left)| *left == place) {
                first.push(row, places.len());
            }
            if let Some((row, _)) = rights.next_if(|(_, right)| *right == place) {
                second.push(row, places.len());
            }
            places.push(place);
        }
        if second.rows.is_empty() {
            return Ok(Line { places, states: first.states(left)? });
        }
        let part = |side: &Side, line| -> Result<Groups> {
            Ok(Groups { keys: Vec::new(), states: side.states(line)?, len: side.rows.len() })
        };
        let both = part(&first, left)?.then(part(&second, right)?)?;
        let mut accumulators = self.aggregates.accumulators()?;
        accumulators.merge(&both.states, &[first.groups, second.groups].concat(), places.len())?;
        let states = accumulators.state(places.len())?;
        Ok(Line { places, states })
    }
}

/// Which rows of a line take part in a join, and in which place of its result each goes.
#[derive(Default)]
struct Side {
    rows: Vec<u32>,
    groups: Vec<usize>,
}

impl Side {
    fn push(&mut self, row: u32, group: usize) {
        self.rows.push(row);
        self.groups.push(group);
    }

    /// The states of the rows; the line's own if all take part.
    fn states(&self, line: &Line) -> Result<Vec<ArrayRef>> {
        if self.rows.len() == line.places.len() {
            return Ok(line.states.clone());
        }
        take_all(&line.states, &self.rows.clone().into())
    }
}
