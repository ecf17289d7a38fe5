//! Records become envelopes: offsets, timestamps and views into the bytes they arrived in.
//!
//! Nothing is copied and nothing is allocated per record: a view is sixteen bytes that say where a value lies in the
//! decompressed batch, and the envelope holds those batches. Several small batches share an envelope, so that what
//! comes after works on columns; a huge batch is spread over several.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryBuilder, BinaryViewArray, ByteView, ListArray, NullBufferBuilder, StringBuilder,
    StructArray, make_view,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;
use forebay_core::error::codes;
use forebay_core::source::{Envelope, Wanted, headers_type};
use forebay_core::{Error, Partition, Position, Result};
use forebay_log::records::{RecordRef, Records, headers};

/// Records of one envelope, about: enough that the cost per envelope vanishes, few enough to stay in the caches.
pub(super) const RECORDS: usize = 32 * 1024;
/// Bytes of batches behind one envelope, about: they, and what is decoded from them, fit into a core's own cache, and
/// decompression finds its buffers warm.
pub(super) const BYTES: usize = 1 << 20;

/// An envelope in the making, of one partition.
pub(super) struct EnvelopeBuilder {
    wanted: Wanted,
    timestamp_type: i32,
    offsets: Vec<i64>,
    timestamps: Vec<i64>,
    values: Views,
    keys: Views,
    headers: HeadersBuilder,
    /// The bytes that views point into.
    buffers: Vec<Buffer>,
    bytes: usize,
}

impl EnvelopeBuilder {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            timestamp_type: 0,
            offsets: Vec::new(),
            timestamps: Vec::new(),
            values: Views::new(),
            keys: Views::new(),
            headers: HeadersBuilder::default(),
            buffers: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.offsets.len() >= RECORDS || self.bytes >= BYTES
    }

    /// As [`EnvelopeBuilder::is_full`], by records alone: the bytes of a huge batch are there anyway.
    #[inline]
    pub(super) fn is_full_of_records(&self) -> bool {
        self.offsets.len() >= RECORDS
    }

    /// Lets go of batches of which no record was taken.
    pub(super) fn clear(&mut self) {
        self.buffers.clear();
        self.bytes = 0;
    }

    /// True if records of this timestamp type may join those that are there.
    pub(super) fn accepts(&self, timestamp_type: i32) -> bool {
        self.is_empty() || self.timestamp_type == timestamp_type
    }

    /// Takes the bytes of a batch whose records follow.
    pub(super) fn begin(&mut self, records: &Records, timestamp_type: i32) {
        self.timestamp_type = timestamp_type;
        self.buffers.push(Buffer::from(records.data.clone()));
        self.bytes += records.data.len();
        let more = records.len().min(RECORDS);
        self.offsets.reserve(more);
        self.timestamps.reserve(more);
        self.values.views.reserve(more);
    }

    /// Adds a record of the batch that [`EnvelopeBuilder::begin`] took last.
    #[inline]
    pub(super) fn push(&mut self, record: &RecordRef, data: &[u8]) {
        let buffer = self.buffers.len() as u32 - 1;
        self.offsets.push(record.offset);
        self.timestamps.push(record.timestamp);
        self.values.push(data, record.value.as_ref(), buffer);
        if self.wanted.keys {
            self.keys.push(data, record.key.as_ref(), buffer);
        }
        if self.wanted.headers {
            self.headers.push(data, record);
        }
    }

    /// The envelope; the builder begins anew.
    pub(super) fn finish(&mut self, partition: &Partition, next: i64) -> Result<Envelope> {
        let buffers: Arc<[Buffer]> = std::mem::take(&mut self.buffers).into();
        self.bytes = 0;
        let keys = if self.wanted.keys { Some(self.keys.finish(Arc::clone(&buffers))?) } else { None };
        Ok(Envelope {
            partition: partition.clone(),
            next: Position(next),
            offsets: std::mem::take(&mut self.offsets).into(),
            timestamps: std::mem::take(&mut self.timestamps).into(),
            timestamp_type: self.timestamp_type,
            values: self.values.finish(buffers)?,
            keys,
            headers: if self.wanted.headers { Some(self.headers.finish()?) } else { None },
        })
    }
}

/// A column of views.
struct Views {
    views: Vec<u128>,
    nulls: NullBufferBuilder,
}

