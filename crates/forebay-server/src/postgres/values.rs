//! The values of a statement's parameters, from either form.

use arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion::common::ScalarValue;

use super::forms::{EPOCH_DAYS, EPOCH_MICROS};
use super::frame::Rest;
use super::sqlstate::{BAD_TEXT, NOT_SUPPORTED, PROTOCOL, Refusal};
use super::types::{self, PgType};

/// Most digits of a number.
const DIGITS: usize = 38;

/// A value that was sent; `oid` is the type that the client was told, or told us.
pub(super) fn read(
    value: Option<&[u8]>,
    is_binary: bool,
    oid: u32,
    wanted: &DataType,
) -> Result<ScalarValue, Refusal> {
    let null = || ScalarValue::try_from(wanted).map_err(|_| unsupported(wanted));
    let Some(value) = value else { return null() };
    match (is_binary, oid) {
        (false, types::BYTEA) | (false, _) if matches!(wanted, DataType::Binary) => {
            let bytes = std::str::from_utf8(value).ok().and_then(hex);
            bytes.map(|bytes| ScalarValue::Binary(Some(bytes))).ok_or_else(|| unread(value, "bytea"))
        }
        (false, _) => text(value, wanted),
        (true, oid) => binary(value, oid, wanted),
    }
}

fn unsupported(wanted: &DataType) -> Refusal {
    Refusal::new(NOT_SUPPORTED, format!("a parameter of type {wanted} is not supported yet"))
}

fn unread(value: &[u8], what: &str) -> Refusal {
    let text = String::from_utf8_lossy(value.get(..60).unwrap_or(value)).into_owned();
    Refusal::new(BAD_TEXT, format!("invalid input for type {what}: \"{text}\""))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?;
    if digits.len() % 2 != 0 || !digits.is_ascii() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

fn text(value: &[u8], wanted: &DataType) -> Result<ScalarValue, Refusal> {
    let name = PgType::of_type(wanted).name();
    let text = std::str::from_utf8(value).map_err(|_| unread(value, name))?;
    let trimmed = text.trim();
    let value = match wanted {
        DataType::Utf8 | DataType::Null => Ok(ScalarValue::Utf8(Some(text.to_owned()))),
        DataType::Decimal128(..) => return number(trimmed),
        DataType::List(item) => return list(trimmed, item.data_type()),
        DataType::Boolean => match trimmed.to_ascii_lowercase().as_str() {
            "t" | "true" | "1" | "on" | "yes" | "y" => Ok(ScalarValue::Boolean(Some(true))),
            "f" | "false" | "0" | "off" | "no" | "n" => Ok(ScalarValue::Boolean(Some(false))),
            _ => Err(()),
        },
        other => ScalarValue::try_from_string(trimmed.to_owned(), other).map_err(|_| ()),
    };
    value.map_err(|()| unread(text.as_bytes(), name))
}

/// A number with the digits that it has.
fn number(text: &str) -> Result<ScalarValue, Refusal> {
    let refused = || unread(text.as_bytes(), "numeric");
    let plain = match text.split_once(['e', 'E']) {
        None => text.to_owned(),
        // An exponent is rare: as many digits as a float has.
        Some(_) => text.parse::<f64>().map_err(|_| refused())?.to_string(),
    };
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let digits = format!("{whole}{fraction}");
    let count = digits.trim_start_matches(['-', '+']).len();
    let scale = i8::try_from(fraction.len()).map_err(|_| refused())?;
    if count == 0 || count > DIGITS {
        return Err(refused());
    }
    let unscaled: i128 = digits.parse().map_err(|_| refused())?;
    Ok(ScalarValue::Decimal128(Some(unscaled), DIGITS as u8, scale))
}

/// `{a,"b c",NULL}`.
fn list(text: &str, item: &DataType) -> Result<ScalarValue, Refusal> {
    let refused = || unread(text.as_bytes(), "array");
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(refused)?;
    let mut values = Vec::new();
    let mut letters = inner.chars().peekable();
    while letters.peek().is_some() {
        let (mut value, mut is_quoted, mut in_quotes) = (String::new(), false, false);
        loop {
            match letters.next() {
                None if in_quotes => return Err(refused()),
                None => break,
                Some(',') if !in_quotes => break,
                Some('{' | '}') if !in_quotes => return Err(refused()),
                Some('"') => (is_quoted, in_quotes) = (true, !in_quotes),
                Some('\\') => value.push(letters.next().ok_or_else(refused)?),
                Some(letter) => value.push(letter),
            }
        }
        let is_null = !is_quoted && value.trim().eq_ignore_ascii_case("null");
        values.push(read((!is_null).then_some(value.as_bytes()), false, 0, item)?);
    }
    listed(&values, item)
}

/// An array of these values, each of which becomes one of its type.
fn listed(values: &[ScalarValue], item: &DataType) -> Result<ScalarValue, Refusal> {
    let cast = values.iter().map(|value| value.cast_to(item)).collect::<Result<Vec<_>, _>>();
    let values = cast.map_err(|_| unsupported(item))?;
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&values, item)))
}

