use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use forebay_core::ddl;
use forebay_storage::Door;

use super::*;
use crate::codec::checked;
use crate::layout::Layout;
use crate::testing::NOW;

const MINUTE: i64 = 60_000;

fn layout() -> Layout {
    let schema = ddl::parse("d STRING, customer STRING, status STRING, code BIGINT, t DOUBLE").unwrap();
    let labels = ["customer", "STATUS", "code"].map(str::to_owned);
    Layout::new(&schema, Some("d"), &[]).with_labels(&labels)
}

fn place(folder: &std::path::Path) -> Place {
    Place { folder: folder.to_path_buf(), fingerprint: layout().fingerprint(), door: Door::new() }
}

fn tally(folder: &std::path::Path) -> Tally {
    Tally::new(&layout().labels, &place(folder)).unwrap()
}

/// A customer, a status and a code, at a time.
type Told<'a> = (i64, &'a str, Option<&'a str>, i64);

fn give(tally: &mut Tally, rows: &[Told<'_>], now_ms: i64) {
    let schema = ddl::parse("d STRING, customer STRING, status STRING, code BIGINT, t DOUBLE").unwrap();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["d1"; rows.len()])),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))),
        Arc::new(rows.iter().map(|row| row.2).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.3).collect::<Int64Array>()),
        Arc::new(Float64Array::from(vec![1.0; rows.len()])),
    ];
    let batch = RecordBatch::try_new(schema, columns).unwrap();
    let columns = Columns::bind(&layout(), &batch);
    rows.iter().enumerate().for_each(|(row, told)| tally.take(&columns, row, told.0, now_ms));
}

/// Each value with how often it came, and the others.
fn totals(
    tally: &Tally,
    label: usize,
    range: Range,
    only: &[(usize, &str)],
    now_ms: i64,
) -> (Vec<(String, u64)>, u64) {
    let only = only.iter().map(|(field, value)| (*field, vec![(*value).to_owned()])).collect();
    let ask = SharesAsk { label, range, points: 60, only };
    let shares = tally.gather(&ask, now_ms).unwrap().read();
    let sum = |share: Share| (share.value.unwrap_or_else(|| "-".to_owned()), share.count.iter().sum());
    (shares.shares.into_iter().map(sum).collect(), shares.others.iter().sum())
}

fn named(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
    pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn a_label_is_counted_within_any_choice_of_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut tally = tally(dir.path());
    let rows = [
        (NOW, "C1", Some("SUCCESS"), 200),
        (NOW, "C1", Some("SUCCESS"), 200),
        (NOW - 5_000, "C1", Some("ERROR"), 500),
        (NOW, "C2", Some("ERROR"), 9_007_199_254_740_993),
        (NOW, "C2", None, 500),
    ];
    give(&mut tally, &rows, NOW);
    let all = |label, only: &[(usize, &str)]| totals(&tally, label, Range::Minutes15, only, NOW).0;
    assert_eq!(all(2, &[]), named(&[("ERROR", 2), ("SUCCESS", 2), ("-", 1)]));
    assert_eq!(all(2, &[(1, "C1")]), named(&[("ERROR", 1), ("SUCCESS", 2)]));
    assert_eq!(all(1, &[(2, "ERROR")]), named(&[("C1", 1), ("C2", 1)]));
    assert_eq!(all(1, &[(2, "")]), named(&[("C2", 1)]), "rows that say none");
    assert_eq!(all(2, &[(1, "C1"), (3, "500")]), named(&[("ERROR", 1)]));
    assert_eq!(all(3, &[]).len(), 3);
    assert!(all(2, &[(1, "nobody")]).is_empty());
    let of_number = SharesAsk { label: 4, range: Range::Minutes15, points: 1, only: Vec::new() };
    assert!(tally.gather(&of_number, NOW).is_none(), "no label");
}

#[test]
fn the_rarer_values_are_one_line_and_nothing_is_lost_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut tally = tally(dir.path());
    for value in 0..20 {
        let customer = format!("c{value}");
        let rows = vec![(NOW, customer.as_str(), None, 1); 20 - value];
        give(&mut tally, &rows, NOW);
    }
    let (told, others) = totals(&tally, 1, Range::Minutes15, &[], NOW);
    assert_eq!((told.len(), told[0].clone(), others), (12, ("c0".to_owned(), 20), (1..=8).sum()));
}

#[test]
fn beyond_a_thousand_combinations_rows_count_as_others_until_the_old_ones_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let mut tally = tally(dir.path());
    for value in 0..1_500 {
        let customer = format!("c{value}");
        give(&mut tally, &[(NOW, customer.as_str(), None, 1)], NOW);
    }
    assert_eq!(tally.groups.len(), MOST_GROUPS);
    let (told, others) = totals(&tally, 1, Range::Minutes15, &[], NOW);
    assert_eq!(told.iter().map(|(_, count)| count).sum::<u64>() + others, 1_500, "each row counts once");
    assert!(totals(&tally, 1, Range::Minutes15, &[(2, "ERROR")], NOW).0.is_empty());
    let later = NOW + FORGOTTEN_MS + 1;
    give(&mut tally, &[(later, "new", Some("ERROR"), 1)], later);
    assert_eq!(totals(&tally, 1, Range::Minutes15, &[], later).0, named(&[("new", 1)]));
    assert_eq!(tally.groups.len(), 1);
}

#[test]
fn what_is_saved_answers_as_before_also_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut tally = tally(dir.path());
    give(&mut tally, &[(NOW - 60 * MINUTE, "C1", Some("ERROR"), 1), (NOW, "C1", Some("SUCCESS"), 1)], NOW);
    let later = NOW + 10 * MINUTE;
    tally.timeline.tidy(NOW + 6_000).unwrap();
    tally.timeline.tidy(later).unwrap();
    give(&mut tally, &[(later, "C2", Some("ERROR"), 1)], later);
    for file in tally.timeline.take_unsynced() {
        file.lock().sync().unwrap();
    }
    let mut encoder = Encoder::new(Vec::new());
    tally.write(&mut encoder).unwrap();
    let (bytes, _) = encoder.finish().unwrap();
    let read = |bytes: &[u8]| {
        let empty = super::Tally::new(&layout().labels, &place(dir.path())).unwrap();
        empty.read(&mut Decoder::new(checked(bytes).unwrap()), later)
    };
    let mut back = read(&bytes).unwrap();
    for range in [Range::Minutes15, Range::Hours6, Range::Hours24] {
        assert_eq!(totals(&back, 2, range, &[], later), totals(&tally, 2, range, &[], later), "{range:?}");
    }
    assert_eq!(totals(&back, 2, Range::Hours6, &[], later).0, named(&[("ERROR", 2), ("SUCCESS", 1)]));
    give(&mut back, &[(later, "C9", Some("ERROR"), 1)], later);
    assert_eq!(totals(&back, 1, Range::Hours6, &[], later).0, named(&[("C1", 2), ("C2", 1), ("C9", 1)]));
    let mut encoder = Encoder::new(Vec::new());
    encoder.bytes(&bytes[..bytes.len() / 2]);
    let (cut, _) = encoder.finish().unwrap();
    assert_eq!(read(&cut).unwrap_err().kind(), io::ErrorKind::InvalidData);
}
