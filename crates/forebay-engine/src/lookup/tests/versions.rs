//! How a query comes from one version of its tables to the next.

use std::collections::BTreeMap;

use forebay_core::error::codes;

use super::*;
use crate::lookup::versions::Tables;

const A: &str = "{\"id\":\"a\",\"site\":\"one\"}\n";
const B: &str = "{\"id\":\"a\",\"site\":\"two\"}\n";

struct World {
    register: Arc<Register>,
    plan: StreamPlan,
    tables: Tables,
    now_ms: i64,
}

impl World {
    async fn new() -> Self {
        let register = Register::new("devices", DEVICES, A);
        let plan = planned("SELECT n, site FROM iot JOIN devices USING (id)").unwrap();
        let mut tables = Tables::new(&plan, &[Arc::clone(&register) as _]).unwrap();
        tables.read(&BTreeMap::new()).await.unwrap();
        Self { register, plan, tables, now_ms: 0 }
    }

    /// Looks until nothing is being read.
    async fn look(&mut self) {
        for _ in 0..2 {
            self.now_ms += 1;
            self.tables.look(self.now_ms).await.unwrap();
            self.tables.settle().await;
        }
    }

    /// The version, the row that the next epoch gives, and what is told of the table.
    fn stands(&mut self) -> (String, String, Option<String>) {
        let mut executor = self.plan.executor(0).holding(self.tables.held());
        let rows =
            executor.process(rows_of(EVENTS, "{\"id\":\"a\",\"n\":1}\n").1, &mut Fates::default()).unwrap();
        let version = self.tables.versions().remove("devices").unwrap().to_string();
        let told = self.tables.news().map(|told| {
            let [table] = told.as_slice() else { panic!("one table") };
            assert_eq!(
                (table.rows, table.version.as_ref().map(|it| it.0.clone())),
                (1, Some(version.clone()))
            );
            table.error.as_ref().map(|error| error.message().to_owned())
        });
        (version, lines(&rows).join(";"), told.flatten())
    }
}

#[tokio::test]
async fn a_table_is_broken_since_the_first_version_that_could_not_be_read() {
    let mut world = World::new().await;
    let since = |world: &mut World| world.tables.news().map(|told| told[0].broken_since_ms);
    assert_eq!(since(&mut world), Some(None));
    for (now_ms, message) in [(100, "half of it"), (200, "another half")] {
        world.now_ms = now_ms;
        world.register.set(Err(Error::new(&codes::TABLE_UNREADABLE, message)));
        world.look().await;
        assert_eq!(since(&mut world), Some(Some(101)), "{message}");
    }
    world.register.set(Ok((2, B)));
    world.look().await;
    assert_eq!(since(&mut world), Some(None));
}

#[tokio::test]
async fn a_new_version_is_read_beside_the_epochs_and_taken_before_the_next() {
    let mut world = World::new().await;
    let one = ("1".to_owned(), "1 one".to_owned(), None);
    assert_eq!(world.stands(), one);
    world.register.set(Ok((2, B)));
    world.tables.look(0).await.unwrap();
    assert_eq!(world.stands(), one, "it is being read");
    world.tables.settle().await;
    world.tables.look(0).await.unwrap();
    assert_eq!(world.stands(), ("2".to_owned(), "1 two".to_owned(), None));
}

#[tokio::test]
async fn what_cannot_be_read_is_told_and_the_last_good_version_stays() {
    let mut world = World::new().await;
    assert_eq!(world.stands().2, None);
    world.register.set(Err(Error::new(&codes::TABLE_UNREADABLE, "half of it")));
    world.look().await;
    let broken = ("1".to_owned(), "1 one".to_owned(), Some("half of it".to_owned()));
    assert_eq!(world.stands(), broken);
    world.look().await;
    assert!(world.tables.news().is_none(), "it is told once");
    world.register.set(Ok((1, A)));
    world.look().await;
    assert_eq!(world.stands(), ("1".to_owned(), "1 one".to_owned(), None), "as it was");
    world.register.set(Ok((3, B)));
    world.look().await;
    assert_eq!(world.stands(), ("3".to_owned(), "1 two".to_owned(), None));
}

/// Both change at once; the one that is looked at first is joined with the other, which is also joined by itself.
#[tokio::test]
async fn tables_that_are_read_together_are_taken_together() {
    let city = |city: &str| {
        ["one", "a"].map(|site| format!("{{\"site\":\"{site}\",\"city\":\"{city}\"}}\n")).concat()
    };
    let (devices, sites) =
        (Register::new("devices", DEVICES, A), Register::new("sites", SITES, &city("Kiel")));
    let sql = "SELECT p.city AS here, s.city AS there FROM iot JOIN placed p ON iot.id = p.device JOIN sites s ON s.site = iot.id";
    let plan = planned(sql).unwrap();
    let mut tables = Tables::new(&plan, &[Arc::clone(&devices) as _, Arc::clone(&sites) as _]).unwrap();
    tables.read(&BTreeMap::new()).await.unwrap();
    devices.set(Ok((2, A)));
    sites.set(Ok((2, &city("Ulm"))));
    for _ in 0..3 {
        tables.look(0).await.unwrap();
        tables.settle().await;
    }
    assert!(tables.versions().values().all(|version| version.0 == "2"));
    let (_, event) = rows_of(EVENTS, "{\"id\":\"a\",\"n\":1}\n");
    let mut executor = plan.executor(0).holding(tables.held());
    assert_eq!(lines(&executor.process(event, &mut Fates::default()).unwrap()), ["Ulm Ulm"]);
}

/// The rows of a GROUP BY come out as pieces of the same columns, which are there once.
#[tokio::test]
async fn what_a_query_over_a_table_gives_counts_once() {
    let lines: String = (0..60_000).map(|n| format!("{{\"id\":\"d{n}\",\"low\":1}}\n")).collect();
    let register = Register::new("devices", DEVICES, &lines);
    let sql =
        "SELECT n, k.c FROM iot JOIN (SELECT id, count(*) AS c FROM devices GROUP BY id) k ON iot.id = k.id";
    newest(&planned(sql).unwrap(), &[register as _]).await.unwrap();
}

#[tokio::test]
async fn more_than_the_tables_memory_is_refused() {
    let register = Register::new("devices", DEVICES, A);
    let lines: String =
        (0..200_000).map(|n| format!("{{\"id\":\"d{n}\",\"site\":\"some site {n}\"}}\n")).collect();
    register.set(Ok((2, &lines)));
    let plan = planned("SELECT n, site FROM iot JOIN devices USING (id)").unwrap();
    let error = newest(&plan, &[register as _]).await.unwrap_err();
    assert_eq!(error.code(), &codes::TABLE_TOO_LARGE, "{error}");
}
