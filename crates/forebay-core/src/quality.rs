//! The quality of a source's records over time: how many were judged by its expectations, which failed, and of which devices.
//!
//! ```text
//! rows of a lane ─▶ Judged ─▶ outcome and commit of the epoch ─▶ Past: minutes, hours, all time
//! ```
//!
//! An epoch's counts stand under the time for which it was planned, which is in its plan; so an epoch that is repeated counts in the
//! same minute, and once. What must stay true: sums are exact, whatever makes room. Only names of devices make room: of each
//! minute and hour those stay that failed most, and what the others failed is the difference between a rule's count and theirs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Longest name of a device, in bytes; one with a longer name is counted, but not by name.
pub const LONGEST_DEVICE: usize = 200;

/// Most devices that an epoch, and then a minute and an hour, tell by name; twice as many until room is made.
const MOST_DEVICES: [usize; 3] = [64, 16, 32];

/// Minutes that are kept one by one: three hours if each has an epoch.
pub const MINUTES: usize = 180;

/// Hours that are kept one by one: two weeks if each has an epoch.
pub const HOURS: usize = 14 * 24;

/// How many rows failed each rule.
pub type ByRule = BTreeMap<Box<str>, u64>;

/// What was judged of one source, and what of it failed. Adds up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Judged {
    /// Rows that were held to the expectations.
    pub rows: u64,
    /// Of them those that failed one or more.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Records that gave no row to judge.
    #[serde(skip_serializing_if = "is_zero")]
    pub unreadable: u64,
    /// How many failed each expectation; those that none failed are left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: ByRule,
    /// The same of each device, the worst ones.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub devices: BTreeMap<Box<str>, ByRule>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Judged {
    /// True if nothing came.
    pub fn is_empty(&self) -> bool {
        self.rows == 0 && self.unreadable == 0
    }

    /// Adds what was judged elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.failed += other.failed;
        self.unreadable += other.unreadable;
        add_rules(&mut self.rules, &other.rules);
        for (device, rules) in &other.devices {
            match self.devices.get_mut(device) {
                Some(known) => add_rules(known, rules),
                None => drop(self.devices.insert(device.clone(), rules.clone())),
            }
        }
    }

    /// How many failed a rule.
    pub fn of_rule(&self, rule: &str) -> u64 {
        self.rules.get(rule).copied().unwrap_or(0)
    }

    /// The devices that failed most, or most of one rule, the worst first; those that failed as much by their names.
    pub fn worst(&self, rule: Option<&str>, most: usize) -> Vec<(&str, u64)> {
        let failed = |rules: &ByRule| match rule {
            Some(rule) => rules.get(rule).copied().unwrap_or(0),
            None => rules.values().sum(),
        };
        let all = self.devices.iter().map(|(device, rules)| (&**device, failed(rules)));
        let mut all: Vec<(&str, u64)> = all.filter(|(_, count)| *count > 0).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        all.truncate(most);
        all
    }

    /// Makes room once there are twice as many devices as may be.
    fn make_room(&mut self, most: usize) {
        if self.devices.len() > 2 * most {
            let kept: Vec<Box<str>> = self.worst(None, most).iter().map(|(name, _)| (*name).into()).collect();
            self.devices.retain(|name, _| kept.contains(name));
        }
    }
}

fn add_rules(all: &mut ByRule, more: &ByRule) {
    for (rule, count) in more {
        match all.get_mut(rule) {
            Some(known) => *known += count,
            None => drop(all.insert(rule.clone(), *count)),
        }
    }
}

/// What an epoch judged, by source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EpochQuality {
    /// The time of the epoch, milliseconds since 1970.
    pub planned_at_ms: i64,
    /// What it judged.
    pub sources: BTreeMap<Box<str>, Judged>,
}

impl EpochQuality {
    /// Adds what a lane judged of a source.
    pub fn add(&mut self, source: &str, judged: &Judged) {
        if judged.is_empty() {
            return;
        }
        let all = self.sources.entry(source.into()).or_default();
        all.add(judged);
        all.make_room(MOST_DEVICES[0]);
    }
}

/// How long the steps are in which counts are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// Since the query began.
    All,
}

impl Step {
    /// All of them, the shortest first.
    pub const EACH: [Self; 3] = [Self::Minute, Self::Hour, Self::All];

    /// Its length in milliseconds.
    pub fn ms(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::All => i64::MAX,
        }
    }

    /// When the step of a time begins.
    pub fn start(self, at_ms: i64) -> i64 {
        match self {
            Self::All => 0,
            _ => at_ms.div_euclid(self.ms()).saturating_mul(self.ms()),
        }
    }

    /// Most steps that are kept, and most devices of each.
    fn most(self) -> (usize, usize) {
        match self {
            Self::Minute => (MINUTES, MOST_DEVICES[1]),
            Self::Hour => (HOURS, MOST_DEVICES[2]),
            Self::All => (1, 0),
        }
    }
}

/// What was judged in the steps of one length, by the time at which they begin.
pub type Steps = BTreeMap<i64, Judged>;

/// What was judged of each source: in the newest minutes, in the newest hours, and in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past(BTreeMap<Box<str>, BTreeMap<Step, Steps>>);

impl Past {
    /// Adds an epoch.
    pub fn add(&mut self, epoch: &EpochQuality) {
        for (source, judged) in &epoch.sources {
            for step in Step::EACH {
                self.add_to(source, step, epoch.planned_at_ms, judged);
            }
        }
    }

