//! Rows that are held to expectations: which are left, which are set aside and why, which are counted.

use arrow::array::{Array, AsArray, Float64Array, StringArray};
use arrow::util::pretty::pretty_format_batches;
use forebay_core::ddl;
use forebay_core::expectation::{CONDITION, RANGE};

use super::*;
use crate::plan::row_conditions;
use crate::plan::{Catalog, SourceColumns};

/// A format whose decoder gives these, whatever it is asked.
struct Fixed(Decoded);

struct FixedDecoder(Decoded);

impl Format for Fixed {
    fn schema(&self) -> SchemaRef {
        self.0.rows.schema()
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(FixedDecoder(self.0.clone()))
    }
}

impl Decoder for FixedDecoder {
    fn decode(&mut self, _: &BinaryViewArray) -> Result<Decoded> {
        Ok(self.0.clone())
    }
}

fn rows(values: &[(Option<&str>, Option<f64>)]) -> RecordBatch {
    let schema = ddl::parse("id STRING, v DOUBLE").unwrap();
    let ids: StringArray = values.iter().map(|(id, _)| *id).collect();
    let numbers: Float64Array = values.iter().map(|(_, v)| *v).collect();
    RecordBatch::try_new(schema, vec![Arc::new(ids), Arc::new(numbers)]).unwrap()
}

fn decoded(rows: RecordBatch, kept: Option<Vec<u32>>, bad: &[u32]) -> Decoded {
    let bad = bad.iter().map(|index| BadRecord {
        index: *index,
        code: "json.type",
        path: "$".into(),
        why: "w".into(),
    });
    Decoded { rows, kept, bad: bad.collect(), dropped: 0, filtered: 0, failed: Vec::new() }
}

fn check(name: &str, on_fail: OnFail, sql: &str, columns: &[&str]) -> Check {
    Check {
        expected: Expected { name: name.into(), on_fail },
        code: if columns.len() == 1 { &RANGE } else { &CONDITION },
        sql: sql.to_owned(),
        columns: columns.iter().map(|column| vec![(*column).to_owned()]).collect(),
        wanted: format!("`{sql}`"),
        rate: None,
    }
}

fn held(of: Decoded, checks: Vec<Check>) -> Result<Decoded> {
    let format = Expecting::new(Arc::new(Fixed(of)), "s", checks, Zone::UTC, None)?;
    let decoded = format.decoder().decode(&BinaryViewArray::from_iter_values(Vec::<&[u8]>::new()))?;
    assert_eq!(decoded.rows.schema(), format.schema());
    Ok(decoded)
}

fn ids(decoded: &Decoded) -> Vec<&str> {
    decoded.rows.column(0).as_string::<i32>().iter().map(Option::unwrap_or_default).collect()
}

#[test]
fn each_row_has_the_strictest_fate_of_what_it_failed_and_every_failure_is_counted() {
    let all = rows(&[
        (Some("good"), Some(1.0)),
        (Some("flagged"), Some(20.0)),
        (Some("dropped"), Some(200.0)),
        (Some("aside"), Some(2_000.0)),
        (None, None),
    ]);
    // Two records before did not decode.
    let of = decoded(all, Some(vec![1, 2, 3, 5, 6]), &[0, 4]);
    let checks = vec![
        check("warm", OnFail::Flag, "v <= 10", &["v"]),
        check("hot", OnFail::Drop, "v <= 100", &["v"]),
        check("mad", OnFail::Quarantine, "v <= 1000", &["v"]),
    ];
    let decoded = held(of, checks).unwrap();
    assert_eq!(decoded.failed, [3, 2, 1]);
    assert_eq!((ids(&decoded), decoded.dropped), (vec!["good", "flagged", ""], 1));
    assert_eq!(decoded.kept.as_deref(), Some(&[1, 2, 6][..]));
    let bad: Vec<_> = decoded.bad.iter().map(|bad| (bad.index, bad.code)).collect();
    assert_eq!(bad, [(0, "json.type"), (4, "json.type"), (5, "expect.range")]);
    let aside = &decoded.bad[2];
    assert_eq!(aside.path, "$.v");
    assert_eq!(aside.why, "expectation `mad` failed: `v` is 2000.0; expected `v <= 1000`");
    let names = pretty_format_batches(&[decoded.rows.project(&[2]).unwrap()]).unwrap().to_string();
    assert!(names.contains("[warm]") && names.matches("[]").count() == 2, "{names}");
}

