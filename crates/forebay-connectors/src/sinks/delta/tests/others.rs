//! Other writers on the same table: delta-rs, and commits made by hand.

use forebay_core::error::codes;

use super::*;

pub(super) async fn foreign_append(lake: &Lake, batch: RecordBatch) {
    let url = url::Url::from_directory_path(lake.root()).unwrap();
    deltalake_core::open_table(url).await.unwrap().write(vec![batch]).await.unwrap();
}

pub(super) fn put_version(lake: &Lake, version: u64, actions: &[Value]) {
    let text: String = actions.iter().map(|action| format!("{action}\n")).collect();
    let path = lake.root().join(format!("_delta_log/{version:020}.json"));
    assert!(!path.exists());
    std::fs::write(path, text).unwrap();
}

/// The table's metadata as version 0 has it.
fn metadata(lake: &Lake) -> Value {
    lake.commit(0).into_iter().find(|action| action["metaData"].is_object()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_writer_between_all_our_steps_costs_a_version_number_only() {
    let lake = Lake::new(&[]);
    let mut sink = lake.opened(&rows_schema()).await;
    for number in 0..5i64 {
        let Begun::Writers(mut writers) = sink.begin(&epoch(number as u64), 1).await.unwrap() else {
            panic!()
        };
        let mut writer = writers.remove(0);
        writer.write(rows(number * 10..number * 10 + 10)).await.unwrap();
        let part = writer.finish().await.unwrap();
        foreign_append(&lake, rows(1_000 + number..1_001 + number)).await;
        sink.commit(&epoch(number as u64), vec![part]).await.unwrap();
        foreign_append(&lake, rows(2_000 + number..2_001 + number)).await;
    }
    assert_eq!(lake.newest(), 15);
    let found = lake.query("SELECT count(*), count(DISTINCT id) FROM t").await;
    assert_eq!(found, [["60", "60"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_epoch_in_a_version_that_came_first_stops_the_commit() {
    let lake = Lake::new(&[]);
    let mut sink = lake.opened(&rows_schema()).await;
    let mut zombie = lake.opened(&rows_schema()).await;
    let Begun::Writers(mut writers) = zombie.begin(&epoch(0), 1).await.unwrap() else { panic!() };
    let mut writer = writers.remove(0);
    writer.write(rows(0..10)).await.unwrap();
    let part = writer.finish().await.unwrap();
    write(&mut sink, 0, vec![vec![rows(0..10)]]).await.unwrap().unwrap();
    zombie.commit(&epoch(0), vec![part]).await.unwrap();
    assert_eq!(lake.newest(), 1, "the zombie wrote no version");
    assert_eq!(lake.count().await, 10);
    assert_eq!(lake.data_files().len(), 1, "and its file is gone");
    assert!(write(&mut zombie, 0, vec![vec![rows(0..10)]]).await.unwrap().is_none());
}

/// Twelve epochs, and the table as delta-rs knew it then.
async fn twelve_small_files(lake: &Lake) -> (DeltaSink, deltalake_core::DeltaTable) {
    let mut sink = lake.opened(&rows_schema()).await;
    for number in 0..12i64 {
        write(&mut sink, number as u64, vec![vec![rows(number..number + 1)]]).await.unwrap().unwrap();
    }
    let url = url::Url::from_directory_path(lake.root()).unwrap();
    (sink, deltalake_core::open_table(url).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_optimiser_that_doubles_rows_is_told_once() {
    let lake = Lake::new(&[("autoCompact.minNumFiles", "10"), ("delta.checkpointInterval", "1000")]);
    let (mut sink, stale) = twelve_small_files(&lake).await;
    tidied(&mut sink).await;
    assert_eq!(lake.newest(), 13, "ours came first");
    stale.optimize().await.unwrap();
    assert_eq!(lake.count().await, 24, "should delta-rs notice by now, the docs and `overlap.rs` can go");
    for number in 12..15 {
        write(&mut sink, number, vec![vec![rows(0..1)]]).await.unwrap().unwrap();
        tidied(&mut sink).await;
        assert_eq!(sink.tidier.told(), [14]);
    }
    let error = overlap::check(&sink.table, 14).await.unwrap().unwrap();
    assert!(error.detail().unwrap().contains("in the table twice"), "{error}");
    // Somebody else's rewrite by the rules is nobody's business, and so is ours.
    let url = url::Url::from_directory_path(lake.root()).unwrap();
    deltalake_core::open_table(url).await.unwrap().optimize().await.unwrap();
    write(&mut sink, 15, vec![vec![rows(0..1)]]).await.unwrap().unwrap();
    tidied(&mut sink).await;
    assert_eq!(sink.tidier.told(), [14]);
    // It took the doubled rows into another file: that they lie elsewhere is not that they are gone.
    assert!(overlap::check(&sink.table, 14).await.unwrap().is_some());
    for (restored, is_told) in [(14, true), (13, false)] {
        let url = url::Url::from_directory_path(lake.root()).unwrap();
        let table = deltalake_core::open_table(url).await.unwrap();
        table.restore().with_version_to_restore(restored).await.unwrap();
        assert_eq!(overlap::check(&sink.table, 14).await.unwrap().is_some(), is_told, "{restored}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_passes_no_version_that_nobody_looked_at() {
    let lake = Lake::new(&[("autoCompact.minNumFiles", "10"), ("delta.checkpointInterval", "1000")]);
    let (mut sink, stale) = twelve_small_files(&lake).await;
    tidied(&mut sink).await;
    stale.optimize().await.unwrap();
    // The stream has not come to version 14 yet, and a checkpoint is due.
    sink.opened().unwrap().upkeep.checkpoint_interval = 1;
    tidied(&mut sink).await;
    assert_eq!(sink.table.last_checkpoint().unwrap(), Some(14));
    assert_eq!(sink.tidier.told(), [14]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_removed_is_looked_at_also_where_the_table_is_loaded_anew() {
    let lake = Lake::new(&[("autoCompact.minNumFiles", "10"), ("delta.checkpointInterval", "1000")]);
    let (mut sink, stale) = twelve_small_files(&lake).await;
    tidied(&mut sink).await;
    stale.optimize().await.unwrap();
    let url = url::Url::from_directory_path(lake.root()).unwrap();
    let table = deltalake_core::open_table(url).await.unwrap();
    deltalake_core::checkpoints::create_checkpoint(&table, None).await.unwrap();
    // The newest version that the sink knows seems to be another one now.
    let known =
        std::fs::File::options().write(true).open(lake.root().join(sink.table.version_file(12))).unwrap();
    known.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    write(&mut sink, 12, vec![vec![rows(0..1)]]).await.unwrap().unwrap();
    tidied(&mut sink).await;
    assert_eq!(sink.tidier.told(), [14]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_could_not_be_looked_at_is_looked_at_again() {
    let lake = Lake::new(&[("autoCompact.minNumFiles", "10"), ("delta.checkpointInterval", "1000")]);
    let (mut sink, stale) = twelve_small_files(&lake).await;
    tidied(&mut sink).await;
    stale.optimize().await.unwrap();
    let (there, away) = (lake.root().join(sink.table.version_file(5)), lake.root().join("away"));
    std::fs::rename(&there, &away).unwrap();
    write(&mut sink, 12, vec![vec![rows(0..1)]]).await.unwrap().unwrap();
    tidied(&mut sink).await;
    assert_eq!(sink.tidier.told(), [0; 0]);
    std::fs::rename(&away, &there).unwrap();
    tidied(&mut sink).await;
    assert_eq!(sink.tidier.told(), [0; 0], "not at once");
    lake.clock.advance(60_000);
    tidied(&mut sink).await;
    assert_eq!(sink.tidier.told(), [14]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_no_longer_tells_is_passed_over() {
    let lake = Lake::new(&[("autoCompact.minNumFiles", "10"), ("delta.checkpointInterval", "1000")]);
    let (mut sink, stale) = twelve_small_files(&lake).await;
    tidied(&mut sink).await;
    stale.optimize().await.unwrap();
    let url = url::Url::from_directory_path(lake.root()).unwrap();
    let table = deltalake_core::open_table(url).await.unwrap();
    deltalake_core::checkpoints::create_checkpoint(&table, None).await.unwrap();
    assert!(overlap::check(&sink.table, 14).await.unwrap().is_some());
    std::fs::remove_file(lake.root().join(sink.table.version_file(0))).unwrap();
    assert!(overlap::check(&sink.table, 14).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_is_lost_to_a_compaction_is_told() {
    let lake = Lake::new(&[("autoCompact.minNumFiles", "10"), ("delta.checkpointInterval", "1000")]);
    let (mut sink, stale) = twelve_small_files(&lake).await;
    tidied(&mut sink).await;
    let noticed = stale.clone().delete().with_predicate("id < 3").await.is_err();
    assert!(noticed, "with a predicate delta-rs looks at the compacted file");
    stale.delete().await.unwrap();
    assert_eq!(lake.count().await, 12, "should delta-rs notice by now, the docs and `overlap.rs` can go");
    write(&mut sink, 12, vec![vec![rows(0..1)]]).await.unwrap().unwrap();
    tidied(&mut sink).await;
    assert_eq!(sink.tidier.told(), [14]);
    let error = overlap::check(&sink.table, 14).await.unwrap().unwrap();
    assert!(error.detail().unwrap().contains("still there"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_doubled_between_two_runs_are_told_until_they_are_restored() {
    let lake = Lake::new(&[("autoCompact.minNumFiles", "10"), ("delta.checkpointInterval", "1000")]);
    let (mut sink, stale) = twelve_small_files(&lake).await;
    tidied(&mut sink).await;
    sink.close().await;
    stale.optimize().await.unwrap();
    let run = async |number| {
        let mut sink = lake.opened(&rows_schema()).await;
        write(&mut sink, number, vec![vec![rows(0..1)]]).await.unwrap().unwrap();
        tidied(&mut sink).await;
        sink.tidier.told()
    };
    assert_eq!(run(12).await, [14]);
    let error = overlap::check(&lake.sink().table, 14).await.unwrap().unwrap();
    assert_eq!(error.code(), &codes::STALE_CHANGE);
    assert!(
        error.message().contains("version 14") && error.detail().unwrap().contains("12 files"),
        "{error}"
    );
    for part in ["RESTORE the table to version 13", "delta.autoOptimize.autoCompact: false"] {
        assert!(error.hint().contains(part), "{error:?}");
    }
    let url = url::Url::from_directory_path(lake.root()).unwrap();
    let table = deltalake_core::open_table(url).await.unwrap();
    table.restore().with_version_to_restore(13).await.unwrap();
    assert_eq!(lake.count().await, 12);
    assert_eq!(run(13).await, [0; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_queries_share_a_table() {
    let lake = Lake::new(&[]);
    let (mut one, mut two) = (lake.opened(&rows_schema()).await, lake.opened(&rows_schema()).await);
    let other = |number| EpochId { query_id: "q-2".into(), ..epoch(number) };
    for number in 0..20i64 {
        write(&mut one, number as u64, vec![vec![rows(number..number + 1)]]).await.unwrap().unwrap();
        let Begun::Writers(mut writers) = two.begin(&other(number as u64), 1).await.unwrap() else {
            panic!()
        };
        let mut writer = writers.remove(0);
        writer.write(rows(100 + number..101 + number)).await.unwrap();
        let part = writer.finish().await.unwrap();
        two.commit(&other(number as u64), vec![part]).await.unwrap();
    }
    assert_eq!(lake.query("SELECT count(*), count(DISTINCT id) FROM t").await, [["40", "40"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_changes_its_type_meanwhile_is_a_clear_error() {
    let lake = Lake::new(&[]);
    let mut sink = lake.opened(&rows_schema()).await;
    let Begun::Writers(mut writers) = sink.begin(&epoch(0), 1).await.unwrap() else { panic!() };
    let mut writer = writers.remove(0);
    writer.write(rows(0..10)).await.unwrap();
    let part = writer.finish().await.unwrap();
    let mut changed = metadata(&lake);
    let schema = changed["metaData"]["schemaString"].as_str().unwrap().replace("\"long\"", "\"string\"");
    changed["metaData"]["schemaString"] = schema.into();
    put_version(&lake, 1, &[changed]);
    let error = sink.commit(&epoch(0), vec![part]).await.unwrap_err();
    assert_eq!(error.code(), &codes::SINK_SCHEMA);
    sink.abort(&epoch(0)).await.unwrap();
    assert!(lake.data_files().is_empty());
    let error = sink.begin(&epoch(0), 1).await.err().unwrap();
    assert_eq!(error.code(), &codes::SINK_SCHEMA);
    assert!(error.detail().unwrap().contains("`id` is long, the table has string"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_added_meanwhile_is_null_in_our_rows() {
    let lake = Lake::new(&[]);
    let mut sink = lake.opened(&rows_schema()).await;
    let mut changed = metadata(&lake);
    let schema = changed["metaData"]["schemaString"].as_str().unwrap();
    let more = r#"[{"name":"site","type":"string","nullable":true,"metadata":{}},"#;
    changed["metaData"]["schemaString"] = schema.replacen('[', more, 1).into();
    put_version(&lake, 1, &[changed]);
    write(&mut sink, 0, vec![vec![rows(0..2)]]).await.unwrap().unwrap();
    assert_eq!(lake.query("SELECT site, id FROM t ORDER BY id").await, [["NULL", "0"], ["NULL", "1"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_that_we_cannot_write_stops_with_its_feature() {
    let lake = Lake::new(&[]);
    let mut sink = lake.opened(&rows_schema()).await;
    write(&mut sink, 0, vec![vec![rows(0..2)]]).await.unwrap().unwrap();
    let protocol = serde_json::json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 7,
        "writerFeatures": ["appendOnly", "invariants", "domainMetadata", "rowTracking"]}});
    put_version(&lake, 2, &[protocol]);
    let error = write(&mut sink, 1, vec![vec![rows(0..2)]]).await.unwrap_err();
    assert_eq!(error.code(), &codes::SINK_UNSUPPORTED);
    assert!(error.message().contains("rowTracking"), "{error}");
    let error = lake.sink().open(rows_schema()).await.unwrap_err();
    assert_eq!(error.code(), &codes::SINK_UNSUPPORTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_cut_while_we_slept_is_loaded_anew() {
    let lake = Lake::new(&[]);
    let mut sink = lake.opened(&rows_schema()).await;
    write(&mut sink, 0, vec![vec![rows(0..2)]]).await.unwrap().unwrap();
    let mut other = lake.opened(&rows_schema()).await;
    for number in 1..4 {
        write(&mut other, number, vec![vec![rows(0..1)]]).await.unwrap().unwrap();
    }
    let url = url::Url::from_directory_path(lake.root()).unwrap();
    let table = deltalake_core::open_table(url).await.unwrap();
    deltalake_core::checkpoints::create_checkpoint(&table, None).await.unwrap();
    for version in 0..4 {
        std::fs::remove_file(lake.root().join(format!("_delta_log/{version:020}.json"))).unwrap();
    }
    // Version 2 would be free to take: it must not be taken, and epoch 3 must be recognised.
    assert!(write(&mut sink, 3, vec![vec![rows(0..1)]]).await.unwrap().is_none());
    write(&mut sink, 4, vec![vec![rows(0..1)]]).await.unwrap().unwrap();
    assert_eq!(lake.newest(), 5);
    assert_eq!(lake.count().await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_removed_is_not_made_anew() {
    let lake = Lake::new(&[]);
    let mut sink = lake.opened(&rows_schema()).await;
    write(&mut sink, 0, vec![vec![rows(0..2)]]).await.unwrap().unwrap();
    std::fs::remove_dir_all(lake.root()).unwrap();
    let error = write(&mut sink, 1, vec![vec![rows(0..2)]]).await.unwrap_err();
    assert_eq!(error.code(), &codes::SINK_SCHEMA, "{error}");
    let mut new = lake.opened(&rows_schema()).await;
    write(&mut new, 0, vec![vec![rows(0..2)]]).await.unwrap().unwrap();
    let error = write(&mut sink, 1, vec![vec![rows(0..2)]]).await.unwrap_err();
    assert!(error.message().contains("another table"), "{error}");
}
