//! A bad record changes nothing but itself: its neighbours' rows, its own outcome beside any neighbour, and the next
//! batch of the same decoder.

use forebay_core::error::codes;
use forebay_core::format::{BadRecordMode, Format as _};
use proptest::prelude::*;
use serde_json::Value;

use super::{MODES, check, decode, format, row_of, values};

const DDL: &str = "id STRING, n INT, d DOUBLE, ok BOOLEAN, at TIMESTAMP, m DECIMAL(12,3), v ARRAY<INT>, \
                   p STRUCT<x: INT, y: STRUCT<z: STRING, w: ARRAY<STRUCT<q: DOUBLE>>>>, t MAP<STRING, ARRAY<STRING>>";

/// A record that fills every column.
fn full(number: usize) -> String {
    format!(
        r#"{{"id": "dev\u0069ce_{number}", "n": {number}, "d": {number}.25, "ok": true, "at": "2024-02-29T12:00:00Z", "m": 1.005, "v": [1, {number}, null], "p": {{"x": 7, "y": {{"z": "größe {number}", "w": [{{"q": 1.5}}, null, {{"q": {number}}}]}}}}, "t": {{"k": ["a", "{number}"], "l": []}}}}"#
    )
}

/// What becomes of a record that is alone: its row, or nothing.
fn alone(mode: BadRecordMode, record: &[u8]) -> Result<Option<Value>, ()> {
    let format = format(DDL, mode, &[]);
    match format.decoder().decode(&values([record])) {
        Ok(decoded) => {
            check(&decoded, 1);
            Ok(row_of(&decoded, 0))
        }
        Err(error) if error.code() == &codes::DECODE_FAILFAST => Err(()),
        Err(error) => panic!("{error}"),
    }
}

/// Decodes a record between good ones and checks that each outcome is the one it has alone.
fn check_between(record: &[u8], around: &[String]) {
    for mode in MODES {
        let expected = alone(mode, record);
        let mut records: Vec<&[u8]> = around.iter().map(String::as_bytes).collect();
        let place = records.len() / 2;
        records.insert(place, record);
        let format = format(DDL, mode, &[]);
        let mut decoder = format.decoder();
        let outcome = decoder.decode(&values(records.iter().copied()));
        let good: Vec<&[u8]> = around.iter().map(String::as_bytes).collect();
        let clean = decode(&super::format(DDL, mode, &[]), &good);
        match (outcome, expected) {
            (Err(_), Err(())) => {}
            (Ok(decoded), Ok(expected)) => {
                check(&decoded, records.len());
                assert_eq!(row_of(&decoded, place), expected);
                for (index, _) in records.iter().enumerate().filter(|(index, _)| *index != place) {
                    let before = index - usize::from(index > place);
                    assert_eq!(row_of(&decoded, index), row_of(&clean, before), "{mode:?} neighbour {index}");
                }
            }
            (outcome, expected) => panic!("{mode:?}: {outcome:?} {expected:?}"),
        }
        // Nothing is left over for the next batch.
        let after = decoder.decode(&values(good.iter().copied())).unwrap();
        assert_eq!(after.rows, clean.rows);
    }
}

#[test]
fn a_record_cut_at_any_byte_is_truncated_and_harms_nobody() {
    let record = full(12345);
    let around: Vec<String> = (0..4).map(full).collect();
    let whole = format(DDL, BadRecordMode::Quarantine, &[]);
    for end in 0..record.len() {
        let cut = &record.as_bytes()[..end];
        let decoded = decode(&whole, &[around[0].as_bytes(), cut, around[1].as_bytes()]);
        let bad = &decoded.bad[0];
        let expected = match end {
            0 => "json.empty",
            _ if std::str::from_utf8(cut).is_err() => "json.utf8",
            _ => "json.truncated",
        };
        assert_eq!((bad.index, bad.code), (1, expected), "{}", String::from_utf8_lossy(cut));
        assert_eq!(row_of(&decoded, 0), alone(BadRecordMode::Quarantine, around[0].as_bytes()).unwrap());
        assert_eq!(row_of(&decoded, 2), alone(BadRecordMode::Quarantine, around[1].as_bytes()).unwrap());
        if end % 7 == 0 {
            check_between(cut, &around);
        }
    }
}

