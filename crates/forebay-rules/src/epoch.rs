//! What an epoch changes: the lanes' points in the order of time, through the machine of each key. Pure.
//!
//! The order is that of the records' timestamps; rows of the same millisecond come by topic, partition, source and place in
//! it. So it does not matter which lane had which partition, nor which of them came first.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alert::Alert;
use crate::lane::LanePart;
use crate::machine::{State, Transition};
use crate::rule::{Bounds, Rule};
use crate::state::{Changes, RuleState};
use crate::track::Point;

/// A point, the source that it is of, and its place among those of the same time: rank of its partition, place in it.
type Placed = (Point, Arc<str>, (usize, usize));

/// The changes that the lanes' rows make to `state`; `seen_at` is the time of now, kept with each alert. Also how many
/// points opened nothing because too many keys are active.
pub(crate) fn decide(
    rule: &Rule,
    bounds: &Bounds,
    state: &RuleState,
    lanes: Vec<LanePart>,
    seen_at: i64,
) -> (Changes, u64) {
    let mut room = bounds.active.saturating_sub(state.active());
    let mut changes = Changes::default();
    let mut refused = 0;
    for (key, points) in by_key(lanes) {
        let before = state.of(&key);
        let (mut now, mut moved) = (before, false);
        let mut open = state.open(&key).cloned();
        let mut newest = state.newest_cleared(&key).cloned();
        for (Point { row, values }, source, _) in points {
            let mut next = now;
            let Some(transition) = next.step(rule.hold_ms, row) else { continue };
            if matches!(now, State::Idle { .. }) {
                if room == 0 {
                    refused += 1;
                    continue;
                }
                room -= 1;
            }
            (now, moved) = (next, true);
            match transition {
                Transition::Opened => {
                    let alert =
                        Alert::open((rule, &source), &key, row.at, &values, seen_at, newest.as_deref());
                    changes.transitions.push(alert.clone());
                    open = Some(Arc::new(alert));
                }
                Transition::Cleared => {
                    room += 1;
                    if let Some(alert) = open.take() {
                        let cleared = alert.clear(rule, row.at, &values, seen_at);
                        changes.transitions.push(cleared.clone());
                        newest = Some(Arc::new(cleared));
                    }
                }
                Transition::Withdrawn => room += 1,
                Transition::Began => {}
            }
        }
        match now {
            State::Pending { since } if moved => drop(changes.pending.insert(key.into_string(), since)),
            State::Idle { .. } if matches!(before, State::Pending { .. }) => {
                changes.idle.push(key.into_string())
            }
            _ => {}
        }
    }
    changes.transitions.sort_by_key(Alert::changed_at);
    (changes, refused)
}

/// The points of each key, in the order of time.
fn by_key(lanes: Vec<LanePart>) -> BTreeMap<Box<str>, Vec<Placed>> {
    let mut partitions: Vec<_> = lanes.into_iter().flat_map(|lane| lane.partitions).collect();
    // Records that are replayed from the quarantine are a second part of their partition: the smaller one, put last.
    partitions.sort_by(|a, b| {
        let of = (&a.topic, a.index, &a.source, Reverse(a.keys.len()));
        of.cmp(&(&b.topic, b.index, &b.source, Reverse(b.keys.len())))
    });
    let mut placed: BTreeMap<Box<str>, Vec<Placed>> = BTreeMap::new();
    for (rank, partition) in partitions.into_iter().enumerate() {
        for (key, track) in partition.keys {
            let points = track.into_points().into_iter().enumerate();
            let points = points.map(|(at, point)| (point, Arc::clone(&partition.source), (rank, at)));
            placed.entry(key).or_default().extend(points);
        }
    }
    for points in placed.values_mut() {
        points.sort_by_key(|(point, _, place)| (point.row.at, *place));
    }
    placed
}
