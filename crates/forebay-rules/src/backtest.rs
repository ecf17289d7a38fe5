//! A rule over rows that are there already: what it would have done, and nothing else. Pure; no file, no channel, no clock.
//!
//! ```text
//! batches in the order of time ─▶ the sink's lane ─▶ what an epoch decides ─▶ the same state ─▶ transitions ─▶ episodes
//! ```
//!
//! The clock is the data's own: no row is later than the newest of its batch, and silence is told up to the time of the rows. What must
//! stay true: rows go through the machines that a run has, so that a run over the same rows, each record at the time that its row
//! has here, makes the same transitions; and nobody is told of anything.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use forebay_core::config::Severity;
use forebay_core::{Epoch, Result};

use crate::alert::Alert;
use crate::columns::Columns;
use crate::entry::{Entry, EpochEntry, Last};
use crate::epoch::{Facts, decide};
use crate::lane::{AlertLane, LanePart, settle};
use crate::life::Event;
use crate::logic::Watched;
use crate::notices::Notices;
use crate::readings::Readings;
use crate::rule::Bounds;
use crate::silences::Silences;
use crate::state::RuleState;

/// Rows after which it is decided what they did: few enough for memory, so many that a key costs nothing beside its rows.
const STEP: u64 = 1 << 18;

/// One rule. See the module.
pub struct Backtest {
    watched: Arc<Watched>,
    bounds: Bounds,
    state: Arc<RuleState>,
    lane: Option<AlertLane>,
    columns: Arc<Columns>,
    readings: Readings,
    steps: u64,
    tally: Tally,
}

/// What a rule did.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// In the order in which they opened, as far as rows of several keys allow.
    pub episodes: Vec<Episode>,
    /// Transitions of any kind.
    pub transitions: u64,
    /// Rows that it looked at.
    pub rows: u64,
    /// Rows that nobody looked at, and steps that did nothing, because there were too many keys.
    pub left_out: u64,
    /// Of each subject its open episode.
    open: HashMap<(Option<String>, Option<Option<String>>), usize>,
}

/// One alert from its opening to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// The alert's name.
    pub id: String,
    /// Of NULL `None`.
    pub key: Option<String>,
    /// That it is a silence, and of which field: `Some(None)` of the key itself.
    pub silence: Option<Option<String>>,
    /// Milliseconds since 1970.
    pub opened_at: i64,
    /// Where it did not clear `None`.
    pub cleared_at: Option<i64>,
    /// The worst that it was.
    pub worst: Severity,
    /// What is told of it.
    pub message: String,
    /// How many transitions it had.
    pub transitions: u32,
}

impl Backtest {
    /// A rule over batches of these columns ([`columns`](crate::columns)). Whoever it would tell is not told.
    ///
    /// # Errors
    /// If a column is missing.
    pub fn new(watched: impl Into<Watched>, bounds: Bounds, schema: &Schema) -> Result<Self> {
        let mut watched: Watched = watched.into();
        watched.notices = Notices::default();
        let columns = Columns::of(schema, &mut watched)?;
        Ok(Self {
            watched: Arc::new(watched),
            bounds,
            state: Arc::default(),
            lane: None,
            columns: Arc::new(columns),
            readings: Readings::default(),
            steps: 0,
            tally: Tally::default(),
        })
    }

    /// The same rule, which has seen nothing.
    pub fn anew(&self) -> Self {
        Self {
            watched: Arc::clone(&self.watched),
            bounds: self.bounds,
            state: Arc::default(),
            lane: None,
            columns: Arc::clone(&self.columns),
            readings: self.readings.clone(),
            steps: 0,
            tally: Tally::default(),
        }
    }

    /// The same, which finds out whose rows it gets together with others that get the same columns.
    pub fn reading_with(self, readings: Readings) -> Self {
        Self { readings, ..self }
    }

