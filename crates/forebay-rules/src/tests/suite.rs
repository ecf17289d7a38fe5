//! The suite of alerts as data: `tests/data/*.txt`, timelines in, transitions out.
//!
//! A case is a title (`==`), what the rule asks for (`rule:`), and lines of a timeline, each with what it makes (`->`):
//!
//! ```text
//! == a condition must hold for its time
//! rule: for 1000
//! 0     a  T
//! 1000  a  T   -> opened
//! ```
//!
//! A row is its time, its key, and for each level a letter for `when` (`T`, `F`, `N`) and one for `clear` if the level has one, the
//! levels divided by commas; then, as needed, the watched fields that it has (`+rpm`), its partition (`p1`), and the time of the epoch that
//! reads it, if that is not its own (`@500`). `tick 500` is an epoch's time without a row, `ack a ana` a person, `rule:` a changed
//! rule, `--` the end of an epoch. A transition is what happened, to what if not to the condition (`data`, `data.rpm`), the level where that
//! matters, its time if it is not the row's, and `quiet` if nobody is told; `told` is an opening that is told later.
//!
//! Each case is run with **every** division into epochs, but those with lines `--`, which have one. After each epoch the process dies:
//! what goes on is what the journal says. The epoch is decided twice, as after a death before its entry. The same must come out
//! every time: the transitions, who was told, and what is remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use forebay_core::Epoch;
use forebay_core::Zone;
use forebay_core::config::{Severity, SilenceConfig, SilenceTime, Weekly, moment_us};

use super::rule;
use crate::columns::Rows;
use crate::desk::Desk;
use crate::entry::{Changes, Entry, EpochEntry, Last};
use crate::epoch::{Facts, decide};
use crate::journal::Journal;
use crate::lane::{AlertLane, LanePart, settle};
use crate::machine::{Row, Said};
use crate::notices::Around;
use crate::readings::Readings;
use crate::silences::Silences;
use crate::state::RuleState;
use crate::{Acknowledged, Alert, Bounds, Channel, Event, Level, Matches, NoData, Remark, Watched};

/// What a timeline is made of.
#[derive(Clone, Debug)]
enum Line {
    Row { key: String, row: Row, partition: i32, now: i64 },
    Tick(i64),
    Ack(String, String),
    Rule(Box<Watched>),
    Break,
}

struct Case {
    name: String,
    rule: Watched,
    lines: Vec<Line>,
    /// By subject, what is expected of it.
    expected: BTreeMap<String, Vec<String>>,
    is_fixed: bool,
}

/// What came out of a run.
#[derive(Debug, PartialEq)]
struct Out {
    transitions: BTreeMap<String, Vec<String>>,
    remembered: String,
}

#[test]
fn every_case_gives_its_transitions_however_it_is_divided_and_whenever_it_dies() {
    let mut cases = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        cases.extend(read(&std::fs::read_to_string(file).unwrap()));
    }
    assert!(cases.len() >= 80, "only {} cases", cases.len());
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    let (mut runs, mut failures) = (0, Vec::new());
    for case in &cases {
        let timed = case.lines.iter().filter(|line| matches!(line, Line::Row { .. } | Line::Tick(_))).count();
        assert!((1..=12).contains(&timed), "{} has {timed} rows", case.name);
        let divisions = if case.is_fixed { 1 } else { 1 << (timed - 1) };
        let mut first: Option<Out> = None;
        for division in 0..divisions {
            runs += 1;
            let out = run(case, division);
            if out.transitions != case.expected {
                failures.push(format!(
                    "{} (division {division:b})\n  expected {:?}\n     found {:?}",
                    case.name, case.expected, out.transitions
                ));
                break;
            }
            let known = first.get_or_insert_with(|| run(case, division));
            assert_eq!(*known, out, "{}: division {division:b} remembers something else", case.name);
        }
    }
    println!("{} cases, {runs} runs", cases.len());
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
}

