//! What the functions of one statement may make, in all.
//!
//! DataFusion's pool counts what sorts, joins and aggregates hold; what an expression makes is nobody's, and a few
//! nested calls (`replace(s, 'a', s)`) make gigabytes. So each expression of a statement whose values can grow stands
//! behind [`metered`]: before it is computed, what it will make by the look of its arguments ([`growth`]) must find
//! room; afterwards, what it made is charged until the last reader has let go of it.
//!
//! No function is called after the statement's time is up, and those whose work is a product of their arguments are
//! called for few rows at a time ([`work`]).
//!
//! What must stay true: it costs a lock and a few pointers per batch, nothing per row; a buffer is charged once,
//! however many arrays share it; what a function hands on unchanged is not charged to it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::array::{Array, ArrayData};
use arrow::buffer::Buffer;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use forebay_core::Error;
use forebay_core::error::codes;
use parking_lot::Mutex;

use crate::plan::deadline::Deadline;

pub(super) mod growth;
pub(super) mod metered;
pub(super) mod work;

/// Most bytes of a constant that a call makes: it may be written out for each row.
const MAX_CONSTANT: u64 = 64 << 10;
/// So many bytes and so many buffers are charged before it is looked which of them are free again.
const SWEEP_BYTES: u64 = 16 << 20;
const SWEEP_BUFFERS: usize = 1_024;

/// The bytes that the functions of one statement may hold at once.
#[derive(Debug)]
pub(super) struct Budget {
    most: u64,
    held: Mutex<Held>,
    /// Constants that calls were replaced with; a plan keeps them to its end.
    constants: AtomicU64,
    is_planned: AtomicBool,
    deadline: Option<Deadline>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: u64,
    buffers: HashMap<usize, Buffer>,
    /// Bytes and buffers that were left by the last sweep.
    left: (u64, usize),
}

impl Budget {
    /// A budget of so many bytes, up to a deadline.
    pub fn new(most: usize, deadline: Option<Deadline>) -> Self {
        Self {
            most: most as u64,
            held: Mutex::default(),
            constants: AtomicU64::new(0),
            is_planned: AtomicBool::new(false),
            deadline,
        }
    }

    /// An error after the deadline.
    pub fn in_time(&self) -> Result<()> {
        self.deadline.map_or(Ok(()), |deadline| deadline.check()).map_err(failure)
    }

    /// From now on a constant is a call's result for a batch, not a part of the plan.
    pub fn planned(&self) {
        self.is_planned.store(true, Ordering::Relaxed);
    }

    /// Computes what will make about `expected` bytes, if there is room, and charges what it made; `given` are the
    /// buffers of its arguments.
    pub fn make(
        &self,
        name: &str,
        expected: u64,
        given: &HashSet<usize>,
        work: impl FnOnce() -> Result<ColumnarValue>,
    ) -> Result<ColumnarValue> {
        self.reserve(name, expected)?;
        let made = work();
        {
            let mut held = self.held.lock();
            held.bytes = held.bytes.saturating_sub(expected);
        }
        let made = made?;
        match &made {
            ColumnarValue::Scalar(value) => self.keep(name, value.size() as u64)?,
            ColumnarValue::Array(array) => self.charge(name, &array.to_data(), given)?,
        }
        Ok(made)
    }

    fn reserve(&self, name: &str, bytes: u64) -> Result<()> {
        let mut held = self.held.lock();
        if held.bytes.saturating_add(bytes) > self.most {
            held.sweep();
        }
        let all = held.bytes.saturating_add(bytes);
        if all > self.most {
            return Err(self.too_much(name));
        }
        held.bytes = all;
        Ok(())
    }

    fn keep(&self, name: &str, bytes: u64) -> Result<()> {
        if bytes > MAX_CONSTANT {
            return Err(failure(
                Error::new(&codes::QUERY_LIMIT, format!("{name} makes a constant of {bytes} bytes"))
                    .with_hint(format!("A constant has at most {MAX_CONSTANT} bytes.")),
            ));
        }
        if self.is_planned.load(Ordering::Relaxed) {
            return Ok(());
        }
        let before = self.constants.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.most { Err(self.too_much(name)) } else { Ok(()) }
    }

    fn charge(&self, name: &str, data: &ArrayData, given: &HashSet<usize>) -> Result<()> {
        let mut held = self.held.lock();
        each_buffer(data, &mut |buffer| {
            let at = address(buffer);
            let bytes = buffer.capacity() as u64;
            if !given.contains(&at) && held.buffers.insert(at, buffer.clone()).is_none() {
                held.bytes = held.bytes.saturating_add(bytes);
            }
        });
        let (bytes, buffers) = held.left;
        let due = held.bytes > bytes.saturating_add(SWEEP_BYTES)
            || held.buffers.len() > buffers * 2 + SWEEP_BUFFERS
            || held.bytes > self.most;
        if due {
            held.sweep();
        }
        if held.bytes > self.most { Err(self.too_much(name)) } else { Ok(()) }
    }

    fn too_much(&self, name: &str) -> DataFusionError {
        let message = format!("what {name} makes is more than the query may hold: {} bytes", self.most);
        failure(Error::new(&codes::QUERY_LIMIT, message).with_hint(
            "Make shorter texts and arrays, or fewer of them: take fewer rows or columns, cut with substring(…).",
        ))
    }
}

impl Held {
    /// Lets go of what nobody else holds.
    fn sweep(&mut self) {
        let mut free = 0;
        self.buffers.retain(|_, buffer| {
            let is_held = buffer.strong_count() > 1;
            free += if is_held { 0 } else { buffer.capacity() as u64 };
            is_held
        });
        self.bytes = self.bytes.saturating_sub(free);
        self.left = (self.bytes, self.buffers.len());
    }
}

/// Where the memory behind a buffer begins: the same for all slices of it.
fn address(buffer: &Buffer) -> usize {
    buffer.data_ptr().as_ptr() as usize
}

fn each_buffer(data: &ArrayData, found: &mut impl FnMut(&Buffer)) {
    data.buffers().iter().for_each(&mut *found);
    if let Some(nulls) = data.nulls() {
        found(nulls.buffer());
    }
    for child in data.child_data() {
        each_buffer(child, found);
    }
}

/// The buffers that arguments bring with them.
pub(super) fn buffers_of<'v>(values: impl Iterator<Item = &'v ColumnarValue>) -> HashSet<usize> {
    let mut given = HashSet::new();
    for value in values {
        if let ColumnarValue::Array(array) = value {
            each_buffer(&array.to_data(), &mut |buffer| {
                given.insert(address(buffer));
            });
        }
    }
    given
}

/// Forebay's error on its way through DataFusion.
pub(super) fn failure(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