    /// Begins at this time: keys that are watched though nothing of them ever came are watched from now on.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn begin(&mut self, now_ms: i64) -> Result<()> {
        self.decide(now_ms)
    }

    /// Takes rows that are no older than those before; `latest_ms` is the time of the last of them.
    ///
    /// # Errors
    /// If the columns are not those that it was made with.
    pub fn take(&mut self, batch: &RecordBatch, latest_ms: i64) -> Result<()> {
        let (watched, columns) = (&self.watched, &self.columns);
        let (state, bounds) = (&self.state, self.bounds);
        let lane = self.lane.get_or_insert_with(|| AlertLane {
            watched: Arc::clone(watched),
            columns: Arc::clone(columns),
            state: Arc::clone(state),
            bounds,
            latest: latest_ms,
            readings: self.readings.clone(),
            is_lent: true,
            part: LanePart::default(),
        });
        lane.latest = latest_ms;
        lane.take(columns.rows(batch, latest_ms, &self.readings)?)?;
        if lane.part.rows >= STEP {
            self.decide(latest_ms)?;
        }
        Ok(())
    }

    /// Ends at this time; gives what there was.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn end(mut self, now_ms: i64) -> Result<Tally> {
        self.decide(now_ms)?;
        Ok(self.tally)
    }

    /// Decides what the rows did that were taken, as an epoch of this time.
    fn decide(&mut self, now_ms: i64) -> Result<()> {
        let mut part = self.lane.take().map(|lane| lane.part).unwrap_or_default();
        settle(&self.watched, &self.state, &self.bounds, std::slice::from_mut(&mut part))?;
        self.tally.rows += part.rows;
        self.tally.left_out += part.kept.left_out;
        let facts = Facts {
            watched: &self.watched,
            bounds: &self.bounds,
            state: &self.state,
            now: now_ms,
            seen_at: now_ms,
            silences: &Silences::default(),
            is_open: &|_, _| false,
        };
        let (changes, refused) = decide(&facts, vec![part]);
        self.tally.left_out += refused;
        changes.transitions.iter().for_each(|alert| self.tally.take(alert));
        let last = Last { query_id: String::new(), epoch: Epoch(self.steps) };
        let entry = Entry::Epoch(EpochEntry { last, changes });
        Arc::make_mut(&mut self.state).apply(entry, self.bounds.cleared);
        self.steps += 1;
        Ok(())
    }
}

impl Tally {
    fn take(&mut self, alert: &Alert) {
        self.transitions += 1;
        let silence = alert.life.no_data.as_ref().map(|of| of.field.clone());
        let subject = (alert.key.clone(), silence.clone());
        if alert.event() == Event::Opened {
            self.open.insert(subject, self.episodes.len());
            self.episodes.push(Episode {
                id: alert.id.clone(),
                key: alert.key.clone(),
                silence,
                opened_at: alert.opened_at,
                cleared_at: None,
                worst: alert.worst(),
                message: alert.message.clone(),
                transitions: 1,
            });
            return;
        }
        let place = match alert.cleared_at {
            Some(_) => self.open.remove(&subject),
            None => self.open.get(&subject).copied(),
        };
        if let Some(episode) = place.and_then(|place| self.episodes.get_mut(place)) {
            episode.cleared_at = alert.cleared_at;
            episode.worst = alert.worst();
            episode.transitions += 1;
        }
    }
}

impl Episode {
    /// How long it was open, milliseconds; until `end_ms` if it did not clear.
    pub fn open_ms(&self, end_ms: i64) -> i64 {
        self.cleared_at.unwrap_or(end_ms).saturating_sub(self.opened_at).max(0)
    }
}

