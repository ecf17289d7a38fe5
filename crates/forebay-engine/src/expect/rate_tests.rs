//! Rates of change: what is remembered follows from the records, and not from how they were cut into batches, epochs and runs.

use std::collections::HashMap;

use arrow::array::{Float64Array, StringArray, TimestampMicrosecondArray};
use forebay_core::checkpoint::Recovery;
use forebay_core::ddl;
use forebay_core::expectation::RATE;
use forebay_core::{Epoch, Partition};
use forebay_storage::Door;

use super::*;

/// A format of records `key,seconds,value`; what is empty is NULL.
struct Csv;

impl Format for Csv {
    fn schema(&self) -> SchemaRef {
        ddl::parse("id STRING, at TIMESTAMP, v DOUBLE").unwrap()
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Self)
    }
}

impl Decoder for Csv {
    fn decode(&mut self, values: &BinaryViewArray) -> Result<Decoded> {
        let part = |number: usize| {
            values.iter().map(move |value| {
                let text = std::str::from_utf8(value?).ok()?;
                text.split(',').nth(number).filter(|part| !part.is_empty())
            })
        };
        let ids: StringArray = part(0).collect();
        let times = part(1).map(|text| Some((text?.parse::<f64>().unwrap() * 1e6) as i64));
        let times: TimestampMicrosecondArray = times.collect();
        let numbers: Float64Array = part(2).map(|text| text?.parse::<f64>().ok()).collect();
        let columns: Vec<ArrayRef> =
            vec![Arc::new(ids), Arc::new(times.with_timezone("UTC")), Arc::new(numbers)];
        let rows = RecordBatch::try_new(self.schema(), columns).map_err(unfit)?;
        Ok(Decoded { rows, kept: None, bad: Vec::new(), dropped: 0, filtered: 0, failed: Vec::new() })
    }
}

fn rate(name: &str, on_fail: OnFail, max: f64) -> Check {
    let path = |name: &str| vec![name.to_owned()];
    Check {
        expected: Expected { name: name.into(), on_fail },
        code: &RATE,
        sql: "true".to_owned(),
        columns: vec![path("v"), path("id"), path("at")],
        wanted: format!("a change of at most {max} in a second"),
        rate: Some(Rate { id: name.into(), column: path("v"), key: path("id"), time: path("at"), max }),
    }
}

fn condition(on_fail: OnFail, sql: &str) -> Check {
    let expected = Expected { name: "condition".into(), on_fail };
    Check { sql: sql.to_owned(), rate: None, expected, ..rate("condition", on_fail, 1.0) }
}

fn format(checks: Vec<Check>) -> Expecting {
    Expecting::new(Arc::new(Csv), "s", checks, Zone::UTC, None).unwrap()
}

fn values(records: &[&str]) -> BinaryViewArray {
    BinaryViewArray::from_iter_values(records.iter().map(|record| record.as_bytes()))
}

/// Which of the records are set aside, decoded as one batch of one partition.
fn aside(checks: Vec<Check>, records: &[&str]) -> Vec<u32> {
    let partition = Partition::new("t", 0);
    let decoded = format(checks).decoder().decode_of(&values(records), Of::Partition(&partition)).unwrap();
    decoded.bad.iter().map(|bad| bad.index).collect()
}

