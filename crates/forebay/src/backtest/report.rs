//! What came of a backtest, told: as a table for people, and as JSON.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use forebay_rules::backtest::{Episode, Tally, common};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::Side;
use super::run::Done;
use crate::talk;

/// Keys that are told of each rule: the worst.
const WORST: usize = 3;

/// Alerts of a rule that the JSON holds one by one; all are counted.
const MOST_ALERTS: usize = 10_000;

/// What came of all rules.
pub struct Report {
    /// The table.
    pub on: String,
    /// The SQL of its time.
    pub time: String,
    pub rows: u64,
    pub without_time: u64,
    /// What the data tells of, milliseconds since 1970.
    pub from_ms: i64,
    pub to_ms: i64,
    pub rules: Vec<OfRule>,
    /// Whether it was compared.
    pub is_compared: bool,
}

/// What came of one.
pub struct OfRule {
    pub name: String,
    pub new: Option<Tally>,
    pub present: Option<Tally>,
}

/// How two rule sets differ in one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Alerts of the new rule that were open together with one of the present one.
    pub both: usize,
    pub only_new: usize,
    pub only_present: usize,
}

/// What a rule did, counted.
#[derive(Debug, PartialEq)]
pub struct Summary<'a> {
    pub opened: usize,
    pub cleared: usize,
    /// How long alerts were open, added up, milliseconds.
    pub open_ms: i64,
    pub keys: usize,
    pub first_ms: Option<i64>,
    pub last_ms: Option<i64>,
    /// By how long they were open: key, alerts, milliseconds.
    pub worst: Vec<(Option<&'a str>, usize, i64)>,
}

impl OfRule {
    /// By name, in the order of the new file; what only the present one has stands last.
    pub fn all(done: Vec<Done>) -> Vec<Self> {
        let mut rules: Vec<Self> = Vec::new();
        let (new, present): (Vec<Done>, Vec<Done>) = done.into_iter().partition(|it| it.side == Side::New);
        for Done { rule, side, tally } in new.into_iter().chain(present) {
            let place = rules.iter().position(|it| it.name == rule).unwrap_or_else(|| {
                rules.push(Self { name: rule, new: None, present: None });
                rules.len() - 1
            });
            let Some(of) = rules.get_mut(place) else { continue };
            match side {
                Side::New => of.new = Some(tally),
                Side::Present => of.present = Some(tally),
            }
        }
        rules
    }

    /// How the two differ.
    pub fn difference(&self) -> Difference {
        let episodes = |tally: &Option<Tally>| tally.as_ref().map_or(Vec::new(), |it| it.episodes.clone());
        let (new, present) = (episodes(&self.new), episodes(&self.present));
        let count = |all: Vec<bool>, is: bool| all.into_iter().filter(|it| *it == is).count();
        let both = count(common(&new, &present), true);
        Difference { both, only_new: new.len() - both, only_present: count(common(&present, &new), false) }
    }
}

/// What a rule did until the end of the data.
pub fn summary(tally: &Tally, end_ms: i64) -> Summary<'_> {
    let mut keys: BTreeMap<Option<&str>, (usize, i64)> = BTreeMap::new();
    for episode in &tally.episodes {
        let of = keys.entry(episode.key.as_deref()).or_default();
        *of = (of.0 + 1, of.1.saturating_add(episode.open_ms(end_ms)));
    }
    let mut worst: Vec<_> = keys.into_iter().map(|(key, (count, open_ms))| (key, count, open_ms)).collect();
    worst.sort_by_key(|(key, count, open_ms)| (-open_ms, usize::MAX - count, *key));
    let times = || tally.episodes.iter().map(|episode| episode.opened_at);
    Summary {
        opened: tally.episodes.len(),
        cleared: tally.episodes.iter().filter(|episode| episode.cleared_at.is_some()).count(),
        open_ms: worst.iter().map(|(.., open_ms)| *open_ms).fold(0, i64::saturating_add),
        keys: worst.len(),
        first_ms: times().min(),
        last_ms: times().max(),
        worst,
    }
}

