//! Times as text and text as times: `date_format`, `to_timestamp`, `to_date`, `from_unixtime`, `unix_timestamp`.
//!
//! Times are written and read in the session's zone. Patterns are Java's (see [`super::pattern`]). As in Spark's ANSI
//! mode a text that does not fit is an error; the `try_` form gives NULL.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int64Array, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use forebay_core::Zone;
use forebay_core::zone::Offsets;

use super::failed;
use super::pattern::{Pattern, Purpose};
use super::seconds::timestamp_type;
use super::zone::{local_type, names};

const DEFAULT_PATTERN: &str = "yyyy-MM-dd HH:mm:ss";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// `date_format(timestamp, pattern)`.
    DateFormat,
    /// `from_unixtime(seconds[, pattern])`.
    FromUnixTime,
    /// `CAST(timestamp AS STRING)`: a fraction only where there is one.
    TimestampText,
    /// `to_timestamp(text, pattern)`.
    ToTimestamp { strict: bool },
    /// `to_timestamp_ntz(text, pattern)`: what clocks show.
    ToLocal,
    /// `to_date(text, pattern)`.
    ToDate { strict: bool },
    /// `unix_timestamp(timestamp)`, `unix_timestamp(text[, pattern])`.
    UnixTimestamp,
}

impl Kind {
    fn purpose(self) -> Purpose {
        match self {
            Self::DateFormat | Self::FromUnixTime | Self::TimestampText => Purpose::Write,
            _ => Purpose::Read,
        }
    }
}

pub(super) fn all(zone: Zone) -> Vec<ScalarUDF> {
    let kinds = [
        ("date_format", Kind::DateFormat),
        ("from_unixtime", Kind::FromUnixTime),
        ("__timestamp_text", Kind::TimestampText),
        ("to_timestamp", Kind::ToTimestamp { strict: true }),
        ("try_to_timestamp", Kind::ToTimestamp { strict: false }),
        ("to_timestamp_ntz", Kind::ToLocal),
        ("to_date", Kind::ToDate { strict: true }),
        ("try_to_date", Kind::ToDate { strict: false }),
        ("unix_timestamp", Kind::UnixTimestamp),
    ];
    kinds.into_iter().map(|(name, kind)| ScalarUDF::from(TimeText::new(name, kind, zone))).collect()
}

