//! Rules with more than a condition, through the sink on a real folder: columns, empty epochs, people, notices, old journals.

use forebay_storage::lines;

use super::*;
use crate::columns::{OFFSET, clear_column, when_column};
use crate::{Acknowledged, Channel, Event, Level, Logic, Matches, NoData, Notice, Notices, Remark, Watched};

/// Warning above 70, critical above 90; silent after a second; told to `ops`.
fn watched() -> Watched {
    let channel =
        Channel { name: "ops".into(), least: Severity::Warning, wait_ms: 500, most: 10, listed: 20 };
    let mut watched = Watched::from(rule(0));
    watched.logic = Logic {
        levels: vec![Level::new(Severity::Warning, 0), Level::new(Severity::Critical, 0)],
        no_data: Some(NoData { after_ms: 1_000, of_key: true, ..NoData::default() }),
        ..Logic::plain(Severity::Warning, 0)
    };
    watched.notices = Notices { channels: vec![channel], ..Notices::default() };
    watched
}

/// Readings with the columns of the second level, and the places of their records.
fn levelled(readings: &[Reading<'_>]) -> RecordBatch {
    let base = batch(0, readings);
    let of = |condition: fn(f64) -> bool| -> Arc<BooleanArray> {
        Arc::new(readings.iter().map(|(_, _, value)| value.map(condition)).collect())
    };
    let mut fields: Vec<_> = base.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let bool_field = |name: String| Field::new(name, DataType::Boolean, true);
    fields.push(bool_field(when_column(1, Severity::Critical)));
    fields.push(bool_field(clear_column(1, Severity::Critical)));
    fields.push(Field::new(OFFSET, DataType::Int64, false));
    let mut columns = base.columns().to_vec();
    columns.push(of(|value| value > 90.0));
    columns.push(of(|value| value < 85.0));
    columns.push(Arc::new(arrow::array::Int64Array::from_iter_values(readings.iter().map(|row| row.1 * 10))));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

async fn open(dir: &Path, watched: Watched) -> (AlertSink, AlertBook) {
    let book = AlertBook::default();
    let clock = ManualClock::at(NOW);
    let bounds = Bounds::default();
    let mut sink = AlertSink::new(watched, bounds, dir.to_path_buf(), Door::new(), clock, book.clone());
    sink.open(levelled(&[]).schema()).await.unwrap();
    (sink, book)
}

/// Writes an epoch of this time.
async fn epoch(sink: &mut AlertSink, number: u64, now: i64, readings: &[Reading<'_>]) -> Written {
    let id = EpochId { planned_at_ms: now, ..id(number) };
    let Begun::Writers(mut writers) = sink.begin(&id, 1).await.unwrap() else { panic!("{number} is new") };
    let mut writer = writers.pop().unwrap();
    if !readings.is_empty() {
        writer.write(levelled(readings)).await.unwrap();
    }
    let part = writer.finish().await.unwrap();
    let written = sink.commit(&id, vec![part]).await.unwrap();
    sink.tidy().await.unwrap();
    written
}

fn events(notices: &[(String, Notice)]) -> Vec<(Event, &str)> {
    notices.iter().flat_map(|(_, notice)| &notice.lines).map(|line| (line.event, &*line.transition)).collect()
}

#[tokio::test]
async fn levels_silence_people_and_notices_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let (mut sink, _) = open(dir.path(), watched()).await;
    assert_eq!(sink.next_due(0), None);
    epoch(&mut sink, 0, 100, &[("a", 50, Some(80.0)), ("a", 60, Some(95.0)), ("b", 70, Some(20.0))]).await;
    assert_eq!(sink.next_due(0), Some(600), "what waits to be told, before the silence of `a` at 1,061");
    let (mut sink, book) = open(dir.path(), watched()).await;
    let alert = book.open().pop().unwrap();
    assert_eq!((alert.severity, alert.event()), (Severity::Critical, Event::Raised));
    assert_eq!((alert.life.levels[0].at, &alert.life.levels[0].value["temperature"]), (60, &95.0.into()));
    assert_eq!((alert.life.rows[0].offset, alert.life.rows[0].at), (Some(500), 50));
    let row = levelled(&[("a", 60, Some(95.0))]);
    let seen = crate::Seen::row(&row, &watched().logic, 100).unwrap();
    let says: Vec<_> = seen.says.iter().map(|says| (says.severity, says.when, says.clear)).collect();
    let (mild, bad) = (Severity::Warning, Severity::Critical);
    assert_eq!(says, [(mild, Some(true), Some(false)), (bad, Some(true), Some(false))]);
    let deeds = crate::Recalled::read(dir.path()).unwrap().deeds(&seen);
    assert!(matches!(deeds[..], [crate::Deed::Changed(_, Severity::Critical)]), "{deeds:?}");

    let remark = || Remark { at: 150, by: "ana".into(), comment: None };
    let mut changes = book.changes();
    assert!(matches!(book.acknowledge("overheat", &alert.id, remark()), Ok(Acknowledged::Now(_))));
    assert_eq!(changes.try_recv().unwrap().event(), Event::Acknowledged);
    assert!(matches!(book.acknowledge("overheat", &alert.id, remark()), Ok(Acknowledged::Before(_))));
    assert!(changes.try_recv().is_err() && book.acknowledge("other", &alert.id, remark()).is_err());
    assert!(book.due().is_empty(), "they wait for others");

    // Epochs without rows: nothing to do, then a notice, then silences.
    assert_eq!(epoch(&mut sink, 1, 500, &[]).await, Written::default());
    assert_eq!(sink.last_epoch("q-1").await.unwrap(), Some(Epoch(0)), "and nothing is written");
    epoch(&mut sink, 2, 600, &[]).await;
    let due = book.due();
    let expected = [
        (Event::Opened, "overheat/a/50#1"),
        (Event::Raised, "overheat/a/50#2"),
        (Event::Acknowledged, "overheat/a/50#3"),
    ];
    assert_eq!(events(&due), expected);
    let ids: Vec<String> = due.iter().map(|(_, notice)| notice.id.clone()).collect();
    book.delivered("overheat", &ids[..2]).unwrap();
    assert_eq!(sink.next_due(0), Some(1_061));
    epoch(&mut sink, 3, 1_071, &[]).await;
    assert_eq!(book.counts().open, 3);

    let (mut sink, book) = open(dir.path(), watched()).await;
    assert_eq!(events(&book.due()), expected[2..], "what was delivered is not due again");
    let told: Vec<_> = book.open().iter().map(|alert| alert.message.clone()).collect();
    assert_eq!(told[..2], ["overheat: b, no data for 1s", "overheat: a, no data for 1s"]);
    epoch(&mut sink, 4, 2_000, &[("a", 1_900, Some(20.0)), ("b", 1_950, Some(20.0))]).await;
    assert_eq!(book.counts().open, 0);
    let all: Vec<_> = book.cleared().iter().map(|alert| (alert.id.clone(), alert.cleared_at)).collect();
    let expected =
        [("overheat/␀noData/b/1070", 1_950), ("overheat/␀noData/a/1060", 1_900), ("overheat/a/50", 1_900)];
    let mut expected = expected.map(|(id, at)| (id.to_owned(), Some(at)));
    let mut found: Vec<_> = all;
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    sink.close().await;
    assert!(book.comment("overheat", "overheat/a/50", remark()).is_err(), "its journal is closed");
}

#[tokio::test]
async fn counted_rows_are_kept_with_the_alert_they_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut rule = Watched::from(rule(0));
    rule.logic.matches = Some(Matches::OfRows { count: 3, of: 4 });
    let (mut sink, book) = open(dir.path(), rule.clone()).await;
    epoch(&mut sink, 0, 100, &[("a", 1, Some(71.0)), ("a", 2, Some(20.0)), ("a", 3, Some(73.0))]).await;
    assert_eq!(book.counts().open, 0);
    let (mut sink, book) = open(dir.path(), rule).await;
    epoch(&mut sink, 1, 100, &[("a", 4, Some(74.0))]).await;
    let rows = book.open()[0].life.rows.clone();
    let rows: Vec<_> =
        rows.iter().map(|row| (row.at, row.value["temperature"].clone(), row.offset)).collect();
    assert_eq!(rows, [(1, 71.0.into(), Some(10)), (3, 73.0.into(), Some(30)), (4, 74.0.into(), Some(40))]);
}

#[tokio::test]
async fn a_journal_of_version_1_is_read_and_rewritten_before_anything_is_added() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts");
    let mut old = lines::header("forebay-alerts").into_bytes();
    lines::push_line(
        &mut old,
        r#"{"epoch":{"queryId":"q-1","epoch":4,"transitions":[{"id":"overheat/a/5","rule":"overheat","source":"iot","key":"a","severity":"critical","state":"open","openedAt":5,"clearedAt":null,"seenAt":1,"message":"m","value":{},"clearedValue":null}],"pending":{"b":1000}}}"#,
    );
    std::fs::write(&path, &old).unwrap();
    assert_eq!(crate::Recalled::read(dir.path()).unwrap().open(), 1);
    assert_eq!(std::fs::read(&path).unwrap(), old, "whoever only looks changes nothing");
    let (mut sink, book) = opened(dir.path(), 500, Bounds::default()).await;
    let bytes = std::fs::read(&path).unwrap();
    let (found, version) = lines::read_up_to("forebay-alerts", 2, &bytes).unwrap();
    assert_eq!((version, found.texts.len()), (2, 1), "one snapshot");
    assert_eq!(sink.last_epoch("q-1").await.unwrap(), Some(Epoch(4)));
    write(&mut sink, 5, vec![vec![batch(0, &[("b", 1_500, Some(80.0)), ("a", 1_600, Some(20.0))])]])
        .await
        .unwrap();
    let expected = [("a".to_owned(), 5, Some(1_600)), ("b".to_owned(), 1_500, None)];
    assert_eq!(alerts(&book), expected, "what was open clears, what waited has waited");
}

#[tokio::test]
async fn what_a_removed_rule_had_to_tell_is_forgotten_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let plain = || {
        let mut watched = watched();
        watched.logic.no_data = None;
        watched
    };
    let (mut sink, book) = open(dir.path(), plain()).await;
    epoch(&mut sink, 0, NOW, &[("a", 1, Some(95.0))]).await;
    epoch(&mut sink, 1, NOW + 600, &[]).await;
    epoch(&mut sink, 2, NOW + 700, &[("b", 2, Some(95.0))]).await;
    assert_eq!((book.due().len(), book.counts().open), (1, 2), "one is due, the other waits");
    drop(sink);
    let shown = AlertBook::default();
    let end =
        || crate::end_removed("overheat", dir.path(), Door::new(), &Bounds::default(), NOW + 800, &shown);
    assert_eq!((end().unwrap(), end().unwrap()), (2, 0));
    let (mut sink, book) = open(dir.path(), plain()).await;
    epoch(&mut sink, 3, NOW + 9_000, &[]).await;
    assert_eq!((book.due(), book.counts().open), (vec![], 0), "nobody hears of them when it comes back");
}
