//! Queries over the same source that compute together: what comes of each is what comes of it alone.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use forebay_core::config::QuarantineConfig;
use forebay_core::format::Format;
use forebay_core::trigger::Trigger;
use forebay_core::{Ledger, Result};
use forebay_storage::Door;
use futures::future::join_all;
use proptest::prelude::*;

use super::fakes::{Deaths, FakeSink, Numbers, Table};
use super::values;
use super::world::World;
use crate::checkpoint;
use crate::plan::{Catalog, SourceColumns, StreamPlan, plan};
use crate::quarantine::{self, Quarantine};
use crate::query::QueryOptions;
use crate::share::{Share, Sharing};

/// What the queries select, each a column of the common SELECT.
const COLUMNS: [&str; 4] = ["n", "n * 10", "n % 5", "100 / (n - 1000)"];

fn planned(columns: &[&str]) -> StreamPlan {
    let mut catalog = Catalog::new();
    let source = Numbers { adds: 0, mended: Arc::default() }.schema();
    catalog.add_source("l", SourceColumns::Decoded(source)).unwrap();
    let list: Vec<String> =
        columns.iter().enumerate().map(|(number, it)| format!("CAST({it} AS BIGINT) AS c{number}")).collect();
    plan(&catalog, &format!("SELECT {} FROM l", list.join(", ")), None).unwrap()
}

/// What came of a query: rows, counts, and what was set aside.
type Outcome = (Vec<i64>, Option<Ledger>, BTreeSet<(i32, i64)>);

/// Queries of these numbers over the topic `l`, each in folders of its own.
struct Queries {
    world: World,
    tables: Vec<Table>,
}

impl Queries {
    fn new(values: &[Vec<String>], max: Option<u64>) -> Self {
        let tables = COLUMNS.iter().map(|_| Table::default()).collect();
        Self { world: World::new(values, &[], [max, None]), tables }
    }

    fn quarantine(&self, number: usize) -> Quarantine {
        let folder = quarantine::folder(self.world.dir.path(), "p", &number.to_string());
        Quarantine::open(folder, Door::new(), QuarantineConfig::default()).unwrap()
    }

    fn checkpoint(&self, number: usize) -> PathBuf {
        self.world.dir.path().join(format!("checkpoint-{number}"))
    }

    fn query(&self, number: usize, share: Option<Share>, deaths: &Deaths) -> QueryOptions {
        QueryOptions {
            name: number.to_string(),
            plan: Arc::new(planned(&[COLUMNS[number]])),
            sink: Box::new(FakeSink {
                table: self.tables[number].clone(),
                due: None,
                deaths: deaths.clone(),
            }),
            checkpoint: self.checkpoint(number),
            quarantine: self.quarantine(number),
            share,
            ..self.world.query(&["l"], deaths)
        }
    }

    /// Runs queries side by side until each has read all there is, or has failed.
    async fn run(&self, numbers: &[usize], is_shared: bool, deaths: &[Deaths]) -> Vec<Result<()>> {
        let sharing = Sharing::new(Arc::new(planned(&COLUMNS)));
        let runs = numbers.iter().map(|number| {
            let share =
                is_shared.then(|| Share::of(&sharing, &planned(&[COLUMNS[*number]]), &[*number]).unwrap());
            self.query(*number, share, &deaths[*number]).open().unwrap()
        });
        // All take their seats first.
        let runs: Vec<_> = runs.collect();
        join_all(runs.into_iter().map(|query| query.start().join())).await
    }

    fn outcome(&self, number: usize) -> Outcome {
        let ledger = checkpoint::show(&self.checkpoint(number)).unwrap().ends().commit.map(|it| it.ledger);
        let open = self.quarantine(number).open_entries().unwrap();
        let aside: Vec<_> = open.iter().map(|entry| (entry.id.partition, entry.id.offset)).collect();
        let all = aside.len();
        let aside: BTreeSet<_> = aside.into_iter().collect();
        assert_eq!(aside.len(), all, "each once");
        (self.tables[number].rows(), ledger, aside)
    }

