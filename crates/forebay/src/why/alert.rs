//! What an alert made of a record: what its conditions say of it, and what its journal says that it did.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use forebay_core::Result;
use forebay_core::checkpoint::Entry;
use forebay_core::clock::{Clock, SystemClock};
use forebay_core::config::{LevelConfig, SourceConfig};
use forebay_core::table::StaticTable;
use forebay_engine::lookup::{self, Held};
use forebay_engine::plan::{Fates, PlannedInput, Refusal};
use forebay_rules::{AlertState, Deed, Recalled, Says, Seen};

use super::find::Found;
use super::journey::{Journey, entries, journey};
use crate::alerts::PlannedAlert;
use crate::talk;

/// Most rows of a record that are told one by one.
const MOST_ROWS: usize = 20;

/// An alert that reads the source, and what its checkpoint and journal say.
pub struct Watcher<'a> {
    /// The name of its query.
    name: String,
    alert: &'a PlannedAlert,
    entries: Vec<Entry>,
    recalled: Recalled,
    /// What is in its tables now.
    held: Arc<Held>,
}

impl<'a> Watcher<'a> {
    /// Reads what the alert has left.
    pub async fn open(
        data: &Path,
        pipeline: &str,
        alert: &'a PlannedAlert,
        tables: &[Arc<dyn StaticTable>],
    ) -> Result<Self> {
        let folder = alert.checkpoint(data, pipeline);
        let (recalled, held) = (Recalled::read(&folder)?, lookup::newest(&alert.plan, tables).await?);
        Ok(Self { name: alert.query_name(), alert, entries: entries(&folder)?, recalled, held })
    }

    /// What the alert made of a record of this source, a line for each time that it reads it.
    pub fn told(&self, source: &SourceConfig, record: &Found) -> Result<String> {
        let inputs = (0u16..).zip(self.alert.plan.each_input());
        let own: Vec<_> = inputs.filter(|(_, it)| it.source().eq_ignore_ascii_case(&source.name)).collect();
        let mut out = String::new();
        for (number, input) in &own {
            let which = if own.len() > 1 { format!(" (input {number})") } else { String::new() };
            out.push_str(&format!("  {}{which}: {}\n", self.name, self.fate(record, *number, *input)?));
        }
        Ok(out)
    }

    fn fate(&self, record: &Found, number: u16, input: PlannedInput<'_>) -> Result<String> {
        let journey = journey(&self.entries, &record.partition.of_input(number), record.offset);
        let way = journey.words(!self.entries.is_empty());
        if journey == Journey::BeforeStart {
            return Ok(way);
        }
        let fate = match &record.decoded {
            Err(_) => "it has no row to look at".to_owned(),
            Ok(_) if self.alert.plan.uses_epoch_time() && journey.time().is_none() => {
                "a condition asks for the time of its epoch, which is not known".to_owned()
            }
            Ok(_) if self.alert.plan.remembers() => {
                "goes on to a detector; what that said is in the rows of a query that reads it".to_owned()
            }
            Ok(row) => {
                let epoch_ms = journey.time().unwrap_or_else(|| SystemClock.now_ms());
                let row = record.input(row, &input.schema())?;
                let mut executor = input.executor(epoch_ms).holding(Arc::clone(&self.held));
                match executor.refusal(row.clone()) {
                    Ok(None) => match executor.process(row, &mut Fates::default()) {
                        Ok(rows) => self.each(&rows, epoch_ms, journey)?,
                        Err(error) => format!("fails: {error}"),
                    },
                    Ok(Some(Refusal::Alone(tables))) => {
                        format!("not looked at: it finds no partner in {tables} as it is now")
                    }
                    Ok(Some(Refusal::Met(tables))) => {
                        format!("not looked at: it finds a partner in {tables} as it is now")
                    }
                    Ok(Some(Refusal::Empty(call))) => format!("not looked at: `{call}` finds no element"),
                    Ok(Some(Refusal::Condition(condition))) => {
                        format!("not looked at: `{condition}` does not hold")
                    }
                    Err(error) => format!("fails: {error}"),
                }
            }
        };
        Ok(format!("{way}; {fate}"))
    }

    /// What it saw of the rows that a record became.
    fn each(&self, rows: &RecordBatch, epoch_ms: i64, journey: Journey) -> Result<String> {
        let told = |row: usize| -> Result<String> {
            Ok(self.seen(&Seen::row(&rows.slice(row, 1), &self.alert.logic(), epoch_ms)?, journey))
        };
        let mut told = (0..rows.num_rows().min(MOST_ROWS)).map(told).collect::<Result<Vec<String>>>()?;
        if rows.num_rows() > MOST_ROWS {
            told.push(format!("and {} more rows", rows.num_rows() - MOST_ROWS));
        }
        Ok(told.join("; "))
    }

    /// What a row says of each condition; of one that stands nowhere in the file nothing is told.
    fn conditions(&self, seen: &Seen) -> Vec<String> {
        let holds = |name: &str, of: &str, what: Option<bool>| match what {
            Some(true) => format!("`{name}`{of} holds"),
            Some(false) => format!("`{name}`{of} does not hold"),
            None => format!("`{name}`{of} is NULL"),
        };
        let config = &self.alert.config;
        if config.levels.is_empty() {
            let one = seen.says.first();
            let clear = one.filter(|_| config.clear.is_some()).map(|says| holds("clear", "", says.clear));
            return one.map(|says| holds("when", "", says.when)).into_iter().chain(clear).collect();
        }
        let of_level = |(says, level): (&Says, &LevelConfig)| {
            let of = format!(" of {}", says.severity.word());
            let clear = level.clear.as_ref().map(|_| holds("clear", &of, says.clear));
            [Some(holds("when", &of, says.when)), clear]
        };
        seen.says.iter().zip(&config.levels).flat_map(of_level).flatten().collect()
    }

    fn seen(&self, seen: &Seen, journey: Journey) -> String {
        let mut told = self.conditions(seen);
        // Only what is read can have done anything; the journal may know of an epoch that is not committed yet.
        let may_be_read = match journey {
            Journey::Read { .. } | Journey::Before(_) => true,
            Journey::Unknown => !self.entries.is_empty(),
            Journey::BeforeStart | Journey::Waits => false,
        };
        if may_be_read {
            let deeds = self.recalled.deeds(seen);
            told.extend(deeds.iter().map(deed));
            if deeds.is_empty() {
                told.push("it opened and cleared nothing that is still known".to_owned());
            }
        }
        let key = seen.key.as_ref().map_or_else(|| "NULL".to_owned(), |key| format!("`{key}`"));
        talk::printable(&format!("key {key}: {}", told.join(", ")).replace('\n', " "))
    }
}

fn deed(deed: &Deed) -> String {
    match deed {
        Deed::Opened(alert) => {
            let now = match alert.state {
                AlertState::Open => "still open",
                AlertState::Cleared => "cleared since",
            };
            format!("opened {} ({now})", alert.id)
        }
        Deed::Changed(alert, severity) => format!("made {} {}", alert.id, severity.word()),
        Deed::Cleared(alert) => format!("cleared {}", alert.id),
        Deed::Began => "it holds since then, not yet for long enough (`for`)".to_owned(),
    }
}
