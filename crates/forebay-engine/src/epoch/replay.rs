//! From envelope to quarantine entry and back: a replayed record is the record that came, whole.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BinaryViewArray, ListArray, StringBuilder, StructArray,
    new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;
use forebay_core::checkpoint::{Plan, RecordId};
use forebay_core::format::BadRecord;
use forebay_core::source::{Envelope, headers_type};
use forebay_core::{Partition, Position, Result};

use crate::quarantine::{Entry, decode, encode};

/// A bad record of an envelope as the quarantine keeps it.
pub(super) fn entry(envelope: &Envelope, bad: &BadRecord, source: &str, plan: &Plan) -> Entry {
    let index = bad.index as usize;
    let bytes = |column: &BinaryViewArray| column.is_valid(index).then(|| encode(column.value(index)));
    Entry {
        id: RecordId {
            topic: envelope.partition.topic.to_string(),
            partition: envelope.partition.index,
            offset: envelope.offsets[index],
        },
        input: envelope.partition.input,
        refused_by: None,
        source: Some(source.to_owned()),
        timestamp: envelope.timestamps[index],
        timestamp_type: envelope.timestamp_type,
        code: bad.code.to_owned(),
        path: bad.path.clone(),
        why: bad.why.clone(),
        at: plan.planned_at_ms,
        epoch: plan.epoch,
        query_id: String::new(),
        key: envelope.keys.as_ref().and_then(bytes),
        headers: headers(envelope, index),
        raw: bytes(&envelope.values),
    }
}

fn headers(envelope: &Envelope, index: usize) -> Vec<(String, Option<String>)> {
    let Some(lists) = envelope.headers.as_ref().and_then(|headers| headers.as_list_opt::<i32>()) else {
        return Vec::new();
    };
    if lists.is_null(index) {
        return Vec::new();
    }
    let pairs = lists.value(index);
    let columns = pairs.as_struct_opt().map(|pairs| (pairs.column(0), pairs.column(1)));
    let Some((names, values)) = columns
        .and_then(|(names, values)| Some((names.as_string_opt::<i32>()?, values.as_binary_opt::<i32>()?)))
    else {
        return Vec::new();
    };
    names
        .iter()
        .zip(values)
        .map(|(name, value)| (name.unwrap_or_default().to_owned(), value.map(encode)))
        .collect()
}

/// Quarantined records of one input, sorted, as the envelopes they came in: one for each partition and type of timestamps.
pub(super) fn envelopes(entries: &[Entry]) -> Result<Vec<Envelope>> {
    let key = |entry: &Entry| (entry.id.topic.clone(), entry.id.partition, entry.timestamp_type);
    entries.chunk_by(|a, b| key(a) == key(b)).map(envelope).collect()
}

fn envelope(entries: &[Entry]) -> Result<Envelope> {
    let first = &entries[0];
    Ok(Envelope {
        partition: Partition::new(&*first.id.topic, first.id.partition).of_input(first.input),
        next: Position(entries.last().map_or(0, |entry| entry.id.offset + 1)),
        offsets: entries.iter().map(|entry| entry.id.offset).collect(),
        timestamps: entries.iter().map(|entry| entry.timestamp).collect(),
        timestamp_type: first.timestamp_type,
        values: entries.iter().map(Entry::raw_bytes).collect(),
        keys: Some(entries.iter().map(|entry| entry.key.as_deref().and_then(decode)).collect()),
        headers: Some(headers_column(entries).map_err(super::lane::internal)?),
    })
}

/// The column `headers`: null, as from a source, for a record without any.
fn headers_column(entries: &[Entry]) -> Result<ArrayRef, arrow::error::ArrowError> {
    let all_null = || new_null_array(&headers_type(), entries.len());
    let DataType::List(element) = headers_type() else { return Ok(all_null()) };
    let DataType::Struct(fields) = element.data_type() else { return Ok(all_null()) };
    let (mut names, mut values) = (StringBuilder::new(), BinaryBuilder::new());
    for (name, value) in entries.iter().flat_map(|entry| &entry.headers) {
        names.append_value(name);
        values.append_option(value.as_deref().and_then(decode));
    }
    let columns: Vec<ArrayRef> = vec![Arc::new(names.finish()), Arc::new(values.finish())];
    let pairs = StructArray::try_new(fields.clone(), columns, None)?;
    let nulls = NullBuffer::from_iter(entries.iter().map(|entry| !entry.headers.is_empty()));
    let offsets = OffsetBuffer::from_lengths(entries.iter().map(|entry| entry.headers.len()));
    Ok(Arc::new(ListArray::try_new(element.clone(), offsets, Arc::new(pairs), Some(nulls))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_core::{Epoch, TopicIds};

    #[test]
    fn a_replayed_record_is_the_record_that_came() {
        let mut came = Envelope {
            partition: Partition::new("t", 2).of_input(1),
            next: Position(9),
            offsets: vec![5, 7].into(),
            timestamps: vec![11, 12].into(),
            timestamp_type: 1,
            values: [Some(&b"{"[..]), None].into_iter().collect(),
            keys: Some([None, Some(&b"\xff"[..])].into_iter().collect()),
            headers: None,
        };
        let (ranges, topics, replay) = (Vec::new(), TopicIds::new(), Vec::new());
        let plan = Plan {
            epoch: Epoch(3),
            planned_at_ms: 1,
            ranges,
            topics,
            replay,
            times: None,
            tables: Default::default(),
        };
        let set_aside = |envelope: &Envelope| -> Vec<Entry> {
            let bad = |index| BadRecord { index, code: "json.syntax", path: "$".into(), why: "so".into() };
            (0..2).map(|index| entry(envelope, &bad(index), "s", &plan)).collect()
        };
        let mut entries = set_aside(&came);
        entries[1].headers = vec![("h".into(), Some(encode(b"1"))), ("h".into(), None)];
        came.headers = Some(headers_column(&entries).unwrap());
        assert_eq!(set_aside(&came), entries);
        let [replayed] = &envelopes(&entries).unwrap()[..] else { panic!("one partition, one envelope") };
        assert_eq!(replayed.to_batch().unwrap(), came.to_batch().unwrap());
        entries[1].timestamp_type = 0;
        let types: Vec<i32> = envelopes(&entries).unwrap().iter().map(|e| e.timestamp_type).collect();
        assert_eq!(types, [1, 0], "an envelope has one type of timestamps");
    }
}