/// A timestamp as Spark shows it: `2024-02-29 14:20:09.12`.
pub(crate) fn timestamp_to_text(timestamp: Expr, zone: Zone) -> Expr {
    ScalarUDF::from(TimeText::new("__timestamp_text", Kind::TimestampText, zone)).call(vec![timestamp])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TimeText {
    /// With the zone, if that is not UTC: what is told of a plan, and the meaning of state, name it.
    name: String,
    aliases: Vec<String>,
    kind: Kind,
    zone: Zone,
    signature: Signature,
}

impl TimeText {
    fn new(name: &str, kind: Kind, zone: Zone) -> Self {
        let zone = if kind == Kind::ToLocal { Zone::UTC } else { zone };
        let (name, aliases) = names(name, zone);
        Self { name, aliases, kind, zone, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for TimeText {
    fn name(&self) -> &str {
        &self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let Some(first) = types.first() else { return plan_err!("{} needs an argument", self.name) };
        let is_time = matches!(first, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64);
        let is_text = first.is_string() || first.is_null();
        let pattern = match self.kind {
            Kind::DateFormat => types.len() == 2,
            Kind::TimestampText => types.len() == 1,
            Kind::ToLocal => types.len() == 2 && is_text,
            _ => types.len() <= 2,
        };
        if !pattern {
            return plan_err!("{} has the wrong number of arguments", self.name);
        }
        let value = match self.kind {
            // What clocks show, in whatever zone.
            Kind::TimestampText | Kind::UnixTimestamp if *first == local_type() => local_type(),
            Kind::DateFormat | Kind::TimestampText if is_time || is_text => timestamp_type(),
            Kind::FromUnixTime if first.is_integer() || is_text => DataType::Int64,
            Kind::ToTimestamp { .. } | Kind::ToDate { .. } | Kind::UnixTimestamp if is_time => {
                timestamp_type()
            }
            Kind::ToTimestamp { .. } | Kind::ToLocal | Kind::ToDate { .. } | Kind::UnixTimestamp
                if is_text =>
            {
                DataType::Utf8
            }
            _ => return plan_err!("{} does not take {first}", self.name),
        };
        Ok(std::iter::once(value).chain(types.iter().skip(1).map(|_| DataType::Utf8)).collect())
    }

    /// A pattern that is a constant is read here, so that a wrong one is refused before a row is.
    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        if let Some(pattern) = args.scalar_arguments.get(1).copied().flatten()
            && let Some(text) = pattern.try_as_str().flatten()
        {
            match Pattern::parse(text, self.kind.purpose()) {
                Ok(pattern) if self.kind == Kind::ToLocal && pattern.names_zone() => {
                    return plan_err!("the date pattern `{text}` has a zone, and a TIMESTAMP_NTZ has none");
                }
                Ok(_) => {}
                Err(message) => return plan_err!("{message}"),
            }
        }
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(Field::new(&self.name, self.return_type(&types)?, true)))
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::DateFormat | Kind::FromUnixTime | Kind::TimestampText => DataType::Utf8,
            Kind::ToTimestamp { .. } => timestamp_type(),
            Kind::ToLocal => local_type(),
            Kind::ToDate { .. } => DataType::Date32,
            Kind::UnixTimestamp => DataType::Int64,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let Some(value) = args.args.first() else {
            return failed(format!("{} needs an argument", self.name));
        };
        let value = value.to_array(rows)?;
        let patterns = Patterns::new(args.args.get(1), rows, self.kind.purpose())?;
        let result: ArrayRef = match self.kind {
            Kind::DateFormat => Arc::new(self.write(&patterns, rows, |row| micros_at(&value, row))?),
            Kind::FromUnixTime => {
                let seconds = value.as_primitive_opt::<Int64Type>();
                Arc::new(self.write(&patterns, rows, |row| {
                    let seconds = seconds.filter(|seconds| seconds.is_valid(row))?;
                    Some(seconds.value(row).saturating_mul(1_000_000))
                })?)
            }
            Kind::TimestampText => Arc::new(timestamp_text(&value, rows, self.zone)),
            Kind::ToTimestamp { strict } => {
                let micros = self.read(&value, &patterns, rows, strict)?;
                Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))
            }
            Kind::ToLocal => {
                Arc::new(TimestampMicrosecondArray::from(self.read(&value, &patterns, rows, true)?))
            }
            Kind::ToDate { strict } => {
                let micros = self.read(&value, &patterns, rows, strict)?;
                let mut offsets = Offsets::new(self.zone);
                let days = micros.into_iter().map(|micros| {
                    let local = offsets.local(micros?);
                    i32::try_from(local.div_euclid(86_400_000_000)).ok()
                });
                Arc::new(days.collect::<Date32Array>())
            }
            Kind::UnixTimestamp => {
                let micros = self.read(&value, &patterns, rows, true)?;
                // Before 1970 a part of a second is cut off, where unix_seconds rounds down.
                let seconds = micros.into_iter().map(|micros| micros.map(|micros| micros / 1_000_000));
                Arc::new(seconds.collect::<Int64Array>())
            }
        };
        Ok(ColumnarValue::Array(result))
    }
}

impl TimeText {
    fn write(
        &self,
        patterns: &Patterns,
        rows: usize,
        micros: impl Fn(usize) -> Option<i64>,
    ) -> Result<StringArray> {
        let mut out = StringBuilder::with_capacity(rows, rows * 20);
        let mut text = String::with_capacity(32);
        let mut offsets = Offsets::new(self.zone);
        for row in 0..rows {
            match (micros(row), patterns.at(row)) {
                (Some(micros), Some(pattern)) => {
                    text.clear();
                    let (local, offset) = (offsets.local(micros), offsets.at(micros));
                    if !pattern.format(local, offset, self.zone, &mut text) {
                        return failed(format!("{}: the time lies beyond the calendar", self.name));
                    }
                    out.append_value(&text);
                }
                _ => out.append_null(),
            }
        }
        Ok(out.finish())
    }

