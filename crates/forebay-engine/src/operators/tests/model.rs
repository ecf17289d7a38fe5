//! Aggregation against a model of what Spark does, row by row and window by window.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// Start and end of a window and a device; count, sum and maximum.
type Table = BTreeMap<(i64, i64, String), (i64, i64, i64)>;

/// The plainest aggregation: every row goes into each of its windows.
#[derive(Default)]
struct Model {
    groups: Table,
    late: i64,
    evict: i64,
    counts: Counts,
}

impl Model {
    fn epoch(
        &mut self,
        (size, slide): (i64, i64),
        rows: &[Row<'_>],
        watermark: i64,
        mode: OutputMode,
    ) -> Vec<String> {
        (self.late, self.evict) = (self.evict, watermark);
        let mut touched = BTreeSet::new();
        for (ts, device, n) in rows {
            let last = ts.div_euclid(slide) * slide;
            let starts = (0..).map(|i| last - i * slide).take_while(|start| start + size > *ts);
            let open: Vec<i64> =
                starts.filter(|start| mode == Complete || start + size > self.late).collect();
            match open.is_empty() {
                true => self.counts.late += 1,
                false => self.counts.taken += 1,
            }
            for start in open {
                let key = (start, start + size, (*device).to_owned());
                let group = self.groups.entry(key.clone()).or_insert((0, 0, i64::MIN));
                *group = (group.0 + 1, group.1 + n, group.2.max(*n));
                touched.insert(key);
            }
        }
        let done = |key: &(i64, i64, String)| key.1 <= watermark;
        let given = self.groups.iter().filter(|(key, _)| match mode {
            Append => done(key),
            Update => touched.contains(key),
            Complete => true,
        });
        let lines = given.map(|(key, group)| line(key, group)).collect();
        if mode != Complete {
            self.groups.retain(|key, _| !done(key));
        }
        lines
    }
}

fn line((start, end, device): &(i64, i64, String), (count, sum, max): &(i64, i64, i64)) -> String {
    format!("{start}-{end} {device} {count} {sum} {max}")
}

fn rows() -> impl Strategy<Value = Vec<(i64, &'static str, i64)>> {
    let device = prop_oneof![Just("a"), Just("b"), Just("c")];
    prop::collection::vec((0_i64..120, device, -9_i64..9), 0..60)
}

fn sizes() -> impl Strategy<Value = (i64, i64)> {
    (1_i64..20, 0_i64..60).prop_map(|(slide, more)| (slide + more, slide))
}

fn modes() -> impl Strategy<Value = OutputMode> {
    prop_oneof![Just(Append), Just(Update), Just(Complete)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_epoch_gives_what_the_model_gives(
        epochs in prop::collection::vec(rows(), 1..8), sizes in sizes(), mode in modes(), delay in 0_i64..40,
    ) {
        let mut world = World::new(windowed(sizes.0, sizes.1), mode, delay);
        let mut model = Model::default();
        for epoch in epochs {
            let (left, right) = epoch.split_at(epoch.len() / 3);
            let watermark = world.watermark;
            let rows = lines(&world.lanes(vec![vec![batch(left)], vec![batch(right)]]));
            prop_assert_eq!(rows, model.epoch(sizes, &epoch, watermark, mode));
            if world.watermark > world.times.evict.0 && world.operator.follows_watermark(mode) {
                let watermark = world.watermark;
                prop_assert_eq!(world.settle(), model.epoch(sizes, &[], watermark, mode));
            }
            prop_assert_eq!(world.counts, model.counts);
        }
    }

    /// With a delay that lets nothing be late, what all epochs gave in the end is one table, however they were cut and
    /// whichever lane had which rows.
    #[test]
    fn any_split_and_any_interleaving_give_the_same_table(
        mut all in rows(), sizes in sizes(), mode in modes(),
        cuts in prop::collection::vec(0_usize..60, 0..6), turn in 0_usize..60, lanes in 1_usize..4,
    ) {
        let whole = Model::default().epoch(sizes, &all, 0, Complete);
        let turn = turn % all.len().max(1);
        all.rotate_left(turn);
        let mut bounds: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).chain([0, all.len()]).collect();
        bounds.sort_unstable();
        let mut world = World::new(windowed(sizes.0, sizes.1), mode, 1_000);
        let mut given: BTreeMap<String, String> = BTreeMap::new();
        let mut take = |rows: Vec<String>| for row in rows {
            let key = row.split(' ').take(2).collect::<Vec<_>>().join(" ");
            let before = given.insert(key, row);
            assert!(mode != Append || before.is_none(), "a window came out twice");
        };
        for bound in bounds.windows(2) {
            let rows = &all[bound[0]..bound[1]];
            let lane = |lane: usize| rows.iter().skip(lane).step_by(lanes).copied().collect::<Vec<_>>();
            take(lines(&world.lanes((0..lanes).map(|n| vec![batch(&lane(n))]).collect())));
            take(world.settle());
        }
        if mode == Append {
            take(world.epoch(&[(1_000_000, "z", 0)]));
            take(world.settle());
        }
        let mut given: Vec<String> = given.into_values().collect();
        let mut whole = whole;
        given.sort_unstable();
        whole.sort_unstable();
        prop_assert_eq!(given, whole);
    }
}

#[test]
fn many_windows_at_once_are_what_they_are_one_by_one() {
    // A long window of many panes, all of which end in one epoch: every level of the merge is taken.
    for (size, slide) in [(60, 1), (60, 7), (61, 2), (64, 1), (1, 1), (128, 3)] {
        let rows: Vec<Row<'_>> = (0..500).map(|i| (i * 7 % 400, ["a", "b"][i as usize % 2], i)).collect();
        let mut world = World::new(windowed(size, slide), Append, 0);
        world.watermark = 10_000;
        let mut model = Model::default();
        assert_eq!(world.epoch(&rows), model.epoch((size, slide), &rows, 10_000, Append));
    }
}

#[test]
fn one_key_among_many_is_found_by_its_panes() {
    let devices: Vec<String> = (0..300).map(|i| format!("device_{i}")).collect();
    let many: Vec<Row<'_>> = (0..1_500).map(|i| (i % 50, devices[i as usize % 300].as_str(), i)).collect();
    for (size, slide) in [(20, 5), (20, 6)] {
        let mut world = World::new(windowed(size, slide), Update, 30);
        let mut model = Model::default();
        for rows in [
            &many[..],
            &[(31, "device_7", 1), (12, "device_7", 2), (49, "device_8", 3)],
            &[(30, "device_9", 1)],
        ] {
            let watermark = world.watermark;
            assert_eq!(world.epoch(rows), model.epoch((size, slide), rows, watermark, Update));
        }
    }
}
