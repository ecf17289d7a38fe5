use super::*;
use crate::columns::Columns;
use crate::testing::{Event, NOW, batch, event, schema};

fn layout() -> Layout {
    Layout::new(&schema(), None, &[])
}

/// Gives rows with these offsets.
fn take(devices: &mut Devices, rows: &[(i64, Event)]) {
    let layout = layout();
    let events: Vec<Event> = rows.iter().map(|(_, event)| event.clone()).collect();
    let rows_batch = batch(&events);
    let columns = Columns::bind(&layout, &rows_batch);
    for (row, (offset, event)) in rows.iter().enumerate() {
        devices.take(&columns, layout.key, row, Origin { at: event.at, offset: *offset, event: None }, 2);
    }
}

/// A device tells times that are so far (ms) from its records'.
fn told(devices: &mut Devices, key: &str, offsets: &[i64]) {
    let rows = batch(&[event(NOW, key, 0.0)]);
    let columns = Columns::bind(&layout(), &rows);
    for offset in offsets {
        let origin = Origin { at: NOW, offset: 0, event: Some(NOW.saturating_add(*offset)) };
        devices.take(&columns, layout().key, 0, origin, 2);
    }
}

fn devices(most: usize) -> Devices {
    Devices::new(&layout(), most, None)
}

fn number(devices: &Devices, key: &str, field: usize) -> Option<f64> {
    let (place, _) = devices.find(key)?;
    match devices.values(place)[field] {
        Value::Number(number) => Some(number),
        _ => None,
    }
}

#[test]
fn the_newest_record_by_time_then_offset_is_shown() {
    let mut devices = devices(10);
    take(
        &mut devices,
        &[
            (5, event(NOW, "a", 1.0)),
            (6, event(NOW - 1, "a", 2.0)),
            (9, event(NOW, "a", 3.0)),
            (8, event(NOW, "a", 4.0)),
        ],
    );
    let (_, row) = devices.find("a").unwrap();
    assert_eq!((number(&devices, "a", 1), row.last, row.count), (Some(3.0), (NOW, 9), 4));
}

#[test]
fn long_keys_that_begin_alike_are_two_devices() {
    let mut devices = devices(10);
    let long = |end: &str| format!("{}{end}", "x".repeat(300));
    take(&mut devices, &[(1, event(NOW, &long("a"), 1.0)), (2, event(NOW, &long("b"), 2.0))]);
    assert_eq!(devices.len(), 2);
    assert_eq!(number(&devices, &long("b"), 1), Some(2.0));
    let (_, row) = devices.find(&long("a")).unwrap();
    assert!(row.key.len() <= 256 && devices.find(&row.key).is_some(), "{}", row.key);
}

#[test]
fn a_null_keeps_the_value_before_it_and_a_late_record_fills_only_gaps() {
    let mut devices = devices(10);
    let only_u = Event { at: NOW, key: "a".to_owned(), t: None, u: Some(7.0) };
    take(&mut devices, &[(1, event(NOW - 10, "a", 1.0)), (2, only_u)]);
    assert_eq!((number(&devices, "a", 1), number(&devices, "a", 2)), (Some(1.0), Some(7.0)));
    let late = Event { at: NOW - 20, key: "b".to_owned(), t: Some(5.0), u: Some(6.0) };
    take(&mut devices, &[(3, event(NOW, "b", 2.0)), (4, late)]);
    assert_eq!((number(&devices, "b", 1), number(&devices, "b", 2)), (Some(2.0), Some(6.0)));
}

#[test]
fn of_too_many_devices_those_quiet_longest_go_and_are_counted() {
    let mut devices = devices(200);
    for index in 0..200 {
        take(&mut devices, &[(index, event(NOW + index, &format!("d{index}"), 0.0))]);
    }
    take(&mut devices, &[(200, event(NOW, "d0", 1.0)), (201, event(NOW + 500, "d0", 1.0))]);
    take(&mut devices, &[(202, event(NOW + 600, "new", 2.0))]);
    assert_eq!((devices.len(), devices.evicted()), (199, 2));
    assert!(devices.find("d1").is_none() && devices.find("d2").is_none(), "heard longest ago");
    assert!(devices.find("d0").is_some() && number(&devices, "new", 1) == Some(2.0));
    assert_eq!(number(&devices, "new", 2), None, "nothing is left of who had the place");
}

#[test]
fn who_comes_back_after_it_had_to_go_is_another_in_the_history() {
    let mut devices = devices(1);
    take(&mut devices, &[(1, event(NOW, "a", 1.0))]);
    let first = devices.find("a").unwrap().1.id;
    take(&mut devices, &[(2, event(NOW + 1, "b", 1.0)), (3, event(NOW + 2, "a", 1.0))]);
    assert_ne!(devices.find("a").unwrap().1.id, first);
    assert!(devices.find("b").is_none() && devices.evicted() == 2);
}

