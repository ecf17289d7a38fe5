//! Column types: Arrow's, Delta's, and the question whether the one fits into the other.
//!
//! Delta names types as Spark does (`string`, `long`, `timestamp` …) and keeps them as JSON inside the table's
//! metadata. What must stay true: a schema that another writer put there is given back with every piece of field
//! metadata it had, and new columns are only ever added at the end and as nullable ones.

use std::fmt;

use arrow::datatypes::{DataType, Field, TimeUnit};
use forebay_core::ddl;
use serde_json::{Map, Value, json};

/// A Delta type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum DeltaType {
    /// `string`, `long`, `decimal(10,2)` … by name.
    Primitive(String),
    Struct(Vec<DeltaField>),
    Array {
        element: Box<DeltaType>,
        contains_null: bool,
    },
    Map {
        key: Box<DeltaType>,
        value: Box<DeltaType>,
        value_contains_null: bool,
    },
}

/// A Delta column, or a field inside of one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DeltaField {
    pub name: String,
    pub ty: DeltaType,
    pub nullable: bool,
    pub metadata: Map<String, Value>,
}

impl DeltaType {
    /// The type under which a column of this Arrow type is stored; `None` if Delta has none.
    pub fn of(arrow: &DataType) -> Option<Self> {
        let name = match arrow {
            DataType::Boolean => "boolean",
            DataType::Int8 => "byte",
            DataType::Int16 | DataType::UInt8 => "short",
            DataType::Int32 | DataType::UInt16 => "integer",
            DataType::Int64 | DataType::UInt32 => "long",
            DataType::UInt64 => "decimal(20,0)",
            DataType::Float16 | DataType::Float32 => "float",
            DataType::Float64 => "double",
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string",
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => "binary",
            DataType::Date32 | DataType::Date64 => "date",
            DataType::Timestamp(_, Some(_)) => "timestamp",
            DataType::Timestamp(_, None) => "timestamp_ntz",
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale)
                if *precision <= 38 && *scale >= 0 =>
            {
                return Some(Self::Primitive(format!("decimal({precision},{scale})")));
            }
            DataType::Dictionary(_, values) => return Self::of(values),
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _) => {
                return Some(Self::Array {
                    element: Box::new(Self::of(item.data_type())?),
                    contains_null: true,
                });
            }
            DataType::Map(entries, _) => {
                let DataType::Struct(pair) = entries.data_type() else { return None };
                return Some(Self::Map {
                    key: Box::new(Self::of(pair.first()?.data_type())?),
                    value: Box::new(Self::of(pair.get(1)?.data_type())?),
                    value_contains_null: true,
                });
            }
            DataType::Struct(fields) => {
                return fields
                    .iter()
                    .map(|field| DeltaField::of(field))
                    .collect::<Option<_>>()
                    .map(Self::Struct);
            }
            _ => return None,
        };
        Some(Self::Primitive(name.to_owned()))
    }

    /// The same type apart from nullability and field metadata; nested names must be equal.
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Primitive(a), Self::Primitive(b)) => a == b,
            (Self::Array { element: a, .. }, Self::Array { element: b, .. }) => a.same_as(b),
            (Self::Map { key: ka, value: va, .. }, Self::Map { key: kb, value: vb, .. }) => {
                ka.same_as(kb) && va.same_as(vb)
            }
            (Self::Struct(a), Self::Struct(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.name == b.name && a.ty.same_as(&b.ty))
            }
            _ => false,
        }
    }

    /// The Arrow type of a table column into which `self`, a narrower number, widens without loss.
    pub fn widens_to(&self, table: &Self) -> Option<DataType> {
        let (Self::Primitive(from), Self::Primitive(to)) = (self, table) else { return None };
        const WHOLE: [&str; 4] = ["byte", "short", "integer", "long"];
        let rank = |name: &str| WHOLE.iter().position(|known| *known == name);
        match (rank(from), rank(to), from.as_str(), to.as_str()) {
            (Some(a), Some(b), ..) if a < b => Some(match b {
                1 => DataType::Int16,
                2 => DataType::Int32,
                _ => DataType::Int64,
            }),
            (_, _, "float", "double") => Some(DataType::Float64),
            _ => None,
        }
    }

    /// Reads a type as it stands in `schemaString`.
    pub fn from_json(value: &Value) -> Option<Self> {
        let Some(object) = value.as_object() else {
            return value.as_str().map(|name| Self::Primitive(name.to_owned()));
        };
        match object.get("type")?.as_str()? {
            "struct" => {
                let fields = object.get("fields")?.as_array()?;
                fields.iter().map(DeltaField::from_json).collect::<Option<_>>().map(Self::Struct)
            }
            "array" => Some(Self::Array {
                element: Box::new(Self::from_json(object.get("elementType")?)?),
                contains_null: object.get("containsNull")?.as_bool()?,
            }),
            "map" => Some(Self::Map {
                key: Box::new(Self::from_json(object.get("keyType")?)?),
                value: Box::new(Self::from_json(object.get("valueType")?)?),
                value_contains_null: object.get("valueContainsNull")?.as_bool()?,
            }),
            _ => None,
        }
    }

    /// The type as `schemaString` wants it.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Primitive(name) => json!(name),
            Self::Struct(fields) => {
                json!({"type": "struct", "fields": fields.iter().map(DeltaField::to_json).collect::<Vec<_>>()})
            }
            Self::Array { element, contains_null } => {
                json!({"type": "array", "elementType": element.to_json(), "containsNull": contains_null})
            }
            Self::Map { key, value, value_contains_null } => json!({
                "type": "map", "keyType": key.to_json(), "valueType": value.to_json(),
                "valueContainsNull": value_contains_null,
            }),
        }
    }

    /// True if the type holds `wanted`, at any depth.
    pub fn holds(&self, wanted: &str) -> bool {
        match self {
            Self::Primitive(name) => name == wanted,
            Self::Struct(fields) => fields.iter().any(|field| field.ty.holds(wanted)),
            Self::Array { element, .. } => element.holds(wanted),
            Self::Map { key, value, .. } => key.holds(wanted) || value.holds(wanted),
        }
    }
}

