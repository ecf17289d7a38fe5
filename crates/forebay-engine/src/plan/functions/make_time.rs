//! Times out of their parts: `make_timestamp(year, month, day, hour, minute, second[, zone])`, what clocks show as
//! `make_timestamp_ntz`, and their `try_` forms.
//!
//! Seconds have up to six digits behind the point; 60 of them are the next minute's first. As in Spark's ANSI mode what is
//! no time is an error, and NULL in the `try_` form.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int32Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Decimal128Type, Int32Type};
use chrono::NaiveDate;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use forebay_core::Zone;

use super::failed;
use super::seconds::timestamp_type;
use super::zone::{local_type, names};

const MINUTE_US: i64 = 60_000_000;

pub(super) fn all(zone: Zone) -> impl Iterator<Item = ScalarUDF> {
    let all = [
        ("make_timestamp", false, true),
        ("make_timestamp_ltz", false, true),
        ("make_timestamp_ntz", true, true),
        ("try_make_timestamp", false, false),
        ("try_make_timestamp_ltz", false, false),
        ("try_make_timestamp_ntz", true, false),
    ];
    all.into_iter().map(move |(name, is_local, strict)| {
        // What clocks show has no zone.
        let (name, aliases) = names(name, if is_local { Zone::UTC } else { zone });
        let signature = Signature::user_defined(Volatility::Immutable);
        ScalarUDF::from(MakeTime { name, aliases, is_local, strict, zone, signature })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MakeTime {
    name: String,
    aliases: Vec<String>,
    /// What clocks show, and no instant.
    is_local: bool,
    strict: bool,
    zone: Zone,
    signature: Signature,
}

impl ScalarUDFImpl for MakeTime {
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
        let is_number = |of: &DataType| of.is_numeric() || *of == DataType::Null;
        let is_text = |of: &DataType| of.is_string() || of.is_null();
        let (parts, rest) = types.split_at(types.len().min(6));
        let takes_zone = !self.is_local;
        if parts.len() < 6 || !parts.iter().all(is_number) || rest.len() > usize::from(takes_zone) {
            let what = if takes_zone { ", and may take a zone" } else { "" };
            return plan_err!("{} takes year, month, day, hour, minute and second{what}", self.name);
        }
        if !rest.iter().all(is_text) {
            return plan_err!("the zone of {} is a text", self.name);
        }
        let mut wanted = vec![DataType::Int32; 5];
        wanted.push(DataType::Decimal128(16, 6));
        wanted.extend(rest.iter().map(|_| DataType::Utf8));
        Ok(wanted)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.is_local { local_type() } else { timestamp_type() })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns =
            args.args.iter().map(|arg| arg.to_array(args.number_rows)).collect::<Result<Vec<ArrayRef>>>()?;
        let (parts, rest) = columns.split_at(columns.len().min(5));
        let numbers: Option<Vec<&Int32Array>> =
            parts.iter().map(|part| part.as_primitive_opt::<Int32Type>()).collect();
        let seconds = rest.first().and_then(|seconds| seconds.as_primitive_opt::<Decimal128Type>());
        let (Some(numbers), Some(seconds)) = (numbers, seconds) else {
            return failed(format!("{} takes the parts of a time", self.name));
        };
        let zones = rest.get(1).and_then(|zones| zones.as_string_opt::<i32>());
        let mut made = Vec::with_capacity(args.number_rows);
        for row in 0..args.number_rows {
            let has_zone = zones.is_none_or(|zones| zones.is_valid(row));
            if !has_zone || seconds.is_null(row) || numbers.iter().any(|part| part.is_null(row)) {
                made.push(None);
                continue;
            }
            let zone = match zones.map(|zones| zones.value(row)) {
                Some(name) => Zone::read(name).ok(),
                None => Some(self.zone),
            };
            let local = local(&numbers, seconds, row);
            let time =
                local.zip(zone).map(|(local, zone)| if self.is_local { local } else { zone.instant(local) });
            if time.is_none() && self.strict {
                return failed(format!(
                    "{}: the parts are no time; try_make_timestamp gives NULL",
                    self.name
                ));
            }
            made.push(time);
        }
        let made = TimestampMicrosecondArray::from(made).with_data_type(self.return_type(&[])?);
        Ok(ColumnarValue::Array(Arc::new(made)))
    }
}

/// What clocks show: microseconds since 1970 as if it were UTC.
fn local(numbers: &[&Int32Array], seconds: &Decimal128Array, row: usize) -> Option<i64> {
    let part = |index: usize| numbers.get(index).map(|part| part.value(row));
    let (year, hour, minute) = (part(0)?, part(3)?, part(4)?);
    let date = NaiveDate::from_ymd_opt(year, u32::try_from(part(1)?).ok()?, u32::try_from(part(2)?).ok()?)?;
    let time = date.and_hms_opt(u32::try_from(hour).ok()?, u32::try_from(minute).ok()?, 0)?;
    let micros = i64::try_from(seconds.value(row)).ok()?;
    // 60 seconds are possible without a fraction.
    (0..=MINUTE_US).contains(&micros).then(|| time.and_utc().timestamp_micros().checked_add(micros))?
}
