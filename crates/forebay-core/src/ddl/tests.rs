//! Cases as data: text → schema as it prints again, and text → the place and words of the refusal.

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use proptest::prelude::*;

use super::*;

/// Text, and how its schema prints.
const GOOD: &[(&str, &str)] = &[
    (
        "device_id STRING, temperature DOUBLE, humidity DOUBLE, timestamp INT",
        "device_id STRING, temperature DOUBLE, humidity DOUBLE, timestamp INT",
    ),
    ("a boolean, b byte, c short, d integer, e long", "a BOOLEAN, b TINYINT, c SMALLINT, d INT, e BIGINT"),
    (
        "a real, b float, c dec, d numeric(5), e decimal( 38 , 38 )",
        "a FLOAT, b FLOAT, c DECIMAL(10,0), d DECIMAL(5,0), e DECIMAL(38,38)",
    ),
    (
        "a timestamp, b TIMESTAMP_LTZ, c timestamp_ntz, d date, e binary",
        "a TIMESTAMP, b TIMESTAMP, c TIMESTAMP_NTZ, d DATE, e BINARY",
    ),
    ("a: INT, b : STRING NOT NULL", "a INT, b STRING NOT NULL"),
    ("STRUCT<a: INT, b STRING>", "a INT, b STRING"),
    (
        "struct INT, array STRING, not INT NOT NULL, comment INT COMMENT 'x'",
        "struct INT, array STRING, not INT NOT NULL, comment INT COMMENT 'x'",
    ),
    (
        "a ARRAY<ARRAY<INT>>, m MAP<STRING,ARRAY<STRUCT<x:INT,y:MAP<INT,DATE>>>>",
        "a ARRAY<ARRAY<INT>>, m MAP<STRING, ARRAY<STRUCT<x: INT, y: MAP<INT, DATE>>>>",
    ),
    (
        "s STRUCT<a INT NOT NULL COMMENT 'in', b: STRING> NOT NULL COMMENT \"it's\"",
        "s STRUCT<a: INT NOT NULL COMMENT 'in', b: STRING> NOT NULL COMMENT 'it\\'s'",
    ),
    (
        "`a b` INT, `back``quote` INT, `größe` INT, `` INT, 1st INT",
        "`a b` INT, `back``quote` INT, `größe` INT, `` INT, 1st INT",
    ),
    ("a INT, -- the first\n  b /* second */ INT\n", "a INT, b INT"),
];

/// Text, the words that its place covers, the message, a part of the hint.
const BAD: &[(&str, &str, &str, &str)] = &[
    ("  ", " ", "the schema is empty", "id STRING"),
    ("a", "", "the schema ends where the type of `a` is expected", "name TYPE"),
    ("a INT,", "", "the schema ends where a column's name is expected", ""),
    ("a INT b INT", "b", "expected a comma or the end of the schema, found `b`", "commas"),
    ("a STRNG", "STRNG", "unknown type `STRNG`", "Did you mean `STRING`?"),
    ("a text", "text", "unknown type `text`", "Did you mean `STRING`?"),
    ("a datetime", "datetime", "unknown type `datetime`", "Did you mean `TIMESTAMP`?"),
    ("a quaternion", "quaternion", "unknown type `quaternion`", "Known: BOOLEAN"),
    (
        "a VARCHAR(20)",
        "VARCHAR",
        "the type VARCHAR has no meaning for decoded values; Spark refuses it in from_json too",
        "Write `STRING`",
    ),
    ("a INTERVAL DAY", "INTERVAL", "the type INTERVAL cannot be a column of a table", ""),
    ("a VARIANT", "VARIANT", "the type VARIANT is not supported yet", "STRUCT"),
    ("a void", "void", "the type VOID has no values", ""),
    ("a DECIMAL(39, 2)", "39, 2", "a decimal of 39 digits", "from 1 to 38"),
    ("a DECIMAL(4,5)", "4,5", "the scale 5 is larger than the precision 4", ""),
    ("a DECIMAL(x)", "x", "expected a whole number, found `x`", ""),
    ("a INT, b STRING, A DATE", "A DATE", "two columns are named `A`", "upper and lower case"),
    ("s STRUCT<x: INT, X: INT>", "X: INT", "two columns are named `X`", ""),
    ("a ARRAY", "", "the schema ends where `<TYPE>` after ARRAY is expected", ""),
    ("a ARRAY<INT", "", "the schema ends where a comma or `>` is expected", ""),
    (
        "a MAP<STRING>",
        ">",
        "expected `, TYPE>`: a map has the types of its key and of its value, found `>`",
        "",
    ),
    ("a MAP<MAP<INT,INT>,INT>", "MAP<INT,INT>", "the key of a map is or holds a map", ""),
    ("a STRUCT<>", ">", "expected a column's name, found `>`", ""),
    ("a INT[]", "INT[", "`[]` after a type", "ARRAY<INT>"),
    ("a INT(11)", "(", "the type INT takes no arguments", ""),
    ("a INT DEFAULT 0", "DEFAULT", "DEFAULT belongs to a table, not to decoded values", ""),
    ("a INT NOT", "", "the schema ends where `NULL` after `NOT` is expected", ""),
    ("a INT NULL", "NULL", "`NULL` after a type", "leave it out"),
    ("a INT COMMENT x", "x", "expected the comment's text in quotes, found `x`", ""),
    ("a INT COMMENT 'x", "'x", "the comment's quote is never closed", ""),
    (
        "device-id STRING",
        "device-id",
        "the name `device-id` holds more than letters, digits and `_`",
        "`` `device-id` ``",
    ),
    ("größe INT", "größe", "the name `größe` holds more than letters, digits and `_`", "back quotes"),
    ("'a' INT", "'", "a name stands in quotes", "back quotes"),
    ("`a INT", "`a INT", "the back quote is never closed", ""),
    ("a INT /* b", "/", "`/*` is never closed", ""),
    ("STRUCT<a: INT> x", "x", "expected a comma or the end of the schema, found `x`", ""),
];

