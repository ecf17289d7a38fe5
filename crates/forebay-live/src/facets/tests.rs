use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use forebay_core::clock::ManualClock;
use forebay_core::ddl;

use super::*;
use crate::device::ClockBounds;
use crate::devices::Devices;
use crate::history::Timeline;
use crate::intake::ViewRows;
use crate::layout::Layout;
use crate::testing::{NOW, envelope, place};

/// Devices with a customer and a status each.
fn fleet(devices: &[(&str, &str, Option<&str>)]) -> (tempfile::TempDir, Arc<SourceLive>) {
    fleet_of(devices, None)
}

/// The same of rows with event times, which are late from ten seconds on.
fn fleet_of(
    devices: &[(&str, &str, Option<&str>)],
    times: Option<TimestampMicrosecondArray>,
) -> (tempfile::TempDir, Arc<SourceLive>) {
    let dir = tempfile::tempdir().unwrap();
    let schema = ddl::parse("d STRING, customer STRING, status STRING").unwrap();
    let labels = ["customer", "status"].map(str::to_owned);
    let layout = Arc::new(Layout::new(&schema, Some("d"), &[]).with_labels(&labels));
    let place = place(dir.path());
    let bounds = times.is_some().then_some(ClockBounds { ahead_ms: 300_000, behind_ms: 10_000 });
    let (all, history) =
        (Devices::new(&layout, 1_000, None).with_clocks(bounds), Timeline::new(0, 1 << 20, &place));
    let (name, clock) = ("s".to_owned(), ManualClock::at(NOW));
    let live = SourceLive::new(name, "t".to_owned(), layout, clock, all, history, None);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(devices.iter().map(|device| device.0))),
        Arc::new(StringArray::from_iter_values(devices.iter().map(|device| device.1))),
        Arc::new(devices.iter().map(|device| device.2).collect::<StringArray>()),
    ];
    let rows = RecordBatch::try_new(schema, columns).unwrap();
    let at = vec![NOW; rows.num_rows()];
    live.take_view(&envelope(0, &[]), &ViewRows { rows, at, times, repeats: None });
    (dir, Arc::new(live))
}

fn told(facet: &Facet) -> Vec<(Option<&str>, u64)> {
    facet.values.iter().map(|value| (value.value.as_deref(), value.devices)).collect()
}

#[test]
fn devices_that_are_late_now_are_one_number_and_rows_that_came_late_another() {
    // d1 is well but for its last row; d2 is late all the time.
    let (well, late) = (NOW * 1_000, (NOW - 60_000) * 1_000);
    let rows = [vec![("d1", "C1", None); 9], vec![("d2", "C2", None); 9], vec![("d1", "C1", None)]].concat();
    let times: Vec<i64> = [vec![well; 9], vec![late; 10]].concat();
    let (_dir, live) = fleet_of(&rows, Some(times.into()));
    let all = live.facets(&Ask::default());
    assert_eq!((all.total, all.late, all.late_rows), (2, 1, 10));
    let of_one = live.facets(&Ask { only_values: vec![(1, vec!["C1".to_owned()])], ..Ask::default() });
    assert_eq!((of_one.total, of_one.late, of_one.late_rows), (1, 0, 1));
}

#[test]
fn a_choice_narrows_the_other_labels_and_not_its_own() {
    let (_dir, live) = fleet(&[
        ("d1", "C1", Some("ERROR")),
        ("d2", "C1", Some("SUCCESS")),
        ("d3", "C2", Some("ERROR")),
        ("d4", "C2", None),
    ]);
    let all = live.facets(&Ask::default());
    assert_eq!((all.total, all.quiet, all.late), (4, 0, 0));
    assert_eq!(told(&all.labels[0]), [(Some("C1"), 2), (Some("C2"), 2)]);
    assert_eq!(told(&all.labels[1]), [(Some("ERROR"), 2), (Some("SUCCESS"), 1), (None, 1)]);
    let only = |wanted: &[(usize, &[&str])]| Ask {
        only_values: wanted
            .iter()
            .map(|(field, values)| (*field, values.iter().map(|value| (*value).to_owned()).collect()))
            .collect(),
        limit: 10,
        ..Ask::default()
    };
    let of_one = live.facets(&only(&[(1, &["C1"])]));
    assert_eq!(of_one.total, 2);
    assert_eq!(told(&of_one.labels[0]), [(Some("C1"), 2), (Some("C2"), 2)]);
    assert_eq!(told(&of_one.labels[1]), [(Some("ERROR"), 1), (Some("SUCCESS"), 1)]);
    let both = only(&[(1, &["C1"]), (2, &["ERROR", ""])]);
    assert_eq!(live.facets(&both).total, 1);
    let (_, slice) = live.view(both);
    assert_eq!(slice.devices.iter().map(|device| &*device.key).collect::<Vec<_>>(), ["d1"]);
    let (_, silent) = live.view(only(&[(2, &[""])]));
    assert_eq!((silent.total, &*silent.devices[0].key), (1, "d4"), "an empty text stands for none");
}

#[test]
fn the_rarest_of_many_values_are_counted_together() {
    let keys: Vec<(String, String)> = (0..300).map(|i| (format!("d{i}"), format!("c{}", i % 250))).collect();
    let devices: Vec<_> =
        keys.iter().map(|(key, customer)| (key.as_str(), customer.as_str(), None)).collect();
    let (_dir, live) = fleet(&devices);
    let facets = live.facets(&Ask::default());
    let facet = &facets.labels[0];
    assert_eq!((facet.values.len(), facet.others, facets.total), (200, 50, 300));
    assert_eq!(facet.values[0], FacetValue { value: Some("c0".to_owned()), devices: 2 });
}
