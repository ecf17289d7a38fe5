//! Bytes to columns, with a policy for records that do not fit.
//!
//! A decoder looks at each record alone: a record either gives exactly one row or one [`BadRecord`] (or is dropped,
//! where the user asked for that), and its neighbours are the same as if it had not been there.

use std::sync::Arc;

use arrow::array::{BinaryViewArray, RecordBatch};
use arrow::datatypes::SchemaRef;

use crate::error::Result;
use crate::expectation::{Expected, Spent};
use crate::last::LastValues;
use crate::position::Partition;
use crate::quality::Judged;

/// What becomes of a record that does not decode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BadRecordMode {
    /// It goes to the quarantine with its code, place and raw bytes. Forebay's default.
    #[default]
    Quarantine,
    /// As in Spark: fields that do not fit are NULL, the text goes to `_corrupt_record` if the schema has it.
    Permissive,
    /// As in Spark: it is dropped (and counted).
    DropMalformed,
    /// As in Spark: the query stops.
    FailFast,
}

/// A kind of bad record, with its page: codes are public names that alerts and queries over the quarantine use.
#[derive(Debug, PartialEq, Eq)]
pub struct RecordCode {
    /// Stable identifier: the format's name and a word, `json.truncated`.
    pub id: &'static str,
    /// What such a message is or has, to follow "The message".
    pub meaning: &'static str,
    /// What to try, in whole sentences.
    pub remedy: &'static str,
}

/// A way to read values: makes decoders, one per lane.
pub trait Format: Send + Sync {
    /// The columns of a decoded value.
    fn schema(&self) -> SchemaRef;

    /// A decoder of its own for one lane; it may keep buffers between calls.
    fn decoder(&self) -> Box<dyn Decoder>;

    /// What its rows are held to; [`Decoded::failed`] counts in this order.
    fn expectations(&self) -> &[Expected] {
        &[]
    }

    /// What each of them cost in this process.
    fn spent(&self) -> Vec<Spent> {
        Vec::new()
    }

    /// True if its decoders remember what keys said last, so that who decodes for good has to keep it.
    fn remembers(&self) -> bool {
        false
    }
}

/// Whose values a decoder gets.
#[derive(Clone, Copy, Debug)]
pub enum Of<'p> {
    /// Those of this partition, in its order and each once.
    Partition(&'p Partition),
    /// Values of any time that are decoded once more: they are not held to what keys said last, and leave no trace in that.
    Replay,
}

/// Decodes the values of a lane.
pub trait Decoder: Send {
    /// Decodes all values. Fails only in the mode FAILFAST (`DECODE_FAILFAST`) or at an expectation that says so
    /// (`EXPECTATION_FAILED`), with `record N` as the place, N the index of the record; or when memory limits are broken.
    fn decode(&mut self, values: &BinaryViewArray) -> Result<Decoded>;

    /// The same by who decodes for good. Who only looks on has no partition to tell, and what keys said last is to them what they have
    /// seen themselves.
    fn decode_of(&mut self, values: &BinaryViewArray, _of: Of<'_>) -> Result<Decoded> {
        self.decode(values)
    }

    /// What keys said last before the first value comes.
    fn begin(&mut self, _before: Arc<LastValues>) {}

    /// What keys said last that have said anything since then.
    fn said(&mut self) -> LastValues {
        LastValues::default()
    }

    /// What was judged by expectations since it was made, or since this was asked last.
    fn judged(&mut self) -> Judged {
        Judged::default()
    }
}

/// The outcome for some records: `rows + bad + dropped + filtered` is their number.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// One row per good record, in order.
    pub rows: RecordBatch,
    /// For each row the index of its record; `None` if every record gave its row.
    pub kept: Option<Vec<u32>>,
    /// The records that did not decode or failed an expectation, by ascending index (mode quarantine).
    pub bad: Vec<BadRecord>,
    /// Records that were dropped (mode DROPMALFORMED, or an expectation that drops).
    pub dropped: u64,
    /// Records that are not among those that the format is asked for: of [invalid ones](crate::config::InvalidConfig) those that are
    /// as they should be.
    pub filtered: u64,
    /// For each of [`Format::expectations`] how many rows failed it; may be empty if there are none.
    pub failed: Vec<u64>,
}

/// Why a record did not decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// The index of the record in the values that were given.
    pub index: u32,
    /// A stable code such as `json.truncated`, `json.type` or `expect.range`.
    pub code: &'static str,
    /// The JSON path of the field, `$` for the record as a whole.
    pub path: String,
    /// What was expected and what was found: of a record that does not decode without its content, of one that fails an
    /// expectation with the values that it is about.
    pub why: String,
}
