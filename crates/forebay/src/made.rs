//! What a query or an alert is made of, as far as the file says it: by this a reload knows what it may leave alone.
//!
//! Pure. What must stay true: two that are equal run alike, so that one which stays need not be interrupted; whatever a
//! start reads of the file is compared here, secrets too, though none is ever told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use forebay_core::config::{Pipeline, QuarantineConfig};
use forebay_core::cycle::Cycle;
use forebay_core::options::Options;
use forebay_core::trigger::Trigger;
use forebay_engine::checkpoint::definition::Definition;
use forebay_rules::Notices;
use forebay_server::shown::reload::Fate;

use crate::definition;
use crate::work::{Chosen, Work};

/// Everything of the file that decides what a query or an alert does.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    definition: Definition,
    /// Connector and options of each input.
    sources: Vec<(String, Options)>,
    /// Connector, options and `checkpointLocation`; an alert has none of its own.
    sink: Option<(String, Options, Option<PathBuf>)>,
    trigger: Trigger,
    cycle: Option<Cycle>,
    /// Of an alert: who is told.
    notices: Option<Notices>,
    quarantine: QuarantineConfig,
}

impl Made {
    /// Of this query or alert, run with this trigger.
    pub fn of(pipeline: &Pipeline, it: &Chosen<'_>, trigger: Trigger) -> Self {
        let Chosen { work, ref sources, plan } = *it;
        let sink = match work {
            Work::Query(it) => Some((it.format.clone(), it.options.clone(), it.checkpoint.clone())),
            Work::Alert(_) => None,
        };
        let cycle = match work {
            Work::Query(it) => it.cycle.as_ref().map(|it| it.cycle.clone()),
            Work::Alert(_) => None,
        };
        let notices = match work {
            Work::Query(_) => None,
            Work::Alert(it) => Some(it.notices.clone()),
        };
        Self {
            cycle,
            notices,
            definition: definition::of(pipeline, work, sources, plan),
            sources: sources.iter().map(|source| (source.format.clone(), source.options.clone())).collect(),
            sink,
            trigger,
            quarantine: pipeline.quarantine.clone(),
        }
    }

    /// What is different now, in a word each.
    fn changes(&self, now: &Self) -> Vec<String> {
        let mut changes: Vec<String> =
            self.definition.changes(&now.definition).into_iter().map(|change| change.what).collect();
        let others = [
            ("source", self.sources != now.sources),
            ("sink", self.sink != now.sink),
            ("trigger", self.trigger != now.trigger),
            ("cycle", self.cycle != now.cycle),
            ("notices", self.notices != now.notices),
            ("quarantine", self.quarantine != now.quarantine),
        ];
        changes.extend(others.iter().filter(|(_, differs)| *differs).map(|(what, _)| (*what).to_owned()));
        changes
    }
}

/// What a reload would do with one query or alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub name: String,
    pub fate: Fate,
    pub changes: Vec<String>,
}

impl Difference {
    /// It is not new: it was in the file before, and goes on where it was then. `changes` are those since.
    pub fn returns(&mut self, changes: Vec<String>) {
        (self.fate, self.changes) = (Fate::Returned, changes);
    }
}

