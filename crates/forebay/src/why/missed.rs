//! Records whose rows came too late for a query, as its late table has them.

use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, UInt64Type};
use forebay_core::Result;
use forebay_core::window::interval::words;
use forebay_engine::late;

use super::find::Found;
use super::journey::Journey;

/// What the late table of a query holds of the records that were found.
#[derive(Debug, Default)]
pub struct Missed {
    rows: Vec<LateRow>,
    /// True if rows may have had to make room.
    pub may_lack: bool,
}

#[derive(Debug)]
struct LateRow {
    topic: String,
    partition: i32,
    offset: i64,
    epoch: u64,
    late_by_ms: i64,
}

/// Late rows of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLate {
    /// How many.
    pub rows: usize,
    epoch: u64,
    /// How far the latest of them was behind.
    late_by_ms: i64,
}

impl Missed {
    /// Looks these records up in the late rows of a folder.
    pub fn read(folder: &Path, found: &[Found]) -> Result<Self> {
        let mut rows = Vec::new();
        if let Some((_, batches)) = late::rows(folder)? {
            for batch in batches {
                let is_found = |row: &LateRow| found.iter().any(|record| row.is_of(record));
                rows.extend(late_rows(&batch?).unwrap_or_default().into_iter().filter(is_found));
            }
        }
        Ok(Self { rows, may_lack: late::may_lack(folder)? })
    }

    /// The late rows of a record, by the newest epoch that may be the one that read it.
    pub fn of(&self, record: &Found, journey: Journey) -> Option<TooLate> {
        let may_be = |epoch: u64| match journey {
            Journey::Read { epoch: read, .. } => read.0 == epoch,
            Journey::Before(oldest) => epoch < oldest.0,
            Journey::Unknown => true,
            Journey::BeforeStart | Journey::Waits => false,
        };
        let rows = || self.rows.iter().filter(|row| row.is_of(record) && may_be(row.epoch));
        let epoch = rows().map(|row| row.epoch).max()?;
        let of_epoch = || rows().filter(|row| row.epoch == epoch);
        let late_by_ms = of_epoch().map(|row| row.late_by_ms).max()?;
        Some(TooLate { rows: of_epoch().count(), epoch, late_by_ms })
    }
}

impl TooLate {
    /// In words, of the query of this name; `is_sure` is false where another of its inputs may have read the row.
    pub fn words(self, query: &str, is_sure: bool) -> String {
        let (by, epoch) = (words(self.late_by_ms.saturating_mul(1_000)), self.epoch);
        match (self.rows, is_sure) {
            (1, true) => format!("late by {by} in epoch {epoch}: it is in late.{query}"),
            (1, false) => {
                format!("by this input or another late by {by} in epoch {epoch}: it is in late.{query}")
            }
            (rows, _) => {
                format!("{rows} rows of it late by up to {by} in epoch {epoch}: they are in late.{query}")
            }
        }
    }
}

impl LateRow {
    fn is_of(&self, record: &Found) -> bool {
        let partition = &record.partition;
        (self.topic.as_str(), self.partition, self.offset)
            == (&*partition.topic, partition.index, record.offset)
    }
}

/// The rows of a batch of the late table whose record is known.
fn late_rows(batch: &RecordBatch) -> Option<Vec<LateRow>> {
    let reason = batch.column_by_name(late::LATE_COLUMN)?.as_struct_opt()?;
    let topics = reason.column_by_name("topic")?.as_string_opt::<i32>()?;
    let partitions = reason.column_by_name("partition")?.as_primitive_opt::<Int32Type>()?;
    let offsets = reason.column_by_name("offset")?.as_primitive_opt::<Int64Type>()?;
    let epochs = reason.column_by_name("epoch")?.as_primitive_opt::<UInt64Type>()?;
    let late_by = reason.column_by_name("late_by_ms")?.as_primitive_opt::<Int64Type>()?;
    let is_known = |row: &usize| topics.is_valid(*row) && partitions.is_valid(*row) && offsets.is_valid(*row);
    let row = |row: usize| LateRow {
        topic: topics.value(row).to_owned(),
        partition: partitions.value(row),
        offset: offsets.value(row),
        epoch: epochs.value(row),
        late_by_ms: late_by.value(row),
    };
    Some((0..reason.len()).filter(is_known).map(row).collect())
}

#[cfg(test)]
mod tests {
    use forebay_core::{Epoch, Partition};

    use super::*;
    use crate::why::find::Fault;

    #[test]
    fn a_late_row_is_that_of_the_epoch_that_read_its_record() {
        let row = |offset, epoch, late_by_ms| LateRow {
            topic: "t".to_owned(),
            partition: 0,
            offset,
            epoch,
            late_by_ms,
        };
        let rows = vec![row(5, 2, 44_000), row(5, 7, 90_500), row(5, 7, 500), row(6, 2, 1)];
        let missed = Missed { rows, may_lack: false };
        let record = |topic: &str, offset| Found {
            partition: Partition::new(topic, 0),
            offset,
            timestamp: 0,
            value: None,
            decoded: Err(Fault::Dropped),
        };
        let read = |epoch| Journey::Read { epoch: Epoch(epoch), planned_at_ms: 0, is_committed: true };
        let told = |offset, journey, is_sure| {
            let late = missed.of(&record("t", offset), journey);
            late.map_or_else(|| "in time".to_owned(), |late| late.words("q", is_sure))
        };
        let late = "late by 44 seconds in epoch 2: it is in late.q";
        let two = "2 rows of it late by up to 1 minute 30.5 seconds in epoch 7: they are in late.q";
        for (offset, journey, is_sure, expected) in [
            (5, read(2), true, late),
            (5, read(2), false, &format!("by this input or another {late}")),
            (5, read(7), true, two),
            (5, read(3), true, "in time"),
            (5, Journey::Before(Epoch(7)), true, late),
            (5, Journey::Unknown, true, two),
            (5, Journey::Waits, true, "in time"),
            (7, read(2), true, "in time"),
        ] {
            assert_eq!(told(offset, journey, is_sure), expected, "{offset} {journey:?}");
        }
        assert_eq!(missed.of(&record("other", 5), read(2)), None);
    }
}