#[test]
fn what_fails_is_counted_by_rule_and_by_the_device_that_it_is_of() {
    let all = rows(&[
        (Some("a"), Some(1.0)),
        (Some("b"), Some(20.0)),
        (Some("a"), Some(2_000.0)),
        (None, Some(20.0)),
        (Some(&"x".repeat(201)), Some(20.0)),
        (Some("c"), None),
    ]);
    let of = decoded(all, Some(vec![1, 2, 3, 4, 5, 6]), &[0]);
    let checks =
        vec![check("warm", OnFail::Flag, "v <= 10", &["v"]), check("mad", OnFail::Drop, "v <= 1000", &["v"])];
    let format = Expecting::new(Arc::new(Fixed(of)), "s", checks, Zone::UTC, None).unwrap();
    let format = format.by_device(Some(vec!["id".to_owned()]));
    let mut decoder = format.decoder();
    let none = BinaryViewArray::from_iter_values(Vec::<&[u8]>::new());
    for times in [1, 3] {
        (0..times).for_each(|_| drop(decoder.decode(&none).unwrap()));
        let judged = decoder.judged();
        assert_eq!((judged.rows, judged.failed, judged.unreadable), (6 * times, 4 * times, times));
        assert_eq!((judged.of_rule("warm"), judged.of_rule("mad")), (4 * times, times));
        assert_eq!(
            judged.worst(None, 9),
            [("a", 2 * times), ("b", times)],
            "others have no name, or too long a one"
        );
        assert_eq!(judged.devices["a"].get("mad"), Some(&times));
    }
    assert_eq!(decoder.judged(), Judged::default());
    assert!(
        format.spent().iter().all(|spent| spent.rows == 12),
        "the second and the third of four are looked at"
    );
}

#[test]
fn rows_that_meet_everything_are_the_rows_that_came() {
    let all = rows(&[(Some("a"), Some(1.0)), (None, None)]);
    let of = decoded(all.clone(), None, &[]);
    let decoded = held(of.clone(), vec![check("low", OnFail::Quarantine, "v < 5", &["v"])]).unwrap();
    assert_eq!((decoded.rows, decoded.kept, decoded.failed), (all.clone(), None, vec![0]), "NULL is met");
    let flagged = held(of, vec![check("low", OnFail::Flag, "v < 5", &["v"])]).unwrap();
    let names = flagged.rows.column(2).as_list::<i32>();
    assert_eq!((names.len(), names.values().len(), names.null_count()), (2, 0, 0));
    let none = held(decoded_none(), vec![check("low", OnFail::Flag, "v < 5", &["v"])]).unwrap();
    assert_eq!((none.rows.num_rows(), none.rows.num_columns(), none.failed), (0, 3, vec![0]));
}

fn decoded_none() -> Decoded {
    decoded(rows(&[]), Some(Vec::new()), &[0])
}

#[test]
fn a_condition_that_cannot_be_computed_fails_its_row_alone() {
    let values: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    let mut all: Vec<(Option<&str>, Option<f64>)> =
        values.iter().map(|id| (Some(id.as_str()), Some(1.0))).collect();
    all[7].0 = Some("seven");
    all[30].0 = Some("-1");
    let sql = "CAST(id AS INT) >= 0";
    let checks = vec![
        check("number", OnFail::Quarantine, sql, &["id", "v"]),
        check("small", OnFail::Flag, "v < 0", &["v"]),
    ];
    let decoded = held(decoded(rows(&all), None, &[]), checks).unwrap();
    assert_eq!((&decoded.failed[..], decoded.rows.num_rows()), (&[2, 40][..], 38));
    let told: Vec<(u32, &str)> = decoded.bad.iter().map(|bad| (bad.index, bad.path.as_str())).collect();
    assert_eq!(told, [(7, "$"), (30, "$")]);
    let why = &decoded.bad[0].why;
    assert!(
        why.contains("it cannot be computed (") && why.contains("`id` is \"seven\", `v` is 1.0"),
        "{why}"
    );
    assert!(decoded.bad[1].why.contains("`id` is \"-1\""), "{}", decoded.bad[1].why);
}

