//! What a query with state holds for which time: for `forebay why window`.
//!
//! Reads a checkpoint as `forebay checkpoint show` does, beside a query that runs. What must stay true: what is told is the
//! state after the epoch that was asked for, and nothing is changed.

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use forebay_core::error::codes;
use forebay_core::output_mode::OutputMode;
use forebay_core::window::Sliding;
use forebay_core::{Epoch, Error, Result};

use crate::epoch::Tail;
use crate::plan::StreamPlan;
use crate::plan::graph::{Graph, SideEnds, Step, StepPlan};
use crate::state::{self, NEVER, Slot, Table};

/// An operator with state, and by what its keys end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its name: `aggregate-0`.
    pub name: String,
    /// What it holds.
    pub holds: Holds,
    /// By what its keys end.
    pub ends: Ends,
    /// How far its watermark is behind the query's: so long as a join before it holds rows back, in milliseconds.
    pub behind_ms: i64,
    /// The table that they lie in.
    table: String,
    /// True if behind the columns of a key stands a number that tells its rows apart.
    is_numbered: bool,
}

/// What a holder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Groups of rows, or sessions, which come out by the output mode.
    Groups,
    /// Keys of `deduplicate`, whose first rows came out at once.
    Keys,
    /// Rows of one side of a join.
    Side {
        /// Which.
        is_left: bool,
        /// The sources whose rows get there.
        sources: Vec<String>,
    },
}

/// By what a key ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The window that it is of.
    Window(Sliding),
    /// The window of a calendar, or of the windows before it, that is this one of its columns.
    Column(usize),
    /// Its session.
    Session,
    /// The event time that is a part of it.
    Time,
    /// So long (µs) after the event time of its first row.
    Within(i64),
    /// So long (µs) after its event time: a row of a join, which none of the other side can meet any more.
    Unmet(i64),
    /// Nothing: it is held for ever.
    Never,
}

/// A stretch of time and what is held for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it begins, µs since 1970.
    pub start_us: i64,
    /// When it is done.
    pub end_us: i64,
    /// Keys that have rows in it, some of them in words.
    pub keys: BTreeSet<String>,
}

/// What is asked of a holder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// A time (µs): all spans that hold it. Without it the spans that are held, those that end first.
    pub at_us: Option<i64>,
    /// Without a time only spans that end after this (µs).
    pub past_us: i64,
    /// Only of this key: what stands in one of its columns, or all of it.
    pub key: Option<&'a str>,
    /// Most spans.
    pub most: usize,
}

impl StreamPlan {
    /// The operators with state, in order.
    pub fn holders(&self) -> Vec<Holder> {
        let mut holders: Vec<Holder> =
            self.graph().steps.iter().flat_map(|step| holders(self.graph(), step)).collect();
        // A query that is planned has a tail.
        if let Ok(Some(tail)) = Tail::new(self.graph()) {
            for ((name, _), behind_ms) in tail.tables.iter().zip(tail.behind_ms()) {
                let own = holders.iter_mut().filter(|holder| holder.table == *name);
                own.for_each(|holder| holder.behind_ms = behind_ms);
            }
        }
        holders
    }

    /// What an epoch gives to the sink.
    pub fn output_mode(&self) -> OutputMode {
        self.graph().mode
    }
}

