//! One data file: written as rows come, durable when finished.
//!
//! The file has its final name from the start, because only the log makes a file part of the table; a name holds a
//! fresh UUID, so no attempt can ever meet the file of another. What must stay true: memory is bounded by
//! [`ROW_GROUP_BYTES`] for each open file, whatever the epoch's size, and [`DataFile::finish`] returns only after
//! the bytes are fsynced (the folder is synced by the caller, once for all files in it).

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, SchemaRef};
use forebay_core::Result;
use forebay_storage::kill_point;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterPropertiesPtr};

use super::action::{Add, encode_path};
use super::partition::Place;
use super::store::{NewFile, Store};
use super::{dictionary, fault, stats};

/// Encoded bytes after which a row group ends. Spark's 128 MiB would have to be held in memory for each lane; at
/// 8 MiB a group of the plant's events still has about half a million rows, and a scan reads as fast.
pub(crate) const ROW_GROUP_BYTES: usize = 8 << 20;
/// Rows after which a row group ends, for rows that encode to next to nothing.
const ROW_GROUP_ROWS: usize = 1 << 20;

/// How files are encoded; made once for a sink.
#[derive(Clone)]
pub(crate) struct Encoding {
    properties: WriterPropertiesPtr,
    extension: &'static str,
}

impl Encoding {
    /// For a word of the option `compression`.
    pub fn of(compression: &str) -> Self {
        let (codec, extension) = match compression {
            "none" | "uncompressed" => (Compression::UNCOMPRESSED, "parquet"),
            "zstd" => (Compression::ZSTD(ZstdLevel::default()), "zstd.parquet"),
            "gzip" => (Compression::GZIP(GzipLevel::default()), "gz.parquet"),
            "lz4" => (Compression::LZ4_RAW, "lz4.parquet"),
            _ => (Compression::SNAPPY, "snappy.parquet"),
        };
        let properties = WriterProperties::builder()
            .set_compression(codec)
            .set_created_by(concat!("Forebay ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            // Lists and maps get the inner names that Spark expects.
            .set_coerce_types(true)
            .build();
        Self { properties: Arc::new(properties), extension }
    }

    /// What names of files end with.
    pub fn extension(&self) -> &'static str {
        self.extension
    }

    /// For a file that begins with this batch.
    fn properties(&self, first: Option<&RecordBatch>) -> WriterProperties {
        let properties = self.properties.as_ref().clone();
        let hopeless = first.map(dictionary::hopeless).unwrap_or_default();
        if hopeless.is_empty() {
            return properties;
        }
        let without =
            |builder: WriterPropertiesBuilder, column| builder.set_column_dictionary_enabled(column, false);
        hopeless.into_iter().fold(properties.into_builder(), without).build()
    }
}

/// A file that rows are being written to.
pub(crate) struct DataFile {
    writer: ArrowWriter<NewFile>,
    path: PathBuf,
    /// Relative to the table.
    name: String,
    /// For each column, if a NaN went in: then no bound is known.
    has_nan: Vec<bool>,
    rows: u64,
}

/// A finished file: durable, not yet part of the table.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    /// Relative to the table.
    pub name: String,
    pub place: Place,
    pub size: u64,
    pub rows: u64,
    pub stats: String,
}

impl DataFile {
    /// Creates `name` (relative, with folders that exist already) in the table. `first` is the batch that it will
    /// begin with, if it is known: an example of its rows.
    pub fn create(
        store: &Store,
        name: String,
        schema: SchemaRef,
        encoding: &Encoding,
        first: Option<&RecordBatch>,
    ) -> Result<Self> {
        let path = store.path(&name);
        let file =
            store.create(&name).map_err(|e| fault::refused("a data file cannot be created", &path, e))?;
        let options = ArrowWriterOptions::new()
            .with_properties(encoding.properties(first))
            .with_skip_arrow_metadata(true);
        let has_nan = vec![false; schema.fields().len()];
        let writer =
            ArrowWriter::try_new_with_options(file, schema, options).map_err(|e| fault::parquet(&path, e))?;
        Ok(Self { writer, path, name, has_nan, rows: 0 })
    }

    /// Encodes a batch; writes the row group out when it is large enough.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for (seen, column) in self.has_nan.iter_mut().zip(batch.columns()) {
            *seen = *seen || holds_nan(column.as_ref());
        }
        self.writer.write(batch).map_err(|e| fault::parquet(&self.path, e))?;
        self.rows += batch.num_rows() as u64;
        if self.writer.memory_size() >= ROW_GROUP_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes out the open row group.
    pub fn flush(&mut self) -> Result<()> {
        self.writer.flush().map_err(|e| fault::parquet(&self.path, e))
    }

    /// Bytes that the open row group holds in memory.
    pub fn memory(&self) -> usize {
        self.writer.memory_size()
    }

    /// About how large the file would be if it ended now.
    pub fn size(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Writes the footer and makes the file durable. Blocks.
    pub fn finish(mut self, place: Place, indexed_columns: usize) -> Result<Finished> {
        self.flush()?;
        kill_point("sink.delta.file.half");
        let metadata = self.writer.finish().map_err(|e| fault::parquet(&self.path, e))?;
        let file = self.writer.inner();
        file.finish(&self.path)?;
        let stats = stats::of_file(&metadata, &self.has_nan, indexed_columns);
        Ok(Finished { name: self.name, place, size: file.len(), rows: self.rows, stats })
    }
}

impl Finished {
    /// The action that makes the file part of the table.
    pub fn add(&self, now_ms: i64, data_change: bool) -> Add {
        Add {
            path: encode_path(&self.name),
            partition_values: self.place.values.clone(),
            size: self.size,
            modification_time: now_ms,
            data_change,
            stats: self.stats.clone(),
        }
    }
}

/// True if a column of floating numbers holds a NaN (a NaN under a NULL counts too: the bound gets wider, not wrong).
fn holds_nan(column: &dyn Array) -> bool {
    match column.data_type() {
        DataType::Float32 => column.as_primitive::<Float32Type>().values().iter().any(|value| value.is_nan()),
        DataType::Float64 => column.as_primitive::<Float64Type>().values().iter().any(|value| value.is_nan()),
        _ => false,
    }
}
