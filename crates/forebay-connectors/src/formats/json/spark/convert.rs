//! Spark's conversion of tokens to values.
//!
//! The order of steps is Spark's, because errors are part of the answer: a field that does not convert is NULL and the
//! record is bad, but its other fields stay (partial results); an array with a bad element is NULL as a whole, unless
//! the element is an object of which a part could be read; a map likewise. After an error reading goes on wherever the
//! token stream stands.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use forebay_core::json_text::{write_double, write_string};

use super::super::column::{Column, Object};
use super::super::decimal;
use super::super::fault::Parse;
use super::super::number::parse_i64;
use super::super::options::Rules;
use super::Answer;
use super::tokens::{Broken, Token, Tokens};

/// A value, before it is known whether its row stays.
#[derive(Clone, Debug)]
pub(in super::super) enum Cell {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f32),
    Double(f64),
    Decimal(i128),
    Bytes(Vec<u8>),
    Struct(Vec<Cell>),
    List(Vec<Cell>),
    Map(Vec<(Vec<u8>, Cell)>),
}

/// Why there is no whole value.
enum Stop {
    Bad,
    /// A part of it could be read.
    Partial(Cell),
}

impl From<Broken> for Stop {
    fn from(_: Broken) -> Self {
        Self::Bad
    }
}

type Converted = Result<Cell, Stop>;

/// Reads a whole record.
pub(super) fn record(tokens: &mut Tokens<'_>, fields: &Object, rules: &Rules) -> Answer {
    match tokens.advance() {
        Err(_) => return Answer::Corrupt,
        Ok(None) => return Answer::Nothing,
        Ok(Some(Token::StartObject)) => {}
        Ok(Some(_)) => return Answer::Corrupt,
    }
    match object(tokens, fields, rules) {
        Ok(Cell::Struct(row)) => Answer::Row(row),
        Err(Stop::Partial(Cell::Struct(row))) => Answer::Partial(row),
        _ => Answer::Corrupt,
    }
}

fn object(tokens: &mut Tokens<'_>, object: &Object, rules: &Rules) -> Converted {
    let mut row = vec![Cell::Null; object.fields.len()];
    let mut bad = false;
    loop {
        match tokens.advance()? {
            None | Some(Token::EndObject) => break,
            Some(_) => {}
        }
        let index = tokens.current_name().and_then(|name| object.find(name));
        let Some((field, slot)) =
            index.and_then(|index| Some((object.fields.get(index)?, row.get_mut(index)?)))
        else {
            tokens.skip_children()?;
            continue;
        };
        match value(tokens, &field.column, rules) {
            Ok(cell) => *slot = cell,
            Err(Stop::Partial(cell)) => {
                bad = true;
                *slot = cell;
            }
            Err(Stop::Bad) => {
                bad = true;
                tokens.skip_children()?;
            }
        }
    }
    let row = Cell::Struct(row);
    if bad { Err(Stop::Partial(row)) } else { Ok(row) }
}

fn list(tokens: &mut Tokens<'_>, element: &Column, rules: &Rules) -> Converted {
    let mut cells = Vec::new();
    let mut bad = false;
    loop {
        match tokens.advance()? {
            None | Some(Token::EndArray) => break,
            Some(_) => {}
        }
        match value(tokens, element, rules) {
            Ok(cell) => cells.push(cell),
            Err(Stop::Partial(cell)) => {
                bad = true;
                cells.push(cell);
            }
            Err(Stop::Bad) => return Err(Stop::Bad),
        }
        if cells.len() > rules.max_elements {
            return Err(Stop::Bad);
        }
    }
    let cells = Cell::List(cells);
    if bad { Err(Stop::Partial(cells)) } else { Ok(cells) }
}

