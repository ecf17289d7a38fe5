//! The loop over the records of a batch: read, keep or take back, and what becomes of a bad one in each mode.
//!
//! What must stay true: when a record is done, every column has the same number of rows, either one more than before
//! or the same. `rows + bad + dropped` is the number of records.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryViewArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use forebay_core::error::{Error, Result, codes};
use forebay_core::format::{BadRecord, BadRecordMode, Decoded, Decoder};

use super::column::{Nulls, Object, VarBytes};
use super::fault::{Fault, Parse, code};
use super::options::Rules;
use super::reader::Reader;
use super::spark::{self, Answer, Cell};

/// The decoder of one lane.
pub(super) struct JsonDecoder {
    schema: SchemaRef,
    columns: Object,
    corrupt: Option<(usize, VarBytes)>,
    mode: BadRecordMode,
    rules: Arc<Rules>,
    /// Rows that `from_json` gives as NULL: there was no record.
    nothing: Nulls,
    scratch: Vec<u8>,
    instance: u64,
}

impl JsonDecoder {
    /// A decoder that starts with these empty columns; `corrupt` is the place of the column of corrupt records.
    pub(super) fn new(
        schema: SchemaRef,
        columns: Object,
        corrupt: Option<usize>,
        mode: BadRecordMode,
        rules: Arc<Rules>,
    ) -> Self {
        Self {
            schema,
            columns,
            corrupt: corrupt.map(|place| (place, VarBytes::default())),
            mode,
            rules,
            nothing: Nulls::default(),
            scratch: Vec::new(),
            instance: 0,
        }
    }
}

/// What became of a record.
enum Fate {
    Row,
    Bad(Box<Fault>),
    Dropped,
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, values: &BinaryViewArray) -> Result<Decoded> {
        let records = values.len();
        let (outcome, bad, dropped) =
            self.read_all(records, |index| (!values.is_null(index)).then(|| values.value(index)))?;
        let batch = self.take_batch().map_err(broken)?;
        if batch.num_rows() + bad.len() + dropped != records {
            return Err(Error::new(&codes::INTERNAL, "the JSON decoder lost count of its rows"));
        }
        Ok(Decoded {
            rows: batch,
            kept: outcome,
            bad,
            dropped: dropped as u64,
            filtered: 0,
            failed: Vec::new(),
        })
    }
}

/// Indices of the records that gave a row (if not all did), bad records, and how many were dropped.
type Outcome = (Option<Vec<u32>>, Vec<BadRecord>, usize);

impl JsonDecoder {
    /// Reads records into the columns. After an error the columns are as before the call.
    fn read_all<'a>(
        &mut self,
        records: usize,
        record: impl Fn(usize) -> Option<&'a [u8]>,
    ) -> Result<Outcome> {
        self.columns.reserve(records);
        let mut kept: Option<Vec<u32>> = None;
        let mut bad = Vec::new();
        let mut dropped = 0;
        for index in 0..records {
            match self.read_one(index, record(index)) {
                Ok(Fate::Row) => {
                    if let Some(kept) = &mut kept {
                        kept.push(index as u32);
                    }
                    continue;
                }
                Ok(Fate::Bad(fault)) => {
                    let path = fault.path();
                    bad.push(BadRecord { index: index as u32, code: fault.code, path, why: fault.why });
                }
                Ok(Fate::Dropped) => dropped += 1,
                Err(error) => {
                    self.truncate(0);
                    return Err(error);
                }
            }
            kept.get_or_insert_with(|| (0..index as u32).collect());
        }
        Ok((kept, bad, dropped))
    }

    /// Reads one record: the columns have one row more, or are as before.
    #[inline]
    fn read_one(&mut self, index: usize, record: Option<&[u8]>) -> Result<Fate> {
        let rows = self.columns.rows;
        let read = match record {
            Some(record) => self.read_strict(record),
            None => Err(Fault::new(code::NULL, "expected a record, found a tombstone (a null value)")),
        };
        let fault = match read {
            Ok(()) => {
                if let Some((_, corrupt)) = &mut self.corrupt {
                    corrupt.push_null();
                }
                return Ok(Fate::Row);
            }
            Err(fault) => fault,
        };
        self.truncate(rows);
        if !self.rules.spark {
            return Ok(Fate::Bad(fault));
        }
        self.read_as_spark(index, record, rows, &fault)
    }

    /// Reads a record by the strict rules. After an error the columns may hold a part of it.
    #[inline]
    fn read_strict(&mut self, record: &[u8]) -> Parse {
        let mut reader = Reader {
            bytes: record,
            pos: 0,
            depth: 0,
            beyond_ascii: false,
            rules: &self.rules,
            scratch: &mut self.scratch,
            instance: self.instance,
        };
        let read = read_record(&mut reader, &mut self.columns);
        self.instance = reader.instance;
        match read {
            Ok(()) if !reader.beyond_ascii => Ok(()),
            // What is not text at all is told before whatever else is wrong with it.
            read => match simdutf8::basic::from_utf8(record) {
                Ok(_) => read,
                Err(_) => Err(not_utf8(record)),
            },
        }
    }

    #[cold]
    fn read_as_spark(
        &mut self,
        index: usize,
        record: Option<&[u8]>,
        rows: usize,
        fault: &Fault,
    ) -> Result<Fate> {
        let answer =
            record.map_or(Answer::Nothing, |record| spark::answer(record, &self.columns, &self.rules));
        let (cells, corrupt) = match answer {
            Answer::Row(cells) => (Some(cells), false),
            Answer::Nothing if self.mode == BadRecordMode::DropMalformed => return Ok(Fate::Dropped),
            Answer::Nothing => {
                self.nothing.push(rows);
                (None, false)
            }
            _ if self.mode == BadRecordMode::DropMalformed => return Ok(Fate::Dropped),
            _ if self.mode == BadRecordMode::FailFast => return Err(fail_fast(index, fault)),
            Answer::Partial(cells) => (Some(cells), true),
            Answer::Corrupt => (None, true),
        };
        let text = if corrupt { record } else { None };
        match self.append(cells, text) {
            Ok(()) => Ok(Fate::Row),
            Err(fault) => {
                self.truncate(rows);
                // The batch has no room for the row; with fewer records it would have.
                Err(Error::new(&codes::INTERNAL, "a batch of JSON records is too large for one Arrow batch")
                    .with_detail(fault.why))
            }
        }
    }

    /// Adds a row that was read as Spark does; the text of a corrupt record if there is one.
    fn append(&mut self, cells: Option<Vec<Cell>>, text: Option<&[u8]>) -> Parse {
        match cells {
            Some(cells) => {
                for (field, cell) in self.columns.fields.iter_mut().zip(cells) {
                    spark::append(&mut field.column, cell)?;
                }
            }
            None => {
                for field in &mut self.columns.fields {
                    field.column.push_null();
                }
            }
        }
        self.columns.rows += 1;
        if let Some((_, corrupt)) = &mut self.corrupt {
            match text {
                Some(text) => corrupt.push(String::from_utf8_lossy(text).as_bytes())?,
                None => corrupt.push_null(),
            }
        }
        Ok(())
    }

    fn truncate(&mut self, rows: usize) {
        self.columns.truncate(rows);
        self.nothing.truncate(rows);
        if let Some((_, corrupt)) = &mut self.corrupt {
            corrupt.truncate(rows);
        }
    }

    fn take_batch(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = self.columns.rows;
        let (columns, _) = self.take_columns()?;
        RecordBatch::try_new_with_options(
            self.schema.clone(),
            columns,
            &RecordBatchOptions::new().with_row_count(Some(rows)),
        )
    }

    /// All columns in the order of the schema, and which rows are no record at all.
    fn take_columns(&mut self) -> Result<(Vec<ArrayRef>, Option<NullBuffer>), ArrowError> {
        let nothing = self.nothing.take(self.columns.rows);
        let (mut columns, _) = self.columns.take()?;
        if let Some((place, corrupt)) = &mut self.corrupt {
            let (offsets, bytes, nulls) = corrupt.take();
            columns.insert(*place, Arc::new(StringArray::try_new(offsets, bytes, nulls)?));
        }
        Ok((columns, nothing))
    }

    /// Reads texts into columns, one row each; for SQL.
    pub(super) fn columns_of<'a>(
        &mut self,
        records: usize,
        record: impl Fn(usize) -> Option<&'a [u8]>,
    ) -> Result<(Vec<ArrayRef>, Option<NullBuffer>)> {
        self.read_all(records, record)?;
        self.take_columns().map_err(broken)
    }
}

