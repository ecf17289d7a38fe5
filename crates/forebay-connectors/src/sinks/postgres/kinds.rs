//! Types on both sides: what a column of the query becomes in a new table, and whether a column of a table takes it.
//!
//! What must stay true: a pair of types is taken only where every value comes out as it went in, or PostgreSQL itself
//! refuses the row. So numbers get wider and never narrower; a text goes into any type, which PostgreSQL reads (`Way::Read`).

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, IntervalUnit, TimeUnit};

/// What a value of a column is sent as: one of PostgreSQL's binary forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    /// The bytes of a text: text, varchar, char, enumerations, json …
    Text,
    Uuid,
    /// A text of JSON into `jsonb`.
    JsonbText,
    /// A struct, a map or a list as JSON; true for `jsonb`.
    Json(bool),
    Bytea,
    Date,
    /// Microseconds as they are: an instant into `timestamptz`, what clocks show into `timestamp`.
    Timestamp,
    /// An instant into `timestamp`: what clocks of the pipeline's zone show then.
    LocalTimestamp,
    Interval,
    /// A list of one of the others; the element's type by its oid.
    Array(u32, Box<Wire>),
}

/// How a column of the query gets into one of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// By COPY, as this.
    Copy(Wire),
    /// As text, which PostgreSQL reads as the column's type.
    Read,
}

/// A type of PostgreSQL, a domain's underlying one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PgType {
    pub oid: u32,
    /// As in `pg_type`: `int4`, `_text` …
    pub name: String,
    /// `b` base, `e` enumeration, `c` composite …
    pub kind: char,
    /// Of an array its elements' oid and name.
    pub element: Option<(u32, String)>,
    /// `atttypmod`; -1 for none.
    pub modifier: i32,
}

/// PostgreSQL's name of a type that Spark calls otherwise; every other name as it is.
pub fn of_spark(name: &str) -> &str {
    match name.to_ascii_lowercase().as_str() {
        "string" => "text",
        "double" => "double precision",
        "byte" | "tinyint" | "short" => "smallint",
        "long" => "bigint",
        "binary" => "bytea",
        "timestamp_ltz" => "timestamptz",
        "timestamp_ntz" => "timestamp",
        _ => name,
    }
}

/// What a new table has for a column of the query.
pub fn created(data: &DataType) -> String {
    let name = match data {
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 => "bigint",
        DataType::UInt64 => "numeric(20,0)",
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => return format!("numeric({p},{s})"),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "bytea"
        }
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Timestamp(_, Some(_)) => "timestamptz",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::Dictionary(_, value) => return created(value),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            return match created(item.data_type()).as_str() {
                nested if nested == "jsonb" || nested.ends_with("[]") => "jsonb".to_owned(),
                of => format!("{of}[]"),
            };
        }
        DataType::Struct(_) | DataType::Map(_, _) => "jsonb",
        _ => "text",
    };
    name.to_owned()
}

