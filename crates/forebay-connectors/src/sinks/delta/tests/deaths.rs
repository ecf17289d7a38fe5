//! Death at every kill point of the sink, with everything lost that was not fsynced, and a disk that refuses.
//!
//! Only in builds with storage faults (feature `faults` of `forebay-storage`); elsewhere these tests have nothing to
//! do. Each runs this very test binary again as a child, which plays an engine on a folder until it dies.

use std::process::{Command, ExitStatus};

use forebay_core::error::codes;
use forebay_storage::{FAULTS_BUILT_IN, KILL_POINTS, REWRITE_KILL_POINTS};

use super::*;

const EPOCHS: u64 = 12;
const CHILD: &str = "sinks::delta::tests::deaths::child";

/// Not a test by itself: writes the epochs that are missing, as an engine would after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Some(dir) = std::env::var_os("FOREBAY_TEST_LAKE").map(PathBuf::from) else { return };
    let options = [("path", "t"), ("autoCompact.minNumFiles", "8"), ("delta.checkpointInterval", "3")];
    let raw = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut sink = DeltaSink::new(&Options::parse(&SPEC, &raw).unwrap(), &dir, Door::new()).unwrap();
    sink.open(rows_schema()).await.unwrap();
    for number in 0..EPOCHS {
        let first = i64::try_from(number).unwrap() * 100;
        let lanes = vec![vec![rows(first..first + 10)], vec![rows(first + 50..first + 60)]];
        if let Err(error) = write(&mut sink, number, lanes).await {
            let kind = if error.is_retryable() { "retry" } else { "fatal" };
            std::fs::write(dir.join("error"), format!("{kind} {}", error.code().id)).unwrap();
            sink.abort(&epoch(number)).await.unwrap();
            return;
        }
        sink.tidy().await.unwrap();
        sink.settle().await;
    }
}

const REPLACING: u64 = 16;
const REPLACING_CHILD: &str = "sinks::delta::tests::deaths::replacing_child";

/// The rows of an epoch that replaces: in update mode some keys that come again and some that do not, in complete mode
/// all up to the epoch's number. The name tells the epoch.
fn replacing_rows(mode: OutputMode, number: u64) -> RecordBatch {
    let number = i64::try_from(number).unwrap();
    let ids = match mode {
        OutputMode::Complete => (0..=number).collect(),
        _ => vec![number % 5, 10 + number, 9 + number],
    };
    let names = StringArray::from(vec![format!("name-{number}"); ids.len()]);
    table_of(vec![("id", Arc::new(Int64Array::from(ids)) as ArrayRef), ("name", Arc::new(names))])
}

