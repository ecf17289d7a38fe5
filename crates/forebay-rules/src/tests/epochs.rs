//! What epochs do to alerts: order, restarts, bounds, damage.

use super::*;

const HOT: Option<f64> = Some(71.5);
const WARM: Option<f64> = Some(68.0);
const COLD: Option<f64> = Some(20.0);

fn alert(key: &str, opened: i64, cleared: Option<i64>) -> (String, i64, Option<i64>) {
    (key.to_owned(), opened, cleared)
}

#[tokio::test]
async fn alerts_open_and_clear_and_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sink, book) = opened(dir.path(), 0, Bounds::default()).await;
    let first = batch(0, &[("a", 1, COLD), ("a", 2, HOT), ("b", 3, HOT), ("a", 4, WARM)]);
    let written = write(&mut sink, 0, vec![vec![first]]).await.unwrap().unwrap();
    assert_eq!(written.rows, 2, "transitions");
    assert_eq!(alerts(&book), [alert("a", 2, None), alert("b", 3, None)]);
    drop(sink);

    let (mut sink, again) = opened(dir.path(), 0, Bounds::default()).await;
    assert_eq!(again.open(), book.open(), "the same alerts, with the same ids and messages");
    assert_eq!(sink.last_epoch("q-1").await.unwrap(), Some(Epoch(0)));
    assert_eq!(sink.last_epoch("another").await.unwrap(), None);
    let open = &again.open()[0];
    assert_eq!((open.message.as_str(), open.seen_at), ("overheat: b, temperature 71.5", NOW));
    let mut changes = again.changes();
    write(&mut sink, 1, vec![vec![batch(0, &[("b", 5, COLD), ("a", 6, None)])]]).await.unwrap();
    assert_eq!(alerts(&again), [alert("a", 2, None), alert("b", 3, Some(5))]);
    let told = changes.try_recv().unwrap();
    assert_eq!(told.cleared_value.as_ref().unwrap()["temperature"], 20.0);
    assert!(changes.try_recv().is_err(), "each transition is told once");
}

#[tokio::test]
async fn an_alert_of_several_sources_knows_whose_record_opened_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sink, book) = opened(dir.path(), 0, Bounds::default()).await;
    let (one, other) =
        (batch_of("iot", 0, &[("a", 1, COLD), ("b", 5, HOT)]), batch_of("hall", 0, &[("a", 2, HOT)]));
    // One lane takes both, as a run with one core.
    write(&mut sink, 0, vec![vec![one, other]]).await.unwrap();
    let sources = |book: &AlertBook| -> Vec<(String, String)> {
        let told = |alert: Arc<Alert>| (alert.key.clone().unwrap(), alert.source.clone());
        book.open().into_iter().chain(book.cleared()).map(told).collect()
    };
    let told = |key: &str, source: &str| (key.to_owned(), source.to_owned());
    assert_eq!(sources(&book), [told("b", "iot"), told("a", "hall")]);
    assert_eq!(book.keys("iot", "device_id").into_keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(book.keys("hall", "device_id").len(), 0, "there the key is no field");
    // A record of the other source clears it; the alert stays the one that it was.
    write(&mut sink, 1, vec![vec![batch_of("iot", 0, &[("a", 3, COLD)])]]).await.unwrap();
    assert_eq!(alerts(&book), [alert("a", 2, Some(3)), alert("b", 5, None)]);
    assert_eq!(sources(&book), [told("b", "iot"), told("a", "hall")]);
}

#[tokio::test]
async fn an_epoch_that_comes_again_is_recognised() {
    let dir = tempfile::tempdir().unwrap();
    let rows = || vec![vec![batch(0, &[("a", 1, HOT), ("a", 2, COLD), ("a", 3, HOT)])]];
    let (mut sink, _) = opened(dir.path(), 0, Bounds::default()).await;
    write(&mut sink, 7, rows()).await.unwrap().unwrap();
    assert!(write(&mut sink, 7, rows()).await.unwrap().is_none());
    assert!(write(&mut sink, 3, rows()).await.unwrap().is_none(), "and so is an older one");
    let (mut sink, book) = opened(dir.path(), 0, Bounds::default()).await;
    assert!(write(&mut sink, 7, rows()).await.unwrap().is_none());
    assert_eq!(alerts(&book), [alert("a", 1, Some(2)), alert("a", 3, None)]);
}

