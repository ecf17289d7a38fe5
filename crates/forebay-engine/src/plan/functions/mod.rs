//! Spark's functions that DataFusion and `datafusion-spark` lack or mean otherwise.
//!
//! Each is columnar and, but for those of the epoch's time, pure: the same arguments give the same result at every
//! replay. `docs/sql.md` lists what is there; a test compares that list with the session.

mod arithmetic;
mod best;
mod bounded;
mod bytes;
mod calendar;
mod countable;
mod counted;
mod epoch_time;
mod extreme_by;
mod field;
mod from_json;
mod geo;
mod json_path;
mod judge;
mod kept;
mod like;
mod make_time;
mod means;
mod mode;
mod moments;
mod nested;
mod numbers;
mod pattern;
mod percentages;
mod percentile;
mod percentile_exact;
mod round;
mod sampled;
mod seconds;
mod sums;
mod text;
mod time_text;
mod to_json;
pub(crate) mod window;
mod wire;
pub(crate) mod zone;

use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::ScalarUDF;
use forebay_core::Zone;

pub(crate) use arithmetic::divide;
pub(crate) use epoch_time::EpochTime;
pub(crate) use field::{field, under};
pub(crate) use from_json::from_json;
pub(crate) use judge::{Learner, trained};
pub(crate) use kept::{KEPT, function as kept_function, kept, maybe};
pub(crate) use like::Like;
pub(in crate::plan) use mode::MODE;
pub(crate) use numbers::TRY_AVG;
pub(in crate::plan) use percentile::PERCENTILE;
pub(in crate::plan) use percentile_exact::{
    PERCENTILE_DISC, PERCENTILE_DISC_DOWN, PERCENTILE_DOWN, PERCENTILE_EXACT,
};
pub(crate) use seconds::{seconds_of, timestamp_seconds};
pub(crate) use text::binary_to_text;
pub(crate) use time_text::timestamp_to_text;
pub(crate) use to_json::{OPTIONS as TO_JSON_OPTIONS, TO_JSON};

/// The name of the access to a struct's field.
pub(crate) const FIELD: &str = "__field";

/// The name of what makes a value countable by a sketch.
pub(crate) const COUNTABLE: &str = "__countable";

/// Functions that may stand without parentheses.
pub(crate) const BARE: [&str; 4] =
    ["current_timestamp", "current_date", "localtimestamp", "current_timezone"];

/// DataFusion's own functions that Spark does not have and whose result is as long as a number says.
const LEFT_OUT: [&str; 5] = ["range", "generate_series", "list_repeat", "array_resize", "list_resize"];

/// Puts the functions of this module into a session. `now_ms` is the time that `now()` gives; `None` leaves it to
/// each epoch. `zone` is the session's.
pub(crate) fn register(state: &mut SessionState, now_ms: Option<i64>, zone: Zone) -> Result<()> {
    for name in LEFT_OUT {
        state.deregister_udf(name)?;
    }
    let mut all = vec![
        ScalarUDF::from(field::StructField::new()),
        ScalarUDF::from(countable::Countable::new()),
        ScalarUDF::from(text::BinaryToText::new()),
        ScalarUDF::from(json_path::GetJsonObject::new()),
        ScalarUDF::from(Like::function(false)),
        ScalarUDF::from(Like::function(true)),
        ScalarUDF::from(round::Round::new(state.udf("round")?)),
    ];
    for (name, grows) in bounded::GROWING {
        all.push(ScalarUDF::from(bounded::Bounded::new(state.udf(name)?, grows)));
    }
    for (name, does) in bytes::TAKING {
        all.push(ScalarUDF::from(bytes::TakesBytes::new(state.udf(name)?, does)));
    }
    all.extend(epoch_time::all(now_ms, zone));
    all.extend(arithmetic::all());
    all.extend(seconds::all());
    all.extend(time_text::all(zone));
    all.extend(make_time::all(zone));
    all.push(ScalarUDF::from(to_json::ToJson::new(zone)));
    all.extend(calendar::all(zone));
    all.extend(window::all());
    all.extend(geo::all());
    for function in all {
        state.register_udf(Arc::new(function))?;
    }
    let percentiles = percentile_exact::all().into_iter().chain([percentile::function(), mode::function()]);
    let aggregates = numbers::all().into_iter().chain(extreme_by::all()).chain(moments::all());
    for function in aggregates.chain(percentiles) {
        state.register_udaf(Arc::new(function))?;
    }
    Ok(())
}

/// Puts DataFusion's own functions within bounds, for a session in PostgreSQL's dialect: those whose result is as long as
/// a number says, and those of the time, which is the statement's. Beside them PostgreSQL's own `sum` and `avg`.
pub(crate) fn register_bounds(state: &mut SessionState, now_ms: i64) -> Result<()> {
    for name in LEFT_OUT {
        state.deregister_udf(name)?;
    }
    for (name, grows) in bounded::GROWING {
        if let Ok(function) = state.udf(name) {
            state.register_udf(Arc::new(ScalarUDF::from(bounded::Bounded::new(function, grows))))?;
        }
    }
    for function in epoch_time::all(Some(now_ms), Zone::UTC) {
        state.register_udf(Arc::new(function))?;
    }
    for function in wire::all() {
        state.register_udaf(Arc::new(function))?;
    }
    Ok(())
}

/// True if an aggregate's filter lets a row count.
fn counts(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

/// An error of the user's data or SQL inside a function.
fn failed<T>(message: impl Into<String>) -> Result<T> {
    Err(DataFusionError::Execution(message.into()))
}