/// What is to become of each: of those wanted, in their order, then of those that are wanted no more.
pub fn differences(running: &BTreeMap<String, Made>, wanted: &[(String, Made)]) -> Vec<Difference> {
    let of_wanted = wanted.iter().map(|(name, now)| {
        let changes = running.get(name).map(|was| was.changes(now));
        let fate = match &changes {
            None => Fate::New,
            Some(changes) if changes.is_empty() => Fate::Unchanged,
            Some(_) => Fate::Changed,
        };
        Difference { name: name.clone(), fate, changes: changes.unwrap_or_default() }
    });
    let is_gone = |name: &&String| !wanted.iter().any(|(wanted, _)| wanted == *name);
    let gone = running.keys().filter(is_gone);
    let gone = gone.map(|name| Difference { name: name.clone(), fate: Fate::Removed, changes: Vec::new() });
    of_wanted.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load;
    use crate::work::{self, sources_of};

    const FILE: &str = "pipeline: p\n\
        sources:\n  iot: { format: kafka, options: { subscribe: iot, kafka.bootstrap.servers: \"a:1\" }, value: json, schema: \"d STRING, t DOUBLE COMMENT 'K'\" }\n\
        views:\n  hot: SELECT * FROM iot WHERE t > 70\n\
        queries:\n\
        \x20 lake: { sql: SELECT * FROM iot, format: delta, options: { path: lake } }\n\
        \x20 screen: { sql: SELECT d FROM hot, format: console, trigger: { processingTime: 1 second } }\n\
        alerts:\n  high: { on: iot, key: d, when: t > 70, for: 10 seconds }\n";

    fn made(text: &str) -> Vec<(String, Made)> {
        let loaded = load::load(text, "p.yaml", None).unwrap_or_else(|problems| panic!("{problems:?}"));
        let all = work::all(&loaded).map(|(work, plan)| {
            let sources = sources_of(&loaded.pipeline.sources, plan).unwrap();
            (work.name(), Made::of(&loaded.pipeline, &Chosen { work, plan, sources }, work.trigger()))
        });
        all.collect()
    }

    /// What became of those that did not stay, as `name fate changes`.
    fn told(from: &str, to: &str) -> Vec<String> {
        assert!(FILE.contains(from), "{from}");
        let running = made(FILE).into_iter().collect();
        let found = differences(&running, &made(&FILE.replace(from, to)));
        let told = found.iter().filter(|it| it.fate != Fate::Unchanged);
        told.map(|it| {
            let words: Vec<&str> = [it.name.as_str(), it.fate.word()]
                .into_iter()
                .chain(it.changes.iter().map(String::as_str))
                .collect();
            words.join(" ")
        })
        .collect()
    }

    #[test]
    fn what_did_not_change_stays_however_the_file_is_laid_out() {
        assert_eq!(made(FILE).len(), 3);
        for (from, to) in [
            ("pipeline: p", "# a comment\npipeline: p"),
            ("SELECT * FROM iot,", "\"SELECT * FROM iot\","),
            ("d STRING, t DOUBLE", "d  string,t double"),
            ("1 second", "1000 milliseconds"),
            ("10 seconds", "10000 milliseconds"),
            ("alerts:", "dashboard: { title: another }\nalerts:"),
            ("alerts:", "tests: [ { name: a, expect: { queries: { lake: { rows: [] } } } } ]\nalerts:"),
        ] {
            assert_eq!(told(from, to), Vec::<String>::new(), "{to}");
        }
    }

    #[test]
    fn a_change_reaches_those_that_it_is_about_and_no_other() {
        for (from, to, expected) in [
            ("path: lake", "path: ocean", &["lake changed sink"][..]),
            ("format: delta,", "format: delta, checkpointLocation: c,", &["lake changed sink"]),
            ("SELECT * FROM iot,", "SELECT d FROM iot,", &["lake changed sql"]),
            ("1 second", "2 seconds", &["screen changed trigger"]),
            ("WHERE t > 70", "WHERE t > 80", &["screen changed view hot"]),
            ("on: iot,", "on: hot,", &["alerts/high changed view hot on"]),
            ("when: t > 70", "when: t > 75", &["alerts/high changed when"]),
            ("10 seconds", "20 seconds", &["alerts/high changed for"]),
            ("10 seconds", "10 seconds, severity: info", &["alerts/high changed severity"]),
            ("10 seconds", "10 seconds, message: hot", &["alerts/high changed message"]),
            ("10 seconds", "10 seconds, clear: t < 9", &["alerts/high changed clear"]),
            ("10 seconds", "10 seconds, cooldown: 1 minute", &["alerts/high changed cooldown"]),
            ("10 seconds", "10 seconds, matches: 2 of 3", &["alerts/high changed matches"]),
            (
                "10 seconds",
                "10 seconds, noData: { after: 1 minute, fields: [t] }",
                &["alerts/high changed noData"],
            ),
            (
                "when: t > 70,",
                "levels: { warning: { when: t > 70 }, critical: { when: t > 90 } },",
                &[
                    "alerts/high changed when for severity when of warning for of warning when of critical for of critical",
                ],
            ),
            (
                "alerts:",
                "silences: { night: { from: \"22:00\", until: \"06:00\", rules: [high] } }\nalerts:",
                &["alerts/high changed notices"],
            ),
            ("  high:", "  higher:", &["alerts/higher new", "alerts/high removed"]),
            ("  screen:", "  view:", &["view new", "screen removed"]),
        ] {
            assert_eq!(told(from, to), expected, "{to}");
        }
        for (from, to, word) in [
            ("subscribe: iot,", "subscribe: iot, maxOffsetsPerTrigger: 5,", "source"),
            ("\"a:1\"", "\"a:1\", kafka.client.id: x", "source"),
            ("'K'", "'°C'", "schema"),
            ("value: json", "value: json, mode: PERMISSIVE", "decoder"),
            ("alerts:", "quarantine: { maxBytes: 1MiB }\nalerts:", "quarantine"),
        ] {
            let expected = ["lake", "screen", "alerts/high"].map(|name| format!("{name} changed {word}"));
            assert_eq!(told(from, to), expected, "{to}");
        }
    }

    #[test]
    fn a_secret_that_changed_is_a_change() {
        let sasl = "kafka.security.protocol: SASL_SSL, kafka.sasl.mechanism: PLAIN, kafka.sasl.username: u";
        let secret = |password: &str| {
            FILE.replace("\"a:1\"", &format!("\"a:1\", {sasl}, kafka.sasl.password: {password}"))
        };
        let running: BTreeMap<String, Made> = made(&secret("sesame1")).into_iter().collect();
        let found = differences(&running, &made(&secret("sesame2")));
        assert!(found.iter().all(|it| it.changes == ["source"]), "{found:?}");
        assert!(!format!("{found:?}{running:?}").contains("sesame"));
    }
}