#[tokio::test]
async fn an_attempt_that_fails_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sink, book) = opened(dir.path(), 0, Bounds::default()).await;
    let Begun::Writers(mut writers) = sink.begin(&id(0), 1).await.unwrap() else { panic!("epoch 0 is new") };
    writers[0].write(batch(0, &[("a", 1, HOT)])).await.unwrap();
    drop(writers);
    sink.abort(&id(0)).await.unwrap();
    assert_eq!(alerts(&book), []);
    write(&mut sink, 0, vec![vec![batch(0, &[("b", 1, HOT)])]]).await.unwrap();
    assert_eq!(alerts(&book), [alert("b", 1, None)]);
}

#[tokio::test]
async fn an_epoch_without_transitions_is_remembered_and_one_without_rows_need_not_be() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sink, _) = opened(dir.path(), 0, Bounds::default()).await;
    write(&mut sink, 0, vec![vec![batch(0, &[("a", 1, COLD)])]]).await.unwrap();
    assert_eq!(write(&mut sink, 1, vec![vec![], vec![]]).await.unwrap(), Some(Written::default()));
    assert_eq!(sink.last_epoch("q-1").await.unwrap(), Some(Epoch(0)));
}

#[tokio::test]
async fn what_is_pending_goes_on_in_the_next_epoch_and_process() {
    let dir = tempfile::tempdir().unwrap();
    for (epoch, reading) in
        [("a", 1_000, HOT), ("a", 5_000, None), ("a", 10_999, HOT)].into_iter().enumerate()
    {
        let (mut sink, book) = opened(dir.path(), 10_000, Bounds::default()).await;
        write(&mut sink, epoch as u64, vec![vec![batch(0, &[reading])]]).await.unwrap();
        assert_eq!(alerts(&book), []);
    }
    let (mut sink, book) = opened(dir.path(), 10_000, Bounds::default()).await;
    write(&mut sink, 3, vec![vec![batch(0, &[("a", 11_000, HOT), ("b", 11_000, HOT)])]]).await.unwrap();
    assert_eq!(alerts(&book), [alert("a", 11_000, None)]);
    write(&mut sink, 4, vec![vec![batch(0, &[("b", 12_000, WARM), ("b", 21_500, HOT)])]]).await.unwrap();
    assert_eq!(alerts(&book), [alert("a", 11_000, None)], "b was withdrawn meanwhile");
}

#[tokio::test]
async fn lanes_and_the_order_of_partitions_do_not_matter() {
    let (even, odd) = (
        [("a", 10, HOT), ("a", 20, HOT), ("a", 30, COLD)],
        [("a", 11, HOT), ("a", 21, HOT), ("a", 31, COLD)],
    );
    let late = [("a", 12, HOT), ("a", 40, COLD)];
    let (even, odd, late) = (batch(0, &even), batch(1, &odd), batch(2, &late));
    for lanes in [
        vec![vec![even.clone(), odd.clone(), late.clone()]],
        vec![vec![late.clone(), odd.clone(), even.clone()]],
        vec![vec![odd.clone()], vec![late.clone()], vec![even.clone()]],
        vec![vec![even.slice(0, 1), odd.slice(0, 2), even.slice(1, 2), odd.slice(2, 1)], vec![late.clone()]],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (mut sink, book) = opened(dir.path(), 0, Bounds::default()).await;
        write(&mut sink, 0, lanes).await.unwrap();
        assert_eq!(alerts(&book), [alert("a", 10, Some(30))]);
    }
}

#[tokio::test]
async fn what_a_partition_tells_late_of_a_time_that_is_decided_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sink, book) = opened(dir.path(), 0, Bounds::default()).await;
    write(&mut sink, 0, vec![vec![batch(0, &[("a", 10, HOT), ("a", 30, COLD)])]]).await.unwrap();
    write(&mut sink, 1, vec![vec![batch(1, &[("a", 11, HOT), ("a", 29, HOT)])]]).await.unwrap();
    assert_eq!(alerts(&book), [alert("a", 10, Some(30))]);
}

#[tokio::test]
async fn a_clock_that_runs_ahead_keeps_nothing_from_clearing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sink, book) = opened(dir.path(), 0, Bounds::default()).await;
    write(&mut sink, 0, vec![vec![batch(0, &[("a", NOW + 3_600_000, HOT)])]]).await.unwrap();
    assert_eq!(alerts(&book), [alert("a", NOW, None)]);
    write(&mut sink, 1, vec![vec![batch(0, &[("a", NOW, COLD)])]]).await.unwrap();
    assert_eq!(alerts(&book), [alert("a", NOW, Some(NOW))]);
}

#[tokio::test]
async fn a_record_without_a_time_has_that_of_its_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sink, book) = opened(dir.path(), 0, Bounds::default()).await;
    write(&mut sink, 0, vec![vec![batch(0, &[("a", -1, HOT), ("b", 0, HOT)])]]).await.unwrap();
    assert_eq!(alerts(&book), [alert("a", NOW, None), alert("b", NOW, None)]);
}