/// Not a test by itself: the same as [`child`] in another output mode.
#[tokio::test(flavor = "multi_thread")]
async fn replacing_child() {
    let Some(dir) = std::env::var_os("FOREBAY_TEST_LAKE").map(PathBuf::from) else { return };
    let mode = OutputMode::parse(&std::env::var("FOREBAY_TEST_MODE").unwrap()).unwrap();
    let options = [("path", "t"), ("autoCompact.minNumFiles", "8"), ("delta.checkpointInterval", "3")];
    let raw = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut sink = DeltaSink::new(&Options::parse(&SPEC, &raw).unwrap(), &dir, Door::new()).unwrap();
    sink.output(mode, &["id".to_owned()]).unwrap();
    sink.open(rows_schema()).await.unwrap();
    for number in 0..REPLACING {
        write(&mut sink, number, vec![vec![replacing_rows(mode, number)]]).await.unwrap();
        sink.tidy().await.unwrap();
        sink.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn death_at_any_point_leaves_each_row_once_where_rows_are_replaced() {
    if !FAULTS_BUILT_IN {
        return;
    }
    for mode in [OutputMode::Update, OutputMode::Complete] {
        let mut expected = BTreeMap::new();
        for number in 0..REPLACING {
            if mode == OutputMode::Complete {
                expected.clear();
            }
            let batch = replacing_rows(mode, number);
            let ids: &Int64Array = batch.column(0).as_any().downcast_ref().unwrap();
            expected.extend(ids.values().iter().map(|id| (*id, format!("name-{number}"))));
        }
        let expected: Vec<_> = expected.into_iter().map(|(id, name)| vec![id.to_string(), name]).collect();
        let in_update = |point: &&&str| mode == OutputMode::Update || !point.contains("optimize");
        let points = KILL_POINTS.iter().filter(|point| point.starts_with("sink.delta.")).filter(in_update);
        let more = if mode == OutputMode::Update { REWRITE_KILL_POINTS } else { &[] };
        for point in points.chain(more) {
            for hit in [1, 4, 11] {
                let lake = Lake::new(&[]);
                let at = format!("{point}:{hit}");
                let how = [("FOREBAY_TEST_MODE", mode.word())];
                let dying = [how[0], ("FOREBAY_KILL_AT", &at), ("FOREBAY_KILL_MODE", "lose")];
                let died = !run_test(REPLACING_CHILD, &lake, &dying).success();
                assert!(died || hit > 1, "{at} was never reached in output mode {mode}");
                assert!(run_test(REPLACING_CHILD, &lake, &how).success(), "no recovery after {at}");
                assert_eq!(lake.query("SELECT id, name FROM t ORDER BY id").await, expected, "{mode} {at}");
            }
        }
    }
}

fn run_child(lake: &Lake, environment: &[(&str, &str)]) -> ExitStatus {
    run_test(CHILD, lake, environment)
}

/// Runs a test of this binary as a process of its own, which may die.
pub(super) fn run_test(name: &str, lake: &Lake, environment: &[(&str, &str)]) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env("FOREBAY_TEST_LAKE", lake.dir.path());
    command.envs(environment.iter().copied());
    command.output().unwrap().status
}

async fn every_row_is_there_once(lake: &Lake) {
    let found = lake.query("SELECT count(*), count(DISTINCT id), count(DISTINCT name) FROM t").await;
    let all = (EPOCHS * 20).to_string();
    assert_eq!(found, [[all.clone(), all.clone(), all]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn death_at_any_point_loses_nothing_and_repeats_nothing() {
    if !FAULTS_BUILT_IN {
        return;
    }
    let mut deaths = 0;
    for point in KILL_POINTS.iter().filter(|point| point.starts_with("sink.delta.")) {
        for hit in [1, 2, 5] {
            let lake = Lake::new(&[]);
            let at = format!("{point}:{hit}");
            let died =
                !run_child(&lake, &[("FOREBAY_KILL_AT", &at), ("FOREBAY_KILL_MODE", "lose")]).success();
            assert!(died || hit > 1, "{at} was never reached");
            deaths += usize::from(died);
            assert!(run_child(&lake, &[]).success(), "no recovery after {at}");
            every_row_is_there_once(&lake).await;
        }
    }
    assert!(deaths >= 12, "only {deaths} deaths");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_is_seen_is_made_durable_before_it_counts_as_written() {
    if !FAULTS_BUILT_IN {
        return;
    }
    let lake = Lake::new(&[]);
    assert!(run_child(&lake, &[]).success());
    // All epochs are there. Their writer may have died between link and fsync, so the next one syncs the folder itself.
    assert!(run_child(&lake, &[("FOREBAY_FAULT", "eio:_delta_log")]).success());
    let told = std::fs::read_to_string(lake.dir.path().join("error")).unwrap_or_default();
    assert_eq!(told, format!("fatal {}", codes::STORAGE.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_fsync_is_noticed() {
    if !FAULTS_BUILT_IN {
        return;
    }
    // Without the log folder's fsync a commit that was reported must be gone after the power cut.
    for part in ["_delta_log", ".parquet"] {
        let lake = Lake::new(&[]);
        let environment = [
            ("FOREBAY_KILL_AT", "sink.delta.files.after:4"),
            ("FOREBAY_KILL_MODE", "lose"),
            ("FOREBAY_SKIP_SYNC", part),
        ];
        assert!(!run_child(&lake, &environment).success());
        let intact = match read::table_provider(&lake.root()).await {
            Err(_) => false,
            Ok(_) => {
                std::panic::AssertUnwindSafe(async {
                    let context = SessionContext::new();
                    let reading = read::table_provider(&lake.root()).await.ok()?;
                    context.register_table("t", reading.provider).ok()?;
                    let batches = context
                        .sql("SELECT count(DISTINCT name) AS n FROM t")
                        .await
                        .ok()?
                        .collect()
                        .await
                        .ok()?;
                    let counts: &Int64Array = batches.first()?.column(0).as_any().downcast_ref()?;
                    Some(counts.value(0))
                })
                .0
                .await
                    == Some(60)
            }
        };
        assert!(!intact, "nothing noticed that fsyncs of {part} were left out");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_for_and_a_broken_one_is_not() {
    if !FAULTS_BUILT_IN {
        return;
    }
    for (fault, expected) in [
        ("enospc:.parquet:3", format!("retry {}", codes::SINK_UNAVAILABLE.id)),
        ("enospc:_commit_:4", format!("retry {}", codes::SINK_UNAVAILABLE.id)),
        ("eio:.parquet:3", format!("fatal {}", codes::STORAGE.id)),
        ("eio:_commit_:4", format!("fatal {}", codes::STORAGE.id)),
        ("eio:_delta_log:9", format!("fatal {}", codes::STORAGE.id)),
    ] {
        let lake = Lake::new(&[]);
        assert!(run_child(&lake, &[("FOREBAY_FAULT", fault)]).success());
        let told = std::fs::read_to_string(lake.dir.path().join("error")).unwrap_or_default();
        assert_eq!(told, expected, "{fault}");
        if fault.starts_with("enospc") {
            let named = lake.query("SELECT count(*) FROM t").await;
            let files = read::table_provider(&lake.root()).await.unwrap().files;
            assert_eq!(lake.data_files().len(), files, "an aborted epoch left files: {fault} {named:?}");
        }
        assert!(run_child(&lake, &[]).success(), "no recovery after {fault}");
        every_row_is_there_once(&lake).await;
    }
}