fn map(tokens: &mut Tokens<'_>, value_column: &Column, rules: &Rules) -> Converted {
    let mut entries = Vec::new();
    let (mut bad, mut partial) = (false, false);
    loop {
        match tokens.advance()? {
            None | Some(Token::EndObject) => break,
            Some(_) => {}
        }
        let key = tokens.current_name().unwrap_or_default().to_vec();
        match value(tokens, value_column, rules) {
            Ok(cell) => entries.push((key, cell)),
            Err(Stop::Partial(cell)) => {
                partial = true;
                entries.push((key, cell));
            }
            Err(Stop::Bad) => {
                bad = true;
                tokens.skip_children()?;
            }
        }
        if entries.len() > rules.max_elements {
            bad = true;
        }
    }
    if bad {
        return Err(Stop::Bad);
    }
    let entries = Cell::Map(entries);
    if partial { Err(Stop::Partial(entries)) } else { Ok(entries) }
}

fn value(tokens: &mut Tokens<'_>, column: &Column, rules: &Rules) -> Converted {
    while tokens.current == Some(Token::Name) {
        tokens.advance()?;
    }
    let Some(token) = tokens.current else { return Ok(Cell::Null) };
    if token == Token::Null {
        return Ok(Cell::Null);
    }
    match (column, token) {
        (Column::Struct(fields), Token::StartObject) => object(tokens, fields, rules),
        (Column::List(inner), Token::StartArray) => list(tokens, &inner.element, rules),
        (Column::Map(inner), Token::StartObject) => map(tokens, &inner.value, rules),
        (Column::Boolean(_), Token::True) => Ok(Cell::Boolean(true)),
        (Column::Boolean(_), Token::False) => Ok(Cell::Boolean(false)),
        (Column::Text(_), Token::Text) => Ok(Cell::Bytes(tokens.string()?.to_vec())),
        (Column::Text(_), _) => written(tokens, token),
        (Column::Binary(_), Token::Text) => {
            STANDARD.decode(tokens.string()?).map(Cell::Bytes).map_err(|_| Stop::Bad)
        }
        (_, Token::Integer | Token::Float | Token::NonNumber(_)) => numeric(tokens.number(), column, token),
        (_, Token::Text) => textual(tokens.string()?, column, rules),
        _ => Err(Stop::Bad),
    }
}

/// A number for a column that is not STRING.
fn numeric(text: &[u8], column: &Column, token: Token) -> Converted {
    let within = |least: i64, most: i64| match parse_i64(text) {
        Some(value) if token == Token::Integer && (least..=most).contains(&value) => Ok(value),
        _ => Err(Stop::Bad),
    };
    let integer = token == Token::Integer;
    match column {
        // Spark reads unsigned bytes too, and keeps their eight bits.
        Column::Int8(_) => within(-128, 255).map(|value| Cell::Integer(i64::from(value as u8 as i8))),
        Column::Int16(_) => within(i64::from(i16::MIN), i64::from(i16::MAX)).map(Cell::Integer),
        Column::Int32(_) => within(i64::from(i32::MIN), i64::from(i32::MAX)).map(Cell::Integer),
        Column::Int64(_) => within(i64::MIN, i64::MAX).map(Cell::Integer),
        // Seconds; what does not fit wraps around, as in Spark.
        Column::Timestamp { zoned: true, .. } => {
            within(i64::MIN, i64::MAX).map(|value| Cell::Integer(value.wrapping_mul(1_000_000)))
        }
        Column::Float32(_) => {
            let value = match token {
                Token::NonNumber(value) => value as f32,
                _ => fast_float2::parse(text).map_err(|_| Stop::Bad)?,
            };
            Ok(Cell::Float(if integer && value == 0.0 { 0.0 } else { value }))
        }
        Column::Float64(_) => {
            let value = match token {
                Token::NonNumber(value) => value,
                _ => fast_float2::parse(text).map_err(|_| Stop::Bad)?,
            };
            Ok(Cell::Double(if integer && value == 0.0 { 0.0 } else { value }))
        }
        Column::Decimal { precision, scale, .. } if !matches!(token, Token::NonNumber(_)) => {
            decimal::read(text, *precision, *scale).map(Cell::Decimal).ok_or(Stop::Bad)
        }
        _ => Err(Stop::Bad),
    }
}

