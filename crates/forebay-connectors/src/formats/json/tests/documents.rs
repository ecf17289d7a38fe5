//! Valid documents of any shape, in any writing: compared with `serde_json` and a converter that is too simple to be
//! wrong.

use forebay_core::format::BadRecordMode;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{decode, format, row_of, same};

const DDL: &str = "s STRING, i INT, l BIGINT, d DOUBLE, f FLOAT, b BOOLEAN, `odd key` STRING, v ARRAY<DOUBLE>, \
                   o STRUCT<s: STRING, w: ARRAY<STRUCT<i: INT, s: STRING>>>, m MAP<STRING, BIGINT>";

/// A JSON text and what it says.
#[derive(Clone, Debug)]
struct Written {
    text: String,
    value: Value,
}

fn plain(value: Value) -> Written {
    Written { text: value.to_string(), value }
}

/// Text, written with or without escapes.
fn text() -> impl Strategy<Value = Written> {
    (prop_oneof![".{0,12}", "[a-z0-9_ ]{0,40}", "[\"\\\\/\\x00-\\x1f]{0,5}"], any::<bool>()).prop_map(
        |(text, escaped)| {
            if !escaped {
                return plain(json!(text));
            }
            let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            Written { text: format!("\"{}\"", units.concat()), value: json!(text) }
        },
    )
}

fn double() -> impl Strategy<Value = Written> {
    let decimal = ("-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,17})?([eE][+-]?[0-9]{1,2})?").prop_map(|text| {
        let value: f64 = text.parse().unwrap();
        Written { text, value: json!(value) }
    });
    let any =
        prop::num::f64::NORMAL.prop_map(|value| Written { text: format!("{value:e}"), value: json!(value) });
    let short = (-100_000..100_000_i32, 0..4_usize).prop_map(|(mantissa, places)| {
        let text = format!("{:.places$}", f64::from(mantissa) / 10_f64.powi(places as i32));
        let value: f64 = text.parse().unwrap();
        Written { text, value: json!(value) }
    });
    prop_oneof![decimal, any, short]
}

fn float() -> impl Strategy<Value = Written> {
    "-?(0|[1-9][0-9]{0,9})(\\.[0-9]{1,9})?([eE]-?[0-9])?".prop_map(|text| {
        let value: f32 = text.parse().unwrap();
        Written { text, value: json!(f64::from(value)) }
    })
}

fn object(members: Vec<(Written, Written)>, blanks: &str) -> String {
    let members =
        members.iter().map(|(key, value)| format!("{blanks}{}{blanks}:{blanks}{}", key.text, value.text));
    format!("{{{}{blanks}}}", members.collect::<Vec<_>>().join(&format!("{blanks},")))
}

fn array(elements: &[Written], blanks: &str) -> String {
    let texts: Vec<&str> = elements.iter().map(|element| element.text.as_str()).collect();
    format!("[{blanks}{}{blanks}]", texts.join(&format!("{blanks},{blanks}")))
}

fn blanks() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", " ", "\n  ", "\t\r"])
}

fn or_null(strategy: impl Strategy<Value = Written> + 'static) -> BoxedStrategy<Written> {
    prop_oneof![5 => strategy, 1 => Just(plain(Value::Null))].boxed()
}

/// A member that may be missing; missing is null.
fn member(
    name: &'static str,
    value: BoxedStrategy<Written>,
) -> BoxedStrategy<(&'static str, Option<Written>)> {
    prop_oneof![5 => value.prop_map(move |value| (name, Some(value))), 1 => Just((name, None))].boxed()
}

fn whole(kind: std::ops::RangeInclusive<i64>) -> BoxedStrategy<Written> {
    let (least, most) = (*kind.start(), *kind.end());
    prop_oneof![kind, -1000..1000_i64, Just(least), Just(most)].prop_map(|value| plain(json!(value))).boxed()
}

