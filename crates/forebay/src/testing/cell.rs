//! A value of a row, as it is compared and shown: out of Arrow's columns, out of JSON, or as a test wrote it.
//!
//! What must stay true: a value is shown as a test would write it, so that what was found can be put into the file.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Float64Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;
use chrono::{DateTime, NaiveDate};
use forebay_core::config::moment_us;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    /// Without zeros that say nothing.
    Decimal(String),
    Text(String),
    Bytes(Vec<u8>),
    /// Microseconds since 1970.
    Time(i64),
    /// Days since 1970.
    Day(i32),
    List(Vec<Cell>),
    Fields(Vec<(String, Cell)>),
    Entries(Vec<(Cell, Cell)>),
}

/// The rows of a batch, each as the fields of its columns.
pub fn rows(batch: &RecordBatch) -> Result<Vec<Cell>, ArrowError> {
    let schema = batch.schema();
    let row = |row: usize| {
        let columns = schema.fields().iter().zip(batch.columns());
        let fields = columns.map(|(field, column)| Ok((field.name().clone(), Cell::of(column, row)?)));
        Ok(Cell::Fields(fields.collect::<Result<_, ArrowError>>()?))
    };
    (0..batch.num_rows()).map(row).collect()
}

impl Cell {
    /// The value of a column in a row.
    pub fn of(array: &ArrayRef, row: usize) -> Result<Self, ArrowError> {
        if array.is_null(row) {
            return Ok(Self::Null);
        }
        let one = array.slice(row, 1);
        let shown = || array_value_to_string(&one, 0);
        Ok(match array.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Bool(one.as_boolean().value(0)),
            data_type if data_type.is_integer() => shown()?.parse().map_or_else(|_| Self::Null, Self::Int),
            // By its text a FLOAT is what was written, not its neighbour among the DOUBLEs.
            DataType::Float16 | DataType::Float32 => {
                shown()?.parse().map_or_else(|_| Self::Null, Self::Float)
            }
            DataType::Float64 => Self::Float(one.as_primitive::<Float64Type>().value(0)),
            data_type if data_type.is_decimal() => Self::Decimal(plain_decimal(&shown()?)),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Text(cast(&one, &DataType::Utf8)?.as_string::<i32>().value(0).to_owned())
            }
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => {
                Self::Bytes(cast(&one, &DataType::Binary)?.as_binary::<i32>().value(0).to_vec())
            }
            DataType::Timestamp(_, zone) => {
                let micros = cast(&one, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
                Self::Time(micros.as_primitive::<TimestampMicrosecondType>().value(0))
            }
            DataType::Date32 => Self::Day(one.as_primitive::<Date32Type>().value(0)),
            DataType::Struct(fields) => {
                let columns = fields.iter().zip(one.as_struct().columns());
                let inner = columns.map(|(field, column)| Ok((field.name().clone(), Self::of(column, 0)?)));
                Self::Fields(inner.collect::<Result<_, ArrowError>>()?)
            }
            DataType::List(_) => Self::List(all(&one.as_list::<i32>().value(0))?),
            DataType::LargeList(_) => Self::List(all(&one.as_list::<i64>().value(0))?),
            DataType::Map(_, _) => {
                let entries = one.as_map().value(0);
                let of = |column: usize| entries.columns().get(column).map_or_else(|| Ok(Vec::new()), all);
                Self::Entries(of(0)?.into_iter().zip(of(1)?).collect())
            }
            DataType::Dictionary(_, value) => Self::of(&cast(&one, value)?, 0)?,
            _ => Self::Text(shown()?),
        })
    }

    /// A value of JSON.
    pub fn of_json(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(yes) => Self::Bool(*yes),
            serde_json::Value::Number(number) => match number.as_i128() {
                Some(number) => Self::Int(number),
                None => number.as_f64().map_or(Self::Null, Self::Float),
            },
            serde_json::Value::String(text) => Self::Text(text.clone()),
            serde_json::Value::Array(items) => Self::List(items.iter().map(Self::of_json).collect()),
            serde_json::Value::Object(fields) => {
                let field = |(name, value): (&String, _)| (name.clone(), Self::of_json(value));
                Self::Fields(fields.iter().map(field).collect())
            }
        }
    }

    /// The field of this name, in upper or lower case.
    pub fn field(&self, name: &str) -> Option<&Self> {
        let Self::Fields(fields) = self else { return None };
        fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The names of its fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let fields = match self {
            Self::Fields(fields) => fields.as_slice(),
            _ => &[],
        };
        fields.iter().map(|(name, _)| name.as_str())
    }

    /// True if what was `found` is what is expected here: of mappings only the fields that are here count.
    pub fn expects(&self, found: &Self) -> bool {
        match (self, found) {
            (Self::Float(a), Self::Float(b)) => is_near(*a, *b),
            #[allow(
                clippy::cast_precision_loss,
                reason = "where one of the two has a fraction, both are near"
            )]
            (Self::Int(a), Self::Float(b)) | (Self::Float(b), Self::Int(a)) => is_near(*a as f64, *b),
            (Self::Int(_) | Self::Float(_), Self::Decimal(b)) => self.number() == *b,
            // What is expected of columns that were not known before.
            (Self::Text(text), Self::Time(found)) => moment_us(text, *found) == Some(*found),
            (Self::Text(text), Self::Day(found)) => day_of(text) == Some(*found),
            (Self::Text(text), Self::Bytes(found)) => text.as_bytes() == found,
            (Self::List(expected), Self::List(found)) => {
                expected.len() == found.len() && expected.iter().zip(found).all(|(a, b)| a.expects(b))
            }
            (Self::Fields(expected), found @ Self::Fields(_)) => expected
                .iter()
                .all(|(name, value)| found.field(name).is_some_and(|found| value.expects(found))),
            (Self::Fields(expected), Self::Entries(found)) => {
                let is_there = |(name, value): &(String, Self)| {
                    found.iter().any(|(key, found)| key.bare() == *name && value.expects(found))
                };
                expected.len() == found.len() && expected.iter().all(is_there)
            }
            (expected, found) => expected == found,
        }
    }

    /// As much of it as is expected: of mappings the fields that are compared.
    pub fn part(&self, expected: &Self) -> Self {
        match (self, expected) {
            (Self::Fields(_), Self::Fields(fields)) => Self::Fields(
                fields
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), self.field(name)?.part(value))))
                    .collect(),
            ),
            (Self::List(items), Self::List(expected)) if items.len() == expected.len() => {
                Self::List(items.iter().zip(expected).map(|(item, expected)| item.part(expected)).collect())
            }
            (found, _) => found.clone(),
        }
    }

    /// As a test writes it; a time of the day on which `begin_us` lies without its date.
    pub fn shown(&self, begin_us: i64) -> String {
        let shown = |cell: &Self| cell.shown(begin_us);
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(yes) => yes.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => format!("{number:?}"),
            Self::Decimal(text) => text.clone(),
            Self::Text(text) => in_yaml(text),
            Self::Bytes(bytes) => in_yaml(&String::from_utf8_lossy(bytes)),
            Self::Time(us) => moment(*us, begin_us),
            Self::Day(days) => day(*days),
            Self::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
            Self::Fields(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| format!("{}: {}", in_yaml(name), shown(value)))
                    .collect();
                format!("{{ {} }}", fields.join(", "))
            }
            Self::Entries(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{}: {}", in_yaml(&key.bare()), shown(value)))
                    .collect();
                format!("{{ {} }}", entries.join(", "))
            }
        }
    }

    /// The text of a key of a map, without quotes.
    fn bare(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            other => other.shown(i64::MIN),
        }
    }

    /// A number as a decimal is kept.
    fn number(&self) -> String {
        match self {
            Self::Int(number) => number.to_string(),
            Self::Float(number) => plain_decimal(&number.to_string()),
            _ => String::new(),
        }
    }
}