fn binary(value: &[u8], oid: u32, wanted: &DataType) -> Result<ScalarValue, Refusal> {
    let broken = |_| Refusal::new(PROTOCOL, "incorrect binary data format in a parameter");
    let mut rest = Rest(value);
    let read = match oid {
        types::BOOL => ScalarValue::Boolean(Some(rest.u8().map_err(broken)? != 0)),
        types::INT2 => ScalarValue::Int16(Some(rest.i16().map_err(broken)?)),
        types::INT4 => ScalarValue::Int32(Some(rest.i32().map_err(broken)?)),
        types::INT8 => ScalarValue::Int64(Some(rest.i64().map_err(broken)?)),
        types::OID | 24 | 2205 | 2206 | 4089 => ScalarValue::Int64(Some(rest.u32().map_err(broken)?.into())),
        types::FLOAT4 => ScalarValue::Float32(Some(f32::from_bits(rest.u32().map_err(broken)?))),
        types::FLOAT8 => {
            ScalarValue::Float64(Some(f64::from_bits(rest.i64().map_err(broken)?.cast_unsigned())))
        }
        types::BYTEA => ScalarValue::Binary(Some(rest.take(value.len()).map_err(broken)?.to_vec())),
        types::DATE => ScalarValue::Date32(rest.i32().map_err(broken)?.checked_add(EPOCH_DAYS)),
        types::TIME => ScalarValue::Time64Microsecond(Some(rest.i64().map_err(broken)?)),
        types::TIMESTAMP => {
            ScalarValue::TimestampMicrosecond(rest.i64().map_err(broken)?.checked_add(EPOCH_MICROS), None)
        }
        types::TIMESTAMPTZ => {
            let micros = rest.i64().map_err(broken)?.checked_add(EPOCH_MICROS);
            ScalarValue::TimestampMicrosecond(micros, Some("UTC".into()))
        }
        types::INTERVAL => {
            let nanoseconds = rest.i64().map_err(broken)?.checked_mul(1_000);
            let (days, months) = (rest.i32().map_err(broken)?, rest.i32().map_err(broken)?);
            let interval = nanoseconds.map(|nanos| IntervalMonthDayNano::new(months, days, nanos));
            ScalarValue::IntervalMonthDayNano(interval)
        }
        types::NUMERIC => {
            let digits = digits(&mut rest).map_err(broken)?;
            return if rest.0.is_empty() {
                number(&digits)
            } else {
                Err(Refusal::new(PROTOCOL, "incorrect binary data format in a parameter"))
            };
        }
        types::UUID => {
            let text: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            let parts =
                [text.get(..8), text.get(8..12), text.get(12..16), text.get(16..20), text.get(20..32)];
            let parts: Option<Vec<&str>> = parts.into_iter().collect();
            ScalarValue::Utf8(Some(parts.ok_or_else(|| unread(value, "uuid"))?.join("-")))
        }
        types::JSONB => return text(value.get(1..).unwrap_or_default(), &DataType::Utf8),
        other => {
            let element = PgType { oid: other, length: -1, modifier: -1 }.element();
            return match (element, wanted) {
                (Some(element), DataType::List(item)) => elements(&mut rest, element, item.data_type()),
                // Texts and what is like them are the same in both forms.
                (None, _) => text(value, wanted),
                _ => Err(unsupported(wanted)),
            };
        }
    };
    Ok(read)
}