impl Views {
    fn new() -> Self {
        Self { views: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }

    #[inline]
    fn push(&mut self, data: &[u8], range: Option<&Range<u32>>, buffer: u32) {
        let Some(range) = range else {
            self.views.push(0);
            self.nulls.append_null();
            return;
        };
        let bytes = &data[range.start as usize..range.end as usize];
        let view = match bytes.first_chunk::<4>() {
            Some(prefix) if bytes.len() > 12 => ByteView {
                length: bytes.len() as u32,
                prefix: u32::from_le_bytes(*prefix),
                buffer_index: buffer,
                offset: range.start,
            }
            .as_u128(),
            // Short values live inside their view.
            _ => make_view(bytes, buffer, range.start),
        };
        self.views.push(view);
        self.nulls.append_non_null();
    }

    fn finish(&mut self, buffers: Arc<[Buffer]>) -> Result<BinaryViewArray> {
        let views = ScalarBuffer::from(std::mem::take(&mut self.views));
        BinaryViewArray::try_new(views, buffers, self.nulls.finish()).map_err(broken)
    }
}

/// The column of headers: a list of (key, value) for each record; null, as in Spark, for a record without any.
#[derive(Default)]
struct HeadersBuilder {
    keys: StringBuilder,
    values: BinaryBuilder,
    /// How many headers each record has.
    lengths: Vec<usize>,
}

impl HeadersBuilder {
    fn push(&mut self, data: &[u8], record: &RecordRef) {
        let mut count = 0;
        for (key, value) in headers(data, record.headers.clone(), record.header_count) {
            self.keys.append_value(key);
            self.values.append_option(value);
            count += 1;
        }
        self.lengths.push(count);
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let DataType::List(element) = headers_type() else { return Err(not_a_list()) };
        let DataType::Struct(fields) = element.data_type() else { return Err(not_a_list()) };
        let columns: Vec<ArrayRef> = vec![Arc::new(self.keys.finish()), Arc::new(self.values.finish())];
        let pairs = StructArray::try_new(fields.clone(), columns, None).map_err(broken)?;
        let lengths = std::mem::take(&mut self.lengths);
        let nulls = NullBuffer::from_iter(lengths.iter().map(|length| *length > 0));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let list =
            ListArray::try_new(element.clone(), offsets, Arc::new(pairs), Some(nulls)).map_err(broken)?;
        debug_assert_eq!(list.data_type(), &headers_type());
        Ok(Arc::new(list))
    }
}

fn broken(error: arrow::error::ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "records do not make an array").caused_by(error)
}

fn not_a_list() -> Error {
    Error::new(&codes::INTERNAL, "the type of headers is not a list of pairs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use forebay_log::records::{Batch, BatchBuilder, Compression, Scratch};

    #[test]
    fn views_share_the_batch_and_nulls_stay_null() {
        let mut batch = BatchBuilder::new(Compression::Lz4);
        let long = b"a value that is longer than twelve bytes";
        batch.append(10, Some(b"k"), Some(long), &[("h", Some(b"1")), ("h", None)]);
        batch.append(20, None, None, &[]);
        batch.append(30, Some(long), Some(b""), &[]);
        let batch = Batch::parse(&batch.build().unwrap()).unwrap();
        let records = batch.records(1 << 20, &Scratch::new()).unwrap();
        let mut builder = EnvelopeBuilder::new(Wanted { keys: true, headers: true });
        builder.begin(&records, 0);
        for record in &records {
            builder.push(&record.unwrap(), &records.data);
        }
        let envelope = builder.finish(&Partition::new("t", 0), 3).unwrap();
        assert_eq!(envelope.len(), 3);
        assert_eq!(envelope.values.value(0), long);
        assert!(envelope.values.is_null(1));
        assert_eq!(envelope.values.value(2), b"");
        assert_eq!(envelope.values.data_buffers()[0].as_ptr(), records.data.as_ptr());
        let keys = envelope.keys.as_ref().unwrap();
        assert_eq!((keys.value(0), keys.is_null(1), keys.value(2)), (&b"k"[..], true, &long[..]));
        let headers = envelope.headers.as_ref().unwrap().as_list::<i32>();
        assert_eq!(headers.value(0).len(), 2);
        assert!(headers.is_null(1));
        assert_eq!(envelope.to_batch().unwrap().num_rows(), 3);
        assert!(builder.is_empty());
    }
}