/// A struct's members in any order, with unknown ones between, and what they say.
fn members(fields: Vec<BoxedStrategy<(&'static str, Option<Written>)>>) -> impl Strategy<Value = Written> {
    let unknown = (0..4_usize, text()).prop_map(|(number, value)| (format!("unknown{number}"), value));
    (fields, prop::collection::vec(unknown, 0..3), blanks(), any::<u64>()).prop_map(
        |(fields, unknown, blanks, order)| {
            let value = fields.iter().map(|(name, written)| {
                ((*name).to_owned(), written.as_ref().map_or(Value::Null, |written| written.value.clone()))
            });
            let value = Value::Object(value.collect::<Map<_, _>>());
            let mut written: Vec<(Written, Written)> = Vec::new();
            for (name, member) in fields {
                if let Some(member) = member {
                    written.push((plain(json!(name)), member));
                }
            }
            written.extend(unknown.into_iter().map(|(name, value)| (plain(json!(name)), value)));
            let length = written.len().max(1) as u64;
            written.rotate_left((order % length) as usize);
            if order % 3 == 0 {
                written.reverse();
            }
            Written { text: object(written, blanks), value }
        },
    )
}

fn list(element: BoxedStrategy<Written>) -> impl Strategy<Value = Written> {
    (prop::collection::vec(element, 0..5), blanks()).prop_map(|(elements, blanks)| {
        let value = Value::Array(elements.iter().map(|element| element.value.clone()).collect());
        Written { text: array(&elements, blanks), value }
    })
}

fn map(value: BoxedStrategy<Written>) -> impl Strategy<Value = Written> {
    (prop::collection::vec(value, 0..25), blanks()).prop_map(|(values, blanks)| {
        let keyed = values.into_iter().enumerate().map(|(number, value)| (format!("key {number}"), value));
        let keyed: Vec<(String, Written)> = keyed.collect();
        let value =
            Value::Object(keyed.iter().map(|(key, value)| (key.clone(), value.value.clone())).collect());
        let written = keyed.into_iter().map(|(key, value)| (plain(json!(key)), value)).collect();
        Written { text: object(written, blanks), value }
    })
}

fn document() -> impl Strategy<Value = Written> {
    let ints = || whole(i64::from(i32::MIN)..=i64::from(i32::MAX));
    let inner = members(vec![member("i", or_null(ints())), member("s", or_null(text()))]);
    let outer = members(vec![member("s", or_null(text())), member("w", or_null(list(or_null(inner))))]);
    members(vec![
        member("s", or_null(text())),
        member("i", or_null(ints())),
        member("l", or_null(whole(i64::MIN..=i64::MAX))),
        member("d", or_null(double())),
        member("f", or_null(float())),
        member("b", or_null(any::<bool>().prop_map(|value| plain(json!(value))))),
        member("odd key", or_null(text())),
        member("v", or_null(list(or_null(double())))),
        member("o", or_null(outer)),
        member("m", or_null(map(or_null(whole(i64::MIN..=i64::MAX))))),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn valid_documents_give_what_they_say(documents in prop::collection::vec(document(), 1..6)) {
        // The plain reader agrees that these are documents.
        for document in &documents {
            prop_assert!(serde_json::from_str::<Value>(&document.text).is_ok(), "{}", document.text);
        }
        let records: Vec<&[u8]> = documents.iter().map(|document| document.text.as_bytes()).collect();
        for mode in [BadRecordMode::Quarantine, BadRecordMode::Permissive] {
            let decoded = decode(&format(DDL, mode, &[]), &records);
            for (index, document) in documents.iter().enumerate() {
                let row = row_of(&decoded, index);
                let mut expected = document.value.clone();
                if mode == BadRecordMode::Permissive {
                    without_integer_minus_zero(&mut expected);
                }
                let row = row.map(|mut row| { if mode == BadRecordMode::Permissive { without_integer_minus_zero(&mut row); } row });
                prop_assert!(row.as_ref().is_some_and(|row| same(row, &expected)), "{row:?}\n{expected}\n{}\n{:?}", document.text, decoded.bad);
            }
        }
    }

    /// Doubles are the nearest ones, to the bit.
    #[test]
    fn doubles_are_exact(written in double()) {
        let text = format!("{{\"d\":{}}}", written.text);
        let decoded = decode(&format("d DOUBLE", BadRecordMode::Quarantine, &[]), &[text.as_bytes()]);
        let expected: f64 = written.text.parse().unwrap();
        use arrow::array::AsArray as _;
        let found = decoded.rows.column(0).as_primitive::<arrow::datatypes::Float64Type>().value(0);
        prop_assert_eq!(found.to_bits(), expected.to_bits());
    }

    #[test]
    fn floats_are_exact(written in float()) {
        let text = format!("{{\"f\":{}}}", written.text);
        let decoded = decode(&format("f FLOAT", BadRecordMode::Quarantine, &[]), &[text.as_bytes()]);
        let expected: f32 = written.text.parse().unwrap();
        use arrow::array::AsArray as _;
        let found = decoded.rows.column(0).as_primitive::<arrow::datatypes::Float32Type>().value(0);
        prop_assert_eq!(found.to_bits(), expected.to_bits());
    }
}

/// Spark reads the integer text `-0` as 0.0; strict JSON keeps the sign. Here the difference does not matter.
fn without_integer_minus_zero(value: &mut Value) {
    match value {
        Value::Number(number) if number.as_f64() == Some(0.0) && number.is_f64() => *value = json!(0.0),
        Value::Array(elements) => elements.iter_mut().for_each(without_integer_minus_zero),
        Value::Object(members) => members.values_mut().for_each(without_integer_minus_zero),
        _ => {}
    }
}
