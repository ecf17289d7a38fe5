//! The rows of one key in one partition, reduced to those at which something changes.
//!
//! An epoch may hold millions of rows of a key, and all that counts of them is when a condition changed. A track keeps
//! a [`Point`] for each change of the conditions, for each row at which a machine that saw this partition alone would
//! step, and for the end of each stretch in between. So its size follows the changes and not the rows, and as long as
//! a key's records come in one partition the points give exactly the transitions of the rows. Where they are spread
//! over several, a stretch counts with its two ends.

use std::sync::Arc;

use serde_json::Value;

use crate::machine::{Row, State};

/// A row that counts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub row: Row,
    /// What it shows; at the end of a stretch what its first row does.
    pub values: Arc<[Value]>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Track {
    machine: State,
    points: Vec<Point>,
    /// The time of the latest row of the stretch that the last point began.
    end: Option<i64>,
}

impl Track {
    /// A track of a key that stands so before the epoch.
    pub fn new(machine: State) -> Self {
        Self { machine, points: Vec::new(), end: None }
    }

    /// Takes the next row of the partition; `values` is asked only if the row counts.
    pub fn take(&mut self, hold_ms: i64, row: Row, values: impl FnOnce() -> Arc<[Value]>) {
        let stepped = self.machine.step(hold_ms, row).is_some();
        let goes_on = self.points.last().is_some_and(|last| {
            let last = last.row;
            !stepped && row.at >= last.at && (row.when, row.clear) == (last.when, last.clear)
        });
        if goes_on {
            self.end = self.end.max(Some(row.at));
        } else {
            self.end_stretch();
            self.points.push(Point { row, values: values() });
        }
    }

    /// The points, in the order of the partition.
    pub fn into_points(mut self) -> Vec<Point> {
        self.end_stretch();
        self.points
    }

    fn end_stretch(&mut self) {
        if let (Some(at), Some(last)) = (self.end.take(), self.points.last())
            && at > last.row.at
        {
            let row = Row { at, ..last.row };
            self.points.push(Point { row, values: Arc::clone(&last.values) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Transition;

    const IDLE: State = State::Idle { since: None };

    fn row(at: i64, when: bool) -> Row {
        Row { at, when: Some(when), clear: Some(!when) }
    }

    fn points(hold_ms: i64, rows: &[Row]) -> Vec<(i64, bool)> {
        let mut track = Track::new(IDLE);
        rows.iter().for_each(|row| track.take(hold_ms, *row, || Arc::from([])));
        track.into_points().iter().map(|point| (point.row.at, point.row.when == Some(true))).collect()
    }

    #[test]
    fn a_million_rows_without_a_change_are_two_points() {
        let rows: Vec<Row> = (0..1_000_000).map(|at| row(at, false)).collect();
        assert_eq!(points(0, &rows), [(0, false), (999_999, false)]);
    }

    #[test]
    fn the_row_that_fills_the_time_to_hold_is_kept() {
        let rows: Vec<Row> = (0..100).map(|at| row(at * 10, true)).collect();
        assert_eq!(points(205, &rows), [(0, true), (200, true), (210, true), (990, true)]);
    }

    #[test]
    fn the_points_give_the_transitions_of_the_rows() {
        let mut random = 7u64;
        let mut next = move |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        for round in 0..300 {
            let hold_ms = i64::try_from(next(4) * 30).unwrap();
            let mut at = 0;
            let rows: Vec<Row> = (0..400)
                .map(|_| {
                    at += i64::try_from(next(20)).unwrap();
                    let word = |n| [Some(true), Some(false), None][usize::try_from(n).unwrap()];
                    Row { at, when: word(next(3)), clear: word(next(3)) }
                })
                .flat_map(|row| std::iter::repeat_n(row, 3))
                .collect();
            let steps = |rows: &mut dyn Iterator<Item = Row>| -> Vec<(i64, Transition)> {
                let mut state = IDLE;
                rows.filter_map(|row| Some((row.at, state.step(hold_ms, row)?))).collect()
            };
            let mut track = Track::new(IDLE);
            rows.iter().for_each(|row| track.take(hold_ms, *row, || Arc::from([])));
            let points = track.into_points();
            assert_eq!(
                steps(&mut points.iter().map(|point| point.row)),
                steps(&mut rows.iter().copied()),
                "round {round}"
            );
        }
    }
}
