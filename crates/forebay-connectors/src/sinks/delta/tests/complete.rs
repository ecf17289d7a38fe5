//! Complete mode: the whole result in place of the one before.

use forebay_core::error::codes;

use super::others::{foreign_append, put_version};
use super::*;

fn complete(options: &[(&'static str, &str)]) -> Lake {
    Lake::replacing(OutputMode::Complete, &[], options)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_is_the_whole_table_in_one_version() {
    let lake = complete(&[("partitionBy", "name")]);
    let mut sink = lake.opened(&rows_schema()).await;
    write(&mut sink, 0, vec![vec![rows(0..3)]]).await.unwrap().unwrap();
    let first = lake.commit(1);
    write(&mut sink, 1, vec![vec![rows(2..3)], vec![rows(5..6)]]).await.unwrap().unwrap();
    assert_eq!(lake.query("SELECT id FROM t ORDER BY id").await, [["2"], ["5"]]);
    let actions = lake.commit(2);
    let info = &actions[0]["commitInfo"];
    assert_eq!(info["operation"], "STREAMING UPDATE");
    assert_eq!(info["operationParameters"]["outputMode"], "Complete");
    assert_eq!(info["isBlindAppend"], false);
    assert_eq!(info["operationMetrics"]["numRemovedFiles"], "3");
    assert_eq!(actions[1]["txn"]["version"], 1);
    let removed: Vec<_> = actions.iter().map(|action| &action["remove"]).filter(|r| r.is_object()).collect();
    assert_eq!(removed.len(), 3);
    for remove in removed {
        assert_eq!(remove["dataChange"], true);
        let add =
            first.iter().map(|action| &action["add"]).find(|add| add["path"] == remove["path"]).unwrap();
        assert_eq!(remove["size"], add["size"]);
        assert_eq!(remove["partitionValues"], add["partitionValues"]);
    }
    // One that comes again is recognised, by this sink and by a new one.
    assert!(write(&mut sink, 1, vec![vec![rows(0..9)]]).await.unwrap().is_none());
    let mut again = lake.opened(&rows_schema()).await;
    assert!(write(&mut again, 1, vec![vec![rows(0..9)]]).await.unwrap().is_none());
    write(&mut again, 2, vec![vec![rows(7..8)]]).await.unwrap().unwrap();
    assert_eq!(lake.query("SELECT id FROM t").await, [["7"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_result_empties_the_table_once() {
    let lake = complete(&[]);
    let mut sink = lake.opened(&rows_schema()).await;
    write(&mut sink, 0, vec![vec![]]).await.unwrap().unwrap();
    assert_eq!(lake.newest(), 0, "it is empty already");
    write(&mut sink, 1, vec![vec![rows(0..3)]]).await.unwrap().unwrap();
    for number in [2, 3] {
        assert_eq!(write(&mut sink, number, vec![vec![]]).await.unwrap().unwrap(), Written::default());
        assert_eq!((lake.count().await, lake.newest()), (0, 2));
    }
    assert!(write(&mut sink, 2, vec![vec![rows(0..3)]]).await.unwrap().is_none(), "it has its txn");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_added_meanwhile_goes_too_and_what_they_removed_is_not_removed_again() {
    let lake = complete(&[]);
    let mut sink = lake.opened(&rows_schema()).await;
    for number in 0..6 {
        let first = i64::try_from(number).unwrap();
        let Begun::Writers(mut writers) = sink.begin(&epoch(number), 1).await.unwrap() else { panic!() };
        let mut writer = writers.remove(0);
        writer.write(rows(first..first + 2)).await.unwrap();
        let part = writer.finish().await.unwrap();
        foreign_append(&lake, rows(100..103)).await;
        let url = url::Url::from_directory_path(lake.root()).unwrap();
        if number % 2 == 1 {
            deltalake_core::open_table(url).await.unwrap().optimize().await.unwrap();
        }
        sink.commit(&epoch(number), vec![part]).await.unwrap();
        assert_eq!(
            lake.query("SELECT id FROM t ORDER BY id").await,
            [[first.to_string()], [(first + 1).to_string()]]
        );
        assert!(overlap_of_the_newest(&lake).is_empty());
    }
}

/// Files that the newest version removes though the versions before have removed them.
fn overlap_of_the_newest(lake: &Lake) -> Vec<String> {
    let mut live = std::collections::BTreeSet::new();
    let mut twice = Vec::new();
    for version in 0..=lake.newest() {
        let actions = lake.commit(version);
        for action in &actions {
            if let Some(path) = action["remove"]["path"].as_str()
                && !live.remove(path)
            {
                twice.push(path.to_owned());
            }
        }
        live.extend(actions.iter().filter_map(|action| Some(action["add"]["path"].as_str()?.to_owned())));
    }
    twice
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_others_are_removed_under_the_names_that_they_gave_them() {
    let lake = complete(&[("partitionBy", "name")]);
    let mut sink = lake.opened(&rows_schema()).await;
    write(&mut sink, 0, vec![vec![rows(0..1)]]).await.unwrap().unwrap();
    // Spark leaves letters beyond ASCII as they are; a file may also carry a deletion vector.
    let vector =
        serde_json::json!({"storageType": "i", "pathOrInlineDv": "abc", "sizeInBytes": 3, "cardinality": 1});
    let add = serde_json::json!({"add": {"path": "name=ü/x'.parquet", "partitionValues": {"name": "ü"}, "size": 5,
        "modificationTime": 0, "dataChange": true, "deletionVector": vector}});
    put_version(&lake, 2, &[add]);
    // Known from the log, and known from a load.
    let mut fresh = lake.opened(&rows_schema()).await;
    for sink in [&mut sink, &mut fresh] {
        let live_before = sink.catch_up("q-1").await.unwrap();
        assert_eq!(live_before, Some(0));
        let live = sink.opened().unwrap().live.clone().unwrap();
        let file = live.iter().find(|file| file.key.path == "name=ü/x'.parquet").unwrap();
        assert_eq!(file.values["name"].as_deref(), Some("ü"));
    }
    write(&mut sink, 1, vec![vec![rows(5..6)]]).await.unwrap().unwrap();
    let actions = lake.commit(3);
    let theirs = actions.iter().find(|action| action["remove"]["path"] == "name=ü/x'.parquet").unwrap();
    assert_eq!(theirs["remove"]["deletionVector"]["pathOrInlineDv"], "abc");
    assert_eq!(lake.query("SELECT id FROM t").await, [["5"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_only_table_is_refused() {
    for mode in [OutputMode::Complete, OutputMode::Update] {
        let mut lake = Lake::new(&[]);
        lake.opened(&rows_schema()).await;
        let mut metadata = lake.commit(0).into_iter().find(|action| action["metaData"].is_object()).unwrap();
        metadata["metaData"]["configuration"]["delta.appendOnly"] = "true".into();
        put_version(&lake, 1, &[metadata]);
        (lake.mode, lake.keys) = (mode, vec!["id".to_owned()]);
        for error in [
            lake.sink().fits(&rows_schema()).await.unwrap_err(),
            lake.sink().open(rows_schema()).await.unwrap_err(),
        ] {
            assert_eq!(error.code(), &codes::SINK_UNSUPPORTED);
            assert!(error.message().contains("delta.appendOnly"), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn housekeeping_leaves_the_result_alone_and_removes_old_ones() {
    let lake = complete(&[("delta.checkpointInterval", "3"), ("autoCompact.minNumFiles", "2")]);
    let mut sink = lake.opened(&rows_schema()).await;
    for number in 0..20i64 {
        write(&mut sink, number as u64, vec![vec![rows(number..number + 1)]]).await.unwrap().unwrap();
        tidied(&mut sink).await;
    }
    assert_eq!(lake.newest(), 20, "nothing to compact");
    assert_eq!(lake.query("SELECT id FROM t").await, [["19"]]);
    lake.clock.advance(8 * 86_400_000);
    let mut sink = lake.opened(&rows_schema()).await;
    write(&mut sink, 20, vec![vec![rows(20..21)]]).await.unwrap().unwrap();
    tidied(&mut sink).await;
    assert!(lake.data_files().len() <= 2, "{:?}", lake.data_files());
    assert_eq!(lake.query("SELECT id FROM t").await, [["20"]]);
}