/// What a step holds: of a join each side.
fn holders(graph: &Graph, step: &Step) -> Vec<Holder> {
    let of = |name: &String, holds: Holds, ends: Ends| {
        let (name, number) = (name.clone(), usize::from(ends == Ends::Session));
        let table = format!("{name}.{number}");
        vec![Holder { name, holds, ends, behind_ms: 0, table, is_numbered: false }]
    };
    let one = |name: &String, ends: Ends| of(name, Holds::Groups, ends);
    match &step.plan {
        StepPlan::Aggregate(spec) => match (&spec.window, spec.event_key) {
            _ if !spec.watermarked => one(&spec.name, Ends::Never),
            (_, Some(key)) => one(&spec.name, ends_by(&spec.key_fields, key)),
            (Some(window), None) => one(&spec.name, Ends::Window(window.sliding)),
            (None, None) => one(&spec.name, Ends::Never),
        },
        StepPlan::Session(spec) if spec.watermarked => one(&spec.name, Ends::Session),
        StepPlan::Session(spec) => one(&spec.name, Ends::Never),
        StepPlan::Deduplicate(spec) => match (spec.within_us, spec.event_time) {
            (Some(within), _) => of(&spec.name, Holds::Keys, Ends::Within(within)),
            (None, Some(time)) if spec.keys.contains(&time) => of(&spec.name, Holds::Keys, Ends::Time),
            _ => of(&spec.name, Holds::Keys, Ends::Never),
        },
        StepPlan::Join(spec) => {
            let sides = [("left", spec.left.ends), ("right", spec.right.ends)].into_iter().enumerate();
            let holder = |(number, (side, ends)): (usize, (&str, SideEnds))| Holder {
                name: format!("{}, {side}", spec.name),
                holds: Holds::Side {
                    is_left: number == 0,
                    sources: step.from.get(number).map(|feeds| graph.sources(feeds)).unwrap_or_default(),
                },
                ends: match ends {
                    SideEnds::Never => Ends::Never,
                    SideEnds::Key(key) => ends_by(&spec.key_fields, key),
                    SideEnds::Time { shift_ms, .. } => Ends::Unmet(shift_ms.saturating_mul(-1_000)),
                },
                behind_ms: 0,
                table: format!("{}.{number}", spec.name),
                is_numbered: true,
            };
            sides.map(holder).collect()
        }
        // A number is no row that could end, and what a model has learned is none.
        StepPlan::Detect(_)
        | StepPlan::Limit(_)
        | StepPlan::Stages(_)
        | StepPlan::Union
        | StepPlan::Sort(_) => Vec::new(),
    }
}

impl Holder {
    /// What it held after the epoch `through` of the checkpoint in `dir`, and how many spans more than are asked for.
    ///
    /// # Errors
    /// State that is damaged or of another version, `STORAGE`.
    pub fn held(&self, dir: &Path, through: Option<Epoch>, asked: Asked<'_>) -> Result<(Vec<Span>, u64)> {
        let folder = state::folder(dir);
        let tables = if folder.exists() { state::tables(&folder, through)? } else { Vec::new() };
        let table = tables.into_iter().find(|(name, _)| *name == self.table);
        let rows = table.map_or(Ok(Vec::new()), |(_, table)| self.rows(&table, asked.key))?;
        Ok(match self.ends {
            Ends::Window(sliding) => windows(sliding, &rows, asked),
            _ => each(&rows, asked),
        })
    }

    /// Where the query's watermark must come for a span to be done (µs): behind a join it must go so much further.
    pub fn end_us(&self, span: &Span) -> i64 {
        span.end_us.saturating_add(self.behind_ms.saturating_mul(1_000))
    }

    /// The rows of its table.
    fn rows(&self, table: &Table, key: Option<&str>) -> Result<Vec<Row>> {
        let slots: Vec<Slot> = table.all();
        let mut keys = table.keys(&slots)?;
        if self.is_numbered {
            keys.pop();
        }
        let starts = match self.ends {
            Ends::Column(key) if key < keys.len() => start_of(&keys.remove(key))?,
            Ends::Window(_) | Ends::Session => keys.pop().map(|starts| micros(&starts)).transpose()?,
            _ => None,
        };
        let options = FormatOptions::default().with_null("NULL");
        let words = keys.iter().map(|column| ArrayFormatter::try_new(column, &options));
        let words: Vec<ArrayFormatter<'_>> = words.collect::<Result<_, _>>().map_err(unreadable)?;
        let mut rows = Vec::new();
        for (number, slot) in slots.iter().enumerate() {
            let columns: Vec<String> = words.iter().map(|column| column.value(number).to_string()).collect();
            let name = columns.join(", ");
            if key.is_some_and(|key| name != key && !columns.iter().any(|column| column == key)) {
                continue;
            }
            let end_us = table.expires(*slot);
            let start_us = match self.ends {
                Ends::Within(within) | Ends::Unmet(within) => end_us.saturating_sub(within),
                _ => starts.as_ref().and_then(|starts| starts.get(number)).copied().unwrap_or(end_us),
            };
            rows.push(Row { start_us, end_us, name });
        }
        rows.sort_unstable_by(|a, b| (a.end_us, a.start_us, &a.name).cmp(&(b.end_us, b.start_us, &b.name)));
        Ok(rows)
    }
}