    /// Adds counts to the step of a time, and makes room.
    pub fn add_to(&mut self, source: &str, step: Step, at_ms: i64, judged: &Judged) {
        let (most, devices) = step.most();
        if !self.0.contains_key(source) {
            self.0.insert(source.into(), BTreeMap::new());
        }
        let Some(past) = self.0.get_mut(source) else { return };
        let steps = past.entry(step).or_default();
        let counts = steps.entry(step.start(at_ms)).or_default();
        counts.add(judged);
        if devices == 0 {
            counts.devices.clear();
        }
        counts.make_room(devices);
        while steps.len() > most {
            steps.pop_first();
        }
    }

    /// True if nothing was judged.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every count: source, length of the step, its beginning.
    pub fn each(&self) -> impl Iterator<Item = (&str, Step, i64, &Judged)> {
        self.0.iter().flat_map(|(source, past)| {
            past.iter().flat_map(move |(step, steps)| {
                steps.iter().map(move |(start, judged)| (&**source, *step, *start, judged))
            })
        })
    }

    /// The steps of this length.
    pub fn steps(&self, source: &str, step: Step) -> Option<&Steps> {
        self.0.get(source)?.get(&step)
    }

    /// What was judged of a source since the query began.
    pub fn total(&self, source: &str) -> Option<&Judged> {
        self.steps(source, Step::All)?.values().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of a device each, which fails these rules.
    fn judged(rows: &[(&str, &[&str])]) -> Judged {
        let mut all = Judged::default();
        for (device, failed) in rows {
            let rules: ByRule = failed.iter().map(|rule| ((*rule).into(), 1)).collect();
            all.add(&Judged {
                rows: 1,
                failed: u64::from(!failed.is_empty()),
                unreadable: 0,
                devices: (!failed.is_empty())
                    .then(|| ((*device).into(), rules.clone()))
                    .into_iter()
                    .collect(),
                rules,
            });
        }
        all
    }

    fn epoch(planned_at_ms: i64, judged: &Judged) -> EpochQuality {
        let mut epoch = EpochQuality { planned_at_ms, ..EpochQuality::default() };
        epoch.add("cars", judged);
        epoch
    }

    #[test]
    fn rows_count_the_same_however_they_are_divided_into_epochs() {
        let rows: Vec<(&str, &[&str])> = vec![
            ("a", &["speed", "fuel"]),
            ("b", &[]),
            ("a", &["speed"]),
            ("c", &["fuel"]),
            ("b", &["speed"]),
            ("a", &[]),
            ("c", &["speed"]),
        ];
        let mut whole = Past::default();
        whole.add(&epoch(60_000, &judged(&rows)));
        // Each bit says whether an epoch ends behind its row.
        for cuts in 0..1u32 << (rows.len() - 1) {
            let (mut past, mut from) = (Past::default(), 0);
            for end in 1..=rows.len() {
                if end == rows.len() || cuts & (1 << (end - 1)) != 0 {
                    past.add(&epoch(60_000 + i64::from(cuts % 7), &judged(&rows[from..end])));
                    from = end;
                }
            }
            assert_eq!(past, whole, "{cuts:b}");
        }
        let hour = &whole.steps("cars", Step::Hour).unwrap()[&0];
        assert_eq!((hour.rows, hour.failed, hour.of_rule("speed"), hour.of_rule("fuel")), (7, 5, 4, 2));
        assert_eq!(hour.worst(None, 2), [("a", 3), ("c", 2)]);
        assert_eq!(hour.worst(Some("speed"), 9), [("a", 2), ("b", 1), ("c", 1)]);
    }

    #[test]
    fn room_is_bounded_and_sums_stay_exact() {
        let mut past = Past::default();
        for number in 0..1_000i64 {
            let names: Vec<String> = (0..40).map(|device| format!("d{:04}", device * 7 + number)).collect();
            let mut rows: Vec<(&str, &[&str])> =
                names.iter().map(|name| (name.as_str(), &["speed"][..])).collect();
            rows.extend([("bad", &["speed"][..]), ("bad", &["speed"][..])]);
            past.add(&epoch(number * 60_000, &judged(&rows)));
        }
        let minutes = past.steps("cars", Step::Minute).unwrap();
        assert_eq!((minutes.len(), minutes.keys().next()), (MINUTES, Some(&(820 * 60_000))));
        for (_, step, _, counts) in past.each() {
            assert!(counts.devices.len() <= 64, "{}", counts.devices.len());
            let by_name: u64 = counts.worst(None, usize::MAX).iter().map(|it| it.1).sum();
            assert!(by_name <= counts.of_rule("speed"));
            assert_eq!(counts.rows, counts.failed);
            assert!(step == Step::All || counts.worst(None, 1)[0].0 == "bad");
        }
        let total = past.total("cars").unwrap();
        assert_eq!((total.rows, total.of_rule("speed"), total.devices.len()), (42_000, 42_000, 0));
    }

    #[test]
    fn times_before_1970_and_a_clock_that_goes_back_fall_into_their_own_minutes() {
        assert_eq!(Step::Minute.start(-1), -60_000);
        assert_eq!(Step::Hour.start(i64::MIN), i64::MIN);
        let mut past = Past::default();
        for at_ms in [120_000, 60_001, 119_999] {
            past.add(&epoch(at_ms, &judged(&[("a", &[])])));
        }
        let rows: Vec<_> =
            past.steps("cars", Step::Minute).unwrap().iter().map(|(at, it)| (*at, it.rows)).collect();
        assert_eq!(rows, [(60_000, 2), (120_000, 1)]);
    }

    #[test]
    fn what_is_nought_is_not_written_and_read_as_nought() {
        let text = serde_json::to_string(&epoch(7, &judged(&[("a", &[])]))).unwrap();
        assert_eq!(text, r#"{"plannedAtMs":7,"sources":{"cars":{"rows":1}}}"#);
        assert_eq!(serde_json::from_str::<EpochQuality>(&text).unwrap(), epoch(7, &judged(&[("a", &[])])));
    }
}
