use super::*;
use crate::testing::{Event, NOW, event, give, live, place};
use forebay_core::clock::ManualClock;

/// A source with these devices, the first heard first.
fn fleet(clock: &Arc<ManualClock>, keys: &[(&str, f64)]) -> (tempfile::TempDir, Arc<SourceLive>) {
    let dir = tempfile::tempdir().unwrap();
    let live = live(Arc::clone(clock) as _, &place(dir.path()), 1_000_000);
    let events: Vec<Event> = keys
        .iter()
        .enumerate()
        .map(|(index, (key, t))| event(NOW - 100_000 + index as i64 * 1000, key, *t))
        .collect();
    give(&live, 0, &events);
    (dir, live)
}

fn keys(slice: &Slice) -> Vec<&str> {
    slice.devices.iter().map(|device| &*device.key).collect()
}

fn sorted(sort: Sort) -> Ask {
    Ask { sort, limit: 10, ..Ask::default() }
}

#[test]
fn slices_are_sorted_searched_and_cut() {
    let clock = ManualClock::at(NOW);
    let (_dir, live) = fleet(&clock, &[("d10", 5.0), ("d2", 7.0), ("X1", 6.0), ("d1", 7.0)]);
    let sort = |sort| live.view(sorted(sort)).1;
    assert_eq!(keys(&sort(Sort::Key)), ["d1", "d2", "d10", "X1"]);
    assert_eq!(keys(&sort(Sort::KeyDescending)), ["X1", "d10", "d2", "d1"]);
    assert_eq!(keys(&sort(Sort::LastSeen)), ["d10", "d2", "X1", "d1"]);
    assert_eq!(keys(&sort(Sort::LastSeenDescending)), ["d1", "X1", "d2", "d10"]);
    assert_eq!(keys(&sort(Sort::Field(1))), ["d10", "X1", "d1", "d2"], "equal ones by key");
    assert_eq!(keys(&sort(Sort::FieldDescending(1))), ["d1", "d2", "X1", "d10"]);
    let (_, page) = live.view(Ask { offset: 1, limit: 2, ..Ask::default() });
    assert_eq!((keys(&page), page.total), (vec!["d2", "d10"], 4));
    let (_, found) = live.view(Ask { search: "x".to_owned(), ..sorted(Sort::Key) });
    assert_eq!((keys(&found), found.total), (vec!["X1"], 1));
    let only = Some(Arc::new(HashSet::from(["d2".to_owned(), "nobody".to_owned()])));
    let (_, found) = live.view(Ask { only, ..sorted(Sort::Key) });
    assert_eq!(keys(&found), ["d2"]);
    assert_eq!(keys(&live.view(Ask { offset: 9, ..sorted(Sort::Key) }).1), Vec::<&str>::new());
}

#[test]
fn devices_without_a_value_come_last_in_either_direction() {
    let clock = ManualClock::at(NOW);
    let (_dir, live) = fleet(&clock, &[("a", 1.0), ("b", 2.0)]);
    give(&live, 2, &[Event { at: NOW, key: "0".to_owned(), t: None, u: None }]);
    assert_eq!(keys(&live.view(sorted(Sort::Field(1))).1), ["a", "b", "0"]);
    assert_eq!(keys(&live.view(sorted(Sort::FieldDescending(1))).1), ["b", "a", "0"]);
}

#[test]
fn the_words_of_a_sort_are_understood_or_answered_with_the_known_ones() {
    let clock = ManualClock::at(NOW);
    let (_dir, live) = fleet(&clock, &[]);
    let parse = |text| Sort::parse(text, live.layout());
    assert_eq!(parse("").unwrap(), Sort::Key);
    assert_eq!(parse("-key").unwrap(), Sort::KeyDescending);
    assert_eq!(parse("-lastSeen").unwrap(), Sort::LastSeenDescending);
    assert_eq!(parse("-t").unwrap(), Sort::FieldDescending(1));
    let error = parse("tt").unwrap_err();
    assert!(error.hint().contains("Did you mean `t`?") && error.hint().contains("lastSeen"), "{error:?}");
}

#[test]
fn states_are_counted_and_filtered_by_the_clock() {
    let clock = ManualClock::at(NOW);
    let (_dir, live) = fleet(&clock, &[("a", 1.0), ("b", 1.0)]);
    give(&live, 2, &[event(NOW, "b", 2.0)]);
    assert_eq!(live.counts(), crate::Counts { total: 2, live: 1, quiet: 1 });
    let quiet = |state| live.view(Ask { state: Some(state), ..sorted(Sort::Key) }).1;
    assert_eq!((keys(&quiet(DeviceState::Quiet)), keys(&quiet(DeviceState::Live))), (vec!["a"], vec!["b"]));
    clock.advance(3_600_000);
    assert_eq!(live.counts().quiet, 2, "time alone makes them quiet");
}

