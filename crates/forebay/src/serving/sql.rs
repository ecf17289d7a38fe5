//! SQL for the HTTP server: one SELECT, SHOW or DESCRIBE over the names of the pipeline, within limits, away from the stream.
//!
//! Statements run on threads of their own, so that a heavy one takes turns with the stream at the operating system and
//! not in its queue of tasks. What must stay true: whatever is asked, no more than [`AT_ONCE`] statements run, each
//! within its time, memory and size; one that nobody waits for any more is ended; no text reaches a file, a topic or an
//! address that the pipeline does not name.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use async_trait::async_trait;
use forebay_core::catalog::TableName;
use forebay_core::clock::Clock;
use forebay_core::detect::Functions;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_engine::adhoc::rows::{self, Bounds, Rows};
use forebay_engine::adhoc::{self, About, Commit, Limits, TableProvider, TableResolver, Takes};
use forebay_server::shown::Sql;
use forebay_server::shown::sql::Refused;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use crate::cli::Global;
use crate::json::FromJson;
use crate::load::{Called, Loaded};
use crate::tables::{Made, Tables, hidden};

use super::wire::{Places, Wire};

/// Statements that run at once.
const AT_ONCE: usize = 2;
/// Statements that run or wait.
const MOST: usize = 8;
/// How long a statement waits for its turn.
const TURN: Duration = Duration::from_secs(5);
/// How long it may run.
const TIME: Duration = Duration::from_secs(10);
/// What it may take beyond that: planning and functions look at the time only between their steps.
const GRACE: Duration = Duration::from_secs(1);
/// Bytes that its sorts, joins and aggregates may hold, and as many that its functions may make.
const MEMORY: usize = 256 << 20;
/// Bytes of its answer.
const ANSWER: usize = 16 << 20;

/// What statements run on, whatever they are asked over: a reload changes the names and not how much runs at once.
pub struct Threads {
    /// `None` only while it is dropped.
    pub(super) runtime: Option<Runtime>,
    turns: Arc<Semaphore>,
    places: Semaphore,
    /// Those of the Postgres wire.
    pub(super) wire: Places,
}

impl Threads {
    /// Makes them.
    pub fn new() -> Result<Arc<Self>> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(AT_ONCE)
            .thread_name("forebay-ask")
            .enable_all()
            .build()
            .map_err(|e| Error::new(&codes::INTERNAL, "no threads for SQL can be made").caused_by(e))?;
        let (turns, places) = (Arc::new(Semaphore::new(AT_ONCE)), Semaphore::new(MOST));
        Ok(Arc::new(Self { runtime: Some(runtime), turns, places, wire: Places::default() }))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Answers statements over a pipeline's names.
pub struct Statements {
    tables: Arc<Registered>,
    threads: Arc<Threads>,
    clock: Arc<dyn Clock>,
    wire: Arc<Wire>,
    /// How long a statement may run.
    time: Duration,
}

impl Statements {
    /// Over the names of this pipeline.
    pub fn new(global: &Global, loaded: &Loaded, threads: Arc<Threads>, clock: Arc<dyn Clock>) -> Self {
        let tables = Tables {
            data: global.data.clone(),
            kafka: global.kafka().to_string(),
            pipeline: Some(loaded.pipeline.clone()),
            undecoded: Arc::new(AtomicU64::new(0)),
            made: Made::of(loaded),
        };
        let tables = Arc::new(Registered(tables));
        let wire = Arc::new(Wire::new(Arc::clone(&tables), loaded, Arc::clone(&threads)));
        Self { tables, threads, clock, wire, time: TIME }
    }

