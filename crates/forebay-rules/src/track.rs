//! The rows of one key in one partition, reduced to those at which something changes.
//!
//! An epoch may hold millions of rows of a key, and all that counts of them is when something changed. A track takes the rows
//! in the order of the partition through the machines of its key, as they stood before the epoch, and keeps the steps.
//! **As long as a key's records come in one partition its track is exact**: its steps and how the key stands at the end are
//! those of the rows one by one, so they are the same however the rows are divided into epochs.
//!
//! Where an epoch has a key in several partitions, no track saw it all. For that each one keeps points too: one
//! for each change of what the rows say, for each row at which its machines step, and for the end of each stretch in
//! between, which counts for all of its rows. The points of all partitions, in the order of time, then go through
//! the machines. So memory follows the changes and not the rows.

use std::sync::Arc;

use serde_json::Value;

use crate::life::{Cause, MOST_ROWS, push_bounded};
use crate::logic::Watched;
use crate::machine::{Outcome, Row, Standing, Transition};
use crate::silent::Silence;

/// Where rows come from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub source: Arc<str>,
    pub topic: String,
    pub partition: i32,
}

/// What a row shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Evidence {
    pub values: Arc<[Value]>,
    pub offset: Option<i64>,
}

/// How everything stands that a rule watches of a key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct KeyState {
    pub standing: Standing,
    /// Rows that an alert may open for.
    pub causes: Vec<Cause>,
    /// In the order of [`Logic::aspects`](crate::logic::Logic::aspects).
    pub silences: Vec<Silence>,
    /// Whose record was the last, where silence is watched.
    pub source: Option<Arc<str>>,
}

/// A step that is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub at: i64,
    pub what: What,
    pub evidence: Evidence,
    pub source: Arc<str>,
    /// The rows that caused it, where it opened an alert.
    pub causes: Vec<Cause>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// To the alert of the condition.
    Condition(Transition),
    /// A silence opened: which one.
    Silent(usize),
    /// It ended.
    Spoke(usize),
}

/// A row that counts when tracks are put together.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub row: Row,
    /// What it shows; at the end of a stretch what its first row does.
    pub evidence: Evidence,
    /// How many rows it stands for.
    pub rows: u32,
    /// It ends a stretch of rows, without a gap.
    pub is_end: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Track {
    pub origin: Arc<Origin>,
    pub state: KeyState,
    pub steps: Vec<Step>,
    points: Vec<Point>,
    /// Of the stretch that the last point began: the time of its latest row, and how many rows came after the first.
    end: Option<(i64, u32)>,
}

/// More rows than this in one point count no more than this many: no rule counts more.
const MOST_WEIGHT: u32 = crate::logic::Matches::MOST_WITHIN;

impl KeyState {
    /// Takes a row; true if a machine stepped. `rows` and `is_end` are those of the point that it is.
    pub fn take(
        &mut self,
        watched: &Watched,
        (row, rows, is_end): (&Row, u32, bool),
        origin: &Origin,
        evidence: &mut dyn FnMut() -> Evidence,
        steps: &mut Vec<Step>,
    ) -> bool {
        let mut stepped = self.hear(watched, row, is_end, origin, evidence, steps);
        for _ in 0..rows.clamp(1, MOST_WEIGHT) {
            let Outcome { transition, is_cause } = self.standing.step(&watched.logic, row);
            stepped |= transition.is_some();
            if is_cause {
                self.remember(watched, row.at, origin, evidence());
            }
            let mut causes = Vec::new();
            match transition {
                None => self.forget_causes(),
                Some(Transition::Began) => continue,
                Some(Transition::Withdrawn) => {
                    self.forget_causes();
                    continue;
                }
                Some(Transition::Opened(_)) => causes = std::mem::take(&mut self.causes),
                Some(_) => self.causes = Vec::new(),
            }
            if let Some(transition) = transition {
                let (what, source) = (What::Condition(transition), Arc::clone(&origin.source));
                steps.push(Step { at: row.at, what, evidence: evidence(), source, causes });
            } else if watched.logic.matches.is_none() {
                // The same row again does nothing more.
                break;
            }
        }
        stepped
    }

    fn hear(
        &mut self,
        watched: &Watched,
        row: &Row,
        is_end: bool,
        origin: &Origin,
        evidence: &mut dyn FnMut() -> Evidence,
        steps: &mut Vec<Step>,
    ) -> bool {
        let Some(no_data) = &watched.logic.no_data else { return false };
        self.source = Some(Arc::clone(&origin.source));
        let before = steps.len();
        let of_key = usize::from(no_data.of_key);
        self.silences.resize(of_key + watched.logic.fields().len(), Silence::default());
        for (index, silence) in self.silences.iter_mut().enumerate() {
            let has = index < of_key || row.fields >> (index - of_key) & 1 != 0;
            let Some(ended) = silence.take(no_data.after_ms, row.at, has, is_end) else { continue };
            let mut step = |at, what, evidence| {
                let source = Arc::clone(&origin.source);
                steps.push(Step { at, what, evidence, source, causes: Vec::new() });
            };
            if let Some(opened) = ended.opened {
                step(opened, What::Silent(index), Evidence { values: Arc::from([]), offset: None });
            }
            step(ended.cleared, What::Spoke(index), evidence());
        }
        steps.len() > before
    }

    fn remember(&mut self, watched: &Watched, at: i64, origin: &Origin, evidence: Evidence) {
        let cause = Cause {
            at,
            value: watched.rule.shown(&evidence.values),
            source: origin.source.to_string(),
            topic: origin.topic.clone(),
            partition: origin.partition,
            offset: evidence.offset,
        };
        push_bounded(&mut self.causes, cause, MOST_ROWS);
    }

