//! An expectation as a condition of Spark's SQL, and as words.
//!
//! What the file says of values goes into the SQL as literals of the column's type, so nothing of it is ever read as SQL. NULL makes a
//! condition NULL, which meets it.

use arrow::datatypes::{DataType, Schema};
use forebay_core::Error;
use forebay_core::config::{GeoBox, Placed, RuleConfig};
use forebay_core::error::codes;
use forebay_core::expectation::{self, CONDITION, GEO, PATTERN, RANGE, RATE, REQUIRED};
use forebay_core::format::RecordCode;
use forebay_core::options::unknown_name;
use forebay_engine::expect::{Rate, check_pattern};
use forebay_engine::plan::type_name;

use crate::alerts::columns::{self, Column};

/// Most characters of a list or a condition that are told.
const LONGEST_WORDS: usize = 160;

/// A condition and what is told of it.
#[derive(Clone, Debug)]
pub struct Clause {
    /// The condition, over columns without the name of their table.
    pub sql: String,
    /// The columns whose values are told.
    pub columns: Vec<Vec<String>>,
    /// What is expected, in words that follow "expected".
    pub wanted: String,
    /// What a record that fails it is called.
    pub code: &'static RecordCode,
    /// How fast a value may change, if that is what is expected; the condition says nothing then.
    pub rate: Option<Rate>,
}

/// What is wrong with an expectation, and where.
#[derive(Debug)]
pub struct Wrong {
    pub error: Error,
    pub piece: Placed,
    /// Which bytes of the piece.
    pub offset: usize,
    pub length: usize,
}

impl Wrong {
    /// Something about a piece as a whole.
    pub fn whole(error: Error, piece: &Placed) -> Self {
        Self { error, offset: 0, length: piece.text.trim_end().len(), piece: piece.clone() }
    }
}

/// The piece that is marked where nothing smaller is known to be wrong.
pub fn suspect(rule: &RuleConfig) -> &Placed {
    match rule {
        RuleConfig::Range { column, min, max } => min.as_ref().or(max.as_ref()).unwrap_or(column),
        RuleConfig::Required { column } => column,
        RuleConfig::Pattern { pattern, .. } => pattern,
        RuleConfig::In { column, values } => values.first().unwrap_or(column),
        RuleConfig::Geo { lat, .. } => lat,
        RuleConfig::Condition { sql } => sql,
        RuleConfig::Rate { max, .. } => &max.1,
    }
}

/// An expectation over the columns of a source.
pub fn clause(rule: &RuleConfig, source: &str, schema: &Schema) -> Result<Clause, Wrong> {
    match rule {
        RuleConfig::Range { column, min, max } => range(column, (min.as_ref(), max.as_ref()), schema),
        RuleConfig::Required { column } => {
            let found = find(schema, column)?;
            let sql = format!("{} IS NOT NULL", columns::in_quotes(&found.parts));
            Ok(Clause {
                sql,
                columns: vec![found.parts],
                wanted: "a value".to_owned(),
                code: &REQUIRED,
                rate: None,
            })
        }
        RuleConfig::Pattern { column, pattern } => {
            let found = find(schema, column)?;
            if !found.data_type.is_string() {
                let hint =
                    "A pattern is found in a text. For numbers there are `min` and `max`, or a `condition`.";
                return Err(unfit(&found, column, "a text", hint));
            }
            check_pattern(&pattern.text).map_err(|error| Wrong::whole(error, pattern))?;
            let sql = format!("{} RLIKE {}", columns::in_quotes(&found.parts), text(&pattern.text));
            let wanted = format!("a match of `{}`", shortened(&pattern.text));
            Ok(Clause { sql, columns: vec![found.parts], wanted, code: &PATTERN, rate: None })
        }
        RuleConfig::In { column, values } => {
            let found = find(schema, column)?;
            let literals = values.iter().map(|value| literal(value, &found));
            let literals = literals.collect::<Result<Vec<_>, _>>()?;
            let sql = format!("{} IN ({})", columns::in_quotes(&found.parts), literals.join(", "));
            let words: Vec<&str> = values.iter().map(|value| value.text.as_str()).collect();
            let wanted = format!("one of {}", shortened(&words.join(", ")));
            Ok(Clause { sql, columns: vec![found.parts], wanted, code: &expectation::IN, rate: None })
        }
        RuleConfig::Geo { lat, lon, within } => geo((lat, lon), within, schema),
        RuleConfig::Rate { column, key, time, max } => rate((column, key, time), max.0, schema),
        RuleConfig::Condition { sql } => {
            let named = columns::named(&sql.text, source, schema);
            let words: Vec<&str> = sql.text.split_whitespace().collect();
            Ok(Clause {
                sql: sql.text.clone(),
                columns: named.into_iter().map(|column| column.parts).collect(),
                wanted: format!("`{}`", shortened(&words.join(" "))),
                code: &CONDITION,
                rate: None,
            })
        }
    }
}