#[test]
fn what_spark_takes_is_taken() {
    for (text, printed) in GOOD {
        let schema = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(to_ddl(&schema).unwrap(), *printed, "{text}");
        assert_eq!(parse(printed).unwrap(), schema, "{text}");
    }
}

#[test]
fn a_refusal_points_at_its_place_and_says_what_was_meant() {
    for (text, place, message, hint) in BAD {
        let error = parse(text).err().unwrap_or_else(|| panic!("{text} was taken"));
        assert_eq!(error.message, *message, "{text}");
        assert_eq!(&text[error.offset..error.offset + error.length], *place, "{text}");
        assert!(error.hint.contains(hint), "{text}: {}", error.hint);
    }
}

#[test]
fn nested_types_follow_the_conventions_of_delta() {
    let schema = parse("l ARRAY<INT>, m MAP<STRING, INT>, t TIMESTAMP").unwrap();
    let element = Field::new("element", DataType::Int32, true);
    assert_eq!(schema.field(0).data_type(), &DataType::List(element.into()));
    let DataType::Map(entries, false) = schema.field(1).data_type() else { panic!("not a map") };
    let pair = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Int32, true),
    ]);
    assert_eq!(**entries, Field::new("key_value", DataType::Struct(pair), false));
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    assert_eq!(schema.field(2).data_type(), &utc);
}

#[test]
fn nesting_and_size_are_bounded() {
    let deep = |depth: usize| format!("a {}INT{}", "ARRAY<".repeat(depth), ">".repeat(depth));
    assert!(parse(&deep(MAX_DEPTH - 1)).is_ok());
    assert!(parse(&deep(1_000_000)).unwrap_err().message.contains("nest deeper"));
    let structs = "STRUCT<a: ".repeat(100_000);
    assert!(parse(&structs).is_err());
    let wide: Vec<String> = (0..=MAX_FIELDS).map(|index| format!("c{index} INT")).collect();
    assert!(parse(&wide.join(",")).unwrap_err().message.contains("more than"));
}

#[test]
fn a_type_that_spark_lacks_has_no_text() {
    let schema = Schema::new(vec![Field::new("n", DataType::UInt64, true)]);
    assert!(to_ddl(&schema).unwrap_err().message().contains("`n`"));
}

fn data_type() -> impl Strategy<Value = DataType> {
    let leaf = prop_oneof![
        Just(DataType::Boolean),
        Just(DataType::Int8),
        Just(DataType::Int64),
        Just(DataType::Float32),
        Just(DataType::Utf8),
        Just(DataType::Binary),
        Just(DataType::Date32),
        Just(DataType::Timestamp(TimeUnit::Microsecond, None)),
        Just(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        (1u8..=38).prop_flat_map(|p| (Just(p), 0..=p as i8)).prop_map(|(p, s)| DataType::Decimal128(p, s)),
    ];
    leaf.clone().prop_recursive(4, 24, 4, move |inner| {
        let map = (leaf.clone(), inner.clone()).prop_map(|(key, value)| {
            let pair = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
            DataType::Map(Field::new("key_value", DataType::Struct(pair), false).into(), false)
        });
        prop_oneof![
            inner.clone().prop_map(|item| DataType::List(Field::new("element", item, true).into())),
            map,
            fields(inner).prop_map(DataType::Struct),
        ]
    })
}

fn fields(types: impl Strategy<Value = DataType> + 'static) -> impl Strategy<Value = Fields> {
    let field = ("[a-z `:,<>é-]{0,6}", types, any::<bool>(), proptest::option::of("[ -~\n\t'\"\\\\]{0,6}"));
    proptest::collection::vec(field, 1..4).prop_map(|columns| {
        let field = |(index, (name, data_type, nullable, comment)): (
            usize,
            (String, DataType, bool, Option<String>),
        )| {
            // The index keeps names apart.
            let field = Field::new(format!("{name}{index}"), data_type, nullable);
            match comment {
                Some(comment) => field.with_metadata([(COMMENT.to_owned(), comment)].into()),
                None => field,
            }
        };
        columns.into_iter().enumerate().map(field).collect()
    })
}

proptest! {
    #[test]
    fn a_schema_that_is_printed_reads_as_itself(fields in fields(data_type())) {
        let schema = Schema::new(fields);
        let text = to_ddl(&schema).unwrap();
        prop_assert_eq!(&*parse(&text).unwrap(), &schema, "{}", text);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in prop_oneof![
        any::<String>(),
        "([a-z`]{0,3}[ :]?(INT|STRING|DECIMAL\\(|ARRAY<|MAP<|STRUCT<|>|,|NOT NULL|COMMENT '|/\\*|--|é|\\)|[0-9]){0,3} ?){0,12}",
    ]) {
        if let Err(error) = parse(&text) {
            prop_assert!(text.get(error.offset..error.offset + error.length).is_some(), "{:?}", error);
        }
    }
}
