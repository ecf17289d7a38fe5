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
use crate::plan::graph::{SideEnds, StepPlan};
use crate::state::{self, NEVER, Slot, Table};

/// An operator with state, and by what its keys end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its name: `aggregate-0`.
    pub name: String,
    /// By what its keys end.
    pub ends: Ends,
    /// How far its watermark is behind the query's: so long as a join before it holds rows back, in milliseconds.
    pub behind_ms: i64,
    /// The table that they lie in.
    table: String,
    /// True if behind the columns of a key stands a number that tells its rows apart.
    is_numbered: bool,
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
            self.graph().steps.iter().flat_map(|step| holders(&step.plan)).collect();
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
fn holders(step: &StepPlan) -> Vec<Holder> {
    let one = |name: &String, ends: Ends| {
        let (name, number) = (name.clone(), usize::from(ends == Ends::Session));
        let table = format!("{name}.{number}");
        vec![Holder { name, ends, behind_ms: 0, table, is_numbered: false }]
    };
    match step {
        StepPlan::Aggregate(spec) => match (&spec.window, spec.event_key) {
            _ if !spec.watermarked => one(&spec.name, Ends::Never),
            (_, Some(key)) => one(&spec.name, ends_by(&spec.key_fields, key)),
            (Some(window), None) => one(&spec.name, Ends::Window(window.sliding)),
            (None, None) => one(&spec.name, Ends::Never),
        },
        StepPlan::Session(spec) if spec.watermarked => one(&spec.name, Ends::Session),
        StepPlan::Session(spec) => one(&spec.name, Ends::Never),
        StepPlan::Deduplicate(spec) => match (spec.within_us, spec.event_time) {
            (Some(within), _) => one(&spec.name, Ends::Within(within)),
            (None, Some(time)) if spec.keys.contains(&time) => one(&spec.name, Ends::Time),
            _ => one(&spec.name, Ends::Never),
        },
        StepPlan::Join(spec) => {
            let sides = [("left", spec.left.ends), ("right", spec.right.ends)].into_iter().enumerate();
            let holder = |(number, (side, ends))| Holder {
                name: format!("{}, {side}", spec.name),
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
        // A number is no row that could end.
        StepPlan::Limit(_) | StepPlan::Stages(_) | StepPlan::Union | StepPlan::Sort(_) => Vec::new(),
    }
}

impl Holder {
    /// What it held after the epoch `through` of the checkpoint in `dir`.
    ///
    /// # Errors
    /// State that is damaged or of another version, `STORAGE`.
    pub fn held(&self, dir: &Path, through: Option<Epoch>, asked: Asked<'_>) -> Result<Vec<Span>> {
        let folder = state::folder(dir);
        let tables = if folder.exists() { state::tables(&folder, through)? } else { Vec::new() };
        let table = tables.into_iter().find(|(name, _)| *name == self.table);
        let rows = table.map_or(Ok(Vec::new()), |(_, table)| self.rows(&table, asked.key))?;
        Ok(match self.ends {
            Ends::Window(sliding) => windows(sliding, &rows, asked),
            _ => each(&rows, asked),
        })
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

/// Windows with the keys that have a pane in them.
fn windows(sliding: Sliding, rows: &[Row], asked: Asked<'_>) -> Vec<Span> {
    let mut starts = BTreeSet::new();
    match asked.at_us {
        Some(at) => starts.extend(sliding.starts(at)),
        None => {
            let panes: BTreeSet<i64> = rows.iter().map(|row| row.start_us).collect();
            for pane in panes {
                if starts.len() >= asked.most {
                    break;
                }
                starts.extend(sliding.starts(pane).filter(|start| sliding.end(*start) > asked.past_us));
            }
        }
    }
    let of = |start_us: i64| {
        let end_us = sliding.end(start_us);
        let inside = rows.iter().filter(|row| start_us <= row.start_us && row.start_us < end_us);
        Span { start_us, end_us, keys: inside.map(|row| row.name.clone()).collect() }
    };
    starts.into_iter().take(asked.most).map(of).collect()
}

/// Rows that each have their own stretch of time; those of the same together.
fn each(rows: &[Row], asked: Asked<'_>) -> Vec<Span> {
    let holds = |row: &&Row| match asked.at_us {
        None => row.end_us != NEVER && row.end_us > asked.past_us,
        Some(at) if row.start_us == row.end_us => at == row.end_us,
        Some(at) => row.start_us <= at && at < row.end_us,
    };
    let mut spans: Vec<Span> = Vec::new();
    for row in rows.iter().filter(holds) {
        let Row { start_us, end_us, ref name } = *row;
        let count = spans.len();
        match spans.last_mut().filter(|span| (span.start_us, span.end_us) == (start_us, end_us)) {
            Some(span) => {
                span.keys.insert(name.clone());
            }
            None if count == asked.most => break,
            None => spans.push(Span { start_us, end_us, keys: BTreeSet::from([name.clone()]) }),
        }
    }
    spans
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
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, Int64Array, StringArray, StructArray, TimestampMicrosecondArray};
    use arrow::datatypes::{Field, Schema};

    use super::*;
    use crate::state::{Changes, Layout, Upserts};

    fn row(start_us: i64, end_us: i64, name: &str) -> Row {
        Row { start_us, end_us, name: name.to_owned() }
    }

    fn told(spans: &[Span]) -> Vec<(i64, i64, String)> {
        let keys = |span: &Span| span.keys.iter().cloned().collect::<Vec<_>>().join(" ");
        spans.iter().map(|span| (span.start_us, span.end_us, keys(span))).collect()
    }

    fn asked(at_us: Option<i64>, most: usize) -> Asked<'static> {
        Asked { at_us, past_us: -5, key: None, most }
    }

    #[test]
    fn the_windows_of_a_time_are_told_whether_rows_are_held_for_them_or_not() {
        let sliding = Sliding::new(10, 5, 0).unwrap();
        let rows = [row(0, 10, "a"), row(5, 15, "a"), row(5, 15, "b")];
        let text = |text: &str| text.to_owned();
        let at_7 = windows(sliding, &rows, asked(Some(7), 9));
        assert_eq!(told(&at_7), [(0, 10, text("a b")), (5, 15, text("a b"))]);
        let at_22 = windows(sliding, &rows, asked(Some(22), 9));
        assert_eq!(told(&at_22), [(15, 25, text("")), (20, 30, text(""))]);
        let first = windows(sliding, &rows, asked(None, 2));
        assert_eq!(told(&first), [(-5, 5, text("a")), (0, 10, text("a b"))], "those that end first");
        let open = windows(sliding, &rows, Asked { past_us: 5, ..asked(None, 2) });
        assert_eq!(told(&open), [(0, 10, text("a b")), (5, 15, text("a b"))], "one is over");
    }

    #[test]
    fn windows_that_are_a_key_are_told_with_their_start() {
        let bounds = |name: &str| Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, None), true);
        let times = |micros: Vec<i64>| Arc::new(TimestampMicrosecondArray::from(micros)) as ArrayRef;
        let window = StructArray::from(vec![
            (Arc::new(bounds("start")), times(vec![1, 2])),
            (Arc::new(bounds("end")), times(vec![5, 6])),
        ]);
        let field = Arc::new(Field::new("day", window.data_type().clone(), true));
        let plain = Arc::new(bounds("at"));
        assert_eq!(ends_by(&[Arc::clone(&plain), field], 1), Ends::Column(1));
        assert_eq!(ends_by(&[plain], 0), Ends::Time);
        assert_eq!(start_of(&(Arc::new(window) as ArrayRef)).unwrap(), Some(vec![1, 2]));
    }

    #[test]
    fn sessions_and_times_are_told_where_they_are_held() {
        let rows = [row(0, 10, "a"), row(0, 10, "b"), row(4, 12, "c"), row(5, NEVER, "d")];
        let text = |text: &str| text.to_owned();
        assert_eq!(told(&each(&rows, asked(Some(3), 9))), [(0, 10, text("a b"))]);
        assert_eq!(told(&each(&rows, asked(None, 9))), [(0, 10, text("a b")), (4, 12, text("c"))]);
        assert_eq!(told(&each(&rows, asked(None, 1))), [(0, 10, text("a b"))]);
        let moments = [row(7, 7, "a")];
        assert_eq!(told(&each(&moments, asked(Some(7), 9))), [(7, 7, text("a"))]);
        assert!(each(&moments, asked(Some(8), 9)).is_empty());
    }

    #[test]
    fn rows_of_a_join_are_told_by_their_key_and_from_when_to_when_they_may_be_met() {
        let text = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
        let number = Arc::new(Field::new("number", DataType::Int64, false));
        let layout = Layout::new(vec![text("device"), number], Arc::new(Schema::empty()));
        let mut table = Table::new(layout).unwrap();
        let keys: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from(vec!["a", "a", "b"])), Arc::new(Int64Array::from(vec![0, 1, 0]))];
        let upserts = Upserts { keys, expires: vec![40, 40, 90].into(), values: Vec::new() };
        table.apply(&Changes { upserts: Some(upserts), ..Changes::default() }).unwrap();
        let name = || "join-0".to_owned();
        let holder =
            Holder { name: name(), ends: Ends::Unmet(10), behind_ms: 0, table: name(), is_numbered: true };
        let rows = holder.rows(&table, None).unwrap();
        let told = told(&each(&rows, asked(None, 9)));
        assert_eq!(told, [(30, 40, "a".to_owned()), (80, 90, "b".to_owned())]);
    }
}