fn range(
    column: &Placed,
    bounds: (Option<&Placed>, Option<&Placed>),
    schema: &Schema,
) -> Result<Clause, Wrong> {
    let found = find(schema, column)?;
    let is_time = matches!(found.data_type, DataType::Date32 | DataType::Timestamp(..));
    if !is_time && !found.data_type.is_numeric() {
        let hint = "Texts have a `pattern` or are `in` a list; anything else is a `condition`.";
        return Err(unfit(&found, column, "a number, a date or a time", hint));
    }
    let name = columns::in_quotes(&found.parts);
    let mut parts = Vec::new();
    for (bound, sign) in [(bounds.0, ">="), (bounds.1, "<=")] {
        if let Some(bound) = bound {
            parts.push(format!("{name} {sign} {}", literal(bound, &found)?));
        }
    }
    parts.extend(no_nan(&found, &name));
    let wanted = match bounds {
        (Some(min), Some(max)) => format!("from {} to {}", min.text.trim(), max.text.trim()),
        (Some(min), None) => format!("at least {}", min.text.trim()),
        (None, max) => format!("at most {}", max.map_or("", |max| max.text.trim())),
    };
    Ok(Clause { sql: parts.join(" AND "), columns: vec![found.parts], wanted, code: &RANGE, rate: None })
}

fn geo((lat, lon): (&Placed, &Placed), within: &GeoBox, schema: &Schema) -> Result<Clause, Wrong> {
    let side = |column: &Placed, min: f64, max: f64| {
        let found = find(schema, column)?;
        if !found.data_type.is_numeric() {
            return Err(unfit(
                &found,
                column,
                "a number of degrees",
                "A view can make one: `CAST(… AS DOUBLE)`.",
            ));
        }
        let name = columns::in_quotes(&found.parts);
        let degrees = |degrees: f64| format!("CAST('{degrees}' AS DOUBLE)");
        let joined = if min <= max { "AND" } else { "OR" };
        let inside = format!("({name} >= {} {joined} {name} <= {})", degrees(min), degrees(max));
        let all: Vec<String> = [inside].into_iter().chain(no_nan(&found, &name)).collect();
        Ok((all.join(" AND "), found.parts))
    };
    let (of_lat, lat) = side(lat, within.min_lat, within.max_lat)?;
    let (of_lon, lon) = side(lon, within.min_lon, within.max_lon)?;
    let GeoBox { min_lat, max_lat, min_lon, max_lon } = within;
    let wanted =
        format!("a latitude from {min_lat} to {max_lat} and a longitude from {min_lon} to {max_lon}");
    Ok(Clause {
        sql: format!("{of_lat} AND {of_lon}"),
        columns: vec![lat, lon],
        wanted,
        code: &GEO,
        rate: None,
    })
}

