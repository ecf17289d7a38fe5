//! Rows held to what their source expects: a format around another one.
//!
//! ```text
//! bytes ──decoder──▶ rows ──conditions──▶ rows            with `_failed_expectations` if an expectation flags
//!             └─ bad            ├─ bad     set aside, `why` tells expectation and value
//!                               ├─ dropped
//!                               └─ error   the query stops
//! ```
//!
//! It stands where the decoder stands, so a query, the page, `forebay test`, `forebay why` and ad-hoc SQL see the same rows, and lanes,
//! ledger and quarantine need no rule of their own: a record that fails is a bad or a dropped one. What must stay true: a row
//! is held to each condition by itself, and to a rate of change by what its partition said before it, so the same record has the same
//! fate in every batch and every epoch; and a condition that cannot be computed for a row fails for that row alone.
//!
//! [`Conditions`] evaluates, [`Rates`] remembers what keys said last, [`told`] puts a failure into words, [`Count`] counts what was judged, [`Costs`] what that cost, [`Invalid`] gives the records that have no row instead of those that have.

mod conditions;
mod cost;
mod count;
mod invalid;
mod last;
mod rate;
#[cfg(test)]
mod rate_tests;
#[cfg(test)]
mod tests;
mod told;

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, BinaryViewArray, BooleanArray, ListArray, RecordBatch, StringArray, StringBuilder,
};
use arrow::buffer::{BooleanBuffer, OffsetBuffer};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use forebay_core::error::codes;
use forebay_core::expectation::{Expected, FAILED_COLUMN, OnFail, Spent, failed_field};
use forebay_core::format::{BadRecord, Decoded, Decoder, Format, Of, RecordCode};
use forebay_core::last::LastValues;
use forebay_core::quality::Judged;
use forebay_core::{Error, Partition, Result, Zone};

pub use self::conditions::check_pattern;
use self::conditions::{Conditions, Evaluator, Failing};
use self::cost::Costs;
use self::count::Count;
pub use self::invalid::{Invalid, invalid_columns};
pub(crate) use self::last::Last;
pub use self::rate::Rate;
use self::rate::Rates;
use crate::plan::JsonDecoderFactory;

/// Keys of which who only looks on remembers what they said last; up to twice as many and those of a batch until room is made. As many as
/// the page shows devices.
const MOST_KEYS_LOOKED_ON: usize = 100_000;

/// One expectation, as it is evaluated and told.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its name, and what becomes of rows that fail it.
    pub expected: Expected,
    /// What the quarantine calls a record that fails it.
    pub code: &'static RecordCode,
    /// The condition that rows meet, SQL; one that is NULL is met.
    pub sql: String,
    /// The columns whose values are told, each by its names from the top down.
    pub columns: Vec<Vec<String>>,
    /// What is expected, in words that follow "expected".
    pub wanted: String,
    /// How fast a value may change, if that is what is expected; then the condition is met by every row.
    pub rate: Option<Rate>,
}

/// A format whose rows are held to expectations.
pub struct Expecting {
    inner: Arc<dyn Format>,
    schema: SchemaRef,
    expected: Vec<Expected>,
    checks: Arc<[Check]>,
    conditions: Conditions,
    device: Option<Vec<String>>,
    costs: Arc<Costs>,
}

impl Expecting {
    /// Holds the rows of `inner`, which are those of `source`, to these; `time_zone` is that of their SQL.
    ///
    /// # Errors
    /// What is wrong with a condition, as [`crate::plan::row_conditions`] tells it; `BAD_SCHEMA` if a column has the name
    /// [`FAILED_COLUMN`] already.
    pub fn new(
        inner: Arc<dyn Format>,
        source: &str,
        checks: Vec<Check>,
        time_zone: Zone,
        json: Option<&dyn JsonDecoderFactory>,
    ) -> Result<Self> {
        let decoded = inner.schema();
        let conditions = Conditions::new(source, &decoded, &checks, time_zone, json)?;
        let expected: Vec<Expected> = checks.iter().map(|check| check.expected.clone()).collect();
        let schema = columns(&decoded, &expected)?;
        let costs = Arc::new(Costs::new(checks.len()));
        Ok(Self { inner, schema, expected, checks: checks.into(), conditions, device: None, costs })
    }

    /// The same, which counts what fails by the devices that this column names, by its names from the top down.
    pub fn by_device(self, column: Option<Vec<String>>) -> Self {
        Self { device: column, ..self }
    }
}