#[test]
fn a_fault_in_any_field_takes_back_every_column() {
    let around: Vec<String> = (0..3).map(full).collect();
    let good = full(9);
    for (from, to, code, path) in [
        (r#""dev\u0069ce_9""#, "9", "json.type", "$.id"),
        (r#""n": 9"#, r#""n": 99999999999"#, "json.range", "$.n"),
        ("9.25", "1e999", "json.range", "$.d"),
        ("true", "1", "json.type", "$.ok"),
        ("2024-02-29", "2023-02-29", "json.range", "$.at"),
        ("12:00:00Z", "noon", "json.format", "$.at"),
        ("1.005", "1000000000", "json.range", "$.m"),
        ("[1, 9, null]", r#"[1, "9", null]"#, "json.type", "$.v[1]"),
        (r#""x": 7"#, r#""x": 7.5"#, "json.type", "$.p.x"),
        (r#""größe 9""#, "nuLl", "json.syntax", "$.p.y.z"),
        (r#"{"q": 9}"#, r#"{"q": "9"}"#, "json.type", "$.p.y.w[2].q"),
        (r#"["a", "9"]"#, r#"["a", 9]"#, "json.type", "$.t.k[1]"),
        (r#""l": []"#, r#""k": []"#, "json.duplicate_key", "$.t.k"),
        (r#""l": []}}"#, r#""l": []}, "n": 9}"#, "json.duplicate_key", "$.n"),
    ] {
        let record = good.replacen(from, to, 1);
        assert_ne!(record, good, "{from}");
        let decoded =
            decode(&format(DDL, BadRecordMode::Quarantine, &[]), &[good.as_bytes(), record.as_bytes()]);
        let bad = &decoded.bad[0];
        assert_eq!((bad.code, bad.path.as_str()), (code, path), "{}", bad.why);
        check_between(record.as_bytes(), &around);
    }
}

/// A change of some bytes of a record.
#[derive(Clone, Debug)]
enum Mutation {
    Set(usize, u8),
    Insert(usize, u8),
    Remove(usize, usize),
    Repeat(usize, usize),
    Cut(usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let byte = prop_oneof![
        4 => prop::sample::select(&b"{}[]\",:\\ntfu019.eE+-' \t\n\0NI_"[..]),
        1 => any::<u8>(),
    ];
    prop_oneof![
        (any::<usize>(), byte.clone()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (any::<usize>(), byte).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        (any::<usize>(), 1..20_usize).prop_map(|(at, length)| Mutation::Remove(at, length)),
        (any::<usize>(), 1..40_usize).prop_map(|(at, length)| Mutation::Repeat(at, length)),
        any::<usize>().prop_map(Mutation::Cut),
    ]
}

fn mutate(record: &mut Vec<u8>, mutation: &Mutation) {
    let place = |at: usize| at % (record.len() + 1);
    match *mutation {
        Mutation::Set(at, byte) => {
            let place = place(at);
            if let Some(slot) = record.get_mut(place) {
                *slot = byte;
            }
        }
        Mutation::Insert(at, byte) => record.insert(place(at), byte),
        Mutation::Remove(at, length) => {
            let start = place(at);
            let end = (start + length).min(record.len());
            record.drain(start..end);
        }
        Mutation::Repeat(at, length) => {
            let start = place(at);
            let end = (start + length).min(record.len());
            let piece = record[start..end].to_vec();
            record.splice(end..end, piece);
        }
        Mutation::Cut(at) => record.truncate(place(at)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_mutation_leaves_the_neighbours_as_they_were(
        mutations in prop::collection::vec(mutation(), 1..4),
        numbers in prop::collection::vec(0..1000_usize, 0..5),
    ) {
        let mut record = full(42).into_bytes();
        for mutation in &mutations {
            mutate(&mut record, mutation);
        }
        let around: Vec<String> = numbers.into_iter().map(full).collect();
        check_between(&record, &around);
    }

    #[test]
    fn any_bytes_at_all_are_answered(record in prop::collection::vec(any::<u8>(), 0..200)) {
        check_between(&record, &[full(1)]);
    }

    /// Where strict JSON gives a row, Spark's way gives the same: the fast way is only faster.
    #[test]
    fn sparks_reader_agrees_wherever_the_strict_one_gives_a_row(mutations in prop::collection::vec(mutation(), 0..3)) {
        let mut record = full(42).into_bytes();
        for mutation in &mutations {
            mutate(&mut record, mutation);
        }
        let format = format(DDL, BadRecordMode::FailFast, &[]);
        if let (Some(fast), Some(slow)) = format.json_decoder().both_ways(&record) {
            prop_assert_eq!(fast, slow);
        }
    }
}

#[test]
fn a_text_of_another_format_is_told_with_the_format_that_was_expected() {
    for (options, expected) in [
        (&[("dateFormat", "dd.MM.yyyy")][..], "expected DATE as `dd.MM.yyyy`, found text of another format"),
        (&[], "expected DATE, found text of another format"),
    ] {
        let format = format("d DATE", BadRecordMode::Quarantine, options);
        let decoded = decode(&format, &[br#"{"d":"2024/02/29"}"#]);
        assert_eq!(decoded.bad[0].why, expected);
    }
}