    /// Lets go of the rows that no alert can open for any more.
    fn forget_causes(&mut self) {
        if !self.causes.is_empty() && !self.standing.is_waiting() {
            self.causes = Vec::new();
        }
        let counted = self.standing.counted();
        if counted > 0 && self.causes.len() > counted {
            self.causes.drain(..self.causes.len() - counted);
        }
    }
}

impl Track {
    /// A track of a key that stands so before the epoch.
    pub fn new(origin: Arc<Origin>, state: KeyState) -> Self {
        Self { origin, state, steps: Vec::new(), points: Vec::new(), end: None }
    }

    /// A track whose rows changed nothing so far: the first of them, and the latest time and the number of the others.
    pub fn of_rest(
        origin: Arc<Origin>,
        state: KeyState,
        (row, evidence): (Row, Evidence),
        end: Option<(i64, u32)>,
    ) -> Self {
        let points = vec![Point { row, evidence, rows: 1, is_end: false }];
        Self { origin, state, steps: Vec::new(), points, end }
    }

    /// Takes the next row of the partition; `evidence` is asked only if the row counts.
    pub fn take(&mut self, watched: &Watched, row: Row, evidence: impl Fn() -> Evidence) {
        let mut known = None;
        let mut evidence = || known.get_or_insert_with(&evidence).clone();
        let Self { origin, state, steps, .. } = self;
        let stepped = state.take(watched, (&row, 1, false), origin, &mut evidence, steps);
        let goes_on = self.points.last().is_some_and(|last| {
            let last = last.row;
            !stepped && row.at >= last.at && (row.says, row.fields) == (last.says, last.fields)
        });
        if goes_on {
            let (end, rows) = self.end.unwrap_or((row.at, 0));
            self.end = Some((end.max(row.at), rows.saturating_add(1)));
        } else {
            self.end_stretch();
            self.points.push(Point { row, evidence: evidence(), rows: 1, is_end: false });
        }
    }

    /// The points, in the order of the partition.
    pub fn into_points(mut self) -> Vec<Point> {
        self.end_stretch();
        self.points
    }

    fn end_stretch(&mut self) {
        if let (Some((at, rows)), Some(last)) = (self.end.take(), self.points.last()) {
            let row = Row { at, ..last.row };
            self.points.push(Point { row, evidence: last.evidence.clone(), rows, is_end: true });
        }
    }
}

/// How a key stands after all points of its tracks, in the order of time, and the steps. Within a track their order is kept:
/// a point that comes late there is not before those that it came after.
pub(crate) fn together(
    watched: &Watched,
    mut state: KeyState,
    tracks: Vec<(usize, Track)>,
) -> (KeyState, Vec<Step>) {
    let mut all = Vec::new();
    for (rank, track) in tracks {
        let (origin, mut latest) = (Arc::clone(&track.origin), i64::MIN);
        for (place, point) in track.into_points().into_iter().enumerate() {
            latest = latest.max(point.row.at);
            all.push(((latest, rank, place), Arc::clone(&origin), point));
        }
    }
    all.sort_by_key(|(place, ..)| *place);
    let mut steps = Vec::new();
    for (_, origin, Point { row, evidence, rows, is_end }) in &all {
        state.take(watched, (row, *rows, *is_end), origin, &mut || evidence.clone(), &mut steps);
    }
    (state, steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Said;
    use crate::tests::rule;

    fn row(at: i64, when: bool) -> Row {
        let said = Said { when: Some(when), clear: None };
        Row { at, says: [said, Said::default(), Said::default()], fields: 0 }
    }

    fn track(hold_ms: i64, rows: impl IntoIterator<Item = Row>) -> Track {
        let origin = Origin { source: "iot".into(), topic: "t".into(), partition: 0 };
        let mut track = Track::new(Arc::new(origin), KeyState::default());
        let evidence = || Evidence { values: Arc::from([]), offset: None };
        rows.into_iter().for_each(|row| track.take(&rule(hold_ms).into(), row, evidence));
        track
    }

    fn points(hold_ms: i64, rows: impl IntoIterator<Item = Row>) -> Vec<(i64, bool, u32)> {
        let points = track(hold_ms, rows).into_points();
        points.iter().map(|point| (point.row.at, point.row.says[0].when == Some(true), point.rows)).collect()
    }

    #[test]
    fn a_hundred_thousand_rows_without_a_change_are_two_points() {
        let rows = (0..100_000).map(|at| row(at, false));
        assert_eq!(points(0, rows), [(0, false, 1), (99_999, false, 99_999)]);
    }

    #[test]
    fn the_row_that_fills_the_time_to_hold_is_kept() {
        let rows = (0..100).map(|at| row(at * 10, true));
        let expected = [(0, true, 1), (200, true, 20), (210, true, 1), (990, true, 78)];
        assert_eq!(points(205, rows), expected);
    }

    #[test]
    fn tracks_of_several_partitions_give_the_steps_of_their_rows_in_the_order_of_time() {
        let rows = |offset: i64| (0..40).map(move |n| row(n * 10 + offset, (n / 10) % 2 == 1));
        let mut all: Vec<Row> = rows(0).chain(rows(5)).collect();
        all.sort_by_key(|row| row.at);
        let watched: Watched = rule(20).into();
        let steps = |steps: Vec<Step>| steps.into_iter().map(|step| (step.at, step.what)).collect::<Vec<_>>();
        let (_, merged) =
            together(&watched, KeyState::default(), vec![(0, track(20, rows(0))), (1, track(20, rows(5)))]);
        assert_eq!(steps(merged), steps(track(20, all).steps));
    }
}