    /// Microseconds of times, or of texts by their pattern.
    fn read(
        &self,
        value: &ArrayRef,
        patterns: &Patterns,
        rows: usize,
        strict: bool,
    ) -> Result<Vec<Option<i64>>> {
        let Some(texts) = value.as_string_opt::<i32>() else {
            return Ok((0..rows).map(|row| micros_at(value, row)).collect());
        };
        let mut micros = Vec::with_capacity(rows);
        for row in 0..rows {
            let (Some(pattern), true) = (patterns.at(row), texts.is_valid(row)) else {
                micros.push(None);
                continue;
            };
            let read = pattern.read(texts.value(row), self.zone);
            if read.is_none() && strict {
                return failed(format!("{}: a text does not fit its date pattern", self.name));
            }
            micros.push(read);
        }
        Ok(micros)
    }
}

/// The patterns of the rows: nearly always one for all.
enum Patterns {
    One(Option<Pattern>),
    Each { texts: StringArray, read: HashMap<String, Pattern> },
}

impl Patterns {
    fn new(argument: Option<&ColumnarValue>, rows: usize, purpose: Purpose) -> Result<Self> {
        let parse = |text: &str| match Pattern::parse(text, purpose) {
            Ok(pattern) => Ok(pattern),
            Err(message) => failed(message),
        };
        match argument {
            None => Ok(Self::One(Some(parse(DEFAULT_PATTERN)?))),
            Some(ColumnarValue::Scalar(text)) => match text.try_as_str().flatten() {
                Some(text) => Ok(Self::One(Some(parse(text)?))),
                None => Ok(Self::One(None)),
            },
            Some(ColumnarValue::Array(texts)) => {
                let texts = cast(texts, &DataType::Utf8)?.as_string::<i32>().clone();
                debug_assert_eq!(texts.len(), rows);
                let mut read = HashMap::new();
                for text in texts.iter().flatten() {
                    if !read.contains_key(text) {
                        read.insert(text.to_owned(), parse(text)?);
                    }
                }
                Ok(Self::Each { texts, read })
            }
        }
    }

    fn at(&self, row: usize) -> Option<&Pattern> {
        match self {
            Self::One(pattern) => pattern.as_ref(),
            Self::Each { texts, read } => texts.is_valid(row).then(|| read.get(texts.value(row))).flatten(),
        }
    }
}

fn micros_at(times: &ArrayRef, row: usize) -> Option<i64> {
    times
        .as_primitive_opt::<TimestampMicrosecondType>()
        .filter(|times| times.is_valid(row))
        .map(|t| t.value(row))
}

/// Times of no zone are told as they are.
fn timestamp_text(times: &ArrayRef, rows: usize, zone: Zone) -> StringArray {
    let zone = if *times.data_type() == local_type() { Zone::UTC } else { zone };
    let seconds = Pattern::parse(DEFAULT_PATTERN, Purpose::Write).ok();
    let mut offsets = Offsets::new(zone);
    let mut out = StringBuilder::with_capacity(rows, rows * 24);
    let mut text = String::with_capacity(32);
    for row in 0..rows {
        text.clear();
        let local = micros_at(times, row).map(|micros| offsets.local(micros));
        match (local, &seconds) {
            (Some(micros), Some(pattern)) if pattern.format(micros, 0, zone, &mut text) => {
                let fraction = micros.rem_euclid(1_000_000);
                if fraction > 0 {
                    text.push('.');
                    text.push_str(format!("{fraction:06}").trim_end_matches('0'));
                }
                out.append_value(&text);
            }
            _ => out.append_null(),
        }
    }
    out.finish()
}
