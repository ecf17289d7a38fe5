//! The table that rules are tried on: found, and read in the order of event time.
//!
//! Rows are judged while they are read, as soon as nothing older can come ([`Turn`]). Where that was wrong, or more must be held than
//! memory may be taken, the reading begins anew; at last with an ORDER BY whose sort goes to files.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use async_trait::async_trait;
use forebay_connectors::sinks::delta::ordered::{self, Span};
use forebay_core::config::SourceConfig;
use forebay_core::error::codes;
use forebay_core::{Error, Result, Zone};
use forebay_engine::adhoc::{self, Answer, Limits, TableProvider, TableResolver, Takes};
use forebay_engine::plan::SqlError;
use futures::StreamExt;
use parking_lot::Mutex;

use super::csv::{self, Known};
use super::turn::{Turn, Way};
use super::{Frame, Piece, Workers};
use crate::json::FromJson;
use crate::tables::Tables;

/// The name of the column with the event time.
const TIME: &str = "the time of the row";

/// A sort that goes to files takes so many bytes at least, to merge them.
const LEAST_MEMORY: usize = 64 << 20;

/// What a backtest reads from.
pub struct Rest {
    pub tables: Tables,
    /// The columns that the source decodes, for files that do not say of what type theirs are.
    pub source: SchemaRef,
    /// What was asked for as the time.
    pub time: Option<String>,
    /// Bytes that rows may take in memory.
    pub memory: usize,
    /// What helps to read in order.
    pub order: Mutex<Order>,
}

/// By which time rows are wanted in order, and what is known of the files of the table that was resolved last.
#[derive(Default)]
pub struct Order {
    time: Option<String>,
    spans: Option<Vec<Span>>,
}

#[async_trait]
impl TableResolver for Rest {
    async fn resolve(&self, kind: Option<&str>, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match kind {
            Some("parquet") => adhoc::files::parquet(&self.tables.data.join(name)).await.map(Some),
            Some("csv") => {
                let time = self.time.as_deref().map(|time| time.trim().trim_matches('`'));
                let known = Known { source: &self.source, time };
                csv::table(&self.tables.data, name, &known, self.memory).await.map(Some)
            }
            Some("kafka") => {
                let error = Error::new(&codes::NOT_YET, "a backtest reads tables at rest, not topics");
                Err(error.with_hint("Let a query write the records to a table, and name that."))
            }
            kind => {
                let table = self.tables.resolve(kind, name).await?;
                Ok(table.map(|table| self.in_order(table)))
            }
        }
    }

    async fn names(&self) -> Result<Vec<String>> {
        self.tables.names().await
    }

    fn time_zone(&self) -> Zone {
        self.tables.time_zone()
    }

    fn views(&self) -> Vec<(String, String)> {
        self.tables.views()
    }
}

/// What is asked of the table.
pub struct Asked<'a> {
    /// As it stands behind FROM.
    pub on: &'a str,
    /// What the SQL of the time may call it.
    pub name: &'a str,
    /// SQL over its columns.
    pub time: &'a str,
    /// From this on, milliseconds since 1970.
    pub from: Option<i64>,
    /// Before this.
    pub to: Option<i64>,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Read {
    pub rows: u64,
    /// Rows that have no time, and are left out.
    pub without_time: u64,
    /// The first and the last time, milliseconds since 1970.
    pub first_ms: Option<i64>,
    pub last_ms: Option<i64>,
}

/// How a reading ended.
enum Fed {
    /// All is read, or the workers want no more.
    All(Read),
    /// A row came that is older than those that went.
    Unordered,
    /// More rows must be held than memory may be taken.
    TooMuch,
}

/// The SQL of a source's event time over a table of these columns: its watermark's, else the only TIMESTAMP.
pub fn source_time(source: &SourceConfig, table: &Schema) -> Result<String> {
    if let Some(watermark) = &source.watermark {
        return Ok(watermark.column.text.clone());
    }
    let is_time = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, _));
    let times: Vec<&String> =
        table.fields().iter().filter(|field| is_time(field.data_type())).map(|field| field.name()).collect();
    if let [only] = times.as_slice() {
        return Ok(format!("`{}`", only.replace('`', "``")));
    }
    let message = match times.len() {
        0 => "the table has no column of type TIMESTAMP".to_owned(),
        count => format!("the table has {count} columns of type TIMESTAMP"),
    };
    Err(Error::new(&codes::WRONG_USE, format!("{message}, and the source has no watermark")).with_hint(
        "Say what the event time is: --time COLUMN, or SQL such as --time 'timestamp_seconds(ts)'.",
    ))
}

