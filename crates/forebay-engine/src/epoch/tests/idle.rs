//! A source that falls silent: time goes on by the clock, and epochs do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use forebay_core::clock::Clock;
use forebay_core::event_time::Rule;
use forebay_core::format::Format;
use forebay_core::output_mode::OutputMode;

use super::fakes::{Deaths, Numbers};
use super::values;
use super::world::World;
use crate::checkpoint;
use crate::plan::{Catalog, SourceColumns, SourceTime, plan_query};

/// A clock that goes on by a millisecond whenever it is looked at.
#[derive(Debug)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now_ms(&self) -> i64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

#[tokio::test]
async fn an_idle_source_makes_an_epoch_when_something_ends_and_none_before() {
    // Event times of 0, 1 and 2 seconds.
    let world = World::new(&values(&[3], 0), &[], [None, None]);
    let mut catalog = Catalog::new();
    let columns = Numbers { adds: 0, mended: Arc::default() }.schema();
    catalog.add_source("l", SourceColumns::Decoded(columns)).unwrap();
    catalog.set_watermark("l", SourceTime { column: "timestamp_seconds(n)".to_owned(), delay_ms: 0 });
    let sql = "SELECT count(*) AS c FROM l GROUP BY window(timestamp_seconds(n), '2 seconds')";
    let plan = Arc::new(plan_query(&catalog, sql, None, OutputMode::Append, None).unwrap());
    let epochs = |clock: i64| {
        let mut query = world.query(&["l"], &Deaths::default());
        query.plan = Arc::clone(&plan);
        query.memory.rules = vec![Some(Rule { delay_ms: 0, idle_ms: Some(1) })];
        query.clock = Arc::new(Ticking(AtomicI64::new(clock)));
        let folder = world.checkpoint();
        async move {
            query.open().unwrap().start().join().await.unwrap();
            checkpoint::show(&folder).unwrap().ends().commit.unwrap().epoch.0 + 1
        }
    };
    // The first window ends by the records, the second one at 4 seconds.
    let first = epochs(2_500).await;
    assert_eq!((world.table.rows(), first), (vec![2], 2));
    assert_eq!(epochs(3_000).await, first, "nothing ends until then");
    assert_eq!(epochs(4_000).await, first + 1);
    assert_eq!(world.table.rows(), [1, 2]);
    assert_eq!(epochs(9_000).await, first + 1, "nothing is held any more");
}
