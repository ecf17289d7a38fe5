//! One operator behind another, in append mode: rows of the first are a partial of the second.

use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::*;

/// Windows by device, then windows over those, at the first's `window_time`.
struct Chain {
    first: World,
    second: World,
}

impl Chain {
    /// Windows of so many milliseconds.
    fn new(inner: i64, outer: i64) -> Self {
        let first = World::new(windowed(inner, inner), Append, 0);
        Self { first, second: World::new(of_all(outer), Append, 0) }
    }

    /// An epoch of these rows; without, the one that follows when the watermark has moved.
    fn step(&mut self, rows: Option<&[Row<'_>]>) -> Vec<String> {
        let rows = match rows {
            Some(rows) => self.first.lanes(vec![vec![batch(rows)]]),
            None => self.first.settled(),
        };
        // Between the two stands a projection: `window_time(window)`, device, sum.
        let ends = rows.iter().flat_map(|rows| {
            let ends = rows.column(0).as_struct().column(1).as_primitive::<TimestampMicrosecondType>();
            let sums = rows.column(3).as_primitive::<Int64Type>();
            ends.values().iter().zip(sums.values()).map(|(end, sum)| (end - 1, *sum)).collect::<Vec<_>>()
        });
        let (times, sums): (Vec<i64>, Vec<i64>) = ends.unzip();
        let inner = raw(&times, &vec!["x"; times.len()], &sums);
        self.second.watermark = self.first.times.evict.0;
        self.second.times.evict = self.first.times.late;
        lines(&self.second.lanes(vec![vec![inner]]))
    }
}

/// Windows of so many milliseconds over all devices.
fn of_all(size: i64) -> Arc<dyn Operator> {
    Grouping { keys: vec![], window: Some((size, size)), ..Grouping::default() }.operator()
}

#[test]
fn a_window_of_windows_ends_in_the_epoch_in_which_it_is_complete() {
    let mut chain = Chain::new(10, 20);
    let epochs: [&[Row<'_>]; 3] =
        [&[(1, "a", 1), (5, "b", 2), (12, "a", 3), (19, "b", 4)], &[(25, "a", 5)], &[(45, "a", 6)]];
    let given: Vec<Vec<String>> =
        epochs.into_iter().flat_map(|rows| [chain.step(Some(rows)), chain.step(None)]).collect();
    assert_eq!(
        given,
        [vec![], vec![], vec![], vec!["0-20 4 10 4".to_owned()], vec![], vec!["20-40 1 5 5".to_owned()]]
    );
    assert_eq!(chain.second.counts.late, 0, "what the first puts out is never late at the second");
}

/// Each window with its sum; its count and its maximum are of other rows behind a window.
fn sums(lines: Vec<String>) -> Vec<String> {
    let sum = |line: String| {
        let cells: Vec<&str> = line.split(' ').collect();
        format!("{} {}", cells[0], cells[2])
    };
    lines.into_iter().map(sum).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Rows come by their times, so that none is late, and windows end all along.
    #[test]
    fn windows_of_windows_are_the_windows_of_all_rows_however_they_are_split(
        mut all in prop::collection::vec((0_i64..200, prop_oneof![Just("a"), Just("b"), Just("c")], -9_i64..9), 0..60),
        inner in 1_i64..20, times in 1_i64..5, cuts in prop::collection::vec(0_usize..60, 0..9),
    ) {
        all.sort_by_key(|row| row.0);
        let last: &[Row<'_>] = &[(1_000_000, "z", 0)];
        let mut whole = World::new(of_all(inner * times), Append, 0);
        prop_assert!(whole.epoch(&all).is_empty());
        let expected = sums([whole.epoch(last), whole.settle()].concat());

        let mut bounds: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).chain([0, all.len()]).collect();
        bounds.sort_unstable();
        let mut chain = Chain::new(inner, inner * times);
        let mut given = Vec::new();
        for rows in bounds.windows(2).map(|bound| &all[bound[0]..bound[1]]).chain([last]) {
            given.extend(chain.step(Some(rows)));
            given.extend(chain.step(None));
        }
        prop_assert_eq!((chain.first.counts.late, chain.second.counts.late), (0, 0));
        prop_assert_eq!(sums(given), expected, "in the order of their times, each once");
    }
}
