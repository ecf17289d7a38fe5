//! `timezone(zone, t)`, which is what `t AT TIME ZONE zone` says: of an instant what clocks show in the zone, and of what
//! clocks show there the instant.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Offset, TimeZone};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Its name.
pub(super) const TIMEZONE: &str = "timezone";

/// The function.
pub(super) fn timezone() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Timezone { signature: Signature::user_defined(Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Timezone {
    signature: Signature,
}

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

const CLOCKS: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

impl ScalarUDFImpl for Timezone {
    fn name(&self) -> &'static str {
        TIMEZONE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [zone, time] = types else { return plan_err!("timezone takes a zone and a time") };
        if !(zone.is_string() || zone.is_null()) {
            return plan_err!("the zone of AT TIME ZONE is a text, as in 'Europe/Berlin'");
        }
        let time = match time {
            DataType::Timestamp(_, None) => CLOCKS,
            // What has no type is an instant, as in PostgreSQL.
            DataType::Timestamp(_, Some(_)) | DataType::Date32 | DataType::Null => instant(),
            other if other.is_string() => instant(),
            other => return plan_err!("AT TIME ZONE takes a timestamp, not {other}"),
        };
        Ok(vec![DataType::Utf8, time])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(match types {
            [_, DataType::Timestamp(_, None)] => instant(),
            _ => CLOCKS,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [zone, time] = args.args.as_slice() else { return exec_err!("timezone takes two arguments") };
        let ColumnarValue::Scalar(zone) = zone else {
            return exec_err!("the zone of AT TIME ZONE must be a constant");
        };
        let time = time.to_array(args.number_rows)?;
        let Some(zone) = zone.try_as_str().flatten() else {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(args.return_type())?));
        };
        let zone: Tz = by_east(zone)
            .parse()
            .map_err(|_| DataFusionError::Execution(format!("time zone \"{zone}\" not recognized")))?;
        Ok(ColumnarValue::Array(moved(&time, zone)?))
    }
}

/// A zone that is a number counts to the west in PostgreSQL, as POSIX has it, and to the east everywhere else.
fn by_east(zone: &str) -> Cow<'_, str> {
    match (zone.strip_prefix('+'), zone.strip_prefix('-')) {
        (Some(west), _) => Cow::Owned(format!("-{west}")),
        (_, Some(east)) => Cow::Owned(format!("+{east}")),
        _ => Cow::Borrowed(zone),
    }
}

fn moved(time: &ArrayRef, zone: Tz) -> Result<ArrayRef> {
    let is_clocks = matches!(time.data_type(), DataType::Timestamp(_, None));
    let time = cast(time, if is_clocks { &CLOCKS } else { time.data_type() })?;
    let time = time.as_primitive::<TimestampMicrosecondType>();
    let moved: TimestampMicrosecondArray =
        time.iter()
            .map(|micros| {
                let utc = DateTime::from_timestamp_micros(micros?)?.naive_utc();
                let offset = match is_clocks {
                    false => zone.offset_from_utc_datetime(&utc),
                    // Of an hour that comes twice the first; of one that is left out what it was before.
                    true => zone.offset_from_local_datetime(&utc).earliest().unwrap_or_else(|| {
                        zone.offset_from_utc_datetime(&(utc - chrono::TimeDelta::hours(3)))
                    }),
                };
                let shift = i64::from(offset.fix().local_minus_utc()) * 1_000_000;
                if is_clocks { micros?.checked_sub(shift) } else { micros?.checked_add(shift) }
            })
            .collect();
    Ok(Arc::new(if is_clocks { moved.with_timezone("UTC") } else { moved }))
}