/// The columns of a source of these decoded ones that is held to these expectations.
///
/// # Errors
/// `BAD_SCHEMA` if [`FAILED_COLUMN`] is needed and taken.
pub fn columns(decoded: &SchemaRef, expected: &[Expected]) -> Result<SchemaRef> {
    if !expected.iter().any(|it| it.on_fail == OnFail::Flag) {
        return Ok(Arc::clone(decoded));
    }
    if decoded.fields().iter().any(|field| field.name().eq_ignore_ascii_case(FAILED_COLUMN)) {
        let message =
            format!("the schema has a column `{FAILED_COLUMN}`, and an expectation that flags makes one");
        return Err(
            Error::new(&codes::BAD_SCHEMA, message).with_hint("Give the column of the schema another name.")
        );
    }
    let fields = decoded.fields().iter().cloned().chain([Arc::new(failed_field())]);
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

impl Format for Expecting {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Held {
            inner: self.inner.decoder(),
            schema: Arc::clone(&self.schema),
            checks: Arc::clone(&self.checks),
            evaluator: self.conditions.evaluator(),
            rates: Rates::new(&self.checks),
            count: Count::new(self.device.clone(), self.checks.len()),
            costs: Arc::clone(&self.costs),
        })
    }

    fn remembers(&self) -> bool {
        self.checks.iter().any(|check| check.rate.is_some())
    }

    fn expectations(&self) -> &[Expected] {
        &self.expected
    }

    fn spent(&self) -> Vec<Spent> {
        self.costs.spent()
    }
}

/// Decodes, and holds what it decoded to the expectations.
struct Held {
    inner: Box<dyn Decoder>,
    schema: SchemaRef,
    checks: Arc<[Check]>,
    evaluator: Evaluator,
    /// `None` if nothing is held to a rate.
    rates: Option<Rates>,
    count: Count,
    costs: Arc<Costs>,
}

impl Decoder for Held {
    fn decode(&mut self, values: &BinaryViewArray) -> Result<Decoded> {
        // Who only looks on is never asked what was said, so it makes room by itself.
        if let Some(rates) = &mut self.rates {
            rates.make_room(MOST_KEYS_LOOKED_ON);
        }
        self.decode_of(values, Of::Partition(&Partition::new("", 0)))
    }

    fn begin(&mut self, before: Arc<LastValues>) {
        if let Some(rates) = &mut self.rates {
            rates.begin(before);
        }
    }

    fn said(&mut self) -> LastValues {
        self.rates.as_mut().map(Rates::said).unwrap_or_default()
    }

    fn judged(&mut self) -> Judged {
        self.count.told(&self.checks)
    }

    fn decode_of(&mut self, values: &BinaryViewArray, of: Of<'_>) -> Result<Decoded> {
        let mut decoded = self.inner.decode(values)?;
        let begun = Instant::now();
        let mut failing = self.evaluator.failing(&decoded.rows)?;
        let (rows, evaluator) = (&decoded.rows, &mut self.evaluator);
        self.costs.took(rows.num_rows(), begun.elapsed(), |check, count| {
            let begun = Instant::now();
            evaluator.try_alone(check, &rows.slice(0, count));
            begun.elapsed()
        });
        if let (Some(rates), Of::Partition(partition)) = (&mut self.rates, of) {
            let begun = Instant::now();
            rates.hold(rows, &self.checks, partition, &mut failing)?;
            self.costs.held(begun.elapsed(), &rates.checks());
        }
        self.count.add(&decoded.rows, decoded.bad.len() as u64 + decoded.dropped, &failing)?;
        decoded.failed = failing.iter().map(|it| it.rows.count_set_bits() as u64).collect();
        if decoded.failed.iter().any(|count| *count > 0) {
            self.refuse_to_go_on(&decoded, &failing)?;
            self.take_out(&mut decoded, &failing)?;
        } else {
            decoded.rows = self.flagged(&decoded.rows, None)?;
        }
        Ok(decoded)
    }
}

impl Held {
    /// The error for the first row that must stop the query.
    fn refuse_to_go_on(&self, decoded: &Decoded, failing: &[Failing]) -> Result<()> {
        let stopping = self.those(failing, OnFail::Fail);
        let first = stopping
            .filter_map(|(check, it)| Some((it.rows.set_indices().next()?, check, it)))
            .min_by_key(|it| it.0);
        let Some((row, check, it)) = first else { return Ok(()) };
        Err(Error::new(
            &codes::EXPECTATION_FAILED,
            format!("a row fails the expectation `{}`", check.expected.name),
        )
        .with_detail(told::failure(check, it, &decoded.rows, row))
        .at(format!("record {}", record_of(decoded, row))))
    }

