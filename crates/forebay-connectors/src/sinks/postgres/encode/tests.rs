//! The bytes of single values, by PostgreSQL's formats. Whole tables are compared with a real server in the integration tests.

use arrow::array::{ListArray, NullArray};
use arrow::datatypes::{Int32Type, IntervalMonthDayNano, Schema};

use super::fields::MICROS_TO_2000;
use super::*;

fn one(column: ArrayRef, wire: Wire) -> Result<Vec<u8>, Bad> {
    one_in(column, wire, Zone::UTC)
}

fn one_in(column: ArrayRef, wire: Wire, zone: Zone) -> Result<Vec<u8>, Bad> {
    let schema = Schema::new(vec![Field::new("c", column.data_type().clone(), true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap();
    let rows = Rows::new(&batch, &Arc::from([wire]), zone).unwrap();
    let mut out = b"before".to_vec();
    let written = rows.writer().unwrap().write(0, &mut out);
    assert!(out.starts_with(b"before"));
    if written.is_err() {
        assert_eq!(out, b"before", "a bad row leaves nothing behind");
    }
    written.map(|()| {
        assert_eq!(&out[6..8], [0, 1], "one field");
        out[8..].to_vec()
    })
}

fn field(bytes: &[u8]) -> Vec<u8> {
    let mut all = (bytes.len() as i32).to_be_bytes().to_vec();
    all.extend_from_slice(bytes);
    all
}

fn decimal(value: i128, scale: i8) -> Vec<i16> {
    let column = Decimal128Array::from(vec![value]).with_precision_and_scale(38, scale).unwrap();
    let bytes = one(Arc::new(column), Wire::Numeric).unwrap();
    bytes[4..].chunks(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect()
}

#[test]
fn a_number_is_groups_of_four_digits() {
    // digits, weight, sign, scale, groups
    assert_eq!(decimal(0, 2), [0, 0, 0, 2]);
    assert_eq!(decimal(1, 0), [1, 0, 0, 0, 1]);
    assert_eq!(decimal(-12_345_678, 4), [2, 0, 0x4000, 4, 1234, 5678]);
    assert_eq!(decimal(10_000, 0), [1, 1, 0, 0, 1], "no groups of zeros at the end");
    assert_eq!(decimal(5, 5), [1, -2, 0, 5, 5000], "nor at the beginning: 0.00005");
    assert_eq!(decimal(123, 1), [2, 0, 0, 1, 12, 3000]);
    assert_eq!(decimal(120, 2), [2, 0, 0, 2, 1, 2000]);
    let most = 99_999_999_999_999_999_999_999_999_999_999_999_999_i128;
    assert_eq!(decimal(most, 0)[..4], [10, 9, 0, 0]);
    assert_eq!(
        decimal(most, 38),
        [10, -1, 0, 38, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9900]
    );
    assert_eq!(decimal(-most, 19)[..4], [10, 4, 0x4000, 19]);
}

#[test]
fn times_count_from_2000() {
    let at = |us: i64| Arc::new(TimestampMicrosecondArray::from(vec![us]));
    assert_eq!(one(at(MICROS_TO_2000 + 7), Wire::Timestamp).unwrap(), field(&7_i64.to_be_bytes()));
    assert_eq!(one(at(0), Wire::Timestamp).unwrap(), field(&(-MICROS_TO_2000).to_be_bytes()));
    let bad = one(at(i64::MIN + 5), Wire::Timestamp).unwrap_err();
    assert_eq!((bad.sqlstate, &*bad.why), ("22008", "timestamp out of range"));
    assert!(one(at(i64::MIN + MICROS_TO_2000), Wire::Timestamp).is_err(), "that would be -infinity");
    let day = |day: i32| Arc::new(Date32Array::from(vec![day]));
    assert_eq!(one(day(10_958), Wire::Date).unwrap(), field(&1_i32.to_be_bytes()));
    assert!(one(day(i32::MIN), Wire::Date).is_err());
    let instant = Arc::new(TimestampMicrosecondArray::from(vec![MICROS_TO_2000]).with_timezone("UTC"));
    let berlin = Zone::read("Europe/Berlin").unwrap_or(Zone::UTC);
    assert_eq!(
        one_in(instant, Wire::LocalTimestamp, berlin).unwrap(),
        field(&3_600_000_000_i64.to_be_bytes())
    );
}

#[test]
fn an_id_is_read_as_postgresql_reads_it_and_refused_in_its_words() {
    let id = |text: &str| one(Arc::new(StringArray::from(vec![text])), Wire::Uuid);
    let expected = field(&0xe3cb_26d3_41b2_49a2_84f3_0156_ed8d_7502_u128.to_be_bytes());
    for text in [
        "e3cb26d3-41b2-49a2-84f3-0156ed8d7502",
        "E3CB26D3-41B2-49A2-84F3-0156ED8D7502",
        "{e3cb26d341b249a284f30156ed8d7502}",
        "e3cb-26d3-41b2-49a2-84f3-0156-ed8d-7502",
    ] {
        assert_eq!(id(text).unwrap(), expected, "{text}");
    }
    for text in [
        "",
        "e3cb26d3",
        "e3cb26d3-41b2-49a2-84f3-0156ed8d75021",
        "{e3cb26d341b249a284f30156ed8d7502",
        "x",
        "ä",
    ] {
        let bad = id(text).unwrap_err();
        assert_eq!(bad.sqlstate, "22P02");
        assert_eq!(bad.why, format!("invalid input syntax for type uuid: \"{text}\""));
    }
}

#[test]
fn lists_have_their_elements_in_order_with_nulls() {
    let lists = |values: Vec<Option<i32>>| {
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(values)])) as ArrayRef
    };
    let ints = Wire::Array(23, Box::new(Wire::Int4));
    let head =
        |dims: i32, nulls: i32| [dims.to_be_bytes(), nulls.to_be_bytes(), 23_i32.to_be_bytes()].concat();
    assert_eq!(one(lists(vec![]), ints.clone()).unwrap(), field(&head(0, 0)));
    let mut expected = head(1, 1);
    expected.extend([2_i32, 1, 4, 9].iter().flat_map(|n| n.to_be_bytes()));
    expected.extend((-1_i32).to_be_bytes());
    assert_eq!(one(lists(vec![Some(9), None]), ints).unwrap(), field(&expected));
    // Of elements that are sent as something wider.
    let wide = one(lists(vec![Some(9)]), Wire::Array(20, Box::new(Wire::Int8))).unwrap();
    assert!(wide.ends_with(&9_i64.to_be_bytes()));
}

#[test]
fn null_is_null_whatever_the_type() {
    for wire in [Wire::Bool, Wire::Uuid, Wire::Numeric, Wire::Timestamp, Wire::Text] {
        assert_eq!(one(Arc::new(NullArray::new(1)), wire).unwrap(), (-1_i32).to_be_bytes());
    }
}

#[test]
fn what_is_nested_is_json_with_its_nulls() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None])]);
    assert_eq!(one(Arc::new(list), Wire::Json(true)).unwrap(), field(b"\x01[1,null]"));
}

#[test]
fn an_interval_keeps_months_days_and_microseconds_apart() {
    let value = |nanoseconds| {
        let value = IntervalMonthDayNano { months: 1, days: -2, nanoseconds };
        Arc::new(IntervalMonthDayNanoArray::from(vec![value]))
    };
    let expected = [&3_i64.to_be_bytes()[..], &(-2_i32).to_be_bytes(), &1_i32.to_be_bytes()].concat();
    assert_eq!(one(value(3_000), Wire::Interval).unwrap(), field(&expected));
    assert!(one(value(3_001), Wire::Interval).is_err());
}
