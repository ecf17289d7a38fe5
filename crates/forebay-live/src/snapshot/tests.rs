//! Power cuts: a child of the test saves and dies, the parent looks at what it left.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use forebay_core::clock::ManualClock;

use super::*;
use crate::history::{Range, Stat, Who};
use crate::testing::{Event, NOW, event, give, live, place, schema};

const DIR: &str = "FOREBAY_TEST_DIR";

/// Events of two hours ago: they go to frames, and those to files.
fn old(first: i64, count: i64) -> Vec<Event> {
    (first..first + count).map(|minute| event(NOW - 7_200_000 + minute * 60_000, "a", 1.0)).collect()
}

fn standing() -> Standing {
    Standing {
        positions: Positions::from([(Partition::new("t", 3), Position(40))]),
        topics: TopicIds::from([("t".to_owned(), "id".to_owned())]),
        read: 40,
        skipped: 2,
    }
}

#[test]
#[ignore = "a child's part"]
fn child_saves_and_dies() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let place = place(&dir);
    let live = live(ManualClock::at(NOW), &place, 10);
    give(&live, 0, &old(0, 40));
    live.history.write().tidy(NOW + 6_000).unwrap();
    sync(&place, &live).unwrap();
    stage(&place, &live, &standing()).unwrap().publish(&place).unwrap();
    // What comes behind the snapshot is not in it, whatever of it reached the disk.
    give(&live, 40, &old(40, 40));
    live.history.write().tidy(NOW + 12_000).unwrap();
    forebay_storage::kill_point("live.child");
}

#[test]
fn a_power_cut_takes_what_came_behind_the_snapshot_and_nothing_else() {
    for mode in ["keep", "lose"] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "snapshot::tests::child_saves_and_dies", "--ignored"]).env(DIR, dir.path());
        child.env("FOREBAY_KILL_AT", "live.child").env("FOREBAY_KILL_MODE", mode);
        assert!(
            !child.output().unwrap().status.success(),
            "it dies, if built with --features forebay/faults"
        );

        let place = place(dir.path());
        let layout = Arc::new(Layout::new(&schema(), None, &[]));
        let devices = Devices::new(&layout, 10, None);
        let restored = load(&place, &layout, devices, 1 << 20, NOW + 20_000).unwrap().unwrap();
        assert_eq!(restored.standing, standing());
        assert_eq!(restored.devices.find("a").unwrap().1.count, 40);
        for range in [Range::Hours6, Range::Hours24] {
            for who in [Who::All, Who::Device(0)] {
                let buckets = restored.history.gather(0, range, 5_000, vec![who], NOW + 20_000).read();
                let mut total = Stat::default();
                buckets.series[0].iter().for_each(|stat| total.merge(stat));
                assert_eq!(total, Stat { n: 40, mean: 1.0, min: 1.0, max: 1.0 }, "{mode} {range:?} {who:?}");
            }
        }
    }
}