    /// Takes the rows out whose records are set aside or dropped, and tells of the others what they failed.
    fn take_out(&self, decoded: &mut Decoded, failing: &[Failing]) -> Result<()> {
        let rows = decoded.rows.num_rows();
        let any = |on_fail| {
            let none = BooleanBuffer::new_unset(rows);
            self.those(failing, on_fail).fold(none, |all, (_, it)| &all | &it.rows)
        };
        let (aside, dropped) = (any(OnFail::Quarantine), any(OnFail::Drop));
        let kept = !&(&aside | &dropped);
        let bad: Vec<BadRecord> = aside.set_indices().map(|row| self.bad(decoded, failing, row)).collect();
        decoded.bad.extend(bad);
        decoded.bad.sort_by_key(|bad| bad.index);
        decoded.dropped += (&dropped & &!&aside).count_set_bits() as u64;
        if kept.count_set_bits() == rows {
            decoded.rows = self.flagged(&decoded.rows, Some((failing, &kept)))?;
            return Ok(());
        }
        decoded.kept = Some(kept.set_indices().map(|row| record_of(decoded, row)).collect());
        let left =
            filter_record_batch(&decoded.rows, &BooleanArray::new(kept.clone(), None)).map_err(unfit)?;
        decoded.rows = self.flagged(&left, Some((failing, &kept)))?;
        Ok(())
    }

    /// The record of a row that is set aside: code and place of the first expectation that says so, and all that it failed.
    fn bad(&self, decoded: &Decoded, failing: &[Failing], row: usize) -> BadRecord {
        let failed: Vec<(&Check, &Failing)> =
            self.those(failing, OnFail::Quarantine).filter(|(_, it)| it.rows.value(row)).collect();
        let first = failed.first().map(|(check, _)| *check);
        BadRecord {
            index: record_of(decoded, row),
            code: first.map_or(codes::EXPECTATION_FAILED.id, |check| check.code.id),
            path: first.map_or_else(|| "$".to_owned(), told::path),
            why: told::all(&failed, &decoded.rows, row),
        }
    }

    fn those<'a>(
        &'a self,
        failing: &'a [Failing],
        on_fail: OnFail,
    ) -> impl Iterator<Item = (&'a Check, &'a Failing)> {
        self.checks.iter().zip(failing).filter(move |(check, _)| check.expected.on_fail == on_fail)
    }

    /// The rows, with the names of what they failed if an expectation flags; `failing` is of the rows of which those that
    /// are set in the mask are left, `None` if none fails anything.
    fn flagged(
        &self,
        left: &RecordBatch,
        failing: Option<(&[Failing], &BooleanBuffer)>,
    ) -> Result<RecordBatch> {
        if self.schema.fields().len() == left.num_columns() {
            return Ok(left.clone());
        }
        let names = match failing {
            None => no_names(left.num_rows()),
            Some((failing, kept)) => {
                let flags: Vec<_> = self.those(failing, OnFail::Flag).collect();
                names(&flags, kept)
            }
        };
        let columns = left.columns().iter().cloned().chain([names.map_err(unfit)?]).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(unfit)
    }
}

/// The index of the record that a row is of.
fn record_of(decoded: &Decoded, row: usize) -> u32 {
    match &decoded.kept {
        Some(kept) => kept.get(row).copied().unwrap_or(u32::MAX),
        None => u32::try_from(row).unwrap_or(u32::MAX),
    }
}

/// Lists without an element.
fn no_names(rows: usize) -> Result<ArrayRef, ArrowError> {
    list(OffsetBuffer::new_zeroed(rows), StringArray::from_iter_values(std::iter::empty::<&str>()))
}

/// The names of what each row of the mask failed.
fn names(flags: &[(&Check, &Failing)], kept: &BooleanBuffer) -> Result<ArrayRef, ArrowError> {
    let mut names = StringBuilder::new();
    let mut lengths = Vec::with_capacity(kept.count_set_bits());
    for row in kept.set_indices() {
        let failed = flags.iter().filter(|(_, it)| it.rows.value(row));
        let count = failed.map(|(check, _)| names.append_value(&check.expected.name)).count();
        lengths.push(count);
    }
    list(OffsetBuffer::from_lengths(lengths), names.finish())
}

fn list(offsets: OffsetBuffer<i32>, names: StringArray) -> Result<ArrayRef, ArrowError> {
    let DataType::List(element) = failed_field().data_type().clone() else {
        return Err(ArrowError::SchemaError("the column of failed expectations is no list".to_owned()));
    };
    Ok(Arc::new(ListArray::try_new(element, offsets, Arc::new(names), None)?))
}

fn unfit(error: ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "rows that are held to expectations do not fit together").caused_by(error)
}
