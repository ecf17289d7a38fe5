//! What an epoch changes: the lanes' rows in the order of time, through the machines of each key. Pure.
//!
//! A key whose rows came in one partition has its track's steps. The rows of one that has several are put in the order of the records'
//! timestamps, those of the same millisecond by topic, partition, source and place in it; so it does not matter which lane
//! had which partition, nor which of them came first. After the rows the epoch's own time tells of silences.
//!
//! What must stay true: the changes are a function of the state, the rows and the epoch's time; and as long as a key's records come
//! in one partition its transitions are a function of its rows, not of where epochs end. A key for which there is no room
//! changes nothing in this epoch; one that has room goes on, whatever comes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::alert::Alert;
use crate::entry::{Changes, Watch};
use crate::key;
use crate::lane::LanePart;
use crate::logic::{NoData, Watched};
use crate::machine::Transition;
use crate::notices::{Around, Line};
use crate::rule::Bounds;
use crate::silences::Silences;
use crate::silent::Silence;
use crate::state::RuleState;
use crate::track::{Evidence, KeyState, Step, Track, What, together};

/// What is known when an epoch is decided.
pub(crate) struct Facts<'a> {
    pub watched: &'a Watched,
    pub bounds: &'a Bounds,
    pub state: &'a RuleState,
    /// The epoch's time, the same at every replay.
    pub now: i64,
    /// The time of this machine's clock, kept with each alert.
    pub seen_at: i64,
    /// The silences that people made.
    pub silences: &'a Silences,
    /// Whether a rule has an open alert for this key, as the state holds it.
    pub is_open: &'a dyn Fn(&str, &str) -> bool,
}

impl Facts<'_> {
    /// Decides with what is so around an alert of this key.
    fn around<T>(&self, held: &str, decide: impl FnOnce(&Around<'_>) -> T) -> T {
        let is_open = |rule: &str| (self.is_open)(rule, held);
        decide(&Around { silences: self.silences, now: self.now, is_open: &is_open })
    }
}

/// The changes that the lanes' rows make. Also how many steps did nothing because too much is remembered.
pub(crate) fn decide(facts: &Facts<'_>, lanes: Vec<LanePart>) -> (Changes, u64) {
    let mut deciding = Deciding {
        facts,
        changes: Changes::default(),
        lines: Vec::new(),
        room: facts.bounds.active.saturating_sub(facts.state.active()),
        refused: 0,
    };
    let mut seen = HashSet::new();
    for (key, tracks) in by_key(facts, lanes) {
        deciding.key(&key, tracks);
        seen.insert(key);
    }
    if let Some(no_data) = &facts.watched.logic.no_data {
        deciding.silent_keys(no_data, &seen);
    }
    deciding.orphans();
    deciding.finish()
}

struct Deciding<'a> {
    facts: &'a Facts<'a>,
    changes: Changes,
    /// What is told of each transition, with the transition's place.
    lines: Vec<Line>,
    room: usize,
    refused: u64,
}

/// The alerts of one subject while an epoch is decided.
struct Subject {
    name: String,
    open: Option<Arc<Alert>>,
    newest: Option<Arc<Alert>>,
}

