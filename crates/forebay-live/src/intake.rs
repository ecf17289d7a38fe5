//! The writer's side of [`SourceLive`]: rows of an envelope, or of a view over it, go to devices, labels and history.
//!
//! What must stay true: a row counts once in each of them, a record once as a message however many rows it gave, and no lock is
//! held for more than some thousand rows.

use arrow::array::{Array, RecordBatch, TimestampMicrosecondArray};
use arrow::buffer::BooleanBuffer;
use forebay_core::source::{Envelope, happened_at};

use crate::columns::Columns;
use crate::devices::Origin;
use crate::source::SourceLive;

/// Rows that are taken under one lock: about a millisecond.
const ROWS_AT_ONCE: usize = 2_048;

/// Rows that a view made of an envelope's records, in their order.
pub struct ViewRows {
    /// The view's columns.
    pub rows: RecordBatch,
    /// The timestamp of each row's record, ms.
    pub at: Vec<i64>,
    /// The event times of the rows, where the view has one.
    pub times: Option<TimestampMicrosecondArray>,
    /// Which are not the first of their record; `None` if each is a record's only one.
    pub repeats: Option<BooleanBuffer>,
}

impl SourceLive {
    /// Takes the rows of an envelope. `kept` says for each row which record it is; `None`: every record gave its row.
    /// `times` are their event times.
    pub(crate) fn take(
        &self,
        envelope: &Envelope,
        rows: &RecordBatch,
        kept: Option<&[u32]>,
        times: Option<&TimestampMicrosecondArray>,
    ) {
        let record = |row: usize| kept.map_or(row, |kept| kept[row] as usize);
        let at = |row: usize| envelope.timestamps[record(row)];
        self.take_rows(rows, at, |row| envelope.offsets[record(row)], |_| true, times);
    }

    /// Takes rows that a view made of an envelope's records.
    pub(crate) fn take_view(&self, envelope: &Envelope, made: &ViewRows) {
        // All of an envelope have the offset of its last record: those of the next one are newer, and of two rows of one
        // moment here the later is.
        let offset = envelope.offsets.last().copied().unwrap_or_default();
        let at = |row: usize| made.at.get(row).copied().unwrap_or_default();
        let is_first = |row: usize| {
            made.repeats.as_ref().is_none_or(|repeats| row >= repeats.len() || !repeats.value(row))
        };
        self.take_rows(&made.rows, at, |_| offset, is_first, made.times.as_ref());
    }

    /// Takes rows: `at` is the timestamp of a row's record, `is_first` true of a record's first row.
    fn take_rows(
        &self,
        rows: &RecordBatch,
        at: impl Fn(usize) -> i64,
        offset: impl Fn(usize) -> i64,
        is_first: impl Fn(usize) -> bool,
        times: Option<&TimestampMicrosecondArray>,
    ) {
        let columns = Columns::bind(self.layout(), rows);
        let (now_ms, version) = (self.now_ms(), self.version() + 1);
        let origin = |row: usize| {
            let event =
                times.filter(|times| times.is_valid(row)).map(|times| times.value(row).div_euclid(1_000));
            Origin { at: happened_at(at(row), now_ms), offset: offset(row), event }
        };
        let mut ids = Vec::with_capacity(ROWS_AT_ONCE.min(rows.num_rows()));
        let mut values = Vec::with_capacity(self.layout().measured.len());
        for first in (0..rows.num_rows()).step_by(ROWS_AT_ONCE) {
            let chunk = first..(first + ROWS_AT_ONCE).min(rows.num_rows());
            ids.clear();
            {
                let mut devices = self.devices.write();
                let key = self.layout().key;
                ids.extend(chunk.clone().map(|row| devices.take(&columns, key, row, origin(row), version)));
            }
            if let Some(tally) = &mut *self.tally.write() {
                chunk.clone().for_each(|row| tally.take(&columns, row, origin(row).at, now_ms));
            }
            let mut history = self.history.write();
            for (row, id) in chunk.zip(&ids) {
                values.clear();
                let measured = self.layout().measured.iter().enumerate();
                values.extend(
                    measured.filter_map(|(measure, field)| Some((measure, columns.of(*field).number(row)?))),
                );
                let at = origin(row).at;
                if is_first(row) {
                    history.message(at, now_ms);
                }
                history.add(at, *id, &values, now_ms);
            }
        }
        self.changed();
    }
}
