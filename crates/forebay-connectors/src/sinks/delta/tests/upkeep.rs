//! Housekeeping: checkpoints, compaction, the sweep.

use std::sync::atomic::AtomicBool;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_log_gets_a_checkpoint_every_ten_commits_and_keeps_the_epochs() {
    let lake = Lake::new(&[]);
    let mut sink = lake.opened(&rows_schema()).await;
    for number in 0..25u64 {
        write(&mut sink, number, vec![vec![rows(0..1)]]).await.unwrap().unwrap();
        tidied(&mut sink).await;
    }
    let names: Vec<_> = std::fs::read_dir(lake.root().join("_delta_log"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".json"))
        .collect();
    assert_eq!(names.iter().filter(|name| name.contains("checkpoint.parquet")).count(), 2, "{names:?}");
    assert!(!names.iter().any(|name| name.ends_with(".tmp")), "{names:?}");
    // Only the checkpoint knows the first epochs now.
    for version in 0..15 {
        std::fs::remove_file(lake.root().join(format!("_delta_log/{version:020}.json"))).unwrap();
    }
    let mut again = lake.opened(&rows_schema()).await;
    assert!(write(&mut again, 24, vec![vec![rows(0..1)]]).await.unwrap().is_none());
    assert_eq!(lake.count().await, 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_become_one_and_no_row_changes() {
    let lake = Lake::new(&[("partitionBy", "name"), ("autoCompact.minNumFiles", "40")]);
    let mut sink = lake.opened(&rows_schema()).await;
    for number in 0..20i64 {
        let batch = table_of(vec![
            ("id", Arc::new(Int64Array::from(vec![number, 100 + number]))),
            ("name", Arc::new(StringArray::from(vec![Some("../../odd %2F name"), None]))),
        ]);
        write(&mut sink, number as u64, vec![vec![batch]]).await.unwrap().unwrap();
    }
    let before = lake.query("SELECT id, name FROM t ORDER BY id").await;
    tidied(&mut sink).await;
    assert_eq!(read::table_provider(&lake.root()).await.unwrap().files, 2);
    assert_eq!(lake.query("SELECT id, name FROM t ORDER BY id").await, before);
    let actions = lake.commit(lake.newest());
    assert_eq!(actions[0]["commitInfo"]["operation"], "OPTIMIZE");
    for action in &actions[1..] {
        let file = if action["add"].is_object() { &action["add"] } else { &action["remove"] };
        assert_eq!(file["dataChange"], false);
    }
    // The stream goes on over the versions of its own housekeeping.
    write(&mut sink, 20, vec![vec![rows(7..8)]]).await.unwrap().unwrap();
    assert_eq!(lake.count().await, 41);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_before_and_after_a_new_column_are_both_compacted() {
    let lake = Lake::new(&[("mergeSchema", "true"), ("autoCompact.minNumFiles", "20")]);
    let mut sink = lake.opened(&rows_schema()).await;
    for number in 0..10 {
        write(&mut sink, number, vec![vec![rows(0..1)]]).await.unwrap().unwrap();
    }
    let wider = |value: i64| {
        table_of(vec![
            ("id", Arc::new(Int64Array::from(vec![value])) as ArrayRef),
            ("extra", Arc::new(Int64Array::from(vec![value]))),
        ])
    };
    let mut sink = lake.opened(&wider(0).schema()).await;
    for number in 10..30 {
        write(&mut sink, number, vec![vec![wider(number as i64)]]).await.unwrap().unwrap();
    }
    tidied(&mut sink).await;
    assert_eq!(read::table_provider(&lake.root()).await.unwrap().files, 2);
    let sums = lake.query("SELECT count(*), count(name), count(extra), sum(extra) FROM t").await;
    assert_eq!(sums, [["30", "10", "20", "390"]]);
}

/// Writes twelve epochs of one row and plans their compaction.
async fn compaction_planned(lake: &Lake) -> (tidy::Task, compact::Plan) {
    let mut sink = lake.opened(&rows_schema()).await;
    for number in 0..12 {
        write(&mut sink, number, vec![vec![rows(0..1)]]).await.unwrap().unwrap();
    }
    let opened = sink.opened().unwrap();
    let (upkeep, query_id) = (opened.upkeep, opened.asked.clone().unwrap());
    let task = tidy::Task {
        table: sink.table.clone(),
        upkeep,
        encoding: sink.config.encoding.clone(),
        stem: file_stem(&query_id),
    };
    let plan = compact::plan(&task).await.unwrap().unwrap();
    (task, plan)
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_loses_against_a_writer_that_removed_its_files() {
    let lake = Lake::new(&[]);
    let (task, plan) = compaction_planned(&lake).await;
    let url = url::Url::from_directory_path(lake.root()).unwrap();
    deltalake_core::open_table(url).await.unwrap().delete().await.unwrap();
    compact::carry_out(&task, plan, &AtomicBool::new(false)).unwrap();
    assert_eq!(lake.newest(), 13, "the DELETE is the last word");
    assert_eq!(lake.count().await, 0);
    assert_eq!(lake.data_files().len(), 12, "and the compacted file is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_is_never_the_second_rewrite_of_a_file() {
    let lake = Lake::new(&[]);
    let (task, plan) = compaction_planned(&lake).await;
    let url = url::Url::from_directory_path(lake.root()).unwrap();
    let (table, _) = deltalake_core::open_table(url).await.unwrap().optimize().await.unwrap();
    // Not the newest version, either.
    table.write(vec![rows(0..1)]).await.unwrap();
    compact::carry_out(&task, plan, &AtomicBool::new(false)).unwrap();
    assert_eq!(lake.newest(), 14, "create, twelve epochs, OPTIMIZE, append, and nothing of ours");
    assert_eq!(lake.count().await, 13);
    assert_eq!(lake.data_files().len(), 12 + 1 + 1, "and the compacted file is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_passes_a_writer_that_only_appends() {
    let lake = Lake::new(&[("autoCompact.minNumFiles", "10"), ("delta.checkpointInterval", "1000")]);
    let mut sink = lake.opened(&rows_schema()).await;
    for number in 0..40 {
        write(&mut sink, number, vec![vec![rows(0..1)]]).await.unwrap().unwrap();
        // Not waited for: runs beside the next epochs.
        sink.tidy().await.unwrap();
    }
    sink.settle().await;
    assert_eq!(lake.count().await, 40);
    assert!(lake.newest() > 40, "something was compacted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_takes_orphans_and_nothing_else() {
    const DAY_MS: i64 = 86_400_000;
    let lake = Lake::new(&[("autoCompact.minNumFiles", "10"), ("delta.checkpointInterval", "1000")]);
    let mut sink = lake.opened(&rows_schema()).await;
    for number in 0..10 {
        write(&mut sink, number, vec![vec![rows(0..1)]]).await.unwrap().unwrap();
    }
    tidied(&mut sink).await;
    // A killed epoch, and a file of somebody else.
    let Begun::Writers(mut writers) = sink.begin(&epoch(10), 1).await.unwrap() else { panic!() };
    let mut writer = writers.remove(0);
    writer.write(rows(0..1)).await.unwrap();
    writer.finish().await.unwrap();
    drop(sink);
    std::fs::write(lake.root().join("part-00000-of-spark.snappy.parquet"), "x").unwrap();
    let tmp = lake.root().join("_delta_log/_commit_x.json.tmp");
    std::fs::write(&tmp, "x").unwrap();
    assert_eq!(lake.data_files().len(), 10 + 1 + 1 + 1);

    let sweep = async |number: u64, after_ms: i64| {
        let mut sink = lake.opened(&rows_schema()).await;
        write(&mut sink, number, vec![vec![rows(0..1)]]).await.unwrap().unwrap();
        lake.clock.advance(after_ms);
        tidied(&mut sink).await;
        lake.clock.advance(-after_ms);
    };
    sweep(11, 6 * DAY_MS).await;
    assert_eq!(lake.data_files().len(), 13 + 1, "inside the retention nothing goes");
    assert!(!tmp.exists(), "but staged leftovers do");
    sweep(12, 8 * DAY_MS).await;
    assert_eq!(lake.data_files().len(), 1 + 2 + 1, "{:?}", lake.data_files());
    assert_eq!(lake.count().await, 12);
}