/// Plays a case; the bits of `division` say after which rows an epoch ends.
fn run(case: &Case, division: u32) -> Out {
    let mut play = Play {
        watched: case.rule.clone(),
        state: RuleState::default(),
        rows: Vec::new(),
        now: i64::MIN,
        epoch: 0,
        found: BTreeMap::new(),
        steps: BTreeSet::new(),
        told: BTreeSet::new(),
    };
    let mut timed = 0;
    for line in &case.lines {
        match line {
            Line::Row { now, .. } | Line::Tick(now) => {
                play.now = play.now.max(*now);
                play.rows.push(line.clone());
                if !case.is_fixed && division & (1 << timed) != 0 {
                    play.end_epoch();
                }
                timed += 1;
            }
            Line::Break => play.end_epoch(),
            Line::Ack(key, by) => {
                play.end_epoch();
                play.acknowledge(key, by);
            }
            Line::Rule(rule) => {
                play.end_epoch();
                play.watched = Watched::clone(rule);
            }
        }
    }
    play.end_epoch();
    let mut cleared: Vec<_> = play.state.cleared().map(|alert| format!("{alert:?}")).collect();
    let mut open: Vec<_> = play.state.all_open().map(|alert| format!("{alert:?}")).collect();
    let watches: BTreeMap<_, _> = play.state.watches().collect();
    cleared.sort();
    open.sort();
    Out { transitions: play.found, remembered: format!("{watches:?} {open:?} {cleared:?}") }
}

struct Play {
    watched: Watched,
    state: RuleState,
    rows: Vec<Line>,
    now: i64,
    epoch: u64,
    found: BTreeMap<String, Vec<String>>,
    /// The names of all transitions: none may come twice.
    steps: BTreeSet<String>,
    told: BTreeSet<String>,
}

impl Play {
    fn end_epoch(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        let rows = std::mem::take(&mut self.rows);
        let bounds = Bounds::default();
        let facts = Facts {
            watched: &self.watched,
            bounds: &bounds,
            state: &self.state,
            now: self.now,
            seen_at: 7,
            silences: &Silences::default(),
            is_open: &|_, _| false,
        };
        let (changes, refused) = decide(&facts, self.lanes(&rows, 100));
        assert_eq!((&decide(&facts, self.lanes(&rows, 100)).0, refused), (&changes, 0), "decided again");
        for held in 0..4 {
            assert_eq!(decide(&facts, self.lanes(&rows, held)).0, changes, "where {held} rows may wait");
        }
        let last = Last { query_id: "q".into(), epoch: Epoch(self.epoch) };
        self.epoch += 1;
        self.note(&changes);
        self.write(Entry::Epoch(EpochEntry { last, changes }));
    }

    /// A lane for every partition, with its rows one by one; `held` of them wait until it is known who is awake.
    fn lanes(&self, rows: &[Line], held: usize) -> Vec<LanePart> {
        let mut lanes: BTreeMap<i32, AlertLane> = BTreeMap::new();
        let bounds = Bounds { held, ..Bounds::default() };
        let readings = Readings::default();
        for line in rows {
            let Line::Row { key, row, partition, .. } = line else { continue };
            let lane = lanes.entry(*partition).or_insert_with(|| AlertLane {
                watched: Arc::new(self.watched.clone()),
                columns: Arc::default(),
                state: Arc::new(self.state.clone()),
                bounds,
                latest: i64::MAX,
                readings: readings.clone(),
                is_lent: false,
                part: LanePart::default(),
            });
            lane.take(Rows::one(key, *row, ("t", *partition, "iot"), &self.watched.logic)).unwrap();
        }
        let mut lanes: Vec<LanePart> = lanes.into_values().map(|lane| lane.part).collect();
        settle(&self.watched, &self.state, &bounds, &mut lanes).unwrap();
        lanes
    }