impl DeltaField {
    /// A new, nullable column, as Spark makes them when it creates a table from a query.
    pub fn of(arrow: &Field) -> Option<Self> {
        let ty = DeltaType::of(arrow.data_type())?;
        Some(Self { name: arrow.name().clone(), ty, nullable: true, metadata: Map::new() })
    }

    fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            name: value.get("name")?.as_str()?.to_owned(),
            ty: DeltaType::from_json(value.get("type")?)?,
            nullable: value.get("nullable")?.as_bool()?,
            metadata: value.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default(),
        })
    }

    fn to_json(&self) -> Value {
        json!({"name": self.name, "type": self.ty.to_json(), "nullable": self.nullable, "metadata": self.metadata})
    }

    /// Walks the field and everything inside of it.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a DeltaField)) {
        fn inside<'a>(ty: &'a DeltaType, visit: &mut dyn FnMut(&'a DeltaField)) {
            match ty {
                DeltaType::Primitive(_) => {}
                DeltaType::Struct(fields) => fields.iter().for_each(|field| field.walk(visit)),
                DeltaType::Array { element, .. } => inside(element, visit),
                DeltaType::Map { key, value, .. } => {
                    inside(key, visit);
                    inside(value, visit);
                }
            }
        }
        visit(self);
        inside(&self.ty, visit);
    }
}

/// As in Spark's messages: `struct<a:int,b:array<string>>` and so on, with Delta's names.
impl fmt::Display for DeltaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primitive(name) => f.write_str(name),
            Self::Array { element, .. } => write!(f, "array<{element}>"),
            Self::Map { key, value, .. } => write!(f, "map<{key},{value}>"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (i, field) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{}", field.name, field.ty)?;
                }
                f.write_str(">")
            }
        }
    }
}

/// The Arrow type under which a column goes into a data file: what Parquet, Spark and delta-rs all read. Views stay
/// views (the encoder takes them as they are), dictionaries are unpacked, time is in microseconds.
pub(crate) fn stored(arrow: &DataType) -> DataType {
    let renew = |field: &Field| -> Field { field.clone().with_data_type(stored(field.data_type())) };
    match arrow {
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, Some(_)) => ddl::timestamp(),
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal256(precision, scale) => DataType::Decimal128(*precision, *scale),
        DataType::Dictionary(_, values) => stored(values),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => DataType::List(renew(item).into()),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| renew(field)).collect()),
        DataType::Map(entries, sorted) => DataType::Map(renew(entries).into(), *sorted),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_schema_comes_back_as_it_was() {
        let text = r#"{"type":"struct","fields":[
            {"name":"a","type":"long","nullable":false,"metadata":{"comment":"the key"}},
            {"name":"b","type":{"type":"array","elementType":{"type":"struct","fields":[
                {"name":"c","type":"decimal(10,2)","nullable":true,"metadata":{}}]},"containsNull":false},
             "nullable":true,"metadata":{}},
            {"name":"m","type":{"type":"map","keyType":"string","valueType":"timestamp_ntz",
             "valueContainsNull":true},"nullable":true,"metadata":{}}]}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        let schema = DeltaType::from_json(&value).unwrap();
        assert_eq!(schema.to_json(), value);
        assert_eq!(
            schema.to_string(),
            "struct<a:long,b:array<struct<c:decimal(10,2)>>,m:map<string,timestamp_ntz>>"
        );
        assert!(schema.holds("timestamp_ntz") && !schema.holds("timestamp"));
    }

    #[test]
    fn numbers_widen_and_never_narrow() {
        let ty = |name: &str| DeltaType::Primitive(name.to_owned());
        assert_eq!(ty("byte").widens_to(&ty("long")), Some(DataType::Int64));
        assert_eq!(ty("float").widens_to(&ty("double")), Some(DataType::Float64));
        assert_eq!(ty("long").widens_to(&ty("integer")), None);
        assert_eq!(ty("long").widens_to(&ty("double")), None, "9007199254740993 has no double");
        assert_eq!(ty("string").widens_to(&ty("long")), None);
    }
}
