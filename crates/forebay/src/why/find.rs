//! The records of a device around a time: the log read again, from the first record of that time on.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use forebay_connectors::sources;
use forebay_core::config::SourceConfig;
use forebay_core::format::{BadRecord, Format};
use forebay_core::source::{Envelope, Wanted};
use forebay_core::{Partition, Result, key};
use forebay_engine::adhoc::lanes;
use forebay_engine::plan::KAFKA_COLUMN;
use futures::StreamExt;

use crate::alerts::columns;
use crate::{broker, load};

/// Columns that usually name the device, in the order in which they are looked for. Upper and lower case do not matter.
const KEYS: [&str; 9] =
    ["device_id", "deviceid", "device.id", "sensor_id", "sensorid", "machine_id", "machine", "device", "id"];

/// Which records.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The device: the record's key, or the value of the key column.
    pub key: String,
    /// The key column, with dots for nested ones; `None` to look for one with a usual name.
    pub column: Option<String>,
    /// The time that is asked for, milliseconds since 1970.
    pub at_ms: i64,
    /// Record timestamps, milliseconds since 1970, the last not included.
    pub from_ms: i64,
    pub to_ms: i64,
    /// At most this many.
    pub most: usize,
    /// Where the log is, if not where the source says.
    pub servers: Option<String>,
}

/// A record of the log.
#[derive(Debug)]
pub struct Found {
    pub partition: Partition,
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Its bytes; `None` for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its row, with `_kafka` beside the columns of a value; or why it has none.
    pub decoded: Result<RecordBatch, Fault>,
}

impl Found {
    /// Its row with the columns that a plan reads, which are these.
    pub fn input(&self, row: &RecordBatch, schema: &Schema) -> Result<RecordBatch> {
        let there = row.schema();
        let columns = schema.fields().iter().map(|field| there.index_of(field.name()));
        let columns: Vec<usize> = columns.collect::<Result<_, _>>().map_err(internal)?;
        row.project(&columns).map_err(internal)
    }
}

/// Why a record has no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not decode.
    Bad(BadRecord),
    /// It does not decode, and the mode drops such records.
    Dropped,
}