fn all(array: &ArrayRef) -> Result<Vec<Cell>, ArrowError> {
    (0..array.len()).map(|row| Cell::of(array, row)).collect()
}

/// Equal but for the last digits of a sum whose parts came in another order.
fn is_near(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// A decimal without zeros that say nothing: `1.50` and `1.5` are one.
pub fn plain_decimal(text: &str) -> String {
    let text = text.trim().trim_start_matches('+');
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    match (whole, fraction) {
        ("", "") => "0".to_owned(),
        (whole, "") => format!("{sign}{whole}"),
        ("", fraction) => format!("{sign}0.{fraction}"),
        (whole, fraction) => format!("{sign}{whole}.{fraction}"),
    }
}

/// The day that a text names, in days since 1970.
pub fn day_of(text: &str) -> Option<i32> {
    let day = NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").ok()?;
    i32::try_from(day.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

fn day(days: i32) -> String {
    let day = NaiveDate::default().checked_add_signed(chrono::TimeDelta::days(i64::from(days)));
    day.map_or_else(|| format!("day {days}"), |day| day.to_string())
}

/// A time as a test writes it; without its date if that is the one of `begin_us`.
pub fn moment(us: i64, begin_us: i64) -> String {
    let Some(time) = DateTime::from_timestamp_micros(us) else { return format!("{us} microseconds") };
    let is_same_day = DateTime::from_timestamp_micros(begin_us)
        .is_some_and(|begin| begin.date_naive() == time.date_naive());
    let form = if is_same_day { "%H:%M:%S%.f" } else { "%Y-%m-%d %H:%M:%S%.f" };
    time.format(form).to_string()
}

/// A text as YAML has it: in quotes where it would be read as something else.
fn in_yaml(text: &str) -> String {
    let is_plain =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ' | '°' | '%' | '+');
    let is_word = text.chars().all(is_plain)
        && text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        && !text.ends_with(' ')
        && text.parse::<f64>().is_err()
        && !["null", "true", "false", "yes", "no"].iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_word { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_written_into_the_file() {
        for (cell, shown) in [
            (Cell::Text("device_1".into()), "device_1"),
            (Cell::Text("5".into()), "\"5\""),
            (Cell::Text("null".into()), "\"null\""),
            (Cell::Text("a: b".into()), "\"a: b\""),
            (Cell::Text(String::new()), "\"\""),
            (Cell::Text("1e5".into()), "\"1e5\""),
            (Cell::Float(20.0), "20.0"),
            (Cell::Time(65_250_000), "00:01:05.250"),
            (Cell::Time(86_400_000_000), "1970-01-02 00:00:00"),
            (Cell::Day(1), "1970-01-02"),
            (
                Cell::Fields(vec![("a".into(), Cell::Null), ("b".into(), Cell::List(vec![Cell::Int(1)]))]),
                "{ a: null, b: [1] }",
            ),
        ] {
            assert_eq!(cell.shown(0), shown);
        }
    }

    #[test]
    fn numbers_are_compared_as_numbers_and_mappings_by_what_is_expected() {
        let fields = |names: &[(&str, Cell)]| {
            Cell::Fields(names.iter().map(|(name, cell)| ((*name).to_owned(), cell.clone())).collect())
        };
        let found = fields(&[("a", Cell::Float(0.1 + 0.2)), ("B", Cell::Int(3))]);
        assert!(fields(&[("a", Cell::Float(0.3)), ("b", Cell::Int(3))]).expects(&found));
        assert!(fields(&[]).expects(&found) && !fields(&[("c", Cell::Null)]).expects(&found));
        for (expected, found, is_same) in [
            (Cell::Int(20), Cell::Float(20.0), true),
            (Cell::Float(20.01), Cell::Float(20.0), false),
            (Cell::Float(f64::NAN), Cell::Float(f64::NAN), true),
            (Cell::Int(5), Cell::Text("5".into()), false),
            (Cell::Float(1.5), Cell::Decimal(plain_decimal("001.500")), true),
            (Cell::Text("00:00:01".into()), Cell::Time(1_000_000), true),
            (Cell::Null, Cell::Int(0), false),
        ] {
            assert_eq!(expected.expects(&found), is_same, "{expected:?} {found:?}");
        }
        assert_eq!((plain_decimal("-0.50").as_str(), plain_decimal("0.00").as_str()), ("-0.5", "0"));
    }
}