impl Report {
    /// For people.
    pub fn text(&self) -> String {
        let mut out = format!(
            "{}: {} rows from {} to {} by {}\n",
            self.on,
            self.rows,
            moment(self.from_ms),
            moment(self.to_ms),
            one_line(&self.time)
        );
        if self.without_time > 0 {
            out.push_str(&format!("{} rows have no time and are left out\n", self.without_time));
        }
        let mut table = vec![
            ["rule", "rules", "alerts", "cleared", "open for", "keys", "first", "last", "longest open"]
                .map(str::to_owned),
        ];
        for rule in &self.rules {
            let sides = [("new", &rule.new), ("present", &rule.present)];
            for (side, tally) in sides.into_iter().filter_map(|(side, tally)| Some((side, tally.as_ref()?))) {
                let Summary { opened, cleared, open_ms, keys, first_ms, last_ms, worst } =
                    summary(tally, self.to_ms);
                let time = |ms: Option<i64>| ms.map_or_else(|| "-".to_owned(), moment);
                let worst = worst
                    .iter()
                    .take(WORST)
                    .map(|(key, count, open_ms)| format!("{} {count}x {}", shown(*key), span(*open_ms)));
                let worst: Vec<String> = worst.collect();
                let counts = [opened, cleared].map(|count| count.to_string());
                let [opened, cleared] = counts;
                let name = one_line(&rule.name);
                table.push([
                    name,
                    side.to_owned(),
                    opened,
                    cleared,
                    span(open_ms),
                    keys.to_string(),
                    time(first_ms),
                    time(last_ms),
                    worst.join(", "),
                ]);
            }
        }
        out.push_str(&columns(&table, !self.is_compared));
        if self.is_compared {
            out.push_str("\nalerts that were open together, and the others:\n");
            let mut table = vec![["rule", "both", "only new", "only present"].map(str::to_owned)];
            table.extend(self.rules.iter().map(|rule| {
                let Difference { both, only_new, only_present } = rule.difference();
                [one_line(&rule.name), both.to_string(), only_new.to_string(), only_present.to_string()]
            }));
            out.push_str(&columns(&table, false));
        }
        for (rule, side, left_out) in self.left_out() {
            out.push_str(&format!(
                "{} ({side}): {left_out} rows or steps were left out, because it watches too many keys at a time\n",
                one_line(rule)
            ));
        }
        out
    }

    fn left_out(&self) -> impl Iterator<Item = (&str, &'static str, u64)> {
        let sides = self.rules.iter().flat_map(|rule| {
            [("new", &rule.new), ("present", &rule.present)]
                .map(|(side, tally)| (rule.name.as_str(), side, tally))
        });
        sides.filter_map(|(rule, side, tally)| {
            let left_out = tally.as_ref()?.left_out;
            (left_out > 0).then_some((rule, side, left_out))
        })
    }

    /// One document.
    pub fn json(&self) -> Value {
        let side = |tally: &Option<Tally>| tally.as_ref().map(|tally| self.side(tally));
        let rule = |rule: &OfRule| {
            let mut told = json!({ "rule": rule.name, "new": side(&rule.new) });
            if self.is_compared {
                let Difference { both, only_new, only_present } = rule.difference();
                told["present"] = json!(side(&rule.present));
                told["difference"] =
                    json!({ "both": both, "onlyNew": only_new, "onlyPresent": only_present });
            }
            told
        };
        json!({
            "on": self.on, "time": self.time, "rows": self.rows, "rowsWithoutTime": self.without_time,
            "from": self.from_ms, "to": self.to_ms, "rules": self.rules.iter().map(rule).collect::<Vec<_>>(),
        })
    }

    fn side(&self, tally: &Tally) -> Value {
        let Summary { opened, cleared, open_ms, keys, first_ms, last_ms, worst } = summary(tally, self.to_ms);
        let worst = worst.iter().take(WORST);
        let worst: Vec<Value> = worst
            .map(|(key, alerts, open_ms)| json!({ "key": key, "alerts": alerts, "openMs": open_ms }))
            .collect();
        let alerts: Vec<Value> = tally.episodes.iter().take(MOST_ALERTS).map(alert).collect();
        json!({
            "opened": opened, "cleared": cleared, "open": opened - cleared, "openMs": open_ms, "keys": keys,
            "first": first_ms, "last": last_ms, "worst": worst, "transitions": tally.transitions, "rows": tally.rows,
            "leftOut": tally.left_out, "alerts": alerts, "alertsNotListed": opened.saturating_sub(MOST_ALERTS),
        })
    }
}

fn alert(episode: &Episode) -> Value {
    let Episode { id, key, silence, opened_at, cleared_at, worst, message, transitions } = episode;
    let mut told = json!({
        "id": id, "key": key, "openedAt": opened_at, "clearedAt": cleared_at, "worst": worst, "message": message,
        "transitions": transitions,
    });
    if let Some(field) = silence {
        told["noData"] = true.into();
        told["field"] = json!(field);
    }
    told
}