#[test]
fn a_view_tells_what_differs_from_what_it_showed_and_nothing_else() {
    let clock = ManualClock::at(NOW);
    let (_dir, live) = fleet(&clock, &[("a", 1.0), ("b", 1.0), ("c", 1.0)]);
    let (mut view, _) = live.view(Ask { limit: 2, ..Ask::default() });
    assert!(view.changes().rows.is_empty());
    give(&live, 3, &[event(NOW - 5, "b", 1.0), event(NOW - 3, "c", 9.0), event(NOW - 4, "b", 2.0)]);
    let changes = view.changes();
    assert_eq!((changes.newest, changes.rows.len()), (Some(NOW - 4), 1), "c is not in the slice");
    assert_eq!((changes.rows[0].index, &changes.rows[0].values), (1, &vec![(1, Value::Number(2.0))]));
    give(&live, 6, &[event(NOW - 2, "b", 2.0)]);
    let again = view.changes();
    assert_eq!(
        (again.rows[0].last_seen, again.rows[0].values.len()),
        (NOW - 2, 0),
        "heard, with the same value"
    );
    assert!(view.changes().rows.is_empty() && view.changes().version >= again.version);
}

#[test]
fn a_view_shows_its_rows_again_when_others_belong_into_them() {
    let clock = ManualClock::at(NOW);
    let (_dir, live) = fleet(&clock, &[("a", 1.0), ("c", 1.0)]);
    let (mut view, _) = live.view(Ask { limit: 2, ..Ask::default() });
    assert!(view.again(false).is_none());
    assert_eq!(view.again(true).unwrap().devices.len(), 2);
    give(&live, 2, &[event(NOW, "b", 3.0)]);
    let slice = view.again(false).unwrap();
    assert_eq!((keys(&slice), slice.total), (vec!["a", "b"], 3));
    assert!(view.changes().rows.is_empty(), "what was just shown is no change");
}

#[test]
fn a_view_survives_devices_that_had_to_go() {
    let clock = ManualClock::at(NOW);
    let dir = tempfile::tempdir().unwrap();
    let live = live(Arc::clone(&clock) as _, &place(dir.path()), 2);
    give(&live, 0, &[event(NOW - 9, "a", 1.0), event(NOW - 8, "b", 1.0)]);
    let (mut view, _) = live.view(sorted(Sort::Key));
    give(&live, 2, &[event(NOW, "c", 5.0)]);
    assert!(view.changes().rows.iter().all(|row| row.index != 0), "a's place is c's now");
    assert_eq!(keys(&view.again(false).unwrap()), ["b", "c"]);
}

#[test]
fn sparklines_and_ticks_show_the_last_full_seconds() {
    let clock = ManualClock::at(NOW.div_euclid(1000) * 1000 + 500);
    let dir = tempfile::tempdir().unwrap();
    let live = live(Arc::clone(&clock) as _, &place(dir.path()), 10);
    let second = NOW.div_euclid(1000) * 1000;
    give(
        &live,
        0,
        &[event(second - 60_000, "a", 1.0), event(second - 1000, "a", 2.0), event(second - 1, "a", 4.0)],
    );
    give(&live, 3, &[event(second, "a", 9.0), event(second - 1, "b", 10.0)]);
    let spark = live.device("a", Some(1)).unwrap().spark;
    assert_eq!((spark.len(), spark[0], spark[1], spark[59]), (60, Some(1.0), None, Some(3.0)));
    assert!(live.device("a", Some(0)).unwrap().spark.is_empty(), "a key has no history");
    let last = live.last_second(&[1, 2], &["a", "nobody"]);
    assert_eq!((last.t, last.charts.len(), last.charts[0].len()), (second - 1000, 2, 3));
    let point = &last.charts[0][0];
    assert_eq!((point.min, point.max, &point.key), (Some(2.0), Some(10.0), &None));
    assert_eq!(last.charts[0][1].mean, Some(3.0));
    assert_eq!((last.charts[0][2].mean, last.charts[1][0].mean), (None, None));
}

#[test]
fn fifty_readers_of_a_hundred_thousand_devices_do_not_stop_the_writer() {
    let clock = ManualClock::at(NOW);
    let dir = tempfile::tempdir().unwrap();
    let live = live(Arc::clone(&clock) as _, &place(dir.path()), 100_000);
    let events: Vec<Event> =
        (0..100_000).map(|id| event(NOW, &format!("device_{id}"), f64::from(id))).collect();
    let began = std::time::Instant::now();
    events.chunks(10_000).for_each(|chunk| give(&live, 0, chunk));
    println!("100,000 new devices: {:?}", began.elapsed());
    let began = std::time::Instant::now();
    let views: Vec<View> =
        (0..50).map(|page| live.view(Ask { offset: page * 30, limit: 30, ..Ask::default() }).0).collect();
    println!("50 views: {:?}", began.elapsed());
    std::thread::scope(|scope| {
        for mut view in views {
            scope.spawn(move || {
                for _ in 0..50 {
                    view.changes();
                    view.again(false);
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            });
        }
        let began = std::time::Instant::now();
        for round in 0..10 {
            give(&live, 100_000 + round * 1000, &events[..1000]);
        }
        let took = began.elapsed();
        println!("10,000 rows beside 50 readers: {took:?}");
        assert!(took.as_secs() < 2, "{took:?}");
    });
}