/// Which episodes of two rule sets were open at a common moment: for each of `one`, whether one of `other` of the same subject was.
pub fn common(one: &[Episode], other: &[Episode]) -> Vec<bool> {
    let mut by_subject: HashMap<_, Vec<(i64, i64)>> = HashMap::new();
    for episode in other {
        let until = episode.cleared_at.unwrap_or(i64::MAX);
        by_subject.entry((&episode.key, &episode.silence)).or_default().push((episode.opened_at, until));
    }
    // Of one subject at most one is open at a time, so their ends are in the order of their beginnings.
    by_subject.values_mut().for_each(|spans| spans.sort_unstable());
    let is_common = |episode: &Episode| {
        let Some(spans) = by_subject.get(&(&episode.key, &episode.silence)) else { return false };
        let first = spans.partition_point(|(_, until)| *until < episode.opened_at);
        let until = episode.cleared_at.unwrap_or(i64::MAX);
        spans.get(first).is_some_and(|(from, _)| *from <= until)
    };
    one.iter().map(is_common).collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        ArrayRef, BooleanArray, Float64Array, Int32Array, StringArray, TimestampMicrosecondArray,
    };

    use super::*;
    use crate::columns::{self, value_column};
    use crate::logic::NoData;
    use crate::tests::rule;

    /// Rows of (time, key, temperature): the condition is that it is above 70, and clears below 65.
    fn batch(rows: &[(i64, &str, f64)]) -> RecordBatch {
        let of = |number: fn(f64) -> bool| {
            Arc::new(rows.iter().map(|row| Some(number(row.2))).collect::<BooleanArray>()) as ArrayRef
        };
        let text = |text: &str| Arc::new(StringArray::from(vec![text; rows.len()])) as ArrayRef;
        let times: Vec<i64> = rows.iter().map(|row| row.0 * 1_000).collect();
        let columns: Vec<(String, ArrayRef)> = vec![
            (columns::KEY.into(), Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>())),
            (columns::WHEN.into(), of(|number| number > 70.0)),
            (columns::CLEAR.into(), of(|number| number < 65.0)),
            (
                columns::TIMESTAMP.into(),
                Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
            ),
            (columns::TOPIC.into(), text("t")),
            (columns::PARTITION.into(), Arc::new(Int32Array::from(vec![0; rows.len()]))),
            (value_column("temperature"), Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>())),
            (value_column("place"), text("hall 3")),
            (columns::SOURCE.into(), text("iot")),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, it)| (name, it, true)))
            .unwrap()
    }

    fn run(watched: Watched, batches: &[RecordBatch], (begin, end): (i64, i64)) -> Tally {
        let mut backtest = Backtest::new(watched, Bounds::default(), &batches[0].schema()).unwrap();
        backtest.begin(begin).unwrap();
        for batch in batches {
            let times = batch.column_by_name(columns::TIMESTAMP).unwrap();
            let times =
                arrow::array::AsArray::as_primitive::<arrow::datatypes::TimestampMicrosecondType>(times);
            backtest.take(batch, times.values().iter().max().unwrap() / 1_000).unwrap();
        }
        backtest.end(end).unwrap()
    }

    const ROWS: [(i64, &str, f64); 8] = [
        (1_000, "a", 20.0),
        (2_000, "a", 80.0),
        (2_500, "b", 75.0),
        (3_000, "a", 68.0),
        (4_000, "a", 60.0),
        (5_000, "a", 90.0),
        (6_000, "b", 71.0),
        (7_000, "a", 50.0),
    ];

    #[test]
    fn a_rule_says_what_it_would_have_done() {
        let tally = run(rule(0).into(), &[batch(&ROWS)], (0, 10_000));
        let told: Vec<_> = tally.episodes.iter().map(|it| (it.id.as_str(), it.cleared_at)).collect();
        let expected =
            [("overheat/a/2000", Some(4_000)), ("overheat/b/2500", None), ("overheat/a/5000", Some(7_000))];
        assert_eq!(told, expected);
        assert_eq!((tally.rows, tally.transitions, tally.left_out), (8, 5, 0));
        assert_eq!(tally.episodes[1].open_ms(10_000), 7_500);
        assert_eq!(tally.episodes[0].message, "overheat: a, temperature 80.0");
    }

    #[test]
    fn how_the_rows_are_cut_changes_nothing() {
        let whole = run(rule(1_500).into(), &[batch(&ROWS)], (0, 10_000));
        let single: Vec<RecordBatch> = ROWS.iter().map(|row| batch(&[*row])).collect();
        let cut = run(rule(1_500).into(), &single, (0, 10_000));
        assert_eq!(whole.episodes, cut.episodes);
        assert_eq!(whole.episodes.len(), 1, "{:?}", whole.episodes);
    }

    #[test]
    fn silence_is_told_up_to_the_end_of_the_data() {
        let mut watched: Watched = rule(0).into();
        let keys = vec!["c".to_owned()];
        watched.logic.no_data = Some(NoData { after_ms: 2_000, of_key: true, fields: Vec::new(), keys });
        let rows = [(1_000, "a", 20.0), (8_000, "a", 20.0), (8_500, "b", 20.0)];
        let tally = run(watched, &[batch(&rows)], (500, 10_300));
        let told: Vec<_> = tally
            .episodes
            .iter()
            .map(|it| (it.key.as_deref().unwrap(), it.opened_at, it.cleared_at))
            .collect();
        assert_eq!(told, [("c", 2_500, None), ("a", 3_000, Some(8_000)), ("a", 10_000, None)]);
        assert!(tally.episodes.iter().all(|it| it.silence == Some(None)));
    }

    #[test]
    fn episodes_are_common_where_they_were_open_at_one_moment() {
        let episode = |key: &str, opened_at, cleared_at| Episode {
            id: String::new(),
            key: Some(key.to_owned()),
            silence: None,
            opened_at,
            cleared_at,
            worst: Severity::Warning,
            message: String::new(),
            transitions: 1,
        };
        let one = [
            episode("a", 10, Some(20)),
            episode("a", 30, Some(40)),
            episode("a", 50, None),
            episode("b", 10, Some(20)),
        ];
        let other = [episode("a", 60, Some(70)), episode("a", 20, Some(25)), episode("b", 21, None)];
        assert_eq!(common(&one, &other), [true, false, true, false]);
        assert_eq!(common(&other, &one), [true, true, false]);
        assert_eq!(common(&one, &[]), [false; 4]);
    }
}