/// Reads the source again: the records nearest to the time, in their order, and how many more there are.
pub async fn find(source: &SourceConfig, wish: &Wish) -> Result<(Vec<Found>, usize)> {
    let mut raw: BTreeMap<String, String> = source.options.passed_on().clone();
    for name in ["subscribe", "subscribePattern", "assign"] {
        raw.extend(source.options.text(name).map(|text| (name.to_owned(), text.to_owned())));
    }
    raw.extend(wish.servers.iter().map(|servers| ("kafka.bootstrap.servers".to_owned(), servers.clone())));
    // From the first record of the time on, where there is one; never a reason to fail.
    raw.extend(
        [
            ("startingTimestamp", wish.from_ms.max(0).to_string()),
            ("startingOffsetsByTimestampStrategy", "latest".to_owned()),
            ("failOnDataLoss", "false".to_owned()),
            ("includeHeaders", "true".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let options = broker::source_options(&source.format, &raw)?;
    let wanted = Wanted { keys: true, headers: true };
    let mut reader = sources::build(&source.format, &options, wanted, None)?;
    let start = reader.start(true).await?;
    let available = reader.available(&start).await?;
    let format = load::format_of(source)?;
    let mut found = Vec::new();
    for mut lane in reader.read(&available.ranges(&start), 1).await? {
        while let Some(envelope) = lane.next().await {
            let envelope = envelope?;
            let inside = |timestamp: &i64| (wish.from_ms..wish.to_ms).contains(timestamp);
            if envelope.timestamps.iter().any(inside) {
                matching(&envelope, format.as_deref(), wish, &mut found)?;
            }
        }
    }
    reader.close().await;
    // The nearest first, so that what is asked for is among those that are kept.
    found.sort_by_key(|it| it.timestamp.abs_diff(wish.at_ms));
    let more = found.len().saturating_sub(wish.most);
    found.truncate(wish.most);
    found.sort_by(|a, b| (a.timestamp, &a.partition, a.offset).cmp(&(b.timestamp, &b.partition, b.offset)));
    Ok((found, more))
}

/// The records of an envelope that are meant.
fn matching(
    envelope: &Envelope,
    format: Option<&dyn Format>,
    wish: &Wish,
    found: &mut Vec<Found>,
) -> Result<()> {
    let (rows, mut bad, kept) = match format {
        None => (envelope.to_batch().map_err(internal)?, Vec::new(), None),
        Some(format) => {
            let mut decoded = format.decoder().decode(&envelope.values)?;
            let bad = std::mem::take(&mut decoded.bad);
            let kept = decoded.kept.clone();
            let has_own = decoded.rows.schema().column_with_name(KAFKA_COLUMN).is_some();
            (if has_own { decoded.rows } else { lanes::with_envelope(decoded, envelope)? }, bad, kept)
        }
    };
    let names = format.and_then(|format| key_column(&format.schema(), wish.column.as_deref()));
    let names = names.map(|path| texts(&rows, &path)).transpose()?.flatten();
    for index in 0..envelope.len() {
        let timestamp = envelope.timestamps[index];
        if !(wish.from_ms..wish.to_ms).contains(&timestamp) {
            continue;
        }
        let row = match &kept {
            None => Some(index),
            Some(kept) => kept.iter().position(|kept| *kept as usize == index),
        };
        let value = envelope.values.is_valid(index).then(|| envelope.values.value(index));
        let keys = envelope.keys.as_ref().filter(|keys| keys.is_valid(index));
        let by_key = keys.is_some_and(|keys| keys.value(index) == wish.key.as_bytes());
        let by_value = match (row, &names) {
            (Some(row), Some(names)) => {
                let names = names.as_string::<i32>();
                let name = names.value(row);
                // A long one is known by what is kept of it.
                names.is_valid(row) && (name == wish.key || key::kept(name) == wish.key)
            }
            (Some(_), None) => false,
            // It cannot be read: the name somewhere in it must do.
            (None, _) => value.is_some_and(|value| holds(value, wish.key.as_bytes())),
        };
        if by_key || by_value {
            let fault = bad.iter().position(|bad| bad.index as usize == index).map(|at| bad.swap_remove(at));
            let decoded = match row {
                Some(row) => Ok(rows.slice(row, 1)),
                None => Err(fault.map_or(Fault::Dropped, Fault::Bad)),
            };
            let (partition, offset) = (envelope.partition.clone(), envelope.offsets[index]);
            found.push(Found { partition, offset, timestamp, value: value.map(<[u8]>::to_vec), decoded });
        }
    }
    Ok(())
}

/// The path of the column that names the device: what was said, or the first usual name that is there.
fn key_column(schema: &Schema, said: Option<&str>) -> Option<Vec<String>> {
    let find = |name: &str| columns::find(schema, name).filter(|column| !column.data_type.is_nested());
    let found = match said {
        Some(said) => find(said),
        None => KEYS.iter().find_map(|name| find(name)),
    };
    found.map(|column| column.parts)
}

/// A column as texts.
fn texts(rows: &RecordBatch, path: &[String]) -> Result<Option<ArrayRef>> {
    let Some((first, below)) = path.split_first() else { return Ok(None) };
    let mut column = rows.column_by_name(first).cloned();
    for step in below {
        column = column.and_then(|column| column.as_struct_opt()?.column_by_name(step).map(Arc::clone));
    }
    column.map(|column| cast(&column, &DataType::Utf8).map_err(internal)).transpose()
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && bytes.windows(part.len()).any(|window| window == part)
}

fn internal(error: arrow::error::ArrowError) -> forebay_core::Error {
    forebay_core::Error::new(&forebay_core::error::codes::INTERNAL, "records cannot be compared")
        .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_core::ddl;

    #[test]
    fn the_column_of_the_device_is_what_was_said_or_a_usual_name() {
        let column = |ddl: &str, said| key_column(&ddl::parse(ddl).unwrap(), said).map(|path| path.join("."));
        assert_eq!(column("x INT, device_id STRING, id INT", None).as_deref(), Some("device_id"));
        assert_eq!(column("device STRUCT<id: STRING>", None).as_deref(), Some("device.id"));
        assert_eq!(column("x INT, y INT", None), None);
        assert_eq!(column("x INT, y INT", Some("y")).as_deref(), Some("y"));
        assert_eq!(column("x INT", Some("z")), None);
    }
}