/// A rate is no condition over the row alone: the engine remembers what each key said last.
fn rate(
    (column, key, time): (&Placed, &Placed, &Placed),
    max: f64,
    schema: &Schema,
) -> Result<Clause, Wrong> {
    let of = |piece: &Placed, is_fit: fn(&DataType) -> bool, needs: &str, hint: &str| {
        let found = find(schema, piece)?;
        if is_fit(&found.data_type) { Ok(found.parts) } else { Err(unfit(&found, piece, needs, hint)) }
    };
    let number = |it: &DataType| it.is_numeric();
    let moment = |it: &DataType| it.is_numeric() || matches!(it, DataType::Date32 | DataType::Timestamp(..));
    let single = |it: &DataType| {
        it.is_string() || it.is_integer() || matches!(it, DataType::Boolean | DataType::Date32)
    };
    let value = of(column, number, "a number", "Only what is a number changes by so much in a second.")?;
    let key_of = of(
        key,
        single,
        "a text or an integer",
        "The key tells apart whose values they are, such as `device_id`.",
    )?;
    let at = of(time, moment, "a time", "A TIMESTAMP, a DATE, or a number of seconds since 1970.")?;
    let id = format!("{} by {} at {}", value.join("."), key_of.join("."), at.join("."));
    let rate = Rate { id: id.into(), column: value.clone(), key: key_of.clone(), time: at.clone(), max };
    Ok(Clause {
        sql: "true".to_owned(),
        columns: vec![value, key_of, at],
        wanted: format!("a change of at most {max} in a second"),
        code: &RATE,
        rate: Some(rate),
    })
}

/// To Spark NaN is greater than any number; here it lies in no range.
fn no_nan(column: &Column, name: &str) -> Option<String> {
    column.data_type.is_floating().then(|| format!("NOT isnan({name})"))
}

fn find(schema: &Schema, column: &Placed) -> Result<Column, Wrong> {
    columns::find(schema, &column.text).ok_or_else(|| {
        let names = columns::names(schema);
        let unknown = unknown_name("column", column.text.trim(), names.iter().map(String::as_str));
        Wrong::whole(Error::new(&codes::SQL_PLAN, unknown.message()).with_hint(unknown.hint()), column)
    })
}

fn unfit(column: &Column, piece: &Placed, needs: &str, hint: &str) -> Wrong {
    let found = type_name(&column.data_type);
    let message = format!("`{}` is of type {found}, and this needs {needs}", column.name);
    Wrong::whole(Error::new(&codes::SQL_PLAN, message).with_hint(hint), piece)
}

/// A value of the file as a literal of the column's type.
fn literal(value: &Placed, column: &Column) -> Result<String, Wrong> {
    let typed = value.text.trim();
    let plain = || {
        let digits = typed.strip_prefix('-').unwrap_or(typed);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        all_digits(whole) && all_digits(fraction) && digits.len() <= 38
    };
    let in_digits =
        typed.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    let is_number = in_digits && typed.parse::<f64>().is_ok_and(f64::is_finite);
    let sql = match &column.data_type {
        DataType::Float32 if is_number => Some(format!("CAST('{typed}' AS FLOAT)")),
        DataType::Float64 if is_number => Some(format!("CAST('{typed}' AS DOUBLE)")),
        numeric if numeric.is_numeric() && !numeric.is_floating() && plain() => Some(typed.to_owned()),
        numeric if numeric.is_integer() && is_number => Some(format!("CAST('{typed}' AS DOUBLE)")),
        DataType::Utf8 => Some(text(&value.text)),
        DataType::Boolean if matches!(typed.to_ascii_lowercase().as_str(), "true" | "false") => {
            Some(typed.to_owned())
        }
        DataType::Date32 => Some(format!("DATE {}", text(typed))),
        DataType::Timestamp(_, Some(_)) => Some(format!("TIMESTAMP {}", text(typed))),
        DataType::Timestamp(_, None) => Some(format!("CAST({} AS TIMESTAMP_NTZ)", text(typed))),
        _ => None,
    };
    sql.ok_or_else(|| {
        let (name, kind) = (&column.name, type_name(&column.data_type));
        let message = format!("`{}` is no value of `{name}`, which is of type {kind}", shortened(typed));
        let hint = "Write the value as it would stand in a record; a `condition` compares anything else.";
        Wrong::whole(Error::new(&codes::BAD_VALUE, message).with_hint(hint), value)
    })
}

/// A text as a literal of Spark's SQL.
fn text(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_WORDS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