    fn acknowledge(&mut self, key: &str, by: &str) {
        let alert = self.state.open(key).cloned().unwrap();
        let around = Around { silences: &Silences::default(), now: self.now, is_open: &|_| false };
        let mut changed = alert.acknowledge(Remark { at: 9, by: by.to_owned(), comment: None });
        let line = self.watched.notices.hear(&mut changed, &around);
        let telling = self.watched.notices.tell(self.state.outbox(), line.as_slice(), self.now);
        let told =
            Changes { transitions: vec![changed.clone()], telling: telling.clone(), ..Changes::default() };
        self.note(&told);
        self.write(Entry::Person(Box::new(crate::entry::PersonEntry { alert: changed, telling })));
    }

    /// Takes an entry as a process does that dies right after it was written.
    fn write(&mut self, entry: Entry) {
        let text = serde_json::to_string(&entry).unwrap();
        let mut alive = self.state.clone();
        alive.apply(entry, 1_000);
        self.state.apply(serde_json::from_str(&text).unwrap(), 1_000);
        assert_eq!(self.state, alive, "the journal says something else than the process knew");
        let snapshot = serde_json::to_string(&self.state.snapshot()).unwrap();
        let mut rewritten = RuleState::default();
        rewritten.apply(serde_json::from_str(&snapshot).unwrap(), 1_000);
        assert_eq!(rewritten, self.state, "and so does its snapshot");
        let due: Vec<_> = self.state.outbox().due().iter().map(|notice| notice.id.clone()).collect();
        self.state.apply(Entry::Delivered(due), 1_000);
    }

    fn note(&mut self, changes: &Changes) {
        let lines: Vec<_> = changes.telling.notices.iter().flat_map(|notice| &notice.lines).collect();
        for line in &lines {
            assert!(
                self.told.insert(format!("{} {:?}", line.transition, line.event)),
                "told twice: {line:?}"
            );
        }
        for alert in &changes.transitions {
            assert!(self.steps.insert(alert.transition()), "twice: {}", alert.transition());
            let is_told = lines.iter().any(|line| line.transition == alert.transition());
            self.find(alert, word(alert, is_told));
        }
        for alert in &changes.updates {
            self.find(alert, format!("told {}", alert.opened_at));
        }
    }

    fn find(&mut self, alert: &Alert, word: String) {
        let rows = &alert.life.rows;
        let is_known =
            alert.life.no_data.is_some() || rows.last().is_some_and(|row| row.at == alert.opened_at);
        assert!(rows.len() <= 5 && is_known, "an alert knows the row that opened it: {rows:?}");
        self.found.entry(alert.subject().into_owned()).or_default().push(word);
    }
}

/// A transition as the cases write it.
fn word(alert: &Alert, is_told: bool) -> String {
    let quiet = if is_told { "" } else { " quiet" };
    let (what, at) = match alert.event() {
        Event::Opened => (format!("opened {}", alert.severity.word()), alert.opened_at),
        Event::Raised => (format!("raised {}", alert.severity.word()), alert.changed_at()),
        Event::Lowered => (format!("lowered {}", alert.severity.word()), alert.changed_at()),
        Event::Acknowledged => ("acknowledged".to_owned(), 9),
        Event::Cleared if alert.rule_removed => ("ended".to_owned(), alert.changed_at()),
        Event::Cleared => ("cleared".to_owned(), alert.changed_at()),
    };
    format!("{what} {at}{quiet}")
}

fn read(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("== ") {
            let (name, rule) = (name.to_owned(), read_rule(""));
            cases.push(Case { name, rule, lines: Vec::new(), expected: BTreeMap::new(), is_fixed: false });
            continue;
        }
        let case = cases.last_mut().expect("a case begins with its name");
        let (line, expected) = line.split_once("->").unwrap_or((line, ""));
        case.line(line.trim(), expected.trim());
    }
    cases
}

