//! The files of a folder's manifest as one file.
//!
//! Read from the first to the last, in the order of epochs, lanes and rows, some hundred kilobytes at a time. What must
//! stay true: the file holds the rows that the manifest counts and no other, and is fsynced before anybody hears of it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use arrow::datatypes::SchemaRef;
use flate2::read::GzDecoder;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_storage::{Door, kill_point};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest, Sha256};

use super::config::{CsvFormat, FileFormat};
use super::fault;
use super::manifest::{PartFile, commits};
use super::part::Part;

const PIECE: usize = 256 << 10;

/// A file that was made of others.
pub(crate) struct Merged {
    pub rows: u64,
    pub bytes: u64,
    /// In hexadecimal.
    pub sha256: String,
}

/// Rows and files that the manifest of `root` counts. Blocks.
pub(crate) fn count(root: &Path) -> Result<(u64, u64)> {
    let (mut rows, mut files) = (0, 0);
    commits(root, |committed| {
        rows += committed.files.iter().map(|file| file.rows).sum::<u64>();
        files += committed.files.len() as u64;
        Ok(())
    })?;
    Ok((rows, files))
}

/// Writes all files of `root` into `staged`, which is made anew. A CSV file begins with a header if `header`. Blocks.
///
/// # Errors
/// `CYCLE` if a file is gone or not as it was committed; the disk's.
pub(crate) fn merge(
    door: &Door,
    root: &Path,
    staged: &Path,
    format: &FileFormat,
    schema: &SchemaRef,
    header: bool,
) -> Result<Merged> {
    door.remove_if_there(staged)
        .map_err(|e| fault::refused("a staged archive cannot be removed", staged, e))?;
    let format = match format {
        FileFormat::Csv(csv) => FileFormat::Csv(CsvFormat { header, ..csv.clone() }),
        parquet => parquet.clone(),
    };
    let mut whole: Option<Part> = None;
    commits(root, |committed| {
        for file in &committed.files {
            let path = root.join(&file.name);
            let mut open = File::open(&path).map_err(|e| unreadable(&path, e))?;
            let crc32c = sum(&mut open, &path)?;
            let bytes = open.metadata().map_err(|e| unreadable(&path, e))?.len();
            if bytes != file.bytes {
                return Err(altered(
                    &path,
                    format!("it has {bytes} bytes and was committed with {}", file.bytes),
                ));
            }
            if file.crc32c.is_some_and(|sum| sum != crc32c) {
                return Err(altered(&path, "its bytes are others"));
            }
            let into = match &mut whole {
                Some(whole) => whole,
                None => {
                    whole.insert(Part::create(door, staged, &format, &file_schema(&path, &format, schema)?)?)
                }
            };
            match &format {
                FileFormat::Csv(csv) if csv.gzip => {
                    copy(into, &path, GzDecoder::new(BufReader::new(open)), file)?
                }
                FileFormat::Csv(_) => copy(into, &path, open, file)?,
                FileFormat::Parquet(_) => rows(into, &path, open, file)?,
            }
            kill_point("cycle.merge.part");
        }
        Ok(())
    })?;
    let whole = whole.ok_or_else(|| Error::new(&codes::INTERNAL, "an archive of nothing"))?;
    let finished = whole.finish()?;
    let folder = staged.parent().unwrap_or(root);
    door.sync_dir(folder).map_err(|e| fault::sync_failed(folder, e))?;
    Ok(Merged { rows: finished.rows, bytes: finished.bytes, sha256: hash(staged)? })
}

/// The CRC-32C of a file, which stands at its beginning before and afterwards.
fn sum(file: &mut File, path: &Path) -> Result<u32> {
    let (mut sum, mut piece) = (0, vec![0; PIECE]);
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => sum = crc32c::crc32c_append(sum, piece.get(..read).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(unreadable(path, e)),
        }
    }
    file.seek(SeekFrom::Start(0)).map_err(|e| unreadable(path, e))?;
    Ok(sum)
}

/// The SHA-256 of a file, in hexadecimal. Blocks.
pub(crate) fn hash(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(|e| unreadable(path, e))?;
    let (mut sha, mut piece) = (Sha256::new(), vec![0; PIECE]);
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => sha.update(piece.get(..read).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(unreadable(path, e)),
        }
    }
    Ok(sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The columns of the archive: a Parquet file's own, which says what the rows had when they were written.
fn file_schema(path: &Path, format: &FileFormat, schema: &SchemaRef) -> Result<SchemaRef> {
    if matches!(format, FileFormat::Csv(_)) {
        return Ok(schema.clone());
    }
    let file = File::open(path).map_err(|e| unreadable(path, e))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| altered(path, e))?;
    Ok(builder.schema().clone())
}

fn copy(into: &mut Part, path: &Path, mut from: impl Read, file: &PartFile) -> Result<()> {
    let mut header = from.by_ref().take(file.header);
    io::copy(&mut header, &mut io::sink()).map_err(|e| unreadable(path, e))?;
    let mut piece = vec![0; PIECE];
    into.copy(&[], file.rows)?;
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => into.copy(piece.get(..read).unwrap_or_default(), 0)?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(unreadable(path, e)),
        }
    }
}

fn rows(into: &mut Part, path: &Path, from: File, file: &PartFile) -> Result<()> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(from).and_then(|builder| builder.build());
    let mut rows = 0;
    for batch in reader.map_err(|e| altered(path, e))? {
        let batch = batch.map_err(|e| altered(path, e))?;
        rows += batch.num_rows() as u64;
        into.write(&batch)?;
    }
    if rows != file.rows {
        return Err(altered(path, format!("it has {rows} rows and was committed with {}", file.rows)));
    }
    Ok(())
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => altered(path, "it is gone"),
        _ => fault::refused("a file cannot be read", path, error),
    }
}

fn altered(path: &Path, detail: impl std::fmt::Display) -> Error {
    Error::new(&codes::CYCLE, "a file that belongs into an archive is not as it was committed")
        .at(path.display())
        .with_detail(detail)
}