#[test]
fn each_value_is_held_against_the_last_one_of_its_key_that_was_accepted() {
    for (what, records, expected) in [
        ("the first value of a key", &["a,0,100", "b,0,-100"][..], &[][..]),
        ("up and down", &["a,0,0", "a,1,5", "a,2,0", "a,3,6", "a,4,-5.1"], &[3]),
        ("one that failed is not the last one", &["a,0,0", "a,1,50", "a,2,51", "a,3,9"], &[1, 2]),
        (
            "a level that stays becomes possible with time",
            &["a,0,0", "a,1,50", "a,5,50", "a,10,50", "a,11,50"],
            &[1, 2],
        ),
        ("keys are for themselves", &["a,0,0", "b,1,50", "a,2,1", "b,3,51"], &[]),
        (
            "a late one is held against the last, and leaves it",
            &["a,10,50", "a,9,46", "a,8,10", "a,11,55"],
            &[2],
        ),
        ("at one time there is one value", &["a,1,5", "a,1,5", "a,1,6", "a,2,10"], &[2]),
        (
            "NULL and NaN meet it and leave no trace",
            &["a,0,0", "a,1,", "a,,99", ",1,99", "a,1,NaN", "a,1,inf", "a,2,11"],
            &[6],
        ),
        ("a gap", &["a,0,0", "a,100000,400000"], &[]),
    ] {
        assert_eq!(aside(vec![rate("fast", OnFail::Quarantine, 5.0)], records), expected, "{what}");
    }
}

#[test]
fn a_row_that_is_taken_out_is_no_last_value_and_one_that_is_flagged_for_another_reason_is() {
    let records = ["a,0,0", "a,1,40", "a,2,41"];
    let fast = || rate("fast", OnFail::Quarantine, 30.0);
    let kept = condition(OnFail::Flag, "v <> 40");
    assert_eq!(aside(vec![kept, rate("fast", OnFail::Quarantine, 50.0)], &records), [] as [u32; 0]);
    // 40 is dropped: 41 is held against 0, and 41 in two seconds is allowed.
    let dropped = || condition(OnFail::Drop, "v <> 40");
    assert_eq!(aside(vec![dropped(), fast()], &records), [1], "each failure counts, the strictest decides");
    // What one rate takes out is no last value of another, in whichever order they stand.
    let slow = || rate("slow", OnFail::Quarantine, 10.0);
    for checks in [vec![fast(), slow()], vec![slow(), fast()]] {
        assert_eq!(aside(checks, &["a,0,0", "a,1,20", "a,2,19", "a,3,28"]), [1], "19 is 9.5 a second from 0");
    }
}

#[test]
fn who_fails_is_told_with_the_value_before() {
    let partition = Partition::new("t", 0);
    let format = format(vec![rate("fast", OnFail::Quarantine, 5.0)]);
    assert!(format.remembers());
    let mut decoder = format.decoder();
    let decoded =
        decoder.decode_of(&values(&["a,10,50", "a,12,90", "a,8,0"]), Of::Partition(&partition)).unwrap();
    assert_eq!(decoded.failed, [2]);
    let bad = &decoded.bad[0];
    assert_eq!((bad.code, bad.path.as_str()), ("expect.rate", "$.v"));
    assert_eq!(
        bad.why,
        "expectation `fast` failed: `v` is 90.0, `id` is \"a\", `at` is 1970-01-01T00:00:12Z, `v` was 50.0 2 s before; \
         expected a change of at most 5 in a second"
    );
    assert!(decoded.bad[1].why.contains("`v` was 50.0 2 s after that"), "{}", decoded.bad[1].why);
    // What is decoded once more is not held to it, and leaves no trace.
    let again = decoder.decode_of(&values(&["a,13,500"]), Of::Replay).unwrap();
    assert_eq!((again.bad.len(), again.rows.num_rows()), (0, 1));
    let after = decoder.decode_of(&values(&["a,13,51"]), Of::Partition(&partition)).unwrap();
    assert!(after.bad.is_empty());
    // Another partition has last values of its own.
    let other = decoder.decode_of(&values(&["a,13,500"]), Of::Partition(&Partition::new("t", 1))).unwrap();
    assert!(other.bad.is_empty());
}