impl Rest {
    /// The columns of a table.
    pub async fn columns(&self, on: &str, now_ms: i64) -> Result<SchemaRef> {
        let sql = format!("SELECT * FROM {on} LIMIT 0");
        let limits = Limits { memory: self.memory.max(LEAST_MEMORY), ..Limits::default() };
        let answer = adhoc::run(self, Some(&FromJson), &sql, Takes::Rows, limits, now_ms).await;
        Ok(answer.map_err(refused)?.schema)
    }

    /// A table whose files are read in the order of time, as far as that is known.
    fn in_order(&self, table: Arc<dyn TableProvider>) -> Arc<dyn TableProvider> {
        let mut order = self.order.lock();
        let name = order.time.as_deref().map(|time| time.trim().trim_matches('`'));
        let schema = table.schema();
        let column =
            name.and_then(|name| schema.fields().iter().find(|it| it.name().eq_ignore_ascii_case(name)));
        let Some(ordered) = ordered::in_order(&table, column.map(|field| field.name().as_str())) else {
            return table;
        };
        order.spans = ordered.spans;
        ordered.table
    }

    /// Reads the rows and hands them to workers, in order; gives the workers back with what was read. `start` starts workers that
    /// have seen nothing.
    pub async fn feed(
        &self,
        asked: &Asked<'_>,
        frames: (Frame, Option<Frame>),
        start: impl Fn() -> Workers,
        now_ms: i64,
    ) -> (Workers, Result<Read>) {
        self.order.lock().time = Some(asked.time.to_owned());
        let mut way = Way::AsTheyCome;
        loop {
            let workers = start();
            let ended = self.fed(asked, &frames, &workers, way, now_ms).await;
            way = match ended {
                Ok(Fed::All(read)) => return (workers, Ok(read)),
                Err(error) => return (workers, Err(error)),
                Ok(Fed::TooMuch) => Way::Sorted,
                Ok(Fed::Unordered) => match way.surer() {
                    Some(way) => way,
                    None => {
                        let error = Error::new(&codes::INTERNAL, "rows come out of a sort in no order");
                        return (workers, Err(error));
                    }
                },
            };
            // What they did is forgotten, errors too: the same rows come again.
            drop(workers.end(i64::MIN).await);
        }
    }

    async fn fed(
        &self,
        asked: &Asked<'_>,
        frames: &(Frame, Option<Frame>),
        workers: &Workers,
        way: Way,
        now_ms: i64,
    ) -> Result<Fed> {
        let spill = tempfile::Builder::new().prefix("forebay-backtest-").tempdir().map_err(|e| {
            Error::new(&codes::STORAGE, "no folder can be made for what does not fit into memory")
                .at(std::env::temp_dir().display())
                .caused_by(e)
        })?;
        let mut answer = self.answer(asked, frames, way, spill.path(), now_ms).await?;
        let spans = self.order.lock().spans.take();
        let micros = |ms: Option<i64>| ms.map(|ms| ms.saturating_mul(1_000));
        let mut turn = Turn::new(way, spans.as_deref(), micros(asked.from), micros(asked.to));
        let mut feeder = Feeder { frames, read: Read::default() };
        loop {
            let batch = answer.batches.next().await.transpose()?;
            let is_last = batch.is_none();
            if let Some(batch) = batch {
                let rows = batch.num_rows() as u64;
                let (batch, times) = timed(batch, &mut feeder.read)?;
                if !turn.push(batch, times, rows) {
                    return Ok(Fed::Unordered);
                }
                if way != Way::Sorted && turn.bytes() > self.memory {
                    return Ok(Fed::TooMuch);
                }
            }
            let pieces = if is_last { Some(turn.end()?) } else { turn.release()? };
            for piece in pieces.into_iter().flatten() {
                let (batch, times) = piece?;
                let Some(piece) = feeder.piece(&batch, &times)? else { continue };
                if !workers.take(piece).await {
                    return Ok(Fed::All(feeder.read));
                }
            }
            if is_last {
                return Ok(Fed::All(feeder.read));
            }
        }
    }