/// Whether values of this type are text.
pub fn is_text(data: &DataType) -> bool {
    match data {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

/// How values of `data` get into a column of type `to`; the error says what to write instead.
pub fn way(data: &DataType, to: &PgType) -> Result<Way, String> {
    if let DataType::Dictionary(_, value) = data {
        return way(value, to);
    }
    if let (Some(item), Some((oid, name))) = (item(data), &to.element) {
        let element =
            PgType { oid: *oid, name: name.clone(), kind: 'b', element: None, modifier: to.modifier };
        return match way(item, &element)? {
            Way::Copy(Wire::Array(..)) | Way::Read => Err(format!("an array of {name} of lists")),
            Way::Copy(wire) => Ok(Way::Copy(Wire::Array(*oid, Box::new(wire)))),
        };
    }
    let wire = match (to.name.as_str(), data) {
        ("bool", DataType::Boolean) => Wire::Bool,
        ("int2", data) if whole_bytes(data).is_some_and(|bytes| bytes <= 2) => Wire::Int2,
        ("int4", data) if whole_bytes(data).is_some_and(|bytes| bytes <= 4) => Wire::Int4,
        ("int8", data) if whole_bytes(data).is_some_and(|bytes| bytes <= 8) => Wire::Int8,
        ("float4", DataType::Float16 | DataType::Float32) => Wire::Float4,
        ("float8", DataType::Float16 | DataType::Float32 | DataType::Float64) => Wire::Float8,
        // 24 and 53 bits of precision: every integer of that size is one of the floats.
        ("float4", data) if whole_bytes(data).is_some_and(|bytes| bytes <= 2) => Wire::Float4,
        ("float8", data) if whole_bytes(data).is_some_and(|bytes| bytes <= 4) => Wire::Float8,
        ("numeric", data) => match scale(data) {
            Some(scale) if to.modifier < 0 || scale <= numeric_scale(to.modifier) => Wire::Numeric,
            Some(_) => return Err("CAST to DECIMAL with no more digits behind the point".to_owned()),
            None => return Err("CAST to DECIMAL".to_owned()),
        },
        ("uuid", data) if is_text(data) => Wire::Uuid,
        ("jsonb", data) if is_text(data) => Wire::JsonbText,
        ("jsonb" | "json", data) if is_nested(data) => Wire::Json(to.name == "jsonb"),
        ("text" | "varchar" | "bpchar" | "name" | "json" | "citext", data) if is_text(data) => Wire::Text,
        (_, data) if is_text(data) && to.kind == 'e' => Wire::Text,
        (
            "bytea",
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_),
        ) => Wire::Bytea,
        ("date", DataType::Date32 | DataType::Date64) => Wire::Date,
        ("timestamptz", DataType::Timestamp(_, Some(_))) | ("timestamp", DataType::Timestamp(_, None)) => {
            Wire::Timestamp
        }
        ("timestamp", DataType::Timestamp(_, Some(_))) => Wire::LocalTimestamp,
        ("interval", DataType::Interval(_) | DataType::Duration(_)) => Wire::Interval,
        (_, data) if is_text(data) => return Ok(Way::Read),
        (name, _) => return Err(advice(name)),
    };
    Ok(Way::Copy(wire))
}

fn advice(name: &str) -> String {
    match name {
        "int2" => "CAST to SMALLINT".to_owned(),
        "int4" => "CAST to INT".to_owned(),
        "int8" => "CAST to BIGINT".to_owned(),
        "float4" => "CAST to FLOAT".to_owned(),
        "float8" => "CAST to DOUBLE".to_owned(),
        "bool" => "CAST to BOOLEAN".to_owned(),
        "timestamptz" => "CAST to TIMESTAMP".to_owned(),
        "timestamp" => "CAST to TIMESTAMP_NTZ".to_owned(),
        "date" => "CAST to DATE".to_owned(),
        _ => "CAST to STRING".to_owned(),
    }
}

fn item(data: &DataType) -> Option<&DataType> {
    match data {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Some(item.data_type())
        }
        _ => None,
    }
}

fn is_nested(data: &DataType) -> bool {
    item(data).is_some() || matches!(data, DataType::Struct(_) | DataType::Map(_, _))
}

/// Bytes of the signed whole number that holds every value.
fn whole_bytes(data: &DataType) -> Option<u8> {
    match data {
        DataType::Int8 => Some(1),
        DataType::Int16 | DataType::UInt8 => Some(2),
        DataType::Int32 | DataType::UInt16 => Some(4),
        DataType::Int64 | DataType::UInt32 => Some(8),
        _ => None,
    }
}

/// Digits behind the point; `None` for what is no exact number.
pub fn scale(data: &DataType) -> Option<i32> {
    match data {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => Some(i32::from(*scale)),
        DataType::UInt64 => Some(0),
        data => whole_bytes(data).map(|_| 0),
    }
}

/// The scale in the modifier of a `numeric(p, s)`: eleven bits with a sign, since PostgreSQL 15.
fn numeric_scale(modifier: i32) -> i32 {
    let bits = (modifier - 4) & 0x7ff;
    if bits > 1000 { bits - 2048 } else { bits }
}

