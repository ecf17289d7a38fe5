//! Sessions against tables made by hand, and against a model of what Spark does.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::operators::session::Sessions;
use crate::plan::graph::{Gap, SessionSpec};

/// By device; the gap in milliseconds, or column `n` as a gap of microseconds.
pub(super) fn sessions(gap: Option<i64>) -> Arc<dyn Operator> {
    let schema = schema();
    let key_fields: Vec<FieldRef> = vec![Arc::new(schema.field_with_name("device").unwrap().clone())];
    let mut fields = vec![window_field("session_window")];
    fields.extend(key_fields.iter().cloned());
    fields.extend(three().iter().map(|aggregate| aggregate.field()));
    let gap = gap.map_or_else(|| Gap::PerRow(column("n")), |gap| Gap::Static(gap * 1_000));
    let spec = SessionSpec {
        name: "session-0".to_owned(),
        input: schema,
        told: Vec::new(),
        keys: vec![column("device")],
        key_fields,
        ts: column("ts"),
        gap,
        position: 0,
        aggregates: three(),
        filters: vec![None; 3],
        output: Arc::new(Schema::new(fields)),
        watermarked: true,
    };
    Arc::new(Sessions::new(Arc::new(spec)).unwrap())
}

#[test]
fn rows_within_the_gap_are_one_session_over_epochs_and_lanes() {
    let mut world = World::new(sessions(Some(10)), Append, 5);
    assert!(world.epoch(&[(1, "a", 1), (8, "a", 2), (30, "a", 3), (2, "b", 9)]).is_empty());
    // 25 is behind the end of the first and before the third: it begins a session earlier that reaches the third.
    let rows = world.lanes(vec![vec![batch(&[(25, "a", 4)])], vec![batch(&[(16, "a", 5)])]]);
    assert_eq!(lines(&rows), ["2-12 b 1 9 9"], "16 joins 8, which ends at 18, and 25");
    assert!(world.settle().is_empty());
    assert_eq!(world.tables[1].len(), 1);
    world.epoch(&[(60, "z", 0)]);
    assert_eq!(world.settle(), ["1-40 a 5 15 5"]);
    assert_eq!((world.tables[0].len(), world.tables[1].len()), (1, 1), "only that of z");
}

#[test]
fn sessions_that_touch_are_one() {
    let mut world = World::new(sessions(Some(10)), Complete, 0);
    assert_eq!(world.epoch(&[(0, "a", 1), (10, "a", 2), (21, "a", 4)]), ["0-20 a 2 3 2", "21-31 a 1 4 4"]);
    assert_eq!(
        world.epoch(&[(20, "a", 8)]),
        ["0-31 a 4 15 8"],
        "the two that were there and the one between"
    );
    assert_eq!(world.tables[1].len(), 1);
}

#[test]
fn an_earlier_row_moves_the_start_of_a_session() {
    let mut world = World::new(sessions(Some(10)), Complete, 100);
    world.epoch(&[(50, "a", 1)]);
    assert_eq!(world.epoch(&[(45, "a", 2)]), ["45-60 a 2 3 2"]);
    assert_eq!(world.epoch(&[(45, "a", 1)]), ["45-60 a 3 4 2"]);
    assert_eq!(world.tables[1].len(), 1);
}

#[test]
fn a_row_is_late_by_the_session_that_it_alone_would_be() {
    for mode in [Append, Complete] {
        let mut world = World::new(sessions(Some(10)), mode, 0);
        world.epoch(&[(30, "a", 1)]);
        world.epoch(&[]);
        world.epoch(&[(20, "a", 2), (21, "a", 4)]);
        assert_eq!(
            world.counts,
            Counts { taken: 2, late: 1, ..Counts::default() },
            "20 would end at 30, which is the watermark"
        );
        let (starts, ends) = world.late[0].missed.as_ref().unwrap();
        assert_eq!((starts.value(0), ends.value(0)), (20_000, 30_000));
        assert_eq!(world.late[0].late_by_ms.values(), &[10]);
    }
}

#[test]
fn the_gap_may_be_a_rows_own() {
    let mut world = World::new(sessions(None), Complete, 0);
    let given =
        world.epoch(&[(1, "a", 50_000), (20, "a", 1_000), (51, "a", 2_000), (60, "a", 0), (61, "a", -5)]);
    assert_eq!(given, ["1-53 a 3 53000 50000"]);
    assert_eq!(world.counts, Counts { taken: 3, filtered: 2, ..Counts::default() });
}

#[test]
fn a_key_whose_sessions_have_all_ended_is_forgotten() {
    let mut world = World::new(sessions(Some(5)), Append, 0);
    for start in [0, 100, 200] {
        world.epoch(&[(start, "a", 1)]);
        world.settle();
    }
    assert_eq!((world.tables[0].len(), world.tables[1].len()), (1, 1));
    world.epoch(&[(1_000, "b", 1)]);
    assert_eq!(world.settle(), ["200-205 a 1 1 1"]);
    assert_eq!((world.tables[0].len(), world.tables[1].len()), (1, 1));
}

