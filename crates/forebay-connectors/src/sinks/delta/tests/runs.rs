//! Many short runs, as `availableNow` from a timer makes them: each opens the table, writes a few epochs and closes.
//! Housekeeping must not depend on how long a process lives.

use forebay_storage::FAULTS_BUILT_IN;

use super::deaths::run_test;
use super::*;

const CHILD: &str = "sinks::delta::tests::runs::child";
/// Runs, of one to three epochs each.
const RUNS: u64 = 30;
const OPTIONS: [(&str, &str); 2] = [("delta.checkpointInterval", "4"), ("autoCompact.minNumFiles", "12")];

/// One run: the epochs from `first` on that the table does not have, as an engine would after a restart.
async fn run(sink: &mut DeltaSink, first: u64, epochs: u64) {
    sink.open(rows_schema()).await.unwrap();
    let newest = sink.last_epoch("q-1").await.unwrap();
    for number in first..first + epochs {
        let id = i64::try_from(number).unwrap() * 10;
        let written = write(sink, number, vec![vec![rows(id..id + 2)]]).await.unwrap();
        assert_eq!(written.is_none(), newest >= Some(Epoch(number)));
        sink.tidy().await.unwrap();
    }
    sink.close().await;
}

/// The first epoch of each run and how many it has.
fn plan() -> impl Iterator<Item = (u64, u64)> {
    (0..RUNS).scan(0u64, |first, run| {
        let epochs = 1 + run % 3;
        *first += epochs;
        Some((*first - epochs, epochs))
    })
}

async fn every_row_is_there_once(lake: &Lake) {
    let rows = plan().map(|(_, epochs)| epochs).sum::<u64>() * 2;
    let found = lake.query("SELECT count(*), count(DISTINCT id) FROM t").await;
    assert_eq!(found, [[rows.to_string(), rows.to_string()]]);
}

fn log_names(lake: &Lake, part: &str) -> Vec<String> {
    let entries = std::fs::read_dir(lake.root().join("_delta_log")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(part)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn short_runs_keep_a_table_as_tidy_as_a_long_one() {
    let mut lake = Lake::new(&OPTIONS);
    for (first, epochs) in plan() {
        run(&mut lake.sink(), first, epochs).await;
    }
    every_row_is_there_once(&lake).await;
    let checkpoints = log_names(&lake, ".checkpoint.parquet").len();
    assert!(checkpoints >= 10, "{checkpoints} checkpoints of {} versions", lake.newest());
    assert!(log_names(&lake, ".tmp").is_empty(), "{:?}", log_names(&lake, ".tmp"));
    let compactions = (1..=lake.newest())
        .filter(|version| lake.commit(*version)[0]["commitInfo"]["operation"] == "OPTIMIZE")
        .count();
    assert!(compactions >= 3, "{compactions}");
    let active = read::table_provider(&lake.root()).await.unwrap().files;
    assert!(active < 24, "{active} files of 60 epochs");
    assert!(lake.data_files().len() > 60, "inside the retention the compacted ones stay");

    // Eight days and 31 days later: old files go, then old log entries.
    lake.options.push(("delta.autoOptimize.autoCompact", "false".to_owned()));
    for (number, days) in [(60, 8), (61, 31)] {
        lake.clock.advance(days * 86_400_000);
        let mut sink = lake.sink();
        run(&mut sink, number, 1).await;
    }
    let active = read::table_provider(&lake.root()).await.unwrap().files;
    assert_eq!(lake.data_files().len(), active, "only what the table has is left");
    assert!(!lake.root().join(format!("_delta_log/{:020}.json", 0)).exists(), "the log was cut");
    assert_eq!(lake.count().await, 2 * 62);
}

/// Not a test by itself: all runs one after another, until it dies.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Some(dir) = std::env::var_os("FOREBAY_TEST_LAKE").map(PathBuf::from) else { return };
    let raw = OPTIONS.iter().chain(&[("path", "t")]);
    let raw = raw.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let options = Options::parse(&SPEC, &raw).unwrap();
    for (first, epochs) in plan() {
        run(&mut DeltaSink::new(&options, &dir, Door::new()).unwrap(), first, epochs).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn death_while_a_run_closes_leaves_nothing_half_done() {
    if !FAULTS_BUILT_IN {
        return;
    }
    // Compaction is begun beside the last epoch of a run, so these points are reached while it closes.
    for at in ["sink.delta.optimize.before:1", "sink.delta.optimize.after:1", "sink.delta.optimize.after:2"] {
        let lake = Lake::new(&[]);
        let environment = [("FOREBAY_KILL_AT", at), ("FOREBAY_KILL_MODE", "lose")];
        assert!(!run_test(CHILD, &lake, &environment).success(), "{at} was never reached");
        assert!(run_test(CHILD, &lake, &[]).success(), "no recovery after {at}");
        every_row_is_there_once(&lake).await;
    }
    // A disk without room for log checkpoints or compacted files costs no row and no run.
    for fault in ["enospc:_put_", "enospc:-c-"] {
        let lake = Lake::new(&[]);
        assert!(run_test(CHILD, &lake, &[("FOREBAY_FAULT", fault)]).success(), "{fault}");
        assert!(log_names(&lake, ".checkpoint.parquet").is_empty() == (fault == "enospc:_put_"));
        every_row_is_there_once(&lake).await;
        assert!(run_test(CHILD, &lake, &[]).success(), "no recovery after {fault}");
        every_row_is_there_once(&lake).await;
    }
}
