//! Values in binary: of each all bytes are its own.

use arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion::common::ScalarValue;
use forebay_engine::adhoc::postgres::DIGITS;

use super::super::forms::{EPOCH_DAYS, EPOCH_MICROS};
use super::super::frame::{Bad, Rest};
use super::super::sqlstate::{BAD_BINARY, NOT_SUPPORTED, Refusal};
use super::super::types::{self, PgType};
use super::text::{number, text};
use super::{infinite, listed, out_of_range, read, unsupported};

/// The microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

fn broken(_: Bad) -> Refusal {
    bad_binary()
}

fn bad_binary() -> Refusal {
    Refusal::new(BAD_BINARY, "incorrect binary data format in a parameter")
}

/// A value of a type, of which all bytes must be its own.
pub(super) fn binary(value: &[u8], oid: u32, wanted: &DataType) -> Result<ScalarValue, Refusal> {
    let mut rest = Rest(value);
    let read = one(&mut rest, oid, wanted)?;
    match rest.0.is_empty() {
        true => Ok(read),
        false => {
            let message =
                format!("incorrect binary data format in a parameter: {} bytes too many", rest.0.len());
            Err(Refusal::new(BAD_BINARY, message))
        }
    }
}

fn one(rest: &mut Rest<'_>, oid: u32, wanted: &DataType) -> Result<ScalarValue, Refusal> {
    let name = PgType::of_type(wanted).name();
    let far = || out_of_range("of a parameter", name);
    let all = |rest: &mut Rest<'_>| rest.take(rest.0.len()).map_err(broken).map(<[u8]>::to_vec);
    Ok(match oid {
        types::BOOL => ScalarValue::Boolean(Some(rest.u8().map_err(broken)? != 0)),
        types::INT2 => ScalarValue::Int16(Some(rest.i16().map_err(broken)?)),
        types::INT4 => ScalarValue::Int32(Some(rest.i32().map_err(broken)?)),
        types::INT8 => ScalarValue::Int64(Some(rest.i64().map_err(broken)?)),
        types::OID | 24 | 2205 | 2206 | 4089 => ScalarValue::Int64(Some(rest.u32().map_err(broken)?.into())),
        types::FLOAT4 => ScalarValue::Float32(Some(f32::from_bits(rest.u32().map_err(broken)?))),
        types::FLOAT8 => {
            ScalarValue::Float64(Some(f64::from_bits(rest.i64().map_err(broken)?.cast_unsigned())))
        }
        types::BYTEA => ScalarValue::Binary(Some(all(rest)?)),
        types::DATE => match rest.i32().map_err(broken)? {
            i32::MAX | i32::MIN => return Err(infinite("date")),
            days => ScalarValue::Date32(Some(days.checked_add(EPOCH_DAYS).ok_or_else(far)?)),
        },
        types::TIME => {
            let micros = rest.i64().map_err(broken)?;
            if !(0..=DAY_MICROS).contains(&micros) {
                return Err(far());
            }
            ScalarValue::Time64Microsecond(Some(micros))
        }
        types::TIMESTAMP | types::TIMESTAMPTZ => {
            let zone = (oid == types::TIMESTAMPTZ).then(|| "UTC".into());
            match rest.i64().map_err(broken)? {
                i64::MAX | i64::MIN => return Err(infinite("timestamp")),
                micros => {
                    let micros = micros.checked_add(EPOCH_MICROS).ok_or_else(far)?;
                    ScalarValue::TimestampMicrosecond(Some(micros), zone)
                }
            }
        }
        types::INTERVAL => {
            let micros = rest.i64().map_err(broken)?;
            let (days, months) = (rest.i32().map_err(broken)?, rest.i32().map_err(broken)?);
            let nanoseconds = micros.checked_mul(1_000).ok_or_else(far)?;
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanoseconds)))
        }
        types::NUMERIC => number(&digits(rest)?)?,
        types::UUID => {
            let text: String =
                rest.take(16).map_err(broken)?.iter().map(|byte| format!("{byte:02x}")).collect();
            let parts =
                [text.get(..8), text.get(8..12), text.get(12..16), text.get(16..20), text.get(20..32)];
            let parts: Option<Vec<&str>> = parts.into_iter().collect();
            ScalarValue::Utf8(Some(parts.unwrap_or_default().join("-")))
        }
        types::JSONB => match rest.u8().map_err(broken)? {
            1 => text(&all(rest)?, &DataType::Utf8)?,
            version => {
                return Err(Refusal::new(BAD_BINARY, format!("unsupported jsonb version number {version}")));
            }
        },
        other => {
            let element = PgType { oid: other, length: -1, modifier: -1 }.element();
            match (element, wanted) {
                (Some(element), DataType::List(item)) => elements(rest, element, item.data_type())?,
                // Texts and what is like them are the same in both forms.
                (None, _) => text(&all(rest)?, wanted)?,
                _ => return Err(unsupported(wanted)),
            }
        }
    })
}

/// The digits of a binary number.
fn digits(rest: &mut Rest<'_>) -> Result<String, Refusal> {
    let mut next = || rest.i16().map_err(broken);
    let (count, weight, sign, scale) = (next()?, next()?, next()?.cast_unsigned(), next()?);
    let groups = (0..count.max(0)).map(|_| next()).collect::<Result<Vec<_>, _>>()?;
    match sign {
        0 | 0x4000 => {}
        0xc000 => return Ok("NaN".to_owned()),
        0xd000 => return Ok("Infinity".to_owned()),
        0xf000 => return Ok("-Infinity".to_owned()),
        _ => return Err(bad_binary()),
    }
    let scale = usize::try_from(scale).map_err(|_| bad_binary())?;
    if groups.iter().any(|group| !(0..10_000).contains(group)) || count < 0 {
        return Err(bad_binary());
    }
    // Groups behind its scale are no digits of it.
    if scale > DIGITS || usize::from(weight.unsigned_abs()) > DIGITS {
        return Err(out_of_range("of a parameter", "numeric"));
    }
    let group = |place: i32| {
        let at = i32::from(weight) - place;
        usize::try_from(at).ok().and_then(|at| groups.get(at)).copied().unwrap_or(0)
    };
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
    let dimensions = rest.i32().map_err(broken)?;
    let (_, of) = (rest.i32().map_err(broken)?, rest.u32().map_err(broken)?);
    if of != element {
        let message = format!("binary data has array element type {of} instead of expected {element}");
        return Err(Refusal::new("42804", message));
    }
    if !(0..=1).contains(&dimensions) {
        return Err(Refusal::new(NOT_SUPPORTED, "arrays of several dimensions are not supported"));
    }
    let mut left = 0;
    if dimensions == 1 {
        left = rest.i32().map_err(broken)?;
        rest.i32().map_err(broken)?;
    }
    let next = || {
        left = left.checked_sub(1).filter(|left| *left >= 0)?;
        let value = rest.value().map_err(broken);
        Some(value.and_then(|value| read(value.as_deref(), true, element, item)))
    };
    listed(std::iter::from_fn(next), item)
}
