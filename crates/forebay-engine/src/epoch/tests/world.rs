//! A query over two topics, to be run, killed and run again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use forebay_core::Result;
use forebay_core::clock::ManualClock;
use forebay_core::config::QuarantineConfig;
use forebay_core::event_time::{Rule, WatermarkPolicy};
use forebay_core::format::Format;
use forebay_core::limits::Limits;
use forebay_core::output_mode::OutputMode;
use forebay_core::trigger::Trigger;
use forebay_storage::Door;

use super::fakes::{Deaths, FakeSink, FakeSource, Numbers, Table, Topic};
use crate::epoch::MemoryOptions;
use crate::plan::{Catalog, SourceColumns, SourceTime, StreamPlan, plan, plan_query};
use crate::quarantine::{self, Quarantine};
use crate::query::{QueryInput, QueryOptions};

/// A query over `l` and `r`, whose rows are the numbers of both: those of `r` have a thousand more.
pub struct World {
    pub left: Arc<Topic>,
    pub right: Arc<Topic>,
    pub table: Table,
    pub dir: tempfile::TempDir,
    pub mended: Arc<AtomicBool>,
    /// `maxOffsetsPerTrigger` of each.
    pub max: [Option<u64>; 2],
    pub shape: Shape,
    /// When the sink has something to do.
    pub due: Option<i64>,
}

/// What the rows are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Each number.
    Beside,
    /// Pairs of both.
    Joined,
    /// Windows over both, with watermarks that are so many milliseconds behind: each gives one number, of when it begins and
    /// what is in it.
    Windows(i64),
}

impl World {
    pub fn new(left: &[Vec<String>], right: &[Vec<String>], max: [Option<u64>; 2]) -> Self {
        Self {
            left: Topic::new(left),
            right: Topic::new(right),
            table: Table::default(),
            dir: tempfile::tempdir().unwrap(),
            mended: Arc::default(),
            max,
            shape: Shape::Beside,
            due: None,
        }
    }

    /// The plan over these sources: each a query of its own, or one over both.
    fn plan(&self, names: &[&str]) -> Arc<StreamPlan> {
        let mut catalog = Catalog::new();
        let columns = Numbers { adds: 0, mended: Arc::default() }.schema();
        for name in ["l", "r"] {
            catalog.add_source(name, SourceColumns::Decoded(Arc::clone(&columns))).unwrap();
        }
        let sql = match self.shape {
            Shape::Beside => {
                let one = |name: &&str| {
                    plan(&catalog, &format!("SELECT n FROM {name} WHERE n % 7 <> 3"), None).unwrap()
                };
                return Arc::new(names.iter().map(one).reduce(StreamPlan::beside).unwrap());
            }
            Shape::Joined => {
                "SELECT l.n * 10000 + r.n AS n FROM l JOIN r ON l.n % 7 = r.n % 7 AND l.n % 7 <> 3"
            }
            Shape::Windows(delay_ms) => {
                for name in ["l", "r"] {
                    let column = "timestamp_seconds(n)".to_owned();
                    catalog.set_watermark(name, SourceTime { column, delay_ms });
                }
                "SELECT unix_seconds(window.start) * 1000000 + sum(n % 1000) * 100 + count(*) AS n \
                 FROM (SELECT n, _event_time AS at FROM l UNION ALL SELECT n, _event_time AS at FROM r) \
                 WHERE n % 7 <> 3 GROUP BY window(at, '5 seconds')"
            }
        };
        let catalog = catalog.carrying_records();
        Arc::new(plan_query(&catalog, sql, None, OutputMode::Append, None).unwrap())
    }

    pub fn quarantine(&self) -> Quarantine {
        let folder = quarantine::folder(self.dir.path(), "p", "q");
        Quarantine::open(folder, Door::new(), QuarantineConfig::default()).unwrap()
    }

    pub fn late(&self) -> PathBuf {
        self.dir.path().join("late")
    }

    pub fn checkpoint(&self) -> PathBuf {
        self.dir.path().join("checkpoint")
    }

    /// The query over these of its sources.
    pub fn query(&self, names: &[&str], deaths: &Deaths) -> QueryOptions {
        let input = |name: &&str| {
            let (topic, adds, max) = match *name {
                "l" => (&self.left, 0, self.max[0]),
                _ => (&self.right, 1_000, self.max[1]),
            };
            QueryInput {
                source: Box::new(FakeSource { topic: Arc::clone(topic), deaths: deaths.clone() }),
                format: Some(Arc::new(Numbers { adds, mended: Arc::clone(&self.mended) })),
                limits: Limits { max, ..Limits::default() },
            }
        };
        let rule = match self.shape {
            Shape::Windows(delay_ms) => Some(Rule { delay_ms, idle_ms: None }),
            _ => None,
        };
        QueryOptions {
            pipeline: "p".to_owned(),
            name: "q".to_owned(),
            plan: self.plan(names),
            inputs: names.iter().map(input).collect(),
            sink: Box::new(FakeSink { table: self.table.clone(), due: self.due, deaths: deaths.clone() }),
            trigger: Trigger::AvailableNow,
            lanes: 3,
            checkpoint: self.checkpoint(),
            data_dir: self.dir.path().to_path_buf(),
            quarantine: self.quarantine(),
            tables: Vec::new(),
            share: None,
            memory: MemoryOptions {
                rules: vec![rule; names.len()],
                policy: WatermarkPolicy::default(),
                future_skew: vec![None; names.len()],
                state_limit: u64::MAX,
                late: self.late(),
            },
            door: Door::new(),
            clock: ManualClock::at(5_000),
        }
    }

    /// A record in each topic that is far ahead of all that are there.
    pub fn far_ahead(&self) {
        for topic in [&self.left, &self.right] {
            topic.partitions.lock()[0].push("100000".to_owned());
        }
    }

    /// Runs the query over both until everything is read.
    pub async fn run(&self, deaths: &Deaths) -> Result<()> {
        self.query(&["l", "r"], deaths).open()?.start().join().await
    }
}