#[test]
fn a_device_is_quiet_after_ten_usual_gaps_and_not_before_thirty_seconds() {
    let mut devices = devices(10);
    let beats = |key: &'static str, gap: i64| {
        (0..20).map(move |beat| (beat, event(NOW - (19 - beat) * gap, key, 0.0))).collect::<Vec<_>>()
    };
    take(&mut devices, &beats("fast", 100));
    take(&mut devices, &beats("slow", 60_000));
    let is_quiet = |key: &str, after: i64| devices.is_quiet(devices.find(key).unwrap().1, NOW + after);
    assert!(!is_quiet("fast", 30_000) && is_quiet("fast", 30_001));
    assert!(!is_quiet("slow", 599_000) && is_quiet("slow", 601_000));
}

#[test]
fn bursts_do_not_make_the_usual_gap_short() {
    let mut devices = devices(10);
    for minute in 0..20 {
        let at = NOW.div_euclid(1000) * 1000 + minute * 60_000;
        let burst: Vec<_> = (0..10).map(|ms| (minute * 10 + ms, event(at + ms, "a", 0.0))).collect();
        take(&mut devices, &burst);
    }
    let (_, row) = devices.find("a").unwrap();
    assert!(!devices.is_quiet(row, row.last.0 + 500_000));
}

#[test]
fn quiet_after_is_as_the_file_says() {
    let mut devices = Devices::new(&layout(), 10, Some(5_000));
    take(&mut devices, &[(1, event(NOW, "a", 0.0))]);
    let (_, row) = devices.find("a").unwrap();
    assert!(!devices.is_quiet(row, NOW + 5_000) && devices.is_quiet(row, NOW + 5_001));
}

#[test]
fn a_source_without_a_key_is_one_device() {
    let rows = batch(&[event(NOW, "x", 1.0), event(NOW, "y", 2.0)]);
    let layout = layout();
    let mut devices = Devices::new(&layout, 10, None);
    let columns = Columns::bind(&layout, &rows);
    for row in 0..2 {
        devices.take(&columns, None, row, Origin { at: NOW, offset: row as i64, event: None }, 2);
    }
    assert_eq!((devices.len(), devices.find("").unwrap().1.count), (1, 2));
}

#[test]
fn what_a_snapshot_keeps_is_read_back() {
    let bounds = Some(ClockBounds { ahead_ms: 300_000, behind_ms: 10_000 });
    let mut before = devices(10).with_clocks(bounds);
    let full = Event { at: NOW, key: "büro".to_owned(), t: Some(0.1), u: None };
    take(&mut before, &[(1, full), (2, event(NOW + 5_000, "b", -3.0))]);
    told(&mut before, "b", &[-20_000, 7_000_000, 7_200_000]);
    let mut encoder = crate::codec::Encoder::new(Vec::new());
    before.write(&mut encoder).unwrap();
    let (bytes, _) = encoder.finish().unwrap();
    let content = crate::codec::checked(&bytes).unwrap();
    let after = devices(10).with_clocks(bounds).read(&mut crate::codec::Decoder::new(content), 7).unwrap();
    for key in ["büro", "b"] {
        let ((place, row), (new_place, new_row)) = (before.find(key).unwrap(), after.find(key).unwrap());
        assert_eq!(before.values(place), after.values(new_place));
        assert_eq!((row.id, row.last, row.count), (new_row.id, new_row.last, new_row.count));
        assert_eq!(before.clock(row), after.clock(new_row));
        assert_eq!(row.rate(NOW + 6_000), new_row.rate(NOW + 6_000));
        assert_eq!(new_row.version, 7, "all of it is new to readers");
    }
    let unwatched = devices(10).read(&mut crate::codec::Decoder::new(content), 7).unwrap();
    assert!(unwatched.clocks().is_none() && unwatched.clock(unwatched.find("b").unwrap().1).is_none());
    for end in 0..content.len() {
        assert!(devices(10).read(&mut crate::codec::Decoder::new(&content[..end]), 7).is_none(), "{end}");
    }
}

#[test]
fn clocks_that_are_off_are_counted_and_the_worst_of_them_named() {
    let bounds = ClockBounds { ahead_ms: 300_000, behind_ms: 10_000 };
    let mut devices = devices(10).with_clocks(Some(bounds));
    let fleet =
        [("a", -40), ("b", 7_200_000), ("c", 400_000), ("d", -86_400_000), ("e", 301_000), ("f", -10_000)];
    for (key, offset) in fleet {
        told(&mut devices, key, &[offset, offset]);
    }
    // It says no time.
    take(&mut devices, &[(9, event(NOW, "g", 0.0))]);
    let clocks = devices.clocks().unwrap();
    assert_eq!((clocks.ahead, clocks.behind), (3, 1));
    let worst: Vec<(&str, i64)> = clocks.worst.iter().map(|off| (&*off.key, off.offset)).collect();
    assert_eq!(worst, [("d", -86_400_000), ("b", 7_200_000), ("c", 400_000)]);
    let clock = |key: &str| devices.clock(devices.find(key).unwrap().1);
    assert_eq!(clock("b").map(|clock| (clock.offset, clock.ahead)), Some((7_200_000, 2)));
    assert_eq!((clock("g"), super::Devices::new(&layout(), 1, None).clocks()), (None, None));
}