/// Reads a record: one object and nothing after it.
#[inline]
fn read_record(reader: &mut Reader<'_>, columns: &mut Object) -> Parse {
    if reader.peek() != Some(b'{') {
        begin(reader)?;
    }
    reader.object(columns)?;
    if reader.pos == reader.bytes.len() {
        return Ok(());
    }
    // Spark reads one object and never looks at what follows.
    if !reader.rules.spark {
        reader.blanks();
        if reader.peek().is_some() {
            let at = reader.pos;
            return Err(Fault::new(
                code::TRAILING,
                format!("expected the end of the record after its object, found more at byte {at}"),
            ));
        }
    }
    Ok(())
}

/// Finds the object's brace, or tells what the record is instead.
#[cold]
fn begin(reader: &mut Reader<'_>) -> Parse {
    reader.blanks();
    let found = match reader.peek() {
        None => return Err(Fault::new(code::EMPTY, "expected an object, found nothing")),
        Some(b'{') => return Ok(()),
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(_) => "a number",
    };
    reader.skip_value()?;
    Err(Fault::new(code::NOT_OBJECT, format!("expected an object, found {found}")))
}

#[cold]
fn not_utf8(record: &[u8]) -> Box<Fault> {
    let at = std::str::from_utf8(record).map_or_else(|error| error.valid_up_to(), str::len);
    Fault::new(code::UTF8, format!("expected UTF-8, found other bytes at byte {at}"))
}

#[cold]
fn fail_fast(index: usize, fault: &Fault) -> Error {
    Error::new(&codes::DECODE_FAILFAST, "a record could not be decoded")
        .with_detail(format!("{} at {}: {}", fault.code, fault.path(), fault.why))
        .at(format!("record {index}"))
}

fn broken(error: ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "the JSON decoder made columns that do not fit together").caused_by(error)
}

#[cfg(test)]
impl JsonDecoder {
    /// A record's row as the strict reader gives it and as Spark's way does, where they do.
    pub(super) fn both_ways(
        &mut self,
        record: &[u8],
    ) -> (Option<serde_json::Value>, Option<serde_json::Value>) {
        let strict = self.read_strict(record).is_ok();
        if !strict {
            self.truncate(0);
            return (None, None);
        }
        let fast = self.take_batch().unwrap();
        let Answer::Row(cells) = spark::answer(record, &self.columns, &self.rules) else {
            return (Some(super::tests::render_row(&fast, 0)), Some(serde_json::Value::Null));
        };
        self.append(Some(cells), None).unwrap();
        let slow = self.take_batch().unwrap();
        (Some(super::tests::render_row(&fast, 0)), Some(super::tests::render_row(&slow, 0)))
    }
}
