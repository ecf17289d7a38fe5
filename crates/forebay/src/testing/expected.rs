//! What a test wrote, as a value of the column that it is compared with; or what is wrong with it.
//!
//! All that is wrong is told, each at its place. A column of no type (`NULL`) says nothing about its values: they are
//! taken as they look.

use arrow::datatypes::{DataType, Fields};
use forebay_core::Error;
use forebay_core::config::{Placed, Problem, Value, Written, moment_us};
use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_engine::plan::type_name;

use super::cell::{Cell, day_of, plain_decimal};

/// Reads what was written in one file of tests.
pub struct Reader<'a> {
    pub file: &'a str,
    /// When the test begins: times without a date are of that day.
    pub begin_us: i64,
    pub problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    /// A row of these columns; `what` has them, as "query `minutes`".
    pub fn row(&mut self, written: &Written, columns: &Fields, what: &str) -> Cell {
        match &written.value {
            Value::Fields(fields) => self.fields(fields, columns, "column", what),
            _ => {
                let error = Error::new(&codes::BAD_VALUE, "a row is a mapping of columns to values")
                    .with_hint("Write `- { column: value }`; columns that are left out are not compared.");
                self.tell(error, written);
                Cell::Null
            }
        }
    }

    fn fields(&mut self, fields: &[(Placed, Written)], known: &Fields, kind: &str, what: &str) -> Cell {
        let mut cells = Vec::new();
        for (key, value) in fields {
            let is_key = |name: &str| name.eq_ignore_ascii_case(&key.text);
            match known.iter().find(|field| is_key(field.name())) {
                Some(field) => {
                    let name = field.name();
                    cells.push((name.clone(), self.value(value, field.data_type(), name)));
                }
                None => {
                    let unknown =
                        unknown_name(kind, &key.text, known.iter().map(|field| field.name().as_str()));
                    let error = Error::new(&codes::UNKNOWN_KEY, format!("{} of {what}", unknown.message()))
                        .with_hint(unknown.hint());
                    self.problems.push(Problem::at(error, self.file, key.place, key.text.chars().count()));
                }
            }
        }
        Cell::Fields(cells)
    }

    /// A value of the column or field `name`.
    fn value(&mut self, written: &Written, data_type: &DataType, name: &str) -> Cell {
        match (&written.value, data_type) {
            (Value::Null, _) => Cell::Null,
            (_, DataType::Null) => loose(written),
            (Value::List(items), DataType::List(field) | DataType::LargeList(field)) => {
                Cell::List(items.iter().map(|item| self.value(item, field.data_type(), name)).collect())
            }
            (Value::Fields(fields), DataType::Struct(known)) => {
                self.fields(fields, known, "field", &format!("`{name}`"))
            }
            (Value::Fields(fields), DataType::Map(entry, _)) => {
                let value_type = match entry.data_type() {
                    DataType::Struct(entry) => entry.get(1).map(|field| field.data_type().clone()),
                    _ => None,
                };
                let value_type = value_type.unwrap_or(DataType::Null);
                let entries = fields.iter();
                let entries =
                    entries.map(|(key, value)| (key.text.clone(), self.value(value, &value_type, name)));
                Cell::Fields(entries.collect())
            }
            (Value::Plain(text) | Value::Quoted(text), _) => {
                let is_quoted = matches!(written.value, Value::Quoted(_));
                match scalar(text, is_quoted, data_type, self.begin_us) {
                    Some(cell) => cell,
                    None => self.refused(written, data_type, name),
                }
            }
            _ => self.refused(written, data_type, name),
        }
    }

    fn refused(&mut self, written: &Written, data_type: &DataType, name: &str) -> Cell {
        let shown: String = written.to_json().chars().take(60).collect();
        let kind = type_name(data_type);
        let error = Error::new(&codes::BAD_VALUE, format!("`{name}` is {kind}, and `{shown}` can never be one"))
            .with_hint(match data_type {
                DataType::Timestamp(..) => {
                    "Write `10:00:05` (of the day on which the test begins), `2026-11-21 10:00:05` or `2026-11-21T10:00:05Z`."
                }
                DataType::Date32 => "Write `2026-11-21`.",
                DataType::Struct(_) | DataType::Map(..) => "Write a mapping: `{ field: value }`.",
                DataType::List(_) | DataType::LargeList(_) => "Write a list: `[1, 2]`.",
                _ => "Write a value of the column's type, `null` for none, or leave the column out.",
            });
        self.tell(error, written);
        Cell::Null
    }

    /// Something wrong at a value.
    pub fn tell(&mut self, error: Error, at: &Written) {
        self.problems.push(Problem::at(error, self.file, at.place, at.length));
    }
}

/// A word or text as a value of this type; `None` if it can be none.
fn scalar(text: &str, is_quoted: bool, data_type: &DataType, begin_us: i64) -> Option<Cell> {
    let number = || text.trim().parse::<f64>().ok().filter(|_| !is_quoted);
    Some(match data_type {
        DataType::Boolean if text.eq_ignore_ascii_case("true") => Cell::Bool(true),
        DataType::Boolean if text.eq_ignore_ascii_case("false") => Cell::Bool(false),
        data_type if data_type.is_integer() => match text.trim().parse() {
            Ok(number) if !is_quoted => Cell::Int(number),
            // `3.0` is a whole number too.
            #[allow(clippy::cast_possible_truncation, reason = "a whole number of so few digits is exact")]
            _ => Cell::Int(number().filter(|it| it.fract() == 0.0 && it.abs() < 9e15)? as i128),
        },
        DataType::Float16 | DataType::Float32 | DataType::Float64 => match text.trim() {
            ".nan" | ".NaN" | ".NAN" => Cell::Float(f64::NAN),
            ".inf" => Cell::Float(f64::INFINITY),
            "-.inf" => Cell::Float(f64::NEG_INFINITY),
            _ => Cell::Float(number()?),
        },
        data_type if data_type.is_decimal() => {
            let is_digit = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+');
            number().filter(|_| text.trim().chars().all(is_digit))?;
            Cell::Decimal(plain_decimal(text))
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Cell::Text(text.to_owned()),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            Cell::Bytes(text.as_bytes().to_vec())
        }
        DataType::Timestamp(..) => Cell::Time(moment_us(text, begin_us)?),
        DataType::Date32 => Cell::Day(day_of(text)?),
        DataType::Dictionary(_, value) => return scalar(text, is_quoted, value, begin_us),
        DataType::Boolean
        | DataType::List(_)
        | DataType::LargeList(_)
        | DataType::Struct(_)
        | DataType::Map(..) => {
            return None;
        }
        _ => Cell::Text(text.to_owned()),
    })
}

/// A value as it looks, where nothing says what it is to be.
pub fn loose(written: &Written) -> Cell {
    match &written.value {
        Value::Null => Cell::Null,
        Value::Quoted(text) => Cell::Text(text.clone()),
        Value::Plain(text) => match text.as_str() {
            "true" => Cell::Bool(true),
            "false" => Cell::Bool(false),
            number => match (number.parse(), number.parse::<f64>()) {
                (Ok(whole), _) => Cell::Int(whole),
                (_, Ok(number)) if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
                    Cell::Float(number)
                }
                _ => Cell::Text(text.clone()),
            },
        },
        Value::List(items) => Cell::List(items.iter().map(loose).collect()),
        Value::Fields(fields) => {
            Cell::Fields(fields.iter().map(|(key, value)| (key.text.clone(), loose(value))).collect())
        }
    }
}