#[tokio::test]
async fn null_is_a_key_of_its_own_and_long_keys_that_begin_alike_are_two() {
    let dir = tempfile::tempdir().unwrap();
    let long = |end: &str| format!("{}{end}", "x".repeat(300));
    let (a, b) = (long("a"), long("b"));
    let rows = batch(0, &[("", 1, HOT), ("null", 2, HOT), (&a, 3, HOT), (&b, 4, HOT)]);
    let keys = StringArray::from(vec![Some(""), None, Some(&*a), Some(&*b)]);
    let mut columns = rows.columns().to_vec();
    columns[0] = Arc::new(keys);
    let rows = RecordBatch::try_new(rows.schema(), columns).unwrap();
    let (mut sink, _) = opened(dir.path(), 0, Bounds::default()).await;
    write(&mut sink, 0, vec![vec![rows]]).await.unwrap();
    drop(sink);
    let (mut sink, book) = opened(dir.path(), 0, Bounds::default()).await;
    assert_eq!(book.counts().open, 4);
    let open = book.open();
    let shown: Vec<_> = open.iter().rev().map(|alert| (alert.key.as_deref(), &*alert.id)).collect();
    assert_eq!(shown[..2], [(Some(""), "overheat//1"), (None, "overheat/␀/2")]);
    assert!(shown[2].0.unwrap().len() <= 256 && shown[2].0 != shown[3].0);
    assert_eq!(open[2].message, "overheat: NULL, temperature 71.5");
    assert_eq!(book.keys("iot", "device_id").get("").map(|of_key| of_key.count), Some(2));
    write(&mut sink, 1, vec![vec![batch(0, &[("", 5, COLD), (&b, 6, COLD)])]]).await.unwrap();
    let left: Vec<_> = book.open().iter().map(|alert| alert.opened_at).collect();
    assert_eq!(left, [3, 2], "each is cleared by its own");
}

#[tokio::test]
async fn a_removed_rule_has_nothing_open_and_goes_on_if_it_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let end = |book: &AlertBook| {
        let bounds = Bounds::default();
        crate::end_removed("overheat", dir.path(), Door::new(), &bounds, NOW + 5, book).unwrap()
    };
    assert_eq!(end(&AlertBook::default()), 0, "one that never ran");
    let (mut sink, _) = opened(dir.path(), 1_000, Bounds::default()).await;
    let rows = [("a", 1, HOT), ("a", 2_000, HOT), ("b", 2_000, HOT)];
    write(&mut sink, 0, vec![vec![batch(0, &rows)]]).await.unwrap();
    drop(sink);
    let book = AlertBook::default();
    assert_eq!((end(&book), end(&book)), (1, 0));
    let ended = &book.cleared()[0];
    assert_eq!((book.counts().open, ended.cleared_at, ended.rule_removed), (0, Some(NOW + 5), true));

    let (mut sink, book) = opened(dir.path(), 1_000, Bounds::default()).await;
    assert_eq!(sink.last_epoch("q-1").await.unwrap(), Some(Epoch(0)));
    let rows = [("b", NOW - 10, HOT), ("b", NOW, HOT)];
    write(&mut sink, 1, vec![vec![batch(0, &rows)]]).await.unwrap();
    assert_eq!(alerts(&book), [alert("a", 2_000, Some(NOW + 5))], "b does not wait since long ago");
}

#[tokio::test]
async fn the_journal_says_what_a_row_did() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sink, _) = opened(dir.path(), 1_000, Bounds::default()).await;
    let rows = [("a", 1, HOT), ("a", 2_000, HOT), ("a", 3_000, COLD), ("b", 2_000, HOT)];
    write(&mut sink, 0, vec![vec![batch(0, &rows)]]).await.unwrap();
    let recalled = crate::Recalled::read(dir.path()).unwrap();
    let deeds = |key: &str, at| {
        let seen = crate::Seen { key: Some(key.to_owned()), at, says: Vec::new() };
        let word = |deed| match deed {
            crate::Deed::Opened(alert) => format!("opened {}", alert.id),
            crate::Deed::Changed(alert, severity) => format!("{} {}", severity.word(), alert.id),
            crate::Deed::Cleared(alert) => format!("cleared {}", alert.id),
            crate::Deed::Began => "began".to_owned(),
        };
        recalled.deeds(&seen).into_iter().map(word).collect::<Vec<_>>()
    };
    assert_eq!(deeds("a", 1), [""; 0]);
    assert_eq!(deeds("a", 2_000), ["opened overheat/a/2000"]);
    assert_eq!(deeds("a", 3_000), ["cleared overheat/a/2000"]);
    assert_eq!(deeds("b", 2_000), ["began"]);
    assert!(
        crate::Recalled::read(&dir.path().join("nothing"))
            .unwrap()
            .deeds(&crate::Seen { key: None, at: 1, says: Vec::new() })
            .is_empty()
    );
}