impl Case {
    fn line(&mut self, line: &str, expected: &str) {
        let mut rule = self.lines.iter().rev().find_map(|line| match line {
            Line::Rule(rule) => Some(Watched::clone(rule)),
            _ => None,
        });
        let severity = rule.get_or_insert_with(|| self.rule.clone()).logic.levels[0].severity;
        if let Some(text) = line.strip_prefix("rule:") {
            let watched = read_rule(text);
            match self.lines.is_empty() {
                true => self.rule = watched,
                false => self.lines.push(Line::Rule(Box::new(watched))),
            }
            return;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let (key, at) = match words[..] {
            ["--"] => {
                self.is_fixed = true;
                self.lines.push(Line::Break);
                return;
            }
            ["tick", at] => {
                self.lines.push(Line::Tick(time(at)));
                ("", time(at))
            }
            ["ack", key, by] => {
                self.lines.push(Line::Ack(key.to_owned(), by.to_owned()));
                (key, 9)
            }
            [at, key, says, ref more @ ..] => {
                let fields = rule.as_ref().unwrap().logic.fields();
                self.lines.push(row(time(at), key, says, more, fields));
                (key, time(at))
            }
            _ => panic!("{}: `{line}` is no line", self.name),
        };
        for one in expected.split(';').map(str::trim).filter(|one| !one.is_empty()) {
            self.expect(one, key, at, severity);
        }
    }

    /// `[KEY:] EVENT [data[.FIELD]] [LEVEL] [AT] [quiet]`
    fn expect(&mut self, text: &str, key: &str, mut at: i64, mut severity: Severity) {
        let (key, text) = text.split_once(':').map_or((key, text), |(key, text)| (key, text.trim()));
        let mut words = text.split_whitespace();
        let event = words.next().unwrap();
        let (mut subject, mut quiet) = (key.to_owned(), "");
        for word in words {
            if let Some(field) = word.strip_prefix("data.") {
                subject = crate::key::silence(key, Some(field));
            } else if let Some(level) = Severity::ALL.into_iter().find(|level| level.word() == word) {
                severity = level;
            } else {
                match word {
                    "data" => subject = crate::key::silence(key, None),
                    "quiet" => quiet = " quiet",
                    word => at = time(word),
                }
            }
        }
        let word = match event {
            "opened" | "raised" | "lowered" => format!("{event} {} {at}{quiet}", severity.word()),
            "told" | "cleared" | "acknowledged" | "ended" => format!("{event} {at}{quiet}"),
            _ => panic!("{}: `{event}` is no transition", self.name),
        };
        self.expected.entry(subject).or_default().push(word);
    }
}

fn row(at: i64, key: &str, says: &str, more: &[&str], fields: &[String]) -> Line {
    let letter = |letter: Option<char>| match letter {
        Some('T') => Some(true),
        Some('F') => Some(false),
        Some('N') | None => None,
        Some(other) => panic!("{other} says nothing"),
    };
    let mut row = Row { at, says: [Said::default(); 3], fields: 0 };
    for (said, text) in row.says.iter_mut().zip(says.split(',')) {
        let mut letters = text.chars();
        *said = Said { when: letter(letters.next()), clear: letter(letters.next()) };
    }
    let (mut now, mut partition) = (at, 0);
    for word in more {
        if let Some(field) = word.strip_prefix('+') {
            row.fields |= 1 << fields.iter().position(|known| known == field).unwrap();
        } else if let Some(text) = word.strip_prefix('@') {
            now = time(text);
        } else {
            partition = word.strip_prefix('p').unwrap().parse().unwrap();
        }
    }
    Line::Row { key: key.to_owned(), row, partition, now }
}

/// Milliseconds, or a moment.
fn time(text: &str) -> i64 {
    text.parse().unwrap_or_else(|_| moment_us(text, 0).unwrap_or_else(|| panic!("{text} is no time")) / 1_000)
}

/// What a rule asks for, in pieces divided by `;`.
fn read_rule(text: &str) -> Watched {
    let mut watched: Watched = rule(0).into();
    let (logic, notices) = (&mut watched.logic, &mut watched.notices);
    logic.levels = vec![Level::new(Severity::Warning, 0)];
    let mut hold = 0;
    for piece in text.split(';').map(str::trim).filter(|piece| !piece.is_empty()) {
        let words: Vec<&str> = piece.split_whitespace().collect();
        match words[..] {
            ["clear"] => logic.levels.iter_mut().for_each(|level| level.has_clear = true),
            ["for", ms] => {
                hold = time(ms);
                logic.levels.iter_mut().for_each(|level| level.hold_ms = hold);
            }
            ["levels", ref levels @ ..] => {
                logic.levels = levels
                    .iter()
                    .map(|text| {
                        let (word, ms) = text.split_once('/').unwrap_or((text, ""));
                        let severity = Severity::ALL.into_iter().find(|it| it.word() == word).unwrap();
                        Level::new(severity, ms.parse().unwrap_or(hold))
                    })
                    .collect();
            }
            ["matches", count, "of", of] => {
                logic.matches =
                    Some(Matches::OfRows { count: count.parse().unwrap(), of: of.parse().unwrap() });
            }
            ["matches", count, "within", ms] => {
                logic.matches = Some(Matches::Within { count: count.parse().unwrap(), ms: time(ms) });
            }
            ["cooldown", ms] => logic.cooldown_ms = time(ms),
            ["noData", ms, ref keys @ ..] => {
                let keys = keys.iter().map(|key| (*key).to_owned()).collect();
                logic.no_data = Some(NoData { after_ms: time(ms), of_key: true, fields: Vec::new(), keys });
            }
            ["fields", ms, ref fields @ ..] => {
                let fields = fields.iter().map(|field| (*field).to_owned()).collect();
                let of_key = logic.no_data.is_some();
                logic.no_data = Some(NoData { after_ms: time(ms), of_key, fields, keys: Vec::new() });
            }
            ["silence", from, until, ref keys @ ..] => {
                let time = SilenceTime::Once { from_ms: time(from), until_ms: time(until) };
                notices.silences.push(silence(time, keys));
            }
            ["weekly", zone, day, from, until, ref keys @ ..] => {
                let mut days = [false; 7];
                days[day.parse::<usize>().unwrap()] = true;
                let (from, until) = (from.parse().unwrap(), until.parse().unwrap());
                let zone = Zone::read(zone).unwrap();
                notices.silences.push(silence(SilenceTime::Weekly(Weekly { days, from, until, zone }), keys));
            }
            _ => panic!("`{piece}` is nothing that a rule asks for"),
        }
    }
    notices.channels =
        vec![Channel { name: "ops".into(), least: Severity::Info, wait_ms: 0, most: 1_000, listed: 20 }];
    watched
}

fn silence(time: SilenceTime, keys: &[&str]) -> SilenceConfig {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    SilenceConfig { name: "s".into(), rules: Vec::new(), keys, severities: Vec::new(), time }
}

#[test]
fn alerts_are_a_function_of_the_rows_and_not_of_the_epochs() {
    let mut random = 11u64;
    let mut next = move |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let rules = [
        "for 30",
        "clear; for 30",
        "clear; cooldown 50",
        "matches 3 of 5",
        "clear; matches 2 of 3; for 20; cooldown 40",
        "matches 3 within 40",
        "clear; matches 3 within 40; cooldown 25",
        "levels info/0 warning/20 critical/0; clear",
        "levels warning/30 critical/10",
        "levels info/0 critical/0; clear; matches 2 of 4; cooldown 30",
        "noData 15; fields 25 rpm; for 10",
    ];
    let mut compared = 0;
    for round in 0..400 {
        let text = rules[usize::try_from(next(rules.len() as u64)).unwrap()];
        let mut watched = read_rule(text);
        // How many are told as one depends on the epochs, as it should.
        watched.notices.channels.clear();
        let mut at = 1_000;
        let letters = ["T", "F", "N"];
        let lines = (0..60).map(|_| {
            at += i64::try_from(next(15)).unwrap();
            // Some come late, but silence is told by the time of epochs too: there none does.
            let late = if next(8) == 0 && watched.logic.no_data.is_none() { next(60) } else { 0 };
            let mut says = Vec::new();
            for _ in 0..3 {
                let mut letter = || letters[usize::try_from(next(3)).unwrap()];
                says.push(format!("{}{}", letter(), letter()));
            }
            let fields: &[&str] =
                if watched.logic.no_data.is_some() && next(2) == 0 { &["+rpm"] } else { &[] };
            let key = ["a", "b"][usize::try_from(next(2)).unwrap()];
            row(at - i64::try_from(late).unwrap(), key, &says.join(","), fields, watched.logic.fields())
        });
        let lines: Vec<Line> = lines.collect();
        let case = |breaks: &dyn Fn(usize) -> bool| {
            let mut all = Vec::new();
            for (index, line) in lines.iter().enumerate() {
                all.push(line.clone());
                if breaks(index) {
                    all.push(Line::Break);
                }
            }
            let (name, expected) = (String::new(), BTreeMap::new());
            Case { name, rule: watched.clone(), lines: all, expected, is_fixed: true }
        };
        let whole = run(&case(&|_| false), 0);
        compared += whole.transitions.values().map(Vec::len).sum::<usize>();
        let bits = next(u64::from(u32::MAX)) << 29 | next(u64::from(u32::MAX));
        for case in [case(&|_| true), case(&|index| bits >> index & 1 == 1), case(&|index| index % 7 == 3)] {
            assert_eq!(run(&case, 0), whole, "round {round}: {text}");
        }
    }
    assert!(compared > 2_000, "only {compared} transitions were compared");
}

#[test]
fn what_people_do_is_there_once_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let watched = read_rule("");
    let desk = || {
        let (journal, state) = Journal::open(dir.path(), forebay_storage::Door::new(), 1 << 20, 100).unwrap();
        Desk::new(journal, state, Arc::new(watched.clone()), 100)
    };
    let open = Alert::open((&rule(0), "iot"), "a", 5, &[], 7, None);
    let last = Last { query_id: "q".into(), epoch: Epoch(0) };
    let changes = Changes { transitions: vec![open.clone()], ..Changes::default() };
    desk().with(|papers| papers.write(Entry::Epoch(EpochEntry { last, changes })).map(drop)).unwrap();
    let says = |by: &str, comment: &str| Remark { at: 9, by: by.into(), comment: Some(comment.into()) };
    let Acknowledged::Now(alert) = desk().acknowledge(&open.id, says("ana", "I go there")).unwrap() else {
        panic!("ana was the first");
    };
    assert_eq!((alert.event(), alert.transition().as_str()), (Event::Acknowledged, "overheat/a/5#2"));
    let desk = desk();
    let Acknowledged::Before(alert) = desk.acknowledge(&open.id, says("bo", "me too")).unwrap() else {
        panic!("bo was the second");
    };
    assert_eq!(alert.life.acknowledged.as_ref().unwrap().by, "ana");
    let due = desk.due();
    assert_eq!((due.len(), due[0].id.as_str()), (1, "ops/overheat/a/5#2"));
    desk.delivered(&[due[0].id.clone(), "unknown".into()]).unwrap();
    desk.delivered(&[due[0].id.clone()]).unwrap();
    assert!(desk.due().is_empty());
    for _ in 0..30 {
        desk.comment(&open.id, says("bo", "hm")).unwrap();
    }
    assert_eq!(desk.state().open("a").unwrap().life.comments.len(), 20);
    assert_eq!(desk.acknowledge("overheat/b/5", says("bo", "")).unwrap_err().code().id, "FB-8002");
    assert!(desk.comment(&open.id, says("", "who?")).is_err());
    assert!(desk.comment(&open.id, says("bo", &"x".repeat(1_001))).is_err());
}