impl Deciding<'_> {
    /// Takes the rows of a key.
    fn key(&mut self, key: &str, mut tracks: Vec<(usize, Track)>) {
        let (watched, state) = (self.facts.watched, self.facts.state);
        let (mut after, mut steps) = match (tracks.pop(), tracks.is_empty()) {
            (Some((_, track)), true) => (track.state, track.steps),
            (last, _) => {
                tracks.extend(last);
                together(watched, state.of(&watched.logic, key), tracks)
            }
        };
        self.tick(&mut after, &mut steps);
        let subjects = self.subjects(key, &after);
        let before = subjects.iter().filter(|(name, _)| self.is_remembered(name)).count();
        let opens =
            |step: &&Step| matches!(step.what, What::Condition(Transition::Opened(_)) | What::Silent(_));
        let is_open = after.silences.iter().filter(|silence| silence.open.is_some()).count()
            + usize::from(matches!(after.standing.phase, crate::machine::Phase::Open { .. }));
        let needed = subjects.iter().filter(|(_, watch)| watch.is_some()).count().max(is_open);
        if before == 0 && (needed > 0 || !steps.is_empty()) && self.room < needed.max(1) {
            self.refused += steps.iter().filter(opens).count().max(1) as u64;
            return;
        }
        self.room = (self.room + before).saturating_sub(needed);
        let stepped = self.steps(key, &after, steps);
        for (name, watch) in subjects {
            if stepped.contains(&name) || watch.as_ref() != state.watch(&name) {
                self.changes.watches.insert(name, watch);
            }
        }
    }

    fn is_remembered(&self, subject: &str) -> bool {
        self.facts.state.watch(subject).is_some() || self.facts.state.open(subject).is_some()
    }

    /// The subjects of a key with what is to be remembered of each.
    fn subjects(&self, key: &str, after: &KeyState) -> Vec<(String, Option<Watch>)> {
        let mut subjects = vec![(key.to_owned(), Watch::of(&after.standing, &after.causes))];
        for (field, silence) in self.facts.watched.logic.aspects().zip(&after.silences) {
            subjects.push((key::silence(key, field), Watch::of_silence(silence, after.source.as_ref())));
        }
        subjects
    }

    /// The epoch's time, after the rows of a key.
    fn tick(&self, after: &mut KeyState, steps: &mut Vec<Step>) {
        let Some(NoData { after_ms, .. }) = &self.facts.watched.logic.no_data else { return };
        for (index, silence) in after.silences.iter_mut().enumerate() {
            if let Some(at) = silence.tick(*after_ms, self.facts.now) {
                let source = after.source.clone().unwrap_or_else(|| Arc::from(""));
                let evidence = Evidence { values: Arc::from([]), offset: None };
                steps.push(Step { at, what: What::Silent(index), evidence, source, causes: Vec::new() });
            }
        }
    }

    /// Makes alerts of steps; gives the subjects that had some.
    fn steps(&mut self, key: &str, after: &KeyState, mut steps: Vec<Step>) -> Vec<String> {
        // A silence is found when the row after it comes, or later: by time it may be before other steps.
        steps.sort_by_key(|step| step.at);
        let fields: Vec<Option<&str>> =
            self.facts.watched.logic.aspects().take(after.silences.len()).collect();
        let mut subjects: BTreeMap<Option<usize>, Subject> = BTreeMap::new();
        for step in steps {
            let aspect = match step.what {
                What::Condition(_) => None,
                What::Silent(index) | What::Spoke(index) => Some(index),
            };
            let field = aspect.and_then(|index| fields.get(index).copied().flatten());
            let subject = subjects.entry(aspect).or_insert_with(|| {
                let name = aspect.map_or_else(|| key.to_owned(), |_| key::silence(key, field));
                let state = self.facts.state;
                let (open, newest) = (state.open(&name).cloned(), state.newest_cleared(&name).cloned());
                Subject { name, open, newest }
            });
            step_alert(self.facts, key, field, subject, step).into_iter().for_each(|alert| {
                let alert = push(self.facts, &mut self.changes, &mut self.lines, alert);
                match alert.cleared_at {
                    None => subject.open = Some(alert),
                    Some(_) => (subject.open, subject.newest) = (None, Some(alert)),
                }
            });
        }
        subjects.into_values().map(|subject| subject.name).collect()
    }

    /// Keys of which nothing came in this epoch.
    fn silent_keys(&mut self, no_data: &NoData, seen: &HashSet<Box<str>>) {
        let (state, now) = (self.facts.state, self.facts.now);
        let fields = self.facts.watched.logic.fields();
        let is_due = |watch: &Watch| watch.seen.is_some_and(|at| now.saturating_sub(at) > no_data.after_ms);
        let mut due: Vec<&str> = state
            .watches()
            .filter(|(name, watch)| is_due(watch) && state.open(name).is_none())
            .filter_map(|(name, _)| key::silent(name, fields).map(|(held, _)| held))
            .filter(|held| !seen.contains(*held))
            .collect();
        due.sort_unstable();
        due.dedup();
        for held in due {
            self.key(held, vec![(0, self.without_rows(held))]);
        }
        for name in &no_data.keys {
            let held = key::held(Some(name));
            let is_new = state.watch(&key::silence(&held, None)).is_none();
            if no_data.of_key && is_new && !seen.contains(&*held) {
                let mut track = self.without_rows(&held);
                track.state.silences = vec![Silence { seen: Some(now), open: None }];
                self.key(&held, vec![(0, track)]);
            }
        }
    }

    fn without_rows(&self, held: &str) -> Track {
        let origin = crate::track::Origin { source: Arc::from(""), topic: String::new(), partition: 0 };
        let state = self.facts.state.of(&self.facts.watched.logic, held);
        Track::new(Arc::new(origin), state)
    }

    /// Ends the silences that the rule does not ask for any more.
    fn orphans(&mut self) {
        let (state, logic) = (self.facts.state, &self.facts.watched.logic);
        let of_key = logic.no_data.as_ref().is_some_and(|no_data| no_data.of_key);
        let is_asked = |field: Option<&String>| match field {
            None => of_key,
            Some(field) => logic.fields().contains(field),
        };
        let is_orphan =
            |alert: &&Arc<Alert>| alert.life.no_data.as_ref().is_some_and(|of| !is_asked(of.field.as_ref()));
        let mut orphans: Vec<_> = state.all_open().filter(is_orphan).collect();
        orphans.sort_by(|a, b| a.id.cmp(&b.id));
        for orphan in orphans {
            self.changes.watches.insert(orphan.subject().into_owned(), None);
            let mut ended = orphan.end(self.facts.now);
            ended.seen_at = self.facts.seen_at;
            push(self.facts, &mut self.changes, &mut self.lines, ended);
        }
        let is_kept = |name: &String| match key::silent(name, logic.fields()) {
            Some((_, None)) => of_key,
            Some((_, Some(_))) => true,
            None => !key::is_silence(name),
        };
        let stale = state.watches().filter(|(name, watch)| watch.seen.is_some() && !is_kept(name));
        self.changes.watches.extend(stale.map(|(name, _)| (name.clone(), None)));
    }

    fn finish(self) -> (Changes, u64) {
        let Self { facts, mut changes, mut lines, refused, .. } = self;
        let notices = &facts.watched.notices;
        let changed: HashSet<&str> = changes.transitions.iter().map(|alert| alert.id.as_str()).collect();
        let mut held: Vec<_> = facts
            .state
            .all_open()
            .filter(|alert| alert.life.muted.is_some() && !changed.contains(alert.id.as_str()))
            .filter_map(|alert| facts.around(&alert.held_key(), |around| notices.release(alert, around)))
            .collect();
        held.sort_by(|(a, _), (b, _)| (a.opened_at, &a.id).cmp(&(b.opened_at, &b.id)));
        for (alert, line) in held {
            changes.updates.push(alert);
            lines.push(line);
        }
        changes.transitions.sort_by_key(Alert::changed_at);
        lines.sort_by_key(|line| line.at);
        changes.telling = notices.tell(facts.state.outbox(), &lines, facts.now);
        (changes, refused)
    }
}