#[test]
fn the_first_row_that_must_not_be_stops_the_query_at_its_record() {
    let all = rows(&[(Some("a"), Some(1.0)), (Some("b\n\u{1b}[31m"), Some(9.0)), (Some("c"), Some(99.0))]);
    let checks = vec![
        check("rare", OnFail::Fail, "v < 50", &["v"]),
        check("low", OnFail::Fail, "v < 5", &["id", "v"]),
        check("any", OnFail::Quarantine, "v < 0", &["v"]),
    ];
    let error = held(decoded(all, Some(vec![3, 4, 8]), &[0]), checks).unwrap_err();
    assert_eq!((error.code(), error.place()), (&codes::EXPECTATION_FAILED, Some("record 4")));
    let told = error.detail().unwrap();
    assert!(told.contains("expectation `low` failed: `id` is \"b\\n\\u{1b}[31m\", `v` is 9.0"), "{told}");
}

#[test]
fn what_is_told_of_a_value_is_short_and_one_line() {
    let long = "x".repeat(10_000);
    let all = rows(&[(Some(&long), None)]);
    let many: Vec<Check> = (0..20)
        .map(|number| check(&format!("c{number}"), OnFail::Quarantine, "id IS NULL", &["id", "v"]))
        .collect();
    let decoded = held(decoded(all, None, &[]), many).unwrap();
    let why = &decoded.bad[0].why;
    assert!(why.len() < 2_000 && why.ends_with("; and 12 more") && why.contains("`v` is NULL"), "{why}");
}

#[test]
fn a_column_that_is_there_already_is_not_written_over() {
    let schema = ddl::parse("_Failed_Expectations STRING").unwrap();
    let flags = [Expected { name: "x".into(), on_fail: OnFail::Flag }];
    assert_eq!(columns(&schema, &flags).unwrap_err().code(), &codes::BAD_SCHEMA);
    let drops = [Expected { name: "x".into(), on_fail: OnFail::Drop }];
    assert_eq!(columns(&schema, &drops).unwrap(), schema);
}

#[test]
fn what_asks_for_more_than_the_row_is_no_expectation() {
    let mut catalog = Catalog::new();
    let schema = ddl::parse("id STRING, v DOUBLE, at TIMESTAMP, l ARRAY<BOOLEAN>").unwrap();
    catalog.add_source("s", SourceColumns::Decoded(schema)).unwrap();
    for sql in [
        "v",
        "v, v > 1",
        "v > 1) AS x, (v > 2",
        "at < now()",
        "_kafka.offset > 1",
        "count(*) > 1",
        "explode(l)",
        "EXISTS (SELECT 1 FROM s)",
        "v > (SELECT max(v) FROM s)",
        "w > 1",
        "v >",
        "",
        "v > 1 FROM s --",
        "rand() > 0.5",
    ] {
        assert!(row_conditions(&catalog, "s", &[sql], None).is_err(), "{sql}");
    }
    for sql in ["v > 1", "v > 1 -- a remark", "true", "id RLIKE '^a' OR v IS NULL", "size(l) > 0"] {
        row_conditions(&catalog, "s", &[sql], None)
            .unwrap_or_else(|error| panic!("{sql}: {:?}", error.error));
    }
}

#[test]
fn a_pattern_that_is_none_is_told() {
    check_pattern("^[A-Z]{2}[0-9]+$").unwrap();
    for pattern in ["(", "a{2,1}", "(?=x)", "(a{1000}){1000}"] {
        let error = check_pattern(pattern).unwrap_err();
        assert!(
            error.detail().is_some_and(|why| !why.contains('\n') && !why.is_empty()),
            "{pattern}: {error}"
        );
    }
}
