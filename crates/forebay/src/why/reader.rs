//! What a query made of a record: set aside, filtered, too late, or taken by what it remembers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use forebay_core::Result;
use forebay_core::checkpoint::{Entry, RecordId};
use forebay_core::clock::{Clock, SystemClock};
use forebay_core::config::{Pipeline, QueryConfig, SourceConfig};
use forebay_core::expectation::OnFail;
use forebay_core::table::StaticTable;
use forebay_engine::checkpoint::definition;
use forebay_engine::late;
use forebay_engine::lookup::{self, Held};
use forebay_engine::plan::{Fates, PlannedInput, Refusal, StreamPlan};
use forebay_engine::quarantine::{self, Quarantine};
use forebay_engine::taken::Taker;
use forebay_storage::Door;

use super::find::{Fault, Found};
use super::journey::{Journey, entries, journey};
use super::missed::Missed;
use super::once::{self, Known};
use crate::definition as current;
use crate::work::{Work, sources_of};
use crate::{expect, load};

/// A query that reads the source, and what its checkpoint, its quarantine and its late table say.
pub struct Reader<'a> {
    name: &'a str,
    plan: &'a StreamPlan,
    source: &'a SourceConfig,
    entries: Vec<Entry>,
    /// Records in its quarantine, with the input that read them and their timestamps.
    set_aside: Vec<(RecordId, u16, i64)>,
    /// Records in its late table.
    missed: Missed,
    /// Of each input that ends at `deduplicate` the records whose keys were there.
    known: BTreeMap<u16, Vec<Known>>,
    /// What is in its tables now.
    held: Arc<Held>,
    /// False if the query is known to have run with another SQL or schema, or if that is not known.
    is_what_ran: bool,
}

