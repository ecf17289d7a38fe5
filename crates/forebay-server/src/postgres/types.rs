//! PostgreSQL's type of each Arrow type, and the other way round for parameters.
//!
//! What has no counterpart there (structs, maps, lists of those) is `json`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};

/// A type as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PgType {
    /// Its number in `pg_type`.
    pub oid: u32,
    /// Bytes of a value; -1 if they differ.
    pub length: i16,
    /// Precision and scale of a number; -1 for none.
    pub modifier: i32,
}

pub(super) const BOOL: u32 = 16;
pub(super) const BYTEA: u32 = 17;
pub(super) const INT8: u32 = 20;
pub(super) const INT2: u32 = 21;
pub(super) const INT4: u32 = 23;
pub(super) const TEXT: u32 = 25;
pub(super) const OID: u32 = 26;
pub(super) const JSON: u32 = 114;
pub(super) const FLOAT4: u32 = 700;
pub(super) const FLOAT8: u32 = 701;
pub(super) const DATE: u32 = 1082;
pub(super) const TIME: u32 = 1083;
pub(super) const TIMESTAMP: u32 = 1114;
pub(super) const TIMESTAMPTZ: u32 = 1184;
pub(super) const INTERVAL: u32 = 1186;
pub(super) const NUMERIC: u32 = 1700;
pub(super) const UUID: u32 = 2950;
pub(super) const JSONB: u32 = 3802;

/// Each type with that of its arrays, its bytes, and its name in `information_schema`.
const TYPES: [(u32, u32, i16, &str); 18] = [
    (BOOL, 1000, 1, "boolean"),
    (BYTEA, 1001, -1, "bytea"),
    (INT8, 1016, 8, "bigint"),
    (INT2, 1005, 2, "smallint"),
    (INT4, 1007, 4, "integer"),
    (TEXT, 1009, -1, "text"),
    (OID, 1028, 4, "oid"),
    (JSON, 199, -1, "json"),
    (FLOAT4, 1021, 4, "real"),
    (FLOAT8, 1022, 8, "double precision"),
    (DATE, 1182, 4, "date"),
    (TIME, 1183, 8, "time without time zone"),
    (TIMESTAMP, 1115, 8, "timestamp without time zone"),
    (TIMESTAMPTZ, 1185, 8, "timestamp with time zone"),
    (INTERVAL, 1187, 16, "interval"),
    (NUMERIC, 1231, -1, "numeric"),
    (UUID, 2951, 16, "uuid"),
    (JSONB, 3807, -1, "jsonb"),
];

/// The metadata by which a column of numbers says that they are those of the catalogue.
pub(super) const OID_KEY: &str = "pg.oid_alias";

impl PgType {
    fn of_oid(oid: u32) -> Self {
        let known = TYPES.iter().find(|(own, ..)| *own == oid);
        Self { oid, length: known.map_or(-1, |(_, _, length, _)| *length), modifier: -1 }
    }

    /// Of a column.
    pub fn of(field: &Field) -> Self {
        match field.metadata().get(OID_KEY).map(String::as_str) {
            Some("oid") => return Self::of_oid(OID),
            Some(alias) if field.data_type() == &DataType::Int32 => {
                let oid = match alias {
                    "regproc" => 24,
                    "regclass" => 2205,
                    "regtype" => 2206,
                    "regnamespace" => 4089,
                    _ => OID,
                };
                return Self { oid, length: 4, modifier: -1 };
            }
            _ => {}
        }
        Self::of_type(field.data_type())
    }

    /// Of a type.
    pub fn of_type(data_type: &DataType) -> Self {
        let plain = match data_type {
            DataType::Boolean => BOOL,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => INT2,
            DataType::Int32 | DataType::UInt16 => INT4,
            DataType::Int64 | DataType::UInt32 => INT8,
            DataType::UInt64 => NUMERIC,
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => {
                let modifier = (i32::from(*precision) << 16 | i32::from(*scale).max(0)) + 4;
                return Self { modifier, ..Self::of_oid(NUMERIC) };
            }
            DataType::Float16 | DataType::Float32 => FLOAT4,
            DataType::Float64 => FLOAT8,
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => BYTEA,
            DataType::Date32 | DataType::Date64 => DATE,
            DataType::Time32(_) | DataType::Time64(_) => TIME,
            DataType::Timestamp(_, None) => TIMESTAMP,
            DataType::Timestamp(_, Some(_)) => TIMESTAMPTZ,
            DataType::Interval(_) | DataType::Duration(_) => INTERVAL,
            DataType::Dictionary(_, value) => return Self::of_type(value),
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _) => {
                let element = Self::of(item).oid;
                let array = TYPES.iter().find(|(own, ..)| *own == element && element != JSON);
                let is_plain = !item.data_type().is_nested();
                array.filter(|_| is_plain).map_or(JSON, |(_, array, ..)| *array)
            }
            DataType::Struct(_) | DataType::Map(..) | DataType::Union(..) => JSON,
            _ => TEXT,
        };
        Self::of_oid(plain)
    }

    /// The type of an array's elements.
    pub fn element(self) -> Option<u32> {
        TYPES.iter().find(|(_, array, ..)| *array == self.oid).map(|(element, ..)| *element)
    }

    /// As `information_schema` names it.
    pub fn name(self) -> &'static str {
        let known = TYPES.iter().find(|(own, ..)| *own == self.oid);
        known.map_or(if self.element().is_some() { "ARRAY" } else { "text" }, |(.., name)| name)
    }
}

/// The Arrow type of a parameter that a client gives a type; `None` for one that is text, or left open.
pub(super) fn arrow(oid: u32) -> Option<DataType> {
    Some(match oid {
        BOOL => DataType::Boolean,
        INT2 => DataType::Int16,
        INT4 => DataType::Int32,
        INT8 => DataType::Int64,
        OID | 24 | 2205 | 2206 | 4089 => DataType::Int64,
        FLOAT4 => DataType::Float32,
        FLOAT8 => DataType::Float64,
        // As many digits behind the point as a value has.
        NUMERIC => DataType::Decimal128(38, 10),
        BYTEA => DataType::Binary,
        DATE => DataType::Date32,
        TIME => DataType::Time64(TimeUnit::Microsecond),
        TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        // `unknown` and `void` say nothing; the statement does.
        0 | 705 | 2278 => return None,
        TEXT | 18 | 19 | 1042 | 1043 | UUID | JSON | JSONB => DataType::Utf8,
        other => {
            let element = PgType { oid: other, length: -1, modifier: -1 }.element()?;
            DataType::List(Arc::new(Field::new_list_field(arrow(element)?, true)))
        }
    })
}
