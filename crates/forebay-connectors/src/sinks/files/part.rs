//! One part file: rows in, a staged and fsynced file out.
//!
//! What must stay true: memory is bounded by constants for each open file, whatever the epoch's size, and
//! [`Part::finish`] returns only after the bytes are fsynced.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_storage::{Door, DoorFile, kill_point};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::config::{CsvFormat, FileFormat};
use super::csv::Encoder;
use super::fault;

/// Bytes of text after which a CSV file is written to: few system calls, and little memory with many open files.
const BUFFER: usize = 256 << 10;
/// Encoded bytes after which a row group of a Parquet file ends.
const ROW_GROUP_BYTES: usize = 8 << 20;
/// Rows after which one ends, for rows that encode to next to nothing.
const ROW_GROUP_ROWS: usize = 1 << 20;
/// Rows of a batch that are encoded at once, so that the buffer stays near its bound.
const PIECE: usize = 1024;

/// See the module.
pub(crate) struct Part {
    path: PathBuf,
    body: Body,
    rows: u64,
    header: u64,
}

/// A finished part file.
pub(crate) struct Finished {
    pub rows: u64,
    pub bytes: u64,
    /// Bytes of text that its header takes.
    pub header: u64,
    /// CRC-32C of its bytes.
    pub crc32c: u32,
}

enum Body {
    Csv { encoder: Box<Encoder>, buffer: Vec<u8>, file: CsvFile },
    Parquet(Box<ArrowWriter<Summed>>),
}

enum CsvFile {
    Plain(Summed),
    Gzip(Box<GzEncoder<Summed>>),
}

/// A file, and the sum of what was written to it.
struct Summed {
    file: DoorFile,
    crc32c: u32,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.append(bytes)?;
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
        Ok(bytes.len())
    }

    /// Buffers nothing.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Summed {
    /// Fsyncs it, and tells its length and sum.
    fn end(&self, path: &Path) -> Result<(u64, u32)> {
        self.file.sync().map_err(|e| fault::sync_failed(path, e))?;
        Ok((self.file.len(), self.crc32c))
    }
}