    fn records_read(&self) -> u64 {
        self.world.left.read.load(Ordering::SeqCst)
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

const ALL: [usize; 4] = [0, 1, 2, 3];

fn nothing() -> [Deaths; 4] {
    [(); 4].map(|()| Deaths::default())
}

/// What comes of each query alone.
fn alone(values: &[Vec<String>]) -> Vec<Outcome> {
    let queries = Queries::new(values, None);
    for number in ALL {
        runtime().block_on(queries.run(&[number], false, &nothing())).into_iter().for_each(|it| it.unwrap());
    }
    ALL.map(|number| queries.outcome(number)).into()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn whoever_dies_when_and_however_epochs_are_cut_each_gives_what_it_gives_alone(
        counts in prop::collection::vec(1usize..14, 1..3),
        max in prop::option::of(1u64..12),
        ahead in 0usize..4,
    ) {
        let values = values(&counts, 0);
        let expected = alone(&values);
        for calls in 1.. {
            let queries = Queries::new(&values, max);
            // One of them has read part of it before.
            let part = [(); 4].map(|()| Deaths::after(3 * ahead as i64));
            runtime().block_on(queries.run(&[ahead], false, &part));
            let deaths = std::array::from_fn::<_, 4, _>(|number| {
                if number == calls as usize % 4 { Deaths::after(calls / 4 + 1) } else { Deaths::default() }
            });
            let died = runtime().block_on(queries.run(&ALL, true, &deaths)).iter().any(Result::is_err);
            for outcome in runtime().block_on(queries.run(&ALL, true, &nothing())) {
                prop_assert!(outcome.is_ok(), "{outcome:?}");
            }
            for number in ALL {
                prop_assert_eq!(&queries.outcome(number), &expected[number], "{} at {}", number, calls);
            }
            if !died && calls > 12 {
                break;
            }
        }
    }
}

#[test]
fn what_several_read_is_read_once() {
    let queries = Queries::new(&values(&[40, 30], 0), Some(20));
    runtime().block_on(queries.run(&ALL, true, &nothing())).into_iter().for_each(|it| it.unwrap());
    assert_eq!(queries.records_read(), 70);
    for number in ALL {
        assert_eq!(queries.outcome(number).1.unwrap().read, 70);
    }
    let queries = Queries::new(&values(&[40, 30], 0), Some(20));
    runtime().block_on(queries.run(&ALL, false, &nothing())).into_iter().for_each(|it| it.unwrap());
    assert_eq!(queries.records_read(), 280, "each by itself");
}

#[test]
fn a_record_that_one_cannot_compute_ends_that_one_alone() {
    // `100 / (n - 1000)` has no value for it.
    let values = [["1", "2", "x3", "1000", "4"].map(str::to_owned).to_vec()];
    let queries = Queries::new(&values, None);
    let mut ended = runtime().block_on(queries.run(&ALL, true, &nothing()));
    let failed = ended.pop().unwrap().unwrap_err();
    assert!(failed.to_string().to_lowercase().contains("divi"), "{failed}");
    assert!(failed.place().is_some_and(|place| place.contains("offsets")), "{failed:?}");
    ended.into_iter().for_each(|it| it.unwrap());
    assert_eq!(queries.outcome(0).0, [1, 2, 4, 1000]);
    assert_eq!(queries.outcome(1).2, BTreeSet::from([(0, 2)]));
    assert_eq!(queries.outcome(3).0, [0_i64; 0]);
}

#[test]
fn a_record_is_replayed_by_the_one_that_is_asked_to() {
    let values = [["1", "x2", "3"].map(str::to_owned).to_vec()];
    let queries = Queries::new(&values, None);
    runtime().block_on(queries.run(&ALL, true, &nothing())).into_iter().for_each(|it| it.unwrap());
    queries.world.mended.store(true, Ordering::SeqCst);
    let quarantine = queries.quarantine(1);
    quarantine.request(&[quarantine.open_entries().unwrap()[0].quarantined_id()]).unwrap();
    queries.world.left.partitions.lock()[0].push("5".to_owned());
    runtime().block_on(queries.run(&ALL, true, &nothing())).into_iter().for_each(|it| it.unwrap());
    assert_eq!(queries.outcome(0).0, [1, 3, 5]);
    assert_eq!(queries.outcome(1).0, [10, 20, 30, 50]);
    assert_eq!(queries.outcome(1).2, BTreeSet::new());
    assert_eq!(queries.outcome(2).2, BTreeSet::from([(0, 1)]));
}

#[test]
fn one_that_reads_all_at_once_does_so_alone() {
    let queries = Queries::new(&values(&[9], 0), Some(2));
    let sharing = Sharing::new(Arc::new(planned(&COLUMNS)));
    let one = |number: usize, trigger| {
        let share = Share::of(&sharing, &planned(&[COLUMNS[number]]), &[number]);
        QueryOptions { trigger, ..queries.query(number, share, &Deaths::default()) }.open().unwrap()
    };
    let (once, usual) = (one(0, Trigger::Once), one(1, Trigger::AvailableNow));
    let (once, usual) = runtime().block_on(async {
        let (once, usual) = (once.start(), usual.start());
        (once.join().await, usual.join().await)
    });
    once.unwrap();
    usual.unwrap();
    assert_eq!(queries.tables[0].epochs().0, 1);
    assert_eq!(queries.tables[1].epochs().0, 5);
}