/// Lines of cells below each other; the second column is left out where it says nothing.
fn columns<const N: usize>(table: &[[String; N]], leaves_out_second: bool) -> String {
    let is_told = |index: usize| !(leaves_out_second && index == 1);
    let width = |index: usize| table.iter().map(|row| row[index].width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut out = String::new();
    for row in table {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate().filter(|(index, _)| is_told(*index))
        {
            let is_number =
                table.iter().skip(1).all(|row| row[index].bytes().all(|byte| byte.is_ascii_digit()));
            let space = " ".repeat(width.saturating_sub(cell.width()));
            line.push_str(&if is_number { format!("{space}{cell}  ") } else { format!("{cell}{space}  ") });
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn one_line(text: &str) -> String {
    talk::one_line(text)
}

fn shown(key: Option<&str>) -> String {
    key.map_or_else(|| "NULL".to_owned(), one_line)
}

/// A time as people and programs read it.
pub fn moment(ms: i64) -> String {
    let form = if ms.rem_euclid(1_000) == 0 { SecondsFormat::Secs } else { SecondsFormat::Millis };
    DateTime::from_timestamp_millis(ms)
        .map_or_else(|| ms.to_string(), |time| time.to_rfc3339_opts(form, true))
}

/// How long, in its two largest units.
pub fn span(ms: i64) -> String {
    let (seconds, rest) = (ms / 1_000, ms % 1_000);
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let Some(first) = units.iter().position(|(unit, _)| seconds >= *unit) else {
        return if rest == 0 { "0 s".to_owned() } else { format!("{rest} ms") };
    };
    let mut left = seconds;
    let parts = units.iter().skip(first).take(2).filter_map(|(unit, name)| {
        let count = left / unit;
        left %= unit;
        (count > 0).then(|| format!("{count} {name}"))
    });
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
pub mod tests {
    use forebay_core::config::Severity;

    use super::*;

    pub fn episode(key: &str, opened_at: i64, cleared_at: Option<i64>) -> Episode {
        Episode {
            id: format!("hot/{key}/{opened_at}"),
            key: Some(key.to_owned()),
            silence: None,
            opened_at,
            cleared_at,
            worst: Severity::Warning,
            message: format!("hot: {key}"),
            transitions: 1 + u32::from(cleared_at.is_some()),
        }
    }

    fn tally(episodes: Vec<Episode>) -> Tally {
        let mut tally = Tally::default();
        tally.transitions = episodes.iter().map(|it| u64::from(it.transitions)).sum();
        tally.episodes = episodes;
        tally.rows = 1_000;
        tally
    }

    pub fn report() -> Report {
        let new = vec![
            episode("d1", 60_000, Some(120_000)),
            episode("d2", 90_000, None),
            episode("d1", 3_000_000, Some(3_600_000)),
        ];
        let present = vec![episode("d1", 50_000, Some(70_000)), episode("<d3>", 50_000, Some(70_000))];
        let done = |rule: &str, side, tally| Done { rule: rule.to_owned(), side, tally };
        let rules = OfRule::all(vec![
            done("hot", Side::Present, tally(present)),
            done("hot", Side::New, tally(new)),
            done("gone", Side::Present, tally(Vec::new())),
        ]);
        Report {
            on: "delta.`iot`".to_owned(),
            time: "ts".to_owned(),
            rows: 1_000,
            without_time: 2,
            from_ms: 0,
            to_ms: 7_290_000,
            rules,
            is_compared: true,
        }
    }

    #[test]
    fn a_report_counts_what_opened_and_how_two_rule_sets_differ() {
        let report = report();
        assert_eq!(report.rules.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["hot", "gone"]);
        let found = summary(report.rules[0].new.as_ref().unwrap(), report.to_ms);
        assert_eq!((found.opened, found.cleared, found.keys), (3, 2, 2));
        assert_eq!(found.open_ms, 60_000 + 7_200_000 + 600_000);
        assert_eq!(found.worst[0], (Some("d2"), 1, 7_200_000));
        assert_eq!((found.first_ms, found.last_ms), (Some(60_000), Some(3_000_000)));
        assert_eq!(report.rules[0].difference(), Difference { both: 1, only_new: 2, only_present: 1 });
        let told = report.json();
        assert_eq!(told["rules"][0]["difference"]["onlyNew"], 2);
        assert_eq!(told["rules"][0]["new"]["open"], 1);
        assert_eq!(told["rules"][1]["new"], Value::Null);
        assert_eq!(told["rules"][0]["present"]["alerts"][0]["id"], "hot/d1/50000");
    }

    #[test]
    fn a_report_is_a_table_for_people() {
        let told = report().text();
        let expected = "\
delta.`iot`: 1000 rows from 1970-01-01T00:00:00Z to 1970-01-01T02:01:30Z by ts
2 rows have no time and are left out
rule  rules    alerts  cleared  open for    keys  first                 last                  longest open
hot   new           3        2  2 h 11 min     2  1970-01-01T00:01:00Z  1970-01-01T00:50:00Z  d2 1x 2 h, d1 2x 11 min
hot   present       2        2  40 s           2  1970-01-01T00:00:50Z  1970-01-01T00:00:50Z  <d3> 1x 20 s, d1 1x 20 s
gone  present       0        0  0 s            0  -                     -

alerts that were open together, and the others:
rule  both  only new  only present
hot      1         2             1
gone     0         0             0
";
        assert_eq!(told, expected);
    }

    #[test]
    fn spans_have_two_units() {
        let told = [0, 7, 1_000, 61_500, 3_600_000, 90_061_000].map(span);
        assert_eq!(told, ["0 s", "7 ms", "1 s", "1 min 1 s", "1 h", "1 d 1 h"]);
    }
}
