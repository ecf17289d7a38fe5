//! The records of a device around a time: the log read again, from the first record of that time on.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Schema};
use forebay_connectors::sources;
use forebay_core::config::SourceConfig;
use forebay_core::error::codes;
use forebay_core::format::{BadRecord, Decoder, Format, Of};
use forebay_core::source::{Envelope, Wanted};
use forebay_core::{Error, Partition, Result, key};
use forebay_engine::adhoc::lanes;
use forebay_engine::plan::KAFKA_COLUMN;
use futures::StreamExt;

use crate::alerts::columns;
use crate::{broker, expect};

/// Columns that usually name the device, in the order in which they are looked for. Upper and lower case do not matter.
const KEYS: [&str; 9] =
    ["device_id", "deviceid", "device.id", "sensor_id", "sensorid", "machine_id", "machine", "device", "id"];

/// Which records.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The device: the record's key, or the value of the key column.
    pub key: String,
    /// The key column, with dots for nested ones, also in arrays; `None` to look for one with a usual name.
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
    /// It does not decode, or fails an expectation.
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
    let format = source.value.as_ref().map(|value| expect::explaining(&source.name, value)).transpose()?;
    let path = format.as_deref().map(|format| key_column(&format.schema(), wish.column.as_deref()));
    let path = path.transpose()?.flatten();
    let mut found = Vec::new();
    for mut lane in reader.read(&available.ranges(&start), 1).await? {
        // One for each lane: what a key said last is that of its partition, of all that was read before.
        let mut decoder = format.as_deref().map(Format::decoder);
        while let Some(envelope) = lane.next().await {
            let envelope = envelope?;
            let inside = |timestamp: &i64| (wish.from_ms..wish.to_ms).contains(timestamp);
            if envelope.timestamps.iter().any(inside) {
                matching(&envelope, decoder.as_deref_mut(), path.as_deref(), wish, &mut found)?;
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
    decoder: Option<&mut (dyn Decoder + 'static)>,
    path: Option<&[String]>,
    wish: &Wish,
    found: &mut Vec<Found>,
) -> Result<()> {
    let (rows, mut bad, kept) = match decoder {
        None => (envelope.to_batch().map_err(internal)?, Vec::new(), None),
        Some(decoder) => {
            let mut decoded = decoder.decode_of(&envelope.values, Of::Partition(&envelope.partition))?;
            let bad = std::mem::take(&mut decoded.bad);
            let kept = decoded.kept.clone();
            let has_own = decoded.rows.schema().column_with_name(KAFKA_COLUMN).is_some();
            (if has_own { decoded.rows } else { lanes::with_envelope(decoded, envelope)? }, bad, kept)
        }
    };
    let is_named = path.map(|path| named(&rows, path, &wish.key)).transpose()?;
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
        let by_value = match (row, &is_named) {
            (Some(row), Some(is_named)) => is_named.get(row).copied().unwrap_or_default(),
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

/// The path of the column that names the device: what was said, or the first usual name that is there, and if there is none,
/// the first that is in an array of structs. One that was said must be there.
fn key_column(schema: &Schema, said: Option<&str>) -> Result<Option<Vec<String>>> {
    let find = |schema: &Schema, name: &str| {
        columns::find(schema, name).filter(|column| !column.data_type.is_nested()).map(|column| column.parts)
    };
    let open = Schema::new(schema.fields().iter().map(|field| without_lists(field)).collect::<Vec<_>>());
    let Some(said) = said else {
        let outside = KEYS.iter().find_map(|name| find(schema, name));
        return Ok(outside.or_else(|| usual_below(open.fields())));
    };
    if let Some(path) = find(&open, said) {
        return Ok(Some(path));
    }
    let there: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    Err(Error::new(&codes::WRONG_USE, format!("there is no column `{said}` with the names of devices"))
        .with_hint(format!(
            "`--column` takes the path of one value, with dots into structs and arrays of structs: data.devices.deviceId. The \
             source gives {}.",
            there.join(", ")
        )))
}

/// The column with what is in its arrays in their place: a path leads through an array as through a struct.
fn without_lists(field: &Field) -> Field {
    let mut data_type = field.data_type();
    while let DataType::List(item) = data_type {
        data_type = item.data_type();
    }
    let data_type = match data_type {
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| without_lists(field)).collect::<Vec<_>>().into())
        }
        other => other.clone(),
    };
    Field::new(field.name(), data_type, true)
}

/// The first column with a usual name, however deep.
fn usual_below(fields: &Fields) -> Option<Vec<String>> {
    fields.iter().find_map(|field| match field.data_type() {
        DataType::Struct(inside) => usual_below(inside).map(|mut path| {
            path.insert(0, field.name().clone());
            path
        }),
        data_type => {
            let is_usual = KEYS.iter().any(|name| name.eq_ignore_ascii_case(field.name()));
            (is_usual && !data_type.is_nested()).then(|| vec![field.name().clone()])
        }
    })
}

/// Which rows have this name in a column, or in an element of an array on the way to it.
fn named(rows: &RecordBatch, path: &[String], name: &str) -> Result<Vec<bool>> {
    let mut is_named = vec![false; rows.num_rows()];
    let Some((first, below)) = path.split_first() else { return Ok(is_named) };
    let Some(column) = rows.column_by_name(first) else { return Ok(is_named) };
    // Of each value the row that it is in; none of what is behind a NULL.
    let (mut column, mut owners) = elements(column.clone(), (0..rows.num_rows()).map(Some).collect());
    for step in below {
        let Some(inside) = column.as_struct_opt().and_then(|column| column.column_by_name(step)) else {
            return Ok(is_named);
        };
        (column, owners) = elements(Arc::clone(inside), owners);
    }
    let texts = cast(&column, &DataType::Utf8).map_err(internal)?;
    for (text, owner) in texts.as_string::<i32>().iter().zip(owners) {
        // A long one is known by what is kept of it.
        let is_it = text.is_some_and(|text| text == name || key::kept(text) == name);
        if let Some(named) = owner.and_then(|owner| is_named.get_mut(owner)) {
            *named |= is_it;
        }
    }
    Ok(is_named)
}

/// The values of a column with their owners; of arrays their elements.
fn elements(column: ArrayRef, owners: Vec<Option<usize>>) -> (ArrayRef, Vec<Option<usize>>) {
    let owners: Vec<Option<usize>> = (owners.into_iter().enumerate())
        .map(|(index, owner)| owner.filter(|_| column.is_valid(index)))
        .collect();
    let Some(lists) = column.as_list_opt::<i32>() else { return (column, owners) };
    let inside = owners.iter().zip(lists.offsets().windows(2));
    let inside = inside.flat_map(|(owner, ends)| (ends[0]..ends[1]).map(|_| *owner)).collect();
    let from = lists.offsets().first().copied().unwrap_or_default();
    let to = lists.offsets().last().copied().unwrap_or_default();
    let (from, length) = (usize::try_from(from).unwrap_or(0), usize::try_from(to - from).unwrap_or(0));
    elements(lists.values().slice(from, length), inside)
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && bytes.windows(part.len()).any(|window| window == part)
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "records cannot be compared").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_core::ddl;

    #[test]
    fn the_column_of_the_device_is_what_was_said_or_a_usual_name() {
        let column =
            |ddl: &str, said| key_column(&ddl::parse(ddl).unwrap(), said).unwrap().map(|path| path.join("."));
        assert_eq!(column("x INT, device_id STRING, id INT", None).as_deref(), Some("device_id"));
        assert_eq!(column("device STRUCT<id: STRING>", None).as_deref(), Some("device.id"));
        assert_eq!(column("x INT, y INT", None), None);
        assert_eq!(column("x INT, y INT", Some("y")).as_deref(), Some("y"));
        let events =
            "eventId STRING, data STRUCT<devices: ARRAY<STRUCT<deviceId: STRING, tags: ARRAY<STRING>>>>";
        assert_eq!(column(events, None).as_deref(), Some("data.devices.deviceId"));
        assert_eq!(column(events, Some("data.devices.DEVICEID")).as_deref(), Some("data.devices.deviceId"));
        assert_eq!(column(events, Some("data.devices.tags")).as_deref(), Some("data.devices.tags"));
        let error = key_column(&ddl::parse("x INT, y INT").unwrap(), Some("z")).unwrap_err();
        assert!(error.message().contains("`z`") && error.hint().contains("x, y"), "{error}");
    }

    #[test]
    fn a_name_is_found_in_the_elements_of_arrays() {
        let ddl = "data STRUCT<devices: ARRAY<STRUCT<deviceId: STRING>>>";
        let schema = ddl::parse(ddl).unwrap();
        let lines = "{\"data\": {\"devices\": [{\"deviceId\": \"a\"}, {\"deviceId\": \"b\"}]}}\n{\"data\": {\"devices\": null}}\n\
                     {\"data\": null}\n{\"data\": {\"devices\": [null, {\"deviceId\": null}, {\"deviceId\": \"b\"}]}}\n{\"data\": {\"devices\": []}}\n";
        let mut reader = arrow::json::ReaderBuilder::new(schema).build(lines.as_bytes()).unwrap();
        let rows = reader.next().unwrap().unwrap();
        let path = ["data", "devices", "deviceId"].map(str::to_owned);
        assert_eq!(named(&rows, &path, "b").unwrap(), [true, false, false, true, false]);
        assert_eq!(named(&rows.slice(1, 3), &path, "b").unwrap(), [false, false, true]);
        assert_eq!(named(&rows, &path, "c").unwrap(), [false; 5]);
    }
}