/// The alert that a step makes of the subject's, if it makes one.
fn step_alert(
    facts: &Facts<'_>,
    key: &str,
    field: Option<&str>,
    subject: &Subject,
    step: Step,
) -> Option<Alert> {
    let (rule, logic, seen_at) = (&facts.watched.rule, &facts.watched.logic, facts.seen_at);
    let Step { at, what, evidence: Evidence { values, .. }, source, causes } = step;
    let (open, newest) = (subject.open.as_deref(), subject.newest.as_deref());
    match what {
        What::Condition(Transition::Opened(level)) => {
            let alert = Alert::open((rule, &source), key, at, &values, seen_at, newest);
            Some(alert.first_at(logic.severity(level)).caused_by(causes))
        }
        What::Condition(Transition::Raised(level) | Transition::Lowered(level)) => {
            Some(open?.change(rule, logic.severity(level), at, &values, seen_at))
        }
        What::Condition(Transition::Cleared) | What::Spoke(_) => {
            Some(open?.clear(rule, at, &values, seen_at))
        }
        What::Condition(Transition::Began | Transition::Withdrawn) => None,
        What::Silent(_) => {
            let after_ms = logic.no_data.as_ref().map_or(0, |no_data| no_data.after_ms);
            let alert = Alert::silent((rule, &source), key, field, (at, after_ms), seen_at, newest);
            Some(alert.first_at(logic.of_silence()))
        }
    }
}

/// Adds a transition, with what is told of it.
fn push(facts: &Facts<'_>, changes: &mut Changes, lines: &mut Vec<Line>, mut alert: Alert) -> Arc<Alert> {
    let held = alert.held_key().into_owned();
    lines.extend(facts.around(&held, |around| facts.watched.notices.hear(&mut alert, around)));
    changes.transitions.push(alert.clone());
    Arc::new(alert)
}

/// The tracks of each key, each with the rank of its partition. A key that rests wherever it comes has none: nothing comes of it.
fn by_key(facts: &Facts<'_>, lanes: Vec<LanePart>) -> BTreeMap<Box<str>, Vec<(usize, Track)>> {
    let mut partitions: Vec<_> = lanes.into_iter().flat_map(|lane| lane.partitions).collect();
    // Records that are replayed from the quarantine are a second part of their partition: the smaller one, put last.
    partitions.sort_by(|a, b| {
        let (one, other) = (&a.origin, &b.origin);
        let of = (&one.topic, one.partition, &one.source, Reverse(a.len()));
        of.cmp(&(&other.topic, other.partition, &other.source, Reverse(b.len())))
    });
    let mut tracks: BTreeMap<Box<str>, Vec<(usize, Track)>> = BTreeMap::new();
    for (rank, partition) in partitions.iter_mut().enumerate() {
        for (key, track) in partition.take_tracks() {
            tracks.entry(key.into()).or_default().push((rank, track));
        }
    }
    if partitions.len() > 1 {
        for (key, of_key) in &mut tracks {
            for (rank, partition) in partitions.iter().enumerate() {
                let track = partition.resting(facts.watched, facts.state, key);
                of_key.extend(track.map(|track| (rank, track)));
            }
        }
    }
    tracks
}