/// By what a key ends that has the event time in this column.
fn ends_by(fields: &[FieldRef], key: usize) -> Ends {
    match fields.get(key).map(|field| field.data_type()) {
        Some(DataType::Struct(_)) => Ends::Column(key),
        _ => Ends::Time,
    }
}

/// Where the windows in a column begin.
fn start_of(windows: &ArrayRef) -> Result<Option<Vec<i64>>> {
    windows.as_struct_opt().and_then(|window| window.column_by_name("start")).map(micros).transpose()
}

/// A row of a table: of a window it is one pane, which begins at `start_us`.
struct Row {
    start_us: i64,
    end_us: i64,
    name: String,
}

/// Windows with the keys that have a pane in them, and how many more there are.
fn windows(sliding: Sliding, rows: &[Row], asked: Asked<'_>) -> (Vec<Span>, u64) {
    let panes: BTreeSet<i64> = rows.iter().map(|row| row.start_us).collect();
    let mut starts = BTreeSet::new();
    let count = match asked.at_us {
        Some(at) => {
            starts.extend(sliding.starts(at));
            starts.len() as u64
        }
        None => {
            for pane in &panes {
                if starts.len() >= asked.most {
                    break;
                }
                starts.extend(sliding.starts(*pane).filter(|start| sliding.end(*start) > asked.past_us));
            }
            overlapping(sliding, &panes, asked.past_us)
        }
    };
    let of = |start_us: i64| {
        let end_us = sliding.end(start_us);
        let inside = rows.iter().filter(|row| start_us <= row.start_us && row.start_us < end_us);
        Span { start_us, end_us, keys: inside.map(|row| row.name.clone()).collect() }
    };
    let spans: Vec<Span> = starts.into_iter().take(asked.most).map(of).collect();
    let more = count.saturating_sub(spans.len() as u64);
    (spans, more)
}

/// How many windows that end after `past_us` have one of these panes.
fn overlapping(sliding: Sliding, panes: &BTreeSet<i64>, past_us: i64) -> u64 {
    let (size, slide) = (i128::from(sliding.size_us), i128::from(sliding.slide_us));
    let (mut count, mut counted) = (0, i128::MIN);
    for pane in panes {
        let last = i128::from(sliding.last_start(*pane));
        // A window that ends after a time begins less than its size before it.
        let after = counted.max(i128::from((*pane).max(past_us)) - size);
        count += (last - after).max(0).saturating_add(slide - 1) / slide;
        counted = counted.max(last);
    }
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Rows that each have their own stretch of time, those of the same together; and how many more stretches there are.
fn each(rows: &[Row], asked: Asked<'_>) -> (Vec<Span>, u64) {
    let holds = |row: &&Row| match asked.at_us {
        None => row.end_us != NEVER && row.end_us > asked.past_us,
        Some(at) if row.start_us == row.end_us => at == row.end_us,
        Some(at) => row.start_us <= at && at < row.end_us,
    };
    let (mut spans, mut more): (Vec<Span>, u64) = (Vec::new(), 0);
    let mut newest = None;
    for row in rows.iter().filter(holds) {
        let Row { start_us, end_us, ref name } = *row;
        let is_new = newest.replace((start_us, end_us)) != Some((start_us, end_us));
        if is_new && spans.len() >= asked.most {
            more += 1;
        } else if is_new {
            spans.push(Span { start_us, end_us, keys: BTreeSet::new() });
        }
        if let Some(span) = spans.last_mut().filter(|_| more == 0) {
            span.keys.insert(name.clone());
        }
    }
    (spans, more)
}

/// Times as microseconds.
fn micros(column: &ArrayRef) -> Result<Vec<i64>> {
    let plain = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None)).map_err(unreadable)?;
    Ok(plain.as_primitive::<TimestampMicrosecondType>().values().to_vec())
}

fn unreadable(error: arrow::error::ArrowError) -> Error {
    Error::new(&codes::INTERNAL, "what is held cannot be told").caused_by(error)
}

#[cfg(test)]
mod tests;
