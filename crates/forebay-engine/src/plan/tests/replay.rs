//! What a replay must find again, what a source is asked for, and that every row is counted.

use super::*;

#[test]
fn the_time_is_the_epochs() {
    let sql = "SELECT current_timestamp() a, now() b, current_timestamp c, current_date() d, unix_timestamp() e \
               FROM iot WHERE device_id = 'a' AND at < now()";
    let plan = planned(sql).unwrap();
    assert!(plan.uses_epoch_time());
    let run = |ms| {
        let mut fates = Fates::default();
        let batch = plan.executor(ms).process(input(&plan), &mut fates).unwrap();
        (csv(&batch), fates)
    };
    let first = run(1_709_216_409_987);
    assert_eq!(
        first.0.lines().nth(1).unwrap(),
        "2024-02-29T14:20:09.987Z,2024-02-29T14:20:09.987Z,2024-02-29T14:20:09.987Z,2024-02-29,1709216409"
    );
    assert_eq!(first, run(1_709_216_409_987));
    assert_eq!(run(0).1, Fates { filtered: 3, ..Fates::default() });
    assert!(!planned("SELECT * FROM iot").unwrap().uses_epoch_time());
}

#[test]
fn every_row_is_counted_where_its_fate_is_decided() {
    for (sql, filtered) in [
        ("SELECT * FROM iot", 0),
        ("SELECT * FROM iot WHERE true", 0),
        ("SELECT * FROM iot WHERE false", 3),
        ("SELECT * FROM iot WHERE NULL", 3),
        ("SELECT * FROM iot WHERE temperature > 70", 2),
        ("SELECT * FROM iot WHERE temperature > 0", 1),
        ("SELECT * FROM iot WHERE temperature IS NULL", 2),
        ("SELECT * FROM hot WHERE device_id = 'x'", 3),
        ("SELECT * FROM (SELECT * FROM iot WHERE device_id IS NOT NULL) WHERE temperature > 70", 2),
    ] {
        let (_, fates) = execute(sql, 0).unwrap();
        assert_eq!(fates, Fates { filtered, emitted: 3 - filtered, ..Fates::default() }, "{sql}");
    }
}

#[test]
fn a_plan_asks_only_for_what_it_reads() {
    for (sql, envelope, keys, headers) in [
        ("SELECT * FROM iot", false, false, false),
        ("SELECT device_id, _kafka.offset FROM iot", true, false, false),
        ("SELECT _KAFKA.Key FROM iot", true, true, false),
        ("SELECT _kafka.* FROM iot", true, true, true),
        ("SELECT _kafka FROM iot", true, true, true),
        ("SELECT _kafka FROM iot WHERE _kafka.partition = 3", true, true, true),
        // Under another name it is not followed.
        ("SELECT k.offset FROM (SELECT _kafka k FROM iot)", true, true, true),
        ("SELECT device_id FROM iot WHERE _kafka.partition = 0", true, false, false),
        ("SELECT value FROM raw", false, false, false),
        ("SELECT * FROM raw", false, true, false),
        ("SELECT * FROM with_headers", false, true, true),
        ("SELECT string(key) FROM raw", false, true, false),
    ] {
        let plan = planned(sql).unwrap();
        assert_eq!(plan.wants_envelope(), envelope, "{sql}");
        assert_eq!(plan.wanted(), Wanted { keys, headers }, "{sql}");
        execute(sql, 0).unwrap();
    }
}

#[test]
fn the_source_is_named_as_the_catalogue_spells_it() {
    assert_eq!(planned("SELECT * FROM `IOT`").unwrap().source(), "iot");
    assert_eq!(planned("SELECT * FROM hot_ids").unwrap().source(), "iot");
}

#[test]
fn an_empty_batch_gives_an_empty_batch() {
    let plan = planned("SELECT temperature / 0 x FROM iot WHERE big + 1 > 0").unwrap();
    let mut fates = Fates::default();
    let out = plan.executor(0).process(RecordBatch::new_empty(plan.input_schema()), &mut fates).unwrap();
    assert_eq!((out.num_rows(), out.schema()), (0, plan.output_schema()));
    assert_eq!(fates, Fates::default());
}