/// The digits of a binary number.
fn digits(rest: &mut Rest<'_>) -> Result<String, super::frame::Bad> {
    let (count, weight, sign, scale) = (rest.i16()?, rest.i16()?, rest.i16()?, rest.i16()?);
    let groups = (0..count.max(0)).map(|_| rest.i16()).collect::<Result<Vec<_>, _>>()?;
    let group = |place: i32| {
        let at = i32::from(weight) - place;
        usize::try_from(at).ok().and_then(|at| groups.get(at)).copied().unwrap_or(0)
    };
    let bad = || super::frame::Bad::Broken("a number that is none".to_owned());
    let scale = usize::try_from(scale).map_err(|_| bad())?;
    // NaN and the infinities have signs of their own.
    if !(sign == 0 || sign == 0x4000) || scale > DIGITS || usize::from(weight.unsigned_abs()) > DIGITS {
        return Err(bad());
    }
    let whole: String =
        (0..=i32::from(weight.max(0))).rev().map(|place| format!("{:04}", group(place))).collect();
    let places = scale.div_ceil(4) as i32;
    let fraction: String = (1..=places).map(|place| format!("{:04}", group(-place))).collect();
    let whole = whole.trim_start_matches('0');
    let sign = if sign == 0 { "" } else { "-" };
    let point = if scale > 0 { "." } else { "" };
    Ok(format!("{sign}{}{point}{}", if whole.is_empty() { "0" } else { whole }, &fraction[..scale]))
}

fn elements(rest: &mut Rest<'_>, element: u32, item: &DataType) -> Result<ScalarValue, Refusal> {
    let broken = |_| Refusal::new(PROTOCOL, "incorrect binary data format in a parameter");
    let dimensions = rest.i32().map_err(broken)?;
    let (_, _) = (rest.i32().map_err(broken)?, rest.u32().map_err(broken)?);
    let mut values = Vec::new();
    if dimensions > 1 {
        return Err(Refusal::new(NOT_SUPPORTED, "arrays of several dimensions are not supported"));
    }
    if dimensions == 1 {
        let count = rest.i32().map_err(broken)?;
        rest.i32().map_err(broken)?;
        for _ in 0..count {
            let value = rest.value().map_err(broken)?;
            values.push(read(value.as_deref(), true, element, item)?);
        }
    }
    listed(&values, item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_value_give_the_same() {
        let decimal = DataType::Decimal128(38, 10);
        for digits in ["0", "-1.5", "12345678.000100", "99999999999999999999.9", "0.0001"] {
            let mut bytes = Vec::new();
            super::super::forms::number(digits, true, &mut bytes).unwrap();
            let (a, b) = (
                read(Some(&bytes), true, types::NUMERIC, &decimal).unwrap(),
                read(Some(digits.as_bytes()), false, types::NUMERIC, &decimal).unwrap(),
            );
            assert_eq!(a, b, "{digits}");
        }
        let list = types::arrow(1009).unwrap();
        let texts = read(Some(br#"{a,"b,\"c",NULL,"NULL"}"#), false, 1009, &list).unwrap();
        assert!(texts.to_string().contains("b,\"c"), "{texts}");
        for (oid, text) in
            [(types::INT4, "x"), (types::BOOL, "maybe"), (types::TIMESTAMPTZ, "soon"), (1009, "{a")]
        {
            let wanted = types::arrow(oid).unwrap();
            assert_eq!(
                read(Some(text.as_bytes()), false, oid, &wanted).unwrap_err().state,
                BAD_TEXT,
                "{text}"
            );
        }
        for bytes in [&b""[..], b"\0", b"\0\0\0\x01\0\0\0\0\0\0\0\x17\x7f\xff\xff\xff"] {
            assert!(read(Some(bytes), true, types::NUMERIC, &decimal).is_err());
            assert!(read(Some(bytes), true, 1007, &types::arrow(1007).unwrap()).is_err());
        }
    }
}
