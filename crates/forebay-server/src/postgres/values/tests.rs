//! Both forms of values, and what is refused.

use forebay_engine::adhoc::postgres::DIGITS;

use super::super::sqlstate::{BAD_BINARY, BAD_TEXT, NOT_SUPPORTED};
use super::*;

#[test]
fn both_forms_of_a_value_give_the_same() {
    let decimal = DataType::Decimal128(38, 10);
    for digits in ["0", "-1.5", "12345678.000100", "99999999999999999999.9", "0.0001"] {
        let mut bytes = Vec::new();
        super::super::forms::number(digits, true, &mut bytes).unwrap();
        let (a, b) = (
            read(Some(&bytes), true, types::NUMERIC, &decimal).unwrap(),
            read(Some(digits.as_bytes()), false, types::NUMERIC, &decimal).unwrap(),
        );
        assert_eq!(a, b, "{digits}");
    }
    let list = types::arrow(1009).unwrap();
    let texts = read(Some(br#"{a,"b,\"c",NULL,"NULL"}"#), false, 1009, &list).unwrap();
    assert!(texts.to_string().contains("b,\"c"), "{texts}");
    for (oid, text) in
        [(types::INT4, "x"), (types::BOOL, "maybe"), (types::TIMESTAMPTZ, "soon"), (1009, "{a")]
    {
        let wanted = types::arrow(oid).unwrap();
        assert_eq!(
            read(Some(text.as_bytes()), false, oid, &wanted).unwrap_err().state,
            if oid == types::TIMESTAMPTZ { BAD_TIME } else { BAD_TEXT },
            "{text}"
        );
    }
    for bytes in [&b""[..], b"\0", b"\0\0\0\x01\0\0\0\0\0\0\0\x17\x7f\xff\xff\xff"] {
        assert!(read(Some(bytes), true, types::NUMERIC, &decimal).is_err());
        assert!(read(Some(bytes), true, 1007, &types::arrow(1007).unwrap()).is_err());
    }
}

#[test]
fn a_time_needs_no_seconds_and_an_interval_has_all_its_forms() {
    for (oid, short, long) in [
        (types::TIMESTAMP, "2026-01-05 10:00", "2026-01-05 10:00:00"),
        (types::TIMESTAMPTZ, "2026-01-05 11:00+01", "2026-01-05T10:00:00Z"),
        (types::TIMESTAMP, "2026-01-05", "2026-01-05 00:00:00"),
        (types::INTERVAL, "01:30:00", "90 minutes"),
        (types::INTERVAL, "P1DT2H", "1 day 2 hours"),
    ] {
        let wanted = types::arrow(oid).unwrap();
        let value = |text: &str| read(Some(text.as_bytes()), false, oid, &wanted).unwrap();
        assert_eq!(value(short), value(long), "{short}");
    }
}

fn state(value: &[u8], is_binary: bool, oid: u32) -> &'static str {
    let wanted = types::arrow(oid).unwrap();
    match read(Some(value), is_binary, oid, &wanted) {
        Ok(value) => panic!("{oid}: {value:?}"),
        Err(refusal) => refusal.state,
    }
}

#[test]
fn a_value_that_cannot_be_held_is_refused_and_never_null() {
    for (oid, bytes, expected) in [
        (types::DATE, &i32::MAX.to_be_bytes()[..], FAR_TIME),
        (types::DATE, &i32::MIN.to_be_bytes(), FAR_TIME),
        (types::DATE, &(i32::MAX - 1).to_be_bytes(), FAR_TIME),
        (types::TIMESTAMPTZ, &i64::MAX.to_be_bytes(), FAR_TIME),
        (types::TIMESTAMP, &i64::MIN.to_be_bytes(), FAR_TIME),
        (types::TIMESTAMP, &(i64::MAX - 1).to_be_bytes(), FAR_TIME),
        (types::TIME, &(-1_i64).to_be_bytes(), FAR_TIME),
        (types::INTERVAL, &[&i64::MAX.to_be_bytes()[..], &[0; 8]].concat(), FAR_TIME),
        (types::NUMERIC, b"\0\0\0\0\xc0\0\0\0", NOT_SUPPORTED),
        (types::INT4, &7_i64.to_be_bytes(), BAD_BINARY),
        (types::INT8, &7_i32.to_be_bytes(), BAD_BINARY),
        (types::BOOL, b"\x01\x01", BAD_BINARY),
        (types::UUID, &[0; 17], BAD_BINARY),
        (types::UUID, &[0; 15], BAD_BINARY),
        (types::JSONB, b"{}", BAD_BINARY),
    ] {
        assert_eq!(state(bytes, true, oid), expected, "{oid} {bytes:?}");
    }
    for (oid, text, expected) in [
        (types::DATE, "infinity", FAR_TIME),
        (types::TIMESTAMPTZ, "-infinity", FAR_TIME),
        (types::NUMERIC, "NaN", NOT_SUPPORTED),
        (types::NUMERIC, "1e99", OUT_OF_RANGE),
        (types::NUMERIC, "1.-5", BAD_TEXT),
        (types::INT4, "3000000000", OUT_OF_RANGE),
        (types::INT4, "1.5", BAD_TEXT),
        (types::FLOAT8, "1e400", OUT_OF_RANGE),
        (types::FLOAT8, "1e-400", OUT_OF_RANGE),
        (types::FLOAT4, "1e39", OUT_OF_RANGE),
        (1231, "{0.12345678901}", OUT_OF_RANGE),
        (1007, "{1,x}", BAD_TEXT),
    ] {
        assert_eq!(state(text.as_bytes(), false, oid), expected, "{oid} {text}");
    }
}

#[test]
fn what_can_be_held_keeps_all_of_it() {
    let said = |text: &str, oid: u32| {
        let wanted = types::arrow(oid).unwrap();
        read(Some(text.as_bytes()), false, oid, &wanted).unwrap()
    };
    let number = |digits: i128, scale: i8| ScalarValue::Decimal128(Some(digits), DIGITS as u8, scale);
    assert_eq!(said("12345678901234567890e0", types::NUMERIC), number(12_345_678_901_234_567_890, 0));
    assert_eq!(said("-1.25e3", types::NUMERIC), number(-1_250, 0));
    assert_eq!(said("1.25E-3", types::NUMERIC), number(125, 5));
    assert_eq!(said(" 007.50 ", types::NUMERIC), number(750, 2));
    assert_eq!(said("NaN", types::FLOAT8).to_string(), "NaN");
    assert_eq!(said("-inf", types::FLOAT8), ScalarValue::Float64(Some(f64::NEG_INFINITY)));
    assert_eq!(said("9999-12-31", types::DATE), ScalarValue::Date32(Some(2_932_896)));
    let many = format!("{{{}NULL}}", "7,".repeat(100_000));
    let list = said(&many, 1016);
    assert!(list.size() < 20 * 100_000, "{}", list.size());
    assert!(said("{}", 1007).to_string().contains("[]"));
}
