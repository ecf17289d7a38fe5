//! What a decoder judged: rows, those that failed, by rule and by device.
//!
//! Rows that meet everything are counted by their number alone: only of those that fail anything the device is looked up. What must
//! stay true: every failure is counted, also where its device is not told by name.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{cast, filter};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use forebay_core::Result;
use forebay_core::quality::{Judged, LONGEST_DEVICE};

use super::conditions::Failing;
use super::rate::column;
use super::{Check, unfit};

/// Most devices that are told apart between two answers: an epoch keeps the worst few of them.
const MOST_DEVICES: usize = 10_000;

/// Counts since the last answer.
pub(super) struct Count {
    /// The column that names the device, by its names from the top down.
    device: Option<Vec<String>>,
    rows: u64,
    failed: u64,
    unreadable: u64,
    /// By the places of the checks.
    rules: Vec<u64>,
    devices: HashMap<Box<str>, Box<[u64]>>,
}

impl Count {
    pub fn new(device: Option<Vec<String>>, checks: usize) -> Self {
        Self { device, rows: 0, failed: 0, unreadable: 0, rules: vec![0; checks], devices: HashMap::new() }
    }

    /// Adds rows, and for each check those of them that fail it.
    pub fn add(&mut self, rows: &RecordBatch, unreadable: u64, failing: &[Failing]) -> Result<()> {
        self.rows += rows.num_rows() as u64;
        self.unreadable += unreadable;
        let mut any: Option<BooleanBuffer> = None;
        for (all, it) in self.rules.iter_mut().zip(failing) {
            let count = it.rows.count_set_bits() as u64;
            if count > 0 {
                *all += count;
                any = Some(any.map_or_else(|| it.rows.clone(), |any| &any | &it.rows));
            }
        }
        let Some(any) = any else { return Ok(()) };
        self.failed += any.count_set_bits() as u64;
        self.add_devices(rows, &any, failing).map_err(unfit)
    }

    fn add_devices(
        &mut self,
        rows: &RecordBatch,
        any: &BooleanBuffer,
        failing: &[Failing],
    ) -> std::result::Result<(), ArrowError> {
        let Some(path) = &self.device else { return Ok(()) };
        let those = filter(&column(rows, path)?, &BooleanArray::new(any.clone(), None))?;
        let names = cast(&those, &DataType::Utf8)?;
        let names = names.as_string::<i32>();
        for (at, row) in any.set_indices().enumerate() {
            if names.is_null(at) || names.value(at).len() > LONGEST_DEVICE {
                continue;
            }
            let name = names.value(at);
            if !self.devices.contains_key(name) {
                if self.devices.len() == MOST_DEVICES {
                    continue;
                }
                self.devices.insert(name.into(), vec![0; self.rules.len()].into());
            }
            let Some(counts) = self.devices.get_mut(name) else { continue };
            for (count, it) in counts.iter_mut().zip(failing) {
                *count += u64::from(it.rows.value(row));
            }
        }
        Ok(())
    }

    /// What was counted since this was asked last.
    pub fn told(&mut self, checks: &[Check]) -> Judged {
        let fresh = Self::new(self.device.clone(), self.rules.len());
        let Self { rows, failed, unreadable, rules, devices, .. } = std::mem::replace(self, fresh);
        let named = |counts: &[u64]| {
            let each = checks.iter().zip(counts).filter(|(_, count)| **count > 0);
            each.map(|(check, count)| ((*check.expected.name).into(), *count)).collect()
        };
        let devices = devices.into_iter().map(|(name, counts)| (name, named(&counts))).collect();
        Judged { rows, failed, unreadable, rules: named(&rules), devices }
    }
}