#[tokio::test]
async fn beyond_the_bounds_alerts_wait_for_room_and_memory_does_not_grow() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Bounds { active: 2, cleared: 3, ..Bounds::default() };
    let (mut sink, book) = opened(dir.path(), 0, bounds).await;
    let all_hot = |at| batch(0, &[("a", at, HOT), ("b", at, HOT), ("c", at, HOT)]);
    write(&mut sink, 0, vec![vec![all_hot(1)]]).await.unwrap();
    assert_eq!(alerts(&book), [alert("a", 1, None), alert("b", 1, None)]);
    write(&mut sink, 1, vec![vec![batch(0, &[("a", 2, COLD)])]]).await.unwrap();
    write(&mut sink, 2, vec![vec![batch(0, &[("c", 3, HOT)])]]).await.unwrap();
    assert_eq!(alerts(&book), [alert("a", 1, Some(2)), alert("b", 1, None), alert("c", 3, None)]);
    for epoch in 3..9 {
        let at = 10 * i64::try_from(epoch).unwrap();
        write(&mut sink, epoch, vec![vec![batch(0, &[("b", at, COLD), ("b", at + 1, HOT)])]]).await.unwrap();
    }
    let (_, book) = opened(dir.path(), 0, bounds).await;
    let cleared: Vec<_> = book.cleared().iter().map(|alert| alert.cleared_at).collect();
    assert_eq!(cleared, [Some(80), Some(70), Some(60)], "the oldest went");
    assert_eq!(book.counts().open, 2);

    let dir = tempfile::tempdir().unwrap();
    let (mut sink, book) = opened(dir.path(), 0, Bounds { tracks: 1, ..bounds }).await;
    write(&mut sink, 0, vec![vec![all_hot(1)]]).await.unwrap();
    write(&mut sink, 1, vec![vec![batch(0, &[("z", 2, COLD), ("a", 3, COLD)])]]).await.unwrap();
    assert_eq!(alerts(&book), [alert("a", 1, Some(3))], "a key with an open alert is always looked at");
}

#[tokio::test]
async fn a_journal_that_has_grown_becomes_a_snapshot_that_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Bounds { journal: 2_000, cleared: 5, ..Bounds::default() };
    let (mut sink, book) = opened(dir.path(), 0, bounds).await;
    let (mut longest, mut rewritten, mut before) = (0, 0, 0);
    for epoch in 0..200 {
        let at = 10 * i64::try_from(epoch + 1).unwrap();
        let rows = [("a", at, HOT), ("b", at, HOT), ("a", at + 1, COLD)];
        write(&mut sink, epoch, vec![vec![batch(0, &rows)]]).await.unwrap();
        let length = std::fs::metadata(dir.path().join("alerts")).unwrap().len();
        rewritten += u32::from(length < before);
        (longest, before) = (length.max(longest), length);
    }
    assert!(rewritten > 10 && longest < 12_000, "rewritten {rewritten} times, at most {longest} bytes");
    let (mut sink, again) = opened(dir.path(), 0, bounds).await;
    assert_eq!((again.open(), again.cleared()), (book.open(), book.cleared()[..5].to_vec()));
    assert_eq!(sink.last_epoch("q-1").await.unwrap(), Some(Epoch(199)));
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_damage_before_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts");
    let (mut sink, _) = opened(dir.path(), 0, Bounds::default()).await;
    for epoch in 0..3 {
        let reading = [("a", i64::try_from(epoch + 1).unwrap(), if epoch % 2 == 0 { HOT } else { COLD })];
        write(&mut sink, epoch, vec![vec![batch(0, &reading)]]).await.unwrap();
    }
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    let (mut sink, book) = opened(dir.path(), 0, Bounds::default()).await;
    assert_eq!(alerts(&book), [alert("a", 1, Some(2))], "the last epoch is not there");
    write(&mut sink, 2, vec![vec![batch(0, &[("a", 3, HOT)])]]).await.unwrap().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), whole, "and comes again, as it was");

    let mut damaged = whole.clone();
    damaged[60] ^= 1;
    for (bytes, code) in [
        (damaged, "FB-6003"),
        (whole.iter().copied().skip(10).collect(), "FB-6003"),
        (b"forebay-alerts v9\n".to_vec(), "FB-6004"),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        let (mut sink, _) = super::sink(dir.path(), 0, Bounds::default());
        assert_eq!(sink.open(schema()).await.unwrap_err().code().id, code);
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing is touched");
    }
}