    async fn answer(
        &self,
        asked: &Asked<'_>,
        (new, present): &(Frame, Option<Frame>),
        way: Way,
        spill: &Path,
        now_ms: i64,
    ) -> Result<Answer> {
        let Asked { on, name, time, from, to } = asked;
        let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
        let mut columns: Vec<&str> = new.reads().chain(present.iter().flat_map(Frame::reads)).collect();
        columns.sort_unstable();
        columns.dedup();
        let columns: String = columns.iter().map(|column| format!(", {}", quoted(column))).collect();
        let bounds = [
            from.map(|ms| format!(">= timestamp_millis({ms})")),
            to.map(|ms| format!("< timestamp_millis({ms})")),
        ];
        let bounds: Vec<String> =
            bounds.iter().flatten().map(|bound| format!("(\n{time}\n) {bound}")).collect();
        let filter =
            if bounds.is_empty() { String::new() } else { format!(" WHERE {}", bounds.join(" AND ")) };
        let order = if way == Way::Sorted { format!(" ORDER BY `{TIME}`") } else { String::new() };
        let sql =
            format!("SELECT (\n{time}\n) AS `{TIME}`{columns} FROM {on} AS {}{filter}{order}", quoted(name));
        let limits = Limits { memory: self.memory.max(LEAST_MEMORY), ..Limits::default() };
        let answer = adhoc::run_in_order(self, Some(&FromJson), &sql, limits, now_ms, spill).await;
        answer.map_err(refused)
    }
}

/// Makes pieces of rows, and counts them.
struct Feeder<'a> {
    frames: &'a (Frame, Option<Frame>),
    read: Read,
}

impl Feeder<'_> {
    fn piece(&mut self, batch: &RecordBatch, micros: &[i64]) -> Result<Option<Piece>> {
        let (Some(first), Some(last)) = (micros.first(), micros.last()) else { return Ok(None) };
        let (first_ms, last_ms) = (first.div_euclid(1_000), last.div_euclid(1_000));
        let number = i64::try_from(self.read.rows).unwrap_or(i64::MAX);
        let (new, present) = self.frames;
        let piece = Piece {
            new: new.rows(batch, micros, number)?,
            present: present.as_ref().map(|frame| frame.rows(batch, micros, number)).transpose()?,
            first_ms,
            last_ms,
        };
        self.read.rows += micros.len() as u64;
        self.read.first_ms = self.read.first_ms.or(Some(first_ms));
        self.read.last_ms = Some(last_ms);
        Ok(Some(piece))
    }
}

/// The rows that have a time, with it in microseconds.
fn timed(batch: RecordBatch, read: &mut Read) -> Result<(RecordBatch, Vec<i64>)> {
    let column = batch.columns().first().ok_or_else(|| Error::new(&codes::INTERNAL, "a row has no time"))?;
    if !matches!(column.data_type(), DataType::Timestamp(_, _)) {
        let message = format!(
            "the event time is {}, not a TIMESTAMP",
            forebay_engine::plan::type_name(column.data_type())
        );
        return Err(Error::new(&codes::WRONG_USE, message).with_hint(
            "Make one of it with --time: timestamp_seconds(…), timestamp_millis(…) or to_timestamp(…).",
        ));
    }
    let unfit = |error| Error::new(&codes::TABLE_UNREADABLE, "an event time cannot be read").caused_by(error);
    let micros = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None)).map_err(unfit)?;
    let micros = micros.as_primitive::<TimestampMicrosecondType>();
    if micros.null_count() == 0 {
        let times = micros.values().to_vec();
        return Ok((batch, times));
    }
    read.without_time += micros.null_count() as u64;
    let kept = BooleanArray::from_iter(micros.iter().map(|time| Some(time.is_some())));
    let times = micros.iter().flatten().collect();
    Ok((filter_record_batch(&batch, &kept).map_err(unfit)?, times))
}

fn refused(error: SqlError) -> Error {
    let error = error.error;
    if error.code() != &codes::SQL_PLAN && error.code() != &codes::SQL_SYNTAX {
        return error;
    }
    let hint = format!(
        "{} What stands behind --on is a name, or delta.`PATH`, parquet.`PATH`, csv.`PATH`; --time is a column of it or SQL over its columns.",
        error.hint()
    );
    error.with_hint(hint.trim_start())
}