    /// The names that can be read; of catalogs also those that the pipeline's queries have yet to make.
    pub fn names(&self) -> Vec<String> {
        let tables = &self.tables.0;
        let mut names = tables.known();
        let queries = tables.pipeline.iter().flat_map(|pipeline| &pipeline.queries);
        for name in queries.filter_map(|query| query.to_table.as_ref()).map(ToString::to_string) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

#[async_trait]
impl Sql for Statements {
    async fn ask(&self, sql: &str, rows: usize) -> Result<Rows, Refused> {
        let busy = || Error::new(&codes::BUSY, "too many statements are being answered");
        let _place = self.threads.places.try_acquire().map_err(|_| busy())?;
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.threads.turns).acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or_else(busy)?;
        let (tables, sql, now_ms) = (Arc::clone(&self.tables), sql.to_owned(), self.clock.now_ms());
        let time = self.time;
        let statement = async move {
            let limits = Limits { time: Some(time), memory: MEMORY, rows: None };
            // Planning cannot be interrupted: it goes on to its end, or to its deadline, also if nobody waits for it any
            // more, and keeps its turn.
            let planned = tokio::spawn(async move {
                let asked = adhoc::run(&*tables, Some(&FromJson), &sql, Takes::Rows, limits, now_ms);
                (asked.await, turn)
            });
            // Held until the work has really ended.
            let (answer, _turn) = planned.await.map_err(lost)?;
            let answer = answer.map_err(|refused| Refused { error: refused.error, place: refused.place })?;
            Ok(rows::collect(answer, Bounds { rows, bytes: ANSWER }).await?)
        };
        let Some(runtime) = &self.threads.runtime else { return Err(busy().into()) };
        // It ends when nobody waits for it any more.
        let task = AbortOnDropHandle::new(runtime.spawn(statement));
        let too_long = |_| Error::new(&codes::QUERY_LIMIT, format!("the query took longer than {time:?}"));
        tokio::time::timeout(time + GRACE, task).await.map_err(too_long)?.map_err(lost)?
    }

    fn statements(&self) -> Option<Arc<dyn forebay_server::shown::sql::Statements>> {
        Some(Arc::clone(&self.wire) as _)
    }
}

fn lost(error: JoinError) -> Error {
    Error::new(&codes::INTERNAL, "the query ended unexpectedly").caused_by(error)
}

/// The tables of the pipeline, by its names and in no other way.
pub(super) struct Registered(pub Tables);

#[async_trait]
impl TableResolver for Registered {
    async fn resolve(&self, kind: Option<&str>, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(kind) = kind {
            let error = Error::new(&codes::SQL_PLAN, format!("{kind}.`…` is not possible here"));
            return Err(error.with_hint(format!(
                "Only the pipeline's own names are: {}. `forebay query` on this machine reads paths and topics.",
                self.0.known().join(", ")
            )));
        }
        self.0.resolve(None, name).await
    }

    async fn names(&self) -> Result<Vec<String>> {
        Ok(self.0.known())
    }

    async fn catalog(&self) -> Result<Vec<TableName>> {
        self.0.catalog().await
    }

    async fn about(&self, kind: Option<&str>, name: &str) -> Result<Option<About>> {
        Ok(match kind {
            None => self.0.about(None, name).await?.map(|about| hidden(about, &self.0.data)),
            Some(_) => None,
        })
    }

    async fn history(&self, kind: Option<&str>, name: &str, most: usize) -> Result<Option<Vec<Commit>>> {
        match kind {
            None => self.0.history(None, name, most).await,
            Some(_) => Ok(None),
        }
    }

    fn detectors(&self) -> Option<Arc<dyn Functions>> {
        Some(Arc::new(Called { models: None }))
    }