impl<'a> Reader<'a> {
    /// Reads what the query has left of the records that were `found` in the source.
    pub async fn open(
        data: &Path,
        (file, tables): (&Pipeline, &[Arc<dyn StaticTable>]),
        (query, plan): (&'a QueryConfig, &'a StreamPlan),
        (source, found): (&'a SourceConfig, &[Found]),
    ) -> Result<Self> {
        let folder = load::checkpoint_folder(data, &file.name, query);
        let aside = quarantine::folder(data, &file.name, &query.name);
        let mut set_aside = Vec::new();
        if aside.exists() {
            let quarantine = Quarantine::open(aside, Door::new(), file.quarantine.clone())?;
            let open = quarantine.open_entries()?.into_iter();
            set_aside.extend(open.map(|entry| (entry.id, entry.input, entry.timestamp)));
        }
        let held = lookup::newest(plan, tables).await?;
        let ran = definition::recall(&folder).unwrap_or_default();
        let sources = sources_of(&file.sources, plan)?;
        let is_what_ran = ran == Some(current::of(file, Work::Query(query), &sources, plan));
        let missed = Missed::read(&late::folder(data, &file.name, &query.name), found)?;
        let (name, entries) = (query.name.as_str(), entries(&folder)?);
        let known = BTreeMap::new();
        let mut own = Self { name, plan, source, entries, set_aside, missed, known, held, is_what_ran };
        own.known = own.inputs().map(|(number, input)| (number, own.seen(found, number, input))).collect();
        Ok(own)
    }

    /// The inputs that read the source, as both sides of a join may.
    fn inputs(&self) -> impl Iterator<Item = (u16, PlannedInput<'a>)> + use<'_, 'a> {
        let is_own = |(_, it): &(u16, PlannedInput<'_>)| it.source().eq_ignore_ascii_case(&self.source.name);
        (0u16..).zip(self.plan.each_input()).filter(is_own)
    }

    /// The records whose keys `deduplicate` is sure to have seen.
    fn seen(&self, found: &[Found], number: u16, input: PlannedInput<'_>) -> Vec<Known> {
        let Taker::Once(once) = self.plan.taker(number) else { return Vec::new() };
        let known = |record: &Found| {
            let journey = self.journey(record, number);
            let is_in_time = !self.missed.may_lack && self.missed.of(record, journey).is_none();
            if !is_over(journey) || !is_in_time {
                return None;
            }
            let rows = self.rows(record, input, journey).ok().flatten()?;
            Known::new(&record.partition, record.offset, &rows, &once)
        };
        found.iter().filter_map(known).collect()
    }

    fn journey(&self, record: &Found, number: u16) -> Journey {
        journey(&self.entries, &record.partition.of_input(number), record.offset)
    }

    /// The rows of a record behind the filters; `None` if it has none, or if that goes by a time that is not known.
    fn rows(&self, record: &Found, input: PlannedInput<'_>, journey: Journey) -> Result<Option<RecordBatch>> {
        let Ok(row) = &record.decoded else { return Ok(None) };
        if self.plan.uses_epoch_time() && journey.time().is_none() {
            return Ok(None);
        }
        let row = record.input(row, &input.schema())?;
        let executor = input.executor(journey.time().unwrap_or_else(|| SystemClock.now_ms()));
        let mut executor = executor.holding(Arc::clone(&self.held));
        executor.process(row, &mut Fates::default()).map(Some)
    }

    /// What became of a record in this query: once for each input that reads its source.
    pub fn told(&self, record: &Found) -> Result<String> {
        let own: Vec<_> = self.inputs().collect();
        let is_only = own.len() == 1;
        let mut out = String::new();
        for (number, input) in own {
            let which = if is_only { String::new() } else { format!(" (input {number})") };
            let fate = self.fate(record, number, input, is_only)?;
            out.push_str(&format!("  {}{which}: {fate}\n", self.name));
        }
        Ok(out)
    }

    fn fate(&self, record: &Found, number: u16, input: PlannedInput<'_>, is_only: bool) -> Result<String> {
        let journey = self.journey(record, number);
        let way = journey.words(!self.entries.is_empty());
        if journey == Journey::BeforeStart {
            return Ok(way);
        }
        let fate = match (&record.decoded, self.missed.of(record, journey)) {
            (Err(fault), _) => self.aside(record, number, fault),
            (Ok(_), Some(late)) => {
                let rows = self.rows(record, input, journey).ok().flatten();
                let others = rows.is_some_and(|rows| rows.num_rows() > late.rows);
                let others = if others && is_only { "; its other rows were in time" } else { "" };
                format!("{}{others}", late.words(self.name, is_only))
            }
            // Whether a condition on the time held is known only with the time of its epoch.
            (Ok(_), None) if self.plan.uses_epoch_time() && journey.time().is_none() => {
                "the SELECT asks for the time of its epoch, which is not known".to_owned()
            }
            (Ok(row), None) => {
                let row = record.input(row, &input.schema())?;
                let executor = input.executor(journey.time().unwrap_or_else(|| SystemClock.now_ms()));
                match executor.holding(Arc::clone(&self.held)).refusal(row) {
                    Ok(None) => self.taken(record, number, input, journey)?,
                    Ok(Some(Refusal::Alone(tables))) => format!("finds no partner in {tables} as it is now"),
                    Ok(Some(Refusal::Met(tables))) => format!("finds a partner in {tables} as it is now"),
                    Ok(Some(Refusal::Empty(call))) => format!("gives no row: `{call}` finds no element"),
                    Ok(Some(Refusal::Condition(condition))) => {
                        format!("filtered: `{condition}` does not hold")
                    }
                    Err(error) => format!("fails: {error}"),
                }
            }
        };
        let joined = joined(&self.entries, journey);
        let doubt = if self.is_what_ran || self.entries.is_empty() {
            ""
        } else {
            " (with SQL and schema as they are now; it ran with others, or that is not known)"
        };
        Ok(format!("{way}{joined}; {fate}{doubt}"))
    }

    /// What becomes of a record that passes the filters, and is not among the late rows.
    fn taken(
        &self,
        record: &Found,
        number: u16,
        input: PlannedInput<'_>,
        journey: Journey,
    ) -> Result<String> {
        let fate = match self.plan.taker(number) {
            Taker::Nobody => {
                let rows = self.rows(record, input, journey)?.map_or(1, |rows| rows.num_rows());
                return Ok(if rows == 1 {
                    "comes out as a row".to_owned()
                } else {
                    format!("comes out as {rows} rows")
                });
            }
            Taker::Groups => "counts in its group".to_owned(),
            Taker::Sessions => "counts in its session".to_owned(),
            Taker::Once(once) => match self.rows(record, input, journey)? {
                Some(rows) => {
                    let known = self.known.get(&number).map(Vec::as_slice).unwrap_or_default();
                    once::fate((&record.partition, record.offset), &rows, &once, known)
                }
                None => "goes on to `deduplicate`".to_owned(),
            },
            Taker::Side { is_left: true } => "goes to the left side of the join".to_owned(),
            Taker::Side { is_left: false } => "goes to the right side of the join".to_owned(),
            Taker::Detector => "goes on with what the detector says of it".to_owned(),
            Taker::First(most) => format!("comes out if it is among the first {most} rows"),
            Taker::Other => "goes on to what the query remembers".to_owned(),
        };
        let unless = match (self.plan.can_be_late(), is_over(journey), self.missed.may_lack) {
            (false, ..) | (true, true, false) => "",
            (true, false, _) => ", unless it comes too late",
            (true, true, true) => ", unless it came too late and had to make room in the late table",
        };
        Ok(format!("passes the filters; {fate}{unless}"))
    }

    /// What becomes of a record that does not decode, or fails an expectation.
    fn aside(&self, record: &Found, number: u16, fault: &Fault) -> String {
        let id = RecordId {
            topic: record.partition.topic.to_string(),
            partition: record.partition.index,
            offset: record.offset,
        };
        let is_it = |(known, input, at): &(RecordId, u16, i64)| {
            (known, *input, *at) == (&id, number, record.timestamp)
        };
        let is_aside = self.set_aside.iter().any(is_it);
        match fault {
            Fault::Dropped => "dropped: it does not decode (DROPMALFORMED)".to_owned(),
            Fault::Bad(_) if is_aside => format!("in the quarantine: `forebay quarantine show {id}`"),
            Fault::Bad(bad) => match self.source.value.as_ref().and_then(|value| expect::fate_of(value, bad))
            {
                Some(OnFail::Drop) => "dropped: it fails an expectation (`onFail: drop`)".to_owned(),
                Some(OnFail::Fail) => "stops the query: it fails an expectation (`onFail: fail`)".to_owned(),
                _ => "not among the open records of its quarantine".to_owned(),
            },
        }
    }
}

/// True if a committed epoch read the record: what came too late by then is in the late table.
fn is_over(journey: Journey) -> bool {
    matches!(journey, Journey::Read { is_committed: true, .. } | Journey::Before(_))
}

/// Which versions of tables the epoch that read a record was joined with.
fn joined(entries: &[Entry], journey: Journey) -> String {
    let Journey::Read { epoch, .. } = journey else { return String::new() };
    let plan = entries.iter().rev().find_map(|entry| match entry {
        Entry::Plan(plan) if plan.epoch == epoch => Some(plan),
        _ => None,
    });
    let tables = plan.iter().flat_map(|plan| &plan.tables);
    tables.map(|(name, version)| format!(", joined with `{name}` version {version}")).collect()
}