impl Part {
    /// Creates a staged file for rows of this schema.
    pub fn create(door: &Door, path: &Path, format: &FileFormat, schema: &SchemaRef) -> Result<Self> {
        let file =
            door.create_new(path).map_err(|e| fault::refused("a part file cannot be created", path, e))?;
        let file = Summed { file, crc32c: 0 };
        let mut header_bytes = 0;
        let body = match format {
            FileFormat::Csv(CsvFormat { header, dialect, texts, gzip }) => {
                let (mut encoder, mut buffer) =
                    (Box::new(Encoder::new(dialect, texts)), Vec::with_capacity(BUFFER));
                if *header {
                    encoder.header(&mut buffer, schema);
                    header_bytes = buffer.len() as u64;
                }
                let file = match gzip {
                    true => CsvFile::Gzip(Box::new(GzEncoder::new(file, Level::default()))),
                    false => CsvFile::Plain(file),
                };
                Body::Csv { encoder, buffer, file }
            }
            FileFormat::Parquet(word) => {
                let options = ArrowWriterOptions::new()
                    .with_properties(properties(word))
                    .with_skip_arrow_metadata(true);
                let writer = ArrowWriter::try_new_with_options(file, schema.clone(), options);
                Body::Parquet(Box::new(writer.map_err(|e| parquet(path, e))?))
            }
        };
        Ok(Self { path: path.to_path_buf(), body, rows: 0, header: header_bytes })
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes that it holds in memory.
    pub fn memory(&self) -> usize {
        match &self.body {
            Body::Csv { buffer, .. } => buffer.capacity(),
            Body::Parquet(writer) => writer.memory_size(),
        }
    }

    /// Takes lines of CSV as they are; `rows` of them.
    pub fn copy(&mut self, lines: &[u8], rows: u64) -> Result<()> {
        self.rows += rows;
        let Body::Csv { buffer, file, .. } = &mut self.body else {
            return Err(Error::new(&codes::INTERNAL, "lines of text came to a Parquet file"));
        };
        buffer.extend_from_slice(lines);
        if buffer.len() >= BUFFER {
            write_out(&self.path, file, buffer)?;
        }
        Ok(())
    }

    /// Encodes a batch.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        match &mut self.body {
            Body::Csv { encoder, buffer, file } => {
                let mut at = 0;
                while at < batch.num_rows() {
                    let piece = batch.slice(at, PIECE.min(batch.num_rows() - at));
                    at += piece.num_rows();
                    encoder.rows(buffer, &piece)?;
                    if buffer.len() >= BUFFER {
                        write_out(&self.path, file, buffer)?;
                    }
                }
            }
            Body::Parquet(writer) => {
                writer.write(batch).map_err(|e| parquet(&self.path, e))?;
                if writer.memory_size() >= ROW_GROUP_BYTES {
                    writer.flush().map_err(|e| parquet(&self.path, e))?;
                }
            }
        }
        Ok(())
    }

    /// Writes out what is in memory, where that is possible without an end of the file.
    pub fn flush(&mut self) -> Result<()> {
        match &mut self.body {
            Body::Csv { buffer, file, .. } => {
                write_out(&self.path, file, buffer)?;
                buffer.shrink_to(BUFFER);
                Ok(())
            }
            Body::Parquet(writer) => writer.flush().map_err(|e| parquet(&self.path, e)),
        }
    }

    /// Ends the file and fsyncs it. Blocks.
    pub fn finish(mut self) -> Result<Finished> {
        kill_point("sink.files.part.half");
        self.flush()?;
        let path = self.path;
        let (bytes, crc32c) = match self.body {
            Body::Csv { file: CsvFile::Plain(file), .. } => file.end(&path)?,
            Body::Csv { file: CsvFile::Gzip(file), .. } => {
                file.finish().map_err(|e| unwritten(&path, e))?.end(&path)?
            }
            Body::Parquet(mut writer) => {
                writer.finish().map_err(|e| parquet(&path, e))?;
                writer.inner().end(&path)?
            }
        };
        Ok(Finished { rows: self.rows, bytes, header: self.header, crc32c })
    }
}

fn write_out(path: &Path, file: &mut CsvFile, buffer: &mut Vec<u8>) -> Result<()> {
    let written = match file {
        CsvFile::Plain(file) => file.write_all(buffer),
        CsvFile::Gzip(file) => file.write_all(buffer),
    };
    buffer.clear();
    written.map_err(|e| unwritten(path, e))
}

fn unwritten(path: &Path, error: io::Error) -> Error {
    fault::refused("a part file cannot be written", path, error)
}

/// How a Parquet file is written; `word` is one of the option `compression`.
pub(crate) fn properties(word: &str) -> WriterProperties {
    let codec = match word {
        "none" | "uncompressed" => Compression::UNCOMPRESSED,
        "zstd" => Compression::ZSTD(ZstdLevel::default()),
        "gzip" => Compression::GZIP(GzipLevel::default()),
        "lz4" => Compression::LZ4_RAW,
        _ => Compression::SNAPPY,
    };
    WriterProperties::builder()
        .set_compression(codec)
        .set_created_by(concat!("Forebay ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // Lists and maps get the inner names that Spark expects.
        .set_coerce_types(true)
        .build()
}

/// What the Parquet writer says: mostly what the file under it said.
pub(crate) fn parquet(path: &Path, error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => unwritten(path, *error),
            Err(other) => Error::new(&codes::SINK_UNAVAILABLE, "a part file cannot be written")
                .at(path.display())
                .with_detail(other),
        },
        other => {
            Error::new(&codes::INTERNAL, "a batch does not fit its file").at(path.display()).caused_by(other)
        }
    }
}