/// A string for a column that is neither STRING nor BINARY.
fn textual(text: &[u8], column: &Column, rules: &Rules) -> Converted {
    if text.is_empty() {
        return Err(Stop::Bad);
    }
    let non_number = match text {
        b"NaN" => Some(f64::NAN),
        b"+INF" | b"+Infinity" | b"Infinity" => Some(f64::INFINITY),
        b"-INF" | b"-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    };
    match column {
        Column::Float32(_) => non_number.map(|value| Cell::Float(value as f32)).ok_or(Stop::Bad),
        Column::Float64(_) => non_number.map(Cell::Double).ok_or(Stop::Bad),
        Column::Decimal { precision, scale, .. } => {
            decimal::read_java(text, *precision, *scale).map(Cell::Decimal).ok_or(Stop::Bad)
        }
        Column::Timestamp { zoned, .. } => {
            rules.times.spark_timestamp(text, *zoned).map(Cell::Integer).map_err(|_| Stop::Bad)
        }
        Column::Date(_) => rules
            .times
            .spark_date_or_days(text)
            .map(|days| Cell::Integer(i64::from(days)))
            .map_err(|_| Stop::Bad),
        _ => Err(Stop::Bad),
    }
}

/// Anything but a string for a STRING column: written back as JSON text.
fn written(tokens: &mut Tokens<'_>, first: Token) -> Converted {
    let mut out = Vec::new();
    let mut token = first;
    let mut open = 0_usize;
    // Whether a comma belongs before the next value or key.
    let mut comma = false;
    loop {
        if comma && !matches!(token, Token::EndObject | Token::EndArray) {
            out.push(b',');
        }
        comma = true;
        match token {
            Token::StartObject | Token::StartArray => {
                out.push(if token == Token::StartObject { b'{' } else { b'[' });
                open += 1;
                comma = false;
            }
            Token::EndObject | Token::EndArray => {
                if open == 0 {
                    return Err(Stop::Bad);
                }
                out.push(if token == Token::EndObject { b'}' } else { b']' });
                open -= 1;
            }
            Token::Name => {
                write_string(tokens.current_name().unwrap_or_default(), &mut out);
                out.push(b':');
                comma = false;
            }
            Token::Text => write_string(tokens.string()?, &mut out),
            Token::Integer => match tokens.number() {
                b"-0" => out.push(b'0'),
                digits => out.extend_from_slice(digits),
            },
            Token::Float => write_double(fast_float2::parse(tokens.number()).unwrap_or(f64::NAN), &mut out),
            Token::NonNumber(value) => write_double(value, &mut out),
            Token::True => out.extend_from_slice(b"true"),
            Token::False => out.extend_from_slice(b"false"),
            Token::Null => out.extend_from_slice(b"null"),
        }
        if open == 0 {
            return Ok(Cell::Bytes(out));
        }
        token = tokens.advance()?.ok_or(Stop::Bad)?;
    }
}

/// Adds a cell to its column.
pub(in super::super) fn append(column: &mut Column, cell: Cell) -> Parse {
    match (column, cell) {
        (Column::Boolean(data), Cell::Boolean(value)) => data.push(value),
        (Column::Int8(data), Cell::Integer(value)) => data.push(value as i8),
        (Column::Int16(data), Cell::Integer(value)) => data.push(value as i16),
        (Column::Int32(data) | Column::Date(data), Cell::Integer(value)) => data.push(value as i32),
        (Column::Int64(data) | Column::Timestamp { data, .. }, Cell::Integer(value)) => data.push(value),
        (Column::Float32(data), Cell::Float(value)) => data.push(value),
        (Column::Float64(data), Cell::Double(value)) => data.push(value),
        (Column::Decimal { data, .. }, Cell::Decimal(value)) => data.push(value),
        (Column::Text(data) | Column::Binary(data), Cell::Bytes(value)) => data.push(&value)?,
        (Column::Struct(object), Cell::Struct(cells)) => {
            for (field, cell) in object.fields.iter_mut().zip(cells) {
                append(&mut field.column, cell)?;
            }
            object.rows += 1;
        }
        (Column::List(list), Cell::List(cells)) => {
            for cell in cells {
                append(&mut list.element, cell)?;
            }
            list.close_row()?;
        }
        (Column::Map(map), Cell::Map(entries)) => {
            for (key, cell) in entries {
                map.keys.push(&key)?;
                append(&mut map.value, cell)?;
            }
            map.close_row()?;
        }
        (column, _) => column.push_null(),
    }
    Ok(())
}