    fn views(&self) -> Vec<(String, String)> {
        self.0.views()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use forebay_core::clock::SystemClock;
    use forebay_engine::late;
    use forebay_storage::Door;

    use super::*;
    use crate::load;

    const FILE: &str = "
pipeline: p
sources:
  iot:
    format: kafka
    options: { kafka.bootstrap.servers: '127.0.0.1:1', subscribe: t }
    value: json
    schema: n INT
views:
  numbers: SELECT n FROM iot
  once: { sql: SELECT n FROM iot, deduplicate: { keys: [n] } }
  above: SELECT n + 1 AS m FROM once
queries:
  lake: { sql: SELECT * FROM iot, format: delta, options: { path: tables/lake } }
";

    fn statements(data: &Path) -> Statements {
        statements_of(FILE, data)
    }

    fn statements_of(text: &str, data: &Path) -> Statements {
        let loaded = load::load(text, "p.yaml", None).map_err(|_| "the file is good").unwrap();
        let global = Global {
            data: data.to_owned(),
            http: "127.0.0.1:0".parse().unwrap(),
            kafka: None,
            log_level: "off".into(),
            log_format: crate::cli::LogFormat::Text,
        };
        Statements::new(&global, &loaded, Threads::new().unwrap(), Arc::new(SystemClock))
    }

    async fn refusal(statements: &Statements, sql: &str) -> Error {
        statements.ask(sql, 10).await.map(|rows| rows.json).unwrap_err().error
    }

    #[tokio::test]
    async fn nothing_but_the_names_of_the_pipeline_can_be_read() {
        let data = tempfile::tempdir().unwrap();
        let statements = statements(data.path());
        assert_eq!(statements.names(), ["iot", "lake", "numbers", "once", "above"]);
        // Its folder is made with the first late row.
        Door::new().create_dir_all(&late::folder(data.path(), "p", "lake")).unwrap();
        assert_eq!(statements.names().last().unwrap(), "late.lake");
        for sql in [
            "SELECT * FROM delta.`/etc`",
            "SELECT * FROM parquet./etc/passwd",
            "SELECT * FROM kafka.`t`",
            "SELECT * FROM `/etc/passwd`",
            "SELECT * FROM 's3://bucket/file.csv'",
            "SELECT * FROM range(10)",
            "SELECT * FROM read_files('/etc/passwd')",
            "SELECT * FROM information_schema.tables",
            "CREATE TABLE t (a INT)",
            "SET x = 1",
            "COPY lake TO 'x'",
            "SELECT 1; SELECT 2",
            "EXPLAIN SELECT 1",
        ] {
            let error = refusal(&statements, sql).await;
            let refused = [&codes::SQL_PLAN, &codes::SQL_SYNTAX, &codes::NOT_YET];
            assert!(refused.contains(&error.code()), "{sql}: {error}");
        }
    }

    #[tokio::test]
    async fn tables_are_listed_and_described_and_no_folder_of_this_machine_is_told() {
        let data = tempfile::tempdir().unwrap();
        let text =
            FILE.to_owned() + "  named: { sql: SELECT * FROM iot, format: delta, toTable: plant.raw.iot }\n";
        let statements = statements_of(&text, data.path());
        assert!(statements.names().contains(&"plant.raw.iot".to_owned()), "{:?}", statements.names());
        for (sql, part) in [
            ("SHOW TABLES", "lake"),
            ("SHOW SCHEMAS", "[]"),
            ("SHOW COLUMNS IN lake", r#"[["n"]]"#),
            ("DESCRIBE TABLE EXTENDED lake", r#"["Location","tables/lake",null]"#),
            ("DESCRIBE EXTENDED plant.raw.iot", r#"["Location","warehouse/plant/raw.db/iot",null]"#),
            ("DESCRIBE HISTORY lake", "[]"),
            ("DESCRIBE HISTORY plant.raw.iot", "[]"),
        ] {
            let rows = statements.ask(sql, 100).await.map_err(|refused| refused.error).unwrap();
            assert!(rows.json.contains(part), "{sql}: {}", rows.json);
            assert!(!rows.json.contains(data.path().to_str().unwrap()), "{sql}: {}", rows.json);
        }
        for (sql, part) in [
            ("DESCRIBE EXTENDED delta.`/etc`", "is not possible here"),
            ("DESCRIBE HISTORY delta.`/etc`", "is not possible here"),
            ("DESCRIBE lke", "unknown table"),
            ("DESCRIBE HISTORY numbers", "no history"),
            ("USE plant.raw", "each statement stands alone"),
        ] {
            let error = refusal(&statements, sql).await;
            assert!(error.message().contains(part), "{sql}: {error}");
        }
    }

    /// A BI tool asks before the first row is there, and takes an error for a broken connection.
    #[tokio::test]
    async fn a_table_that_a_query_will_make_is_there_without_rows() {
        let data = tempfile::tempdir().unwrap();
        let late = "
  counts:
    sql: SELECT window(t, '1 minute') AS w, device, count(*) AS c FROM timed GROUP BY window(t, '1 minute'), device
    format: console
";
        let timed = "
  timed:
    format: kafka
    options: { kafka.bootstrap.servers: '127.0.0.1:1', subscribe: u }
    value: json
    schema: device STRING, t TIMESTAMP
    watermark: { column: t, delay: 1 minute }
views:";
        let text = FILE.replace("\nviews:", timed) + late.trim_start_matches('\n');
        let statements = statements_of(&text, data.path());
        assert_eq!(statements.names().last().unwrap(), "late.counts");
        for (sql, columns) in [
            ("SELECT * FROM lake", "n"),
            ("SELECT * FROM late.counts", "device, t, _late"),
            (
                "SELECT device, _late.late_by_ms, _late.window.start FROM Late.Counts",
                "device, late_by_ms, start",
            ),
        ] {
            let rows = statements.ask(sql, 10).await.map_err(|refused| refused.error).unwrap();
            let names: Vec<&str> = rows.columns.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!((names.join(", ").as_str(), &*rows.json), (columns, "[]"), "{sql}");
        }
        let error = refusal(&statements, "SELECT * FROM late.lake").await;
        assert!(error.message().contains("can come too late"), "{error}");
    }

    #[tokio::test]
    async fn a_view_whose_rows_count_once_is_refused_over_tables() {
        let data = tempfile::tempdir().unwrap();
        let statements = statements(data.path());
        for sql in ["SELECT * FROM once", "SELECT max(m) FROM above", "SELECT 1 FROM lake, Once"] {
            let error = refusal(&statements, sql).await;
            assert_eq!(error.code(), &codes::SQL_PLAN, "{error}");
            assert!(error.message().contains("`once`") && error.message().contains("deduplicate"), "{error}");
            assert!(error.hint().contains("FROM (SELECT n FROM iot)"), "{}", error.hint());
        }
    }

    #[tokio::test]
    async fn a_statement_that_would_take_everything_ends_within_its_limits() {
        let data = tempfile::tempdir().unwrap();
        let mut statements = statements(data.path());
        statements.time = Duration::from_secs(1);
        let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
        let list = format!("SELECT 1 WHERE 1 IN ({})", vec!["2"; 40_000].join(","));
        for sql in [&deep, &list] {
            let error = refusal(&statements, sql).await;
            assert_eq!(error.code(), &codes::SQL_SYNTAX, "{error}");
        }
        let columns = |count: usize| vec!["1"; count].join(", ");
        let level = |n: usize| format!(", t{n} AS (SELECT replace(s, 'a', s) s FROM t{})", n - 1);
        let levels: String = (1..20).map(level).collect();
        let doubling = format!("WITH t0 AS (SELECT 'aaaaaaaaaa' s){levels} SELECT s FROM t19");
        for (sql, code) in [
            (format!("SELECT {}", columns(14_500)), &codes::SQL_PLAN),
            (
                "SELECT approx_percentile_cont(n, 0.5, 1e15) FROM (VALUES (1)) AS t(n)".to_owned(),
                &codes::SQL_PLAN,
            ),
            (doubling, &codes::QUERY_LIMIT),
        ] {
            let started = std::time::Instant::now();
            let error = refusal(&statements, &sql).await;
            assert_eq!(error.code(), code, "{error}");
            assert!(started.elapsed() < TIME, "its time is a second");
        }
        let rows = statements.ask("SELECT 'a' RLIKE '(a+)+$' AS r", 10).await.map(|rows| rows.json);
        assert_eq!(rows.unwrap(), "[[true]]");
        let numbers = (0..2_000).map(|n| format!("({n})")).collect::<Vec<_>>().join(",");
        let tables = ["a", "b", "c"].map(|name| format!("(VALUES {numbers}) AS {name}(n)"));
        let crossed =
            format!("SELECT count(*) FROM {} WHERE a.n * b.n + c.n < 0", tables.join(" CROSS JOIN "));
        let started = std::time::Instant::now();
        let error = refusal(&statements, &crossed).await;
        assert_eq!(error.code(), &codes::QUERY_LIMIT, "{error}");
        assert!(started.elapsed() < TIME, "not long after its second");
    }

    #[tokio::test]
    async fn who_goes_away_leaves_nothing_running() {
        let data = tempfile::tempdir().unwrap();
        let statements = statements(data.path());
        let numbers = (0..2_000).map(|n| format!("({n})")).collect::<Vec<_>>().join(",");
        let tables = ["a", "b", "c"].map(|name| format!("(VALUES {numbers}) AS {name}(n)"));
        let long = format!("SELECT count(*) FROM {} WHERE a.n * b.n + c.n < 0", tables.join(" CROSS JOIN "));
        let started = std::time::Instant::now();
        {
            let mut asked = Box::pin(statements.ask(&long, 10));
            while statements.threads.turns.available_permits() == AT_ONCE {
                let _: Option<()> = futures::FutureExt::now_or_never(asked.as_mut()).map(|_| ());
            }
        }
        // All turns are there again: the statement has ended, long before its time.
        let all = statements.threads.turns.acquire_many(AT_ONCE as u32).await;
        assert!(all.is_ok() && started.elapsed() < TIME, "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn one_too_many_is_told_to_come_back() {
        let data = tempfile::tempdir().unwrap();
        let statements = statements(data.path());
        let _all = statements.threads.places.try_acquire_many(MOST as u32).unwrap();
        assert_eq!(refusal(&statements, "SELECT 1").await.code(), &codes::BUSY);
    }
}
