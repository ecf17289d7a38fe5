//! Between Arrow and detectors: columns in, columns out.
//!
//! What must stay true: a value that a number of 64 bits cannot hold is rounded, never dropped; NULL goes in as NaN and a verdict
//! that says nothing comes out as NULL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, Float64Array, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMicrosecondType};
use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::rows::NO_TIME;
use super::verdict::Verdicts;
use super::words::Words;

/// An input: any number; NULL becomes NaN.
pub fn numbers(column: &ArrayRef) -> Result<Vec<f64>> {
    if !column.data_type().is_numeric() && *column.data_type() != DataType::Boolean {
        let message = format!("a detector takes numbers, not {}", column.data_type());
        return Err(Error::new(&codes::BAD_VALUE, message).with_hint("Write `CAST(column AS DOUBLE)`."));
    }
    let cast = cast(column, &DataType::Float64).map_err(unfit)?;
    let array = cast.as_primitive_opt::<Float64Type>().ok_or_else(missing)?;
    if array.null_count() == 0 {
        return Ok(array.values().to_vec());
    }
    Ok(array.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}

/// Event times of any timestamp type in microseconds; NULL becomes [`NO_TIME`].
pub fn times(column: &ArrayRef) -> Result<Vec<i64>> {
    if !matches!(column.data_type(), DataType::Timestamp(_, _)) {
        let message = format!("the event time of a detector is a timestamp, not {}", column.data_type());
        return Err(Error::new(&codes::BAD_VALUE, message));
    }
    let zone = match column.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let cast = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, zone)).map_err(unfit)?;
    let array = cast.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(missing)?;
    Ok(array.iter().map(|at| at.unwrap_or(NO_TIME)).collect())
}

/// Score, likelihood, whether it is an anomaly, and why, each as long as the batch. The reason is NULL where there is no anomaly.
pub fn verdicts(verdicts: &Verdicts, words: &Words) -> [ArrayRef; 4] {
    let said = |value: &f64| (!value.is_nan()).then_some(*value);
    let mut anomalous = BooleanBuilder::with_capacity(verdicts.len());
    for (flag, score) in verdicts.anomalous.iter().zip(&verdicts.scores) {
        anomalous.append_option((!score.is_nan()).then_some(*flag));
    }
    let mut reasons = StringBuilder::with_capacity(verdicts.len(), 64 * verdicts.whys.len());
    let mut whys = verdicts.whys.iter().peekable();
    for row in 0..verdicts.len() {
        match whys.next_if(|(at, _)| *at == row) {
            Some((_, why)) => reasons.append_value(words.say(*why)),
            None => reasons.append_null(),
        }
    }
    [
        Arc::new(verdicts.scores.iter().map(said).collect::<Float64Array>()),
        Arc::new(verdicts.likelihoods.iter().map(said).collect::<Float64Array>()),
        Arc::new(anomalous.finish()),
        Arc::new(reasons.finish()),
    ]
}

fn missing() -> Error {
    Error::new(&codes::INTERNAL, "a column of a detector is not what it was cast to")
}

fn unfit(error: arrow::error::ArrowError) -> Error {
    Error::new(&codes::BAD_VALUE, "a column cannot be read as numbers").caused_by(error)
}