#[test]
fn who_only_looks_on_remembers_a_bounded_number_of_keys_and_those_that_still_speak() {
    let checks = vec![rate("fast", OnFail::Quarantine, 5.0)];
    let mut rates = Rates::new(&checks).unwrap();
    let partition = Partition::new("", 0);
    let is_too_fast = |rates: &mut Rates, record: &str| {
        let rows = Csv.decode(&values(&[record])).unwrap().rows;
        let mut failing = [Failing::of(BooleanBuffer::new_unset(1))];
        rates.make_room(10);
        rates.hold(&rows, &checks, &partition, &mut failing).unwrap();
        failing[0].rows.value(0)
    };
    assert!(!is_too_fast(&mut rates, "steady,0,0") && !is_too_fast(&mut rates, "silent,0,0"));
    for number in 0..500 {
        assert!(!is_too_fast(&mut rates, &format!("other{number},0,0")));
        assert!(rates.remembered() <= 20, "{}", rates.remembered());
        if number % 5 == 0 {
            assert!(!is_too_fast(&mut rates, &format!("steady,{},0", number + 1)));
            assert!(is_too_fast(&mut rates, &format!("steady,{},900", number + 2)), "{number}");
        }
    }
    assert!(!is_too_fast(&mut rates, "silent,1,900"), "it is forgotten, so this is its first value");
}

/// Rows with everything that may be in one: late ones, equal times, NULL, NaN, jumps, and two keys.
const TAPE: [&str; 11] = [
    "a,0,0", "b,0,10", "a,1,4", "a,2,40", "b,3,20", "a,1.5,6", "a,3,", "a,3,NaN", "b,4,99", "a,4,12",
    "a,4,13",
];

/// The same by a list of last values, one row after the other.
fn by_hand(max: f64) -> Vec<bool> {
    let mut last: HashMap<&str, (f64, f64)> = HashMap::new();
    let failed = |record: &&'static str| -> bool {
        let mut parts = record.split(',');
        let (key, at, value) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let (Ok(at), Ok(value)) = (at.parse::<f64>(), value.parse::<f64>()) else { return false };
        if value.is_nan() {
            return false;
        }
        let Some((before, from)) = last.get(key).copied() else {
            last.insert(key, (at, value));
            return false;
        };
        let fails = (value - from).abs() > max * (at - before).abs();
        if !fails && at >= before {
            last.insert(key, (at, value));
        }
        fails
    };
    TAPE.iter().map(failed).collect()
}