/// End, count, sum and maximum of a session.
type Open = (i64, i64, i64, i64);

/// All sessions at once: sort, then join what meets.
fn whole(rows: &[(i64, &str, i64)]) -> Vec<String> {
    let mut sorted: Vec<(&str, i64, i64)> =
        rows.iter().map(|(ts, device, gap)| (*device, *ts, *gap)).collect();
    sorted.sort_unstable();
    let mut found: Vec<(i64, i64, &str, i64, i64, i64)> = Vec::new();
    for (device, ts, gap) in sorted {
        match found.last_mut().filter(|last| last.2 == device && ts * 1_000 <= last.1) {
            Some(last) => {
                *last =
                    (last.0, last.1.max(ts * 1_000 + gap), device, last.3 + 1, last.4 + gap, last.5.max(gap))
            }
            None => found.push((ts * 1_000, ts * 1_000 + gap, device, 1, gap, gap)),
        }
    }
    found.sort_unstable_by_key(|session| (session.0, session.2));
    found
        .iter()
        .map(|(start, end, device, count, sum, max)| {
            format!("{}-{} {device} {count} {sum} {max}", start / 1_000, end / 1_000)
        })
        .collect()
}

fn rows() -> impl Strategy<Value = Vec<(i64, &'static str, i64)>> {
    let device = prop_oneof![Just("a"), Just("b")];
    prop::collection::vec((0_i64..300, device, (1_i64..30).prop_map(|gap| gap * 1_000)), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_split_and_any_lanes_give_the_same_sessions(
        all in rows(), cuts in prop::collection::vec(0_usize..60, 0..6), lanes in 1_usize..4, append in any::<bool>(),
    ) {
        let mode = if append { Append } else { Complete };
        let mut world = World::new(sessions(None), mode, 10_000);
        let mut bounds: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).chain([0, all.len()]).collect();
        bounds.sort_unstable();
        let mut given = Vec::new();
        for bound in bounds.windows(2) {
            let rows = &all[bound[0]..bound[1]];
            let lane = |lane: usize| rows.iter().skip(lane).step_by(lanes).copied().collect::<Vec<_>>();
            given = lines(&world.lanes((0..lanes).map(|n| vec![batch(&lane(n))]).collect()));
        }
        if append {
            world.epoch(&[(1_000_000, "z", 1)]);
            given = world.settle();
        }
        prop_assert_eq!(given, whole(&all));
    }

    /// Epoch by epoch against Spark's way: late rows out, then all open sessions of a key and its rows anew.
    #[test]
    fn every_epoch_gives_what_the_model_gives(epochs in prop::collection::vec(rows(), 1..6), delay in 0_i64..80) {
        let mut world = World::new(sessions(None), Append, delay);
        let mut open: BTreeMap<(String, i64), Open> = BTreeMap::new();
        for epoch in epochs {
            let (late, evict) = (world.times.evict.0 * 1_000, world.watermark * 1_000);
            let given = world.epoch(&epoch);
            let came = epoch.iter().filter(|(ts, _, gap)| ts * 1_000 + gap > late);
            let mut all: Vec<(String, i64, Open)> = std::mem::take(&mut open).into_iter().map(|((d, s), v)| (d, s, v)).collect();
            all.extend(came.map(|(ts, device, gap)| ((*device).to_owned(), ts * 1_000, (ts * 1_000 + gap, 1, *gap, *gap))));
            all.sort_unstable();
            let mut last: Option<(String, i64)> = None;
            for (device, start, (end, count, sum, max)) in all {
                match last.as_ref().filter(|last| last.0 == device && start <= open[*last].0) {
                    Some(last) => {
                        let one = open.get_mut(last).unwrap();
                        *one = (one.0.max(end), one.1 + count, one.2 + sum, one.3.max(max));
                    }
                    None => {
                        open.insert((device.clone(), start), (end, count, sum, max));
                        last = Some((device, start));
                    }
                }
            }
            let mut ended: Vec<_> = open.iter().filter(|(_, one)| one.0 <= evict).map(|(key, one)| (key.1, key.0.clone(), *one)).collect();
            ended.sort_unstable();
            open.retain(|_, one| one.0 > evict);
            let ended: Vec<String> = ended.iter().map(|(start, device, (end, count, sum, max))| format!("{}-{} {device} {count} {sum} {max}", start / 1_000, end / 1_000)).collect();
            prop_assert_eq!(given, ended);
            prop_assert_eq!(world.tables[1].len(), open.len());
        }
    }
}