/// The Arrow type that values are brought to before they are sent.
pub fn canonical(wire: &Wire, data: &DataType) -> DataType {
    match wire {
        Wire::Bool => DataType::Boolean,
        Wire::Int2 => DataType::Int16,
        Wire::Int4 => DataType::Int32,
        Wire::Int8 => DataType::Int64,
        Wire::Float4 => DataType::Float32,
        Wire::Float8 => DataType::Float64,
        Wire::Numeric => match data {
            DataType::Decimal32(p, s)
            | DataType::Decimal64(p, s)
            | DataType::Decimal128(p, s)
            | DataType::Decimal256(p, s) => DataType::Decimal128((*p).min(38), *s),
            _ => DataType::Decimal128(20, 0),
        },
        Wire::Text | Wire::Uuid | Wire::JsonbText => match data {
            DataType::Utf8View | DataType::LargeUtf8 => data.clone(),
            _ => DataType::Utf8,
        },
        Wire::Json(_) => data.clone(),
        Wire::Bytea => match data {
            DataType::BinaryView | DataType::LargeBinary => data.clone(),
            _ => DataType::Binary,
        },
        Wire::Date => DataType::Date32,
        Wire::Timestamp | Wire::LocalTimestamp => match data {
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            _ => DataType::Timestamp(TimeUnit::Microsecond, None),
        },
        Wire::Interval => match data {
            DataType::Duration(_) => DataType::Duration(TimeUnit::Microsecond),
            DataType::Interval(IntervalUnit::YearMonth) => data.clone(),
            _ => DataType::Interval(IntervalUnit::MonthDayNano),
        },
        Wire::Array(_, wire) => {
            let of = |item: &FieldRef| {
                let data = canonical(wire, item.data_type());
                if data == *item.data_type() {
                    item.clone()
                } else {
                    Arc::new(item.as_ref().clone().with_data_type(data))
                }
            };
            match data {
                DataType::LargeList(item) => DataType::LargeList(of(item)),
                DataType::List(item) | DataType::FixedSizeList(item, _) => DataType::List(of(item)),
                other => other.clone(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;

    fn pg(name: &str) -> PgType {
        PgType { name: name.into(), kind: 'b', modifier: -1, ..PgType::default() }
    }

    #[test]
    fn numbers_get_wider_and_never_narrower() {
        use DataType::{Float32, Float64, Int16, Int32, Int64};
        for (data, to, fits) in [
            (Int16, "int8", true),
            (Int32, "int2", false),
            (Int64, "int4", false),
            (Int64, "numeric", true),
            (Int64, "float8", false),
            (Int32, "float8", true),
            (Float32, "float8", true),
            (Float64, "float4", false),
            (Float64, "numeric", false),
        ] {
            assert_eq!(way(&data, &pg(to)).is_ok(), fits, "{data} into {to}");
        }
    }

    #[test]
    fn digits_behind_the_point_are_never_cut() {
        let numeric = |scale: i32| PgType { modifier: ((10 << 16) | (scale & 0x7ff)) + 4, ..pg("numeric") };
        assert!(way(&DataType::Decimal128(10, 2), &numeric(2)).is_ok());
        assert!(way(&DataType::Decimal128(10, 3), &numeric(2)).is_err());
        assert!(way(&DataType::Decimal128(10, 2), &pg("numeric")).is_ok());
        assert!(way(&DataType::Int32, &numeric(0)).is_ok());
        assert!(way(&DataType::Int32, &numeric(-2)).is_err());
    }

    #[test]
    fn text_goes_into_anything_and_postgresql_reads_it() {
        assert_eq!(way(&DataType::Utf8, &pg("uuid")), Ok(Way::Copy(Wire::Uuid)));
        assert_eq!(way(&DataType::Utf8View, &pg("inet")), Ok(Way::Read));
        assert_eq!(way(&DataType::Utf8, &pg("int4")), Ok(Way::Read));
        assert_eq!(way(&DataType::Utf8, &PgType { kind: 'e', ..pg("status") }), Ok(Way::Copy(Wire::Text)));
    }

    #[test]
    fn lists_are_arrays_and_what_is_nested_deeper_is_json() {
        let list = |data| DataType::List(Arc::new(Field::new("item", data, true)));
        let texts = PgType { element: Some((25, "text".into())), ..pg("_text") };
        assert_eq!(way(&list(DataType::Utf8), &texts), Ok(Way::Copy(Wire::Array(25, Box::new(Wire::Text)))));
        assert!(way(&list(DataType::Int64), &texts).is_err());
        assert_eq!(created(&list(DataType::Float64)), "double precision[]");
        assert_eq!(created(&list(list(DataType::Float64))), "jsonb");
        assert_eq!(way(&list(list(DataType::Int32)), &pg("jsonb")), Ok(Way::Copy(Wire::Json(true))));
    }

    #[test]
    fn an_instant_into_a_clock_s_time_is_shown_in_a_zone() {
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let clock = DataType::Timestamp(TimeUnit::Microsecond, None);
        assert_eq!(way(&instant, &pg("timestamp")), Ok(Way::Copy(Wire::LocalTimestamp)));
        assert_eq!(way(&instant, &pg("timestamptz")), Ok(Way::Copy(Wire::Timestamp)));
        assert_eq!(way(&clock, &pg("timestamp")), Ok(Way::Copy(Wire::Timestamp)));
        assert!(way(&clock, &pg("timestamptz")).is_err());
    }
}