#[test]
fn however_the_records_are_cut_into_epochs_and_whatever_dies_between_them_the_same_rows_fail() {
    let format = format(vec![rate("fast", OnFail::Quarantine, 5.0)]);
    let partition = Partition::new("t", 0);
    let expected = by_hand(5.0);
    assert!(expected.iter().any(|failed| *failed) && expected.iter().any(|failed| !*failed));
    let mut tried = 0;
    for cuts in 0..1_u32 << (TAPE.len() - 1) {
        let dir = tempfile::tempdir().unwrap();
        let open = |next: u64| {
            let mut last = Last::new(dir.path(), &Door::scratch(), 1 << 20);
            last.open(Epoch(next), true, true).unwrap();
            last
        };
        let mut epochs: Vec<Vec<&str>> = vec![Vec::new()];
        for (index, record) in TAPE.iter().enumerate() {
            epochs.last_mut().unwrap().push(record);
            if cuts >> index & 1 == 1 {
                epochs.push(Vec::new());
            }
        }
        let mut failed = Vec::new();
        let mut last = open(0);
        for (epoch, records) in epochs.iter().enumerate() {
            let number = epoch as u64;
            let attempt = |last: &mut Last| {
                let mut decoder = format.decoder();
                decoder.begin(last.values());
                // In batches of two, which are no borders either.
                let mut found = Vec::new();
                for batch in records.chunks(2) {
                    let decoded = decoder.decode_of(&values(batch), Of::Partition(&partition)).unwrap();
                    let bad = |index: usize| decoded.bad.iter().any(|bad| bad.index as usize == index);
                    found.extend((0..batch.len()).map(bad));
                }
                last.keep(Epoch(number), decoder.said()).unwrap();
                found
            };
            let first = attempt(&mut last);
            match (cuts as usize + epoch) % 4 {
                // Dies before the outcome: what the epoch said does not count, and it is computed again.
                0 => {
                    last = open(number);
                    assert_eq!(attempt(&mut last), first);
                    last.committed(Epoch(number)).unwrap();
                }
                // Dies when the sink has it: it counts, and is not computed again.
                1 => last = open(number + 1),
                // Is tried again by the same process.
                2 => {
                    assert_eq!(attempt(&mut last), first);
                    last.committed(Epoch(number)).unwrap();
                }
                _ => last.committed(Epoch(number)).unwrap(),
            }
            failed.extend(first);
        }
        assert_eq!(failed, expected, "cut at {cuts:b}");
        tried += 1;
    }
    assert_eq!(tried, 1 << (TAPE.len() - 1));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a damaged file needs no storage door")]
fn what_keys_said_comes_back_to_the_bit_and_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let lane = (Partition::new("t", 3).of_input(1), Arc::<str>::from("r"));
    let mut said = LastValues::default();
    for key in 0..2_500_u32 {
        let value = f64::from(key) / 3.0;
        said.of_mut(&lane).insert(
            format!("key \"{key}\"\n").into(),
            forebay_core::last::LastValue { time_us: i64::MAX - i64::from(key), value },
        );
    }
    let mut last = Last::new(dir.path(), &Door::scratch(), 1 << 20);
    last.open(Epoch(0), true, true).unwrap();
    last.keep(Epoch(0), said.clone()).unwrap();
    last.committed(Epoch(0)).unwrap();
    assert_eq!(*last.values(), said);
    let mut again = Last::new(dir.path(), &Door::scratch(), 1 << 20);
    again.open(Epoch(1), true, true).unwrap();
    assert_eq!(*again.values(), said);
    // A key of a megabyte is more than may be remembered.
    let mut large = LastValues::default();
    large
        .of_mut(&lane)
        .insert("k".repeat(1 << 20).into(), forebay_core::last::LastValue { time_us: 0, value: 0.0 });
    assert_eq!(again.keep(Epoch(1), large).unwrap_err().code(), &codes::STATE_LIMIT);
    let mut text = b"forebay-last v1\n00000000 2 {}\n".to_vec();
    forebay_storage::lines::push_line(&mut text, "{}");
    std::fs::write(dir.path().join("last"), text).unwrap();
    assert_eq!(again.open(Epoch(1), true, true).unwrap_err().code(), &codes::CHECKPOINT_DAMAGED);
    // What keys said again takes no more room.
    let limit = said.bytes() + 10;
    std::fs::remove_file(dir.path().join("last")).unwrap();
    let mut narrow = Last::new(dir.path(), &Door::scratch(), limit);
    narrow.open(Epoch(0), true, true).unwrap();
    for epoch in [Epoch(0), Epoch(1), Epoch(2)] {
        narrow.keep(epoch, said.clone()).unwrap();
        narrow.committed(epoch).unwrap();
    }
    // A line that was cut is of an epoch that is computed again, or the file is damaged.
    let path = dir.path().join("last");
    let cut = std::fs::metadata(&path).unwrap().len() - 5;
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(cut).unwrap();
    let (positions, ledger, time) = Default::default();
    let goes_on = Recovery::Continue { epoch: Epoch(3), positions, ledger, time };
    let mut damaged = Last::new(dir.path(), &Door::scratch(), limit);
    assert_eq!(damaged.recover(&goes_on, None, true).unwrap_err().code(), &codes::CHECKPOINT_DAMAGED);
    assert!(damaged.recover(&Recovery::Fresh, None, false).is_ok());
    // One that is missing is as bad, unless no epoch was committed with it: a rule of now, or a checkpoint of before.
    std::fs::remove_file(&path).unwrap();
    let missing = damaged.recover(&goes_on, None, true).unwrap_err();
    assert_eq!(missing.code(), &codes::CHECKPOINT_DAMAGED);
    assert!(missing.to_string().contains("cannot be read") && !path.exists());
    assert!(damaged.recover(&goes_on, None, false).is_ok() && path.exists());
    assert!(damaged.recover(&goes_on, None, true).is_ok());
}
