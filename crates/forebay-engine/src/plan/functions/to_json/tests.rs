//! Values of every type as Spark's writer tells them. The expected texts are those of Spark 4.0, or follow from its source.

use arrow::array::{
    BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array,
    ListArray, MapArray, NullArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Fields;

use super::*;

fn structs(columns: Vec<(&str, ArrayRef)>, there: Option<Vec<bool>>) -> ArrayRef {
    let fields: Fields =
        columns.iter().map(|(name, it)| Field::new(*name, it.data_type().clone(), true)).collect();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    Arc::new(StructArray::try_new(fields, columns, there.map(NullBuffer::from)).unwrap())
}

fn told(values: &ArrayRef, options: &[&str], zone: &str) -> Vec<Option<String>> {
    let zone = Zone::read(zone).unwrap_or(Zone::UTC);
    let mut words = Words::new(options.iter().map(|text| Some(*text)), zone).unwrap();
    written(values, &mut words).unwrap().iter().map(|text| text.map(str::to_owned)).collect()
}

fn one(name: &str, column: impl Array + 'static, options: &[&str], zone: &str) -> String {
    told(&structs(vec![(name, Arc::new(column))], None), options, zone).remove(0).unwrap()
}

#[test]
fn every_type_is_written_as_spark_writes_it() {
    let micros = 1_672_917_233_643_364;
    let instant = || TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC");
    let decimal =
        |value, scale| Decimal128Array::from(vec![value]).with_precision_and_scale(38, scale).unwrap();
    for (given, expected) in [
        (one("b", BooleanArray::from(vec![true]), &[], "UTC"), r#"{"b":true}"#),
        (one("i", Int32Array::from(vec![-7]), &[], "UTC"), r#"{"i":-7}"#),
        (one("d", Float64Array::from(vec![1e7]), &[], "UTC"), r#"{"d":1.0E7}"#),
        (one("d", Float64Array::from(vec![f64::NAN]), &[], "UTC"), r#"{"d":"NaN"}"#),
        (one("f", Float32Array::from(vec![36.6]), &[], "UTC"), r#"{"f":36.6}"#),
        (one("m", decimal(-12_340, 2), &[], "UTC"), r#"{"m":-123.40}"#),
        (one("m", decimal(1, 9), &[], "UTC"), r#"{"m":1E-9}"#),
        (
            one("a \"b\"", StringArray::from(vec!["x\"\n/ü🙈"]), &[], "UTC"),
            "{\"a \\\"b\\\"\":\"x\\\"\\n/ü🙈\"}",
        ),
        (one("x", BinaryArray::from(vec![&b"\x00\xff?"[..]]), &[], "UTC"), r#"{"x":"AP8/"}"#),
        (one("d", Date32Array::from(vec![19_362]), &[], "UTC"), r#"{"d":"2023-01-05"}"#),
        (one("t", instant(), &[], "UTC"), r#"{"t":"2023-01-05T11:13:53.643Z"}"#),
        (one("t", instant(), &[], "Asia/Kolkata"), r#"{"t":"2023-01-05T16:43:53.643+05:30"}"#),
        (
            one("t", instant(), &["timestampFormat", "dd.MM.yyyy HH:mm"], "Europe/Berlin"),
            r#"{"t":"05.01.2023 12:13"}"#,
        ),
        (
            one("t", TimestampMicrosecondArray::from(vec![micros]), &[], "Asia/Kolkata"),
            r#"{"t":"2023-01-05T11:13:53.643"}"#,
        ),
        (one("d", Date32Array::from(vec![0]), &["dateFormat", "yyyy/MM/dd"], "UTC"), r#"{"d":"1970/01/01"}"#),
        (one("n", NullArray::new(1), &[], "UTC"), "{}"),
        (one("n", NullArray::new(1), &["ignoreNullFields", "FALSE"], "UTC"), r#"{"n":null}"#),
    ] {
        assert_eq!(given, expected);
    }
}

#[test]
fn nulls_are_left_out_of_structs_and_stay_in_arrays_and_maps() {
    let inner = structs(
        vec![
            ("k", Arc::new(Int32Array::from(vec![Some(1), None, Some(3), None]))),
            ("s", Arc::new(StringArray::from(vec![Some("a"), None, None, Some("d")]))),
        ],
        Some(vec![true, true, false, true]),
    );
    let item = Arc::new(Field::new("item", inner.data_type().clone(), true));
    let lengths = OffsetBuffer::from_lengths([3, 0, 0, 1]);
    let there = NullBuffer::from(vec![true, true, false, true]);
    let list: ArrayRef = Arc::new(ListArray::new(item, lengths, Arc::clone(&inner), Some(there)));
    let some = |texts: &[&str]| texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>();
    assert_eq!(
        told(&list, &[], "UTC"),
        [
            Some(r#"[{"k":1,"s":"a"},{},null]"#.to_owned()),
            Some("[]".to_owned()),
            None,
            Some(r#"[{"s":"d"}]"#.to_owned())
        ]
    );
    let outer = structs(vec![("xs", list), ("in", inner)], None);
    assert_eq!(
        told(&outer, &[], "UTC"),
        some(&[
            r#"{"xs":[{"k":1,"s":"a"},{},null],"in":{"k":1,"s":"a"}}"#,
            r#"{"xs":[],"in":{}}"#,
            "{}",
            r#"{"xs":[{"s":"d"}],"in":{"s":"d"}}"#
        ])
    );
    assert_eq!(
        told(&outer, &["ignoreNullFields", "false"], "UTC")[1..],
        some(&[
            r#"{"xs":[],"in":{"k":null,"s":null}}"#,
            r#"{"xs":null,"in":null}"#,
            r#"{"xs":[{"k":null,"s":"d"}],"in":{"k":null,"s":"d"}}"#
        ])
    );
    // A part of a column is what it shows.
    assert_eq!(told(&outer.slice(3, 1), &[], "UTC"), some(&[r#"{"xs":[{"s":"d"}],"in":{"s":"d"}}"#]));
}

#[test]
fn the_keys_of_maps_are_texts() {
    let map = |keys: ArrayRef| -> ArrayRef {
        let fields = Fields::from(vec![
            Field::new("keys", keys.data_type().clone(), false),
            Field::new("values", DataType::Int32, true),
        ]);
        let values = Arc::new(Int32Array::from(vec![Some(1), None]));
        let pairs = StructArray::new(fields.clone(), vec![keys, values], None);
        let entries = Arc::new(Field::new("entries", DataType::Struct(fields), false));
        Arc::new(MapArray::new(entries, OffsetBuffer::from_lengths([2]), pairs, None, false))
    };
    for (keys, expected) in [
        (Arc::new(StringArray::from(vec!["a\"", ""])) as ArrayRef, r#"{"a\"":1,"":null}"#),
        (Arc::new(Int32Array::from(vec![7, -7])), r#"{"7":1,"-7":null}"#),
        (Arc::new(Float64Array::from(vec![1.5, f64::NAN])), r#"{"1.5":1,"NaN":null}"#),
        (Arc::new(BooleanArray::from(vec![true, false])), r#"{"true":1,"false":null}"#),
    ] {
        assert_eq!(told(&map(keys), &[], "UTC"), [Some(expected.to_owned())]);
    }
    let of = map(Arc::new(Date32Array::from(vec![1, 2]))).data_type().clone();
    assert_eq!(column::writable(&of), Err(of.clone()), "Spark tells a number of days");
}

#[test]
fn options_that_are_wrong_say_so() {
    let wrong = |options: &[&str]| Words::new(options.iter().map(|text| Some(*text)), Zone::UTC).unwrap_err();
    for (options, part) in [
        (&["ignoreNullFields", "perhaps"][..], "true or false"),
        (&["timestampFormat", "bbb"], "is not possible"),
        (&["dateFormat", "yyyy XXX"], "has a zone"),
        (&["pretty", "true"], "does not have the option"),
    ] {
        assert!(wrong(options).contains(part), "{options:?}: {}", wrong(options));
    }
    assert!(Words::new([None].into_iter(), Zone::UTC).is_err());
}
