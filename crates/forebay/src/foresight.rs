//! What would become of a query or an alert if it were started now: the pure part of `forebay plan` and of a reload.
//!
//! ```text
//! no checkpoint ─▶ new          another source or sink, damage, a table or state that it does not fit ─▶ refused
//! the same SQL, views, schema, decoder ─▶ unchanged     others ─▶ changed     not kept ─▶ unknown
//! ```
//!
//! What must stay true: nothing is guessed. What the checkpoint does not hold is told as not known, and the verdict
//! `refused` is the error that `forebay run` would end with.

use std::path::PathBuf;

use forebay_core::checkpoint::{Recovery, Start, decide};
use forebay_core::error::codes;
use forebay_core::{Epoch, Error, Positions};
use forebay_engine::checkpoint::definition::{Change, Definition};
use forebay_engine::checkpoint::{Identity, Shown};
use serde::Serialize;

/// What is known of a query, now and from its checkpoint; [`crate::facts`] gathers it.
pub struct Facts {
    /// Who the query is now.
    pub identity: Identity,
    /// What it is now.
    pub definition: Definition,
    /// The folder of its checkpoint.
    pub folder: PathBuf,
    /// What stands in it.
    pub shown: Result<Shown, Error>,
    /// What it was when it last ran, if that was kept.
    pub was: Option<Definition>,
    /// Whether what it remembers fits what it is now.
    pub bears: Result<(), Error>,
    /// Whether the sink would take its rows, as far as the sink can tell now.
    pub fits: Result<(), Error>,
    /// What the sink advises where the checkpoint is another query's; without it the code's own remedy holds.
    pub advice: Option<String>,
}

/// What would become of it.
#[derive(Clone, Debug)]
pub struct Foreseen {
    pub verdict: Verdict,
    /// The epoch that would come next, unless it is new or refused.
    pub epoch: Option<Epoch>,
    /// True if that epoch was planned already and not committed: it reads the same records again.
    pub again: bool,
    /// Where it would go on, as far as the checkpoint says.
    pub positions: Positions,
    /// What is different from the last run.
    pub changes: Vec<Change>,
    /// Why it would be refused.
    pub error: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// There is no checkpoint: it begins where the source's starting options say.
    New,
    /// It goes on as it is.
    Unchanged,
    /// It goes on with other SQL, views, schema or decoder.
    Changed,
    /// It goes on; what it was is not known.
    Unknown,
    /// `forebay run` would end with an error.
    Refused,
}

impl Facts {
    /// Says what would become of the query.
    pub fn foresee(self) -> Foreseen {
        let Self { identity, definition, folder, shown, was, bears, fits, advice } = self;
        // A sink that is only down is waited for.
        let unfit = fits.err().filter(|error| !error.is_retryable());
        let shown = match shown {
            Ok(shown) => shown,
            Err(error) if error.code() == &codes::CHECKPOINT_NOT_FOUND => {
                let verdict = if unfit.is_some() { Verdict::Refused } else { Verdict::New };
                return Foreseen::of(verdict, unfit);
            }
            Err(error) => return Foreseen::of(Verdict::Refused, Some(error)),
        };
        if let Err(error) = shown.identity.check(&folder, &identity) {
            let error = match advice {
                Some(advice) => error.with_hint(advice),
                None => error,
            };
            return Foreseen::of(Verdict::Refused, Some(error));
        }
        let ends = shown.ends();
        // What the sink holds is not looked at here; a checkpoint that is whole agrees with it.
        let in_sink = ends.commit.as_ref().map(|commit| commit.epoch);
        let start = ends.start.as_ref().map(Start::positions).unwrap_or_default();
        let (epoch, again, positions) = match decide(ends.plan, ends.outcome, ends.commit, in_sink) {
            Ok(Recovery::Fresh) => (Epoch(0), false, start),
            Ok(Recovery::Replay { plan, .. }) => (plan.epoch, true, plan.starts()),
            Ok(Recovery::Continue { epoch, positions, .. }) => (epoch, false, positions),
            Err(error) => return Foreseen::of(Verdict::Refused, Some(error)),
        };
        if let Some(error) = bears.err().or(unfit) {
            return Foreseen::of(Verdict::Refused, Some(error));
        }
        let changes = was.as_ref().map(|was| was.changes(&definition));
        let verdict = match &changes {
            None => Verdict::Unknown,
            Some(changes) if changes.is_empty() => Verdict::Unchanged,
            Some(_) => Verdict::Changed,
        };
        let changes = changes.unwrap_or_default();
        Foreseen { verdict, epoch: Some(epoch), again, positions, changes, error: None }
    }
}

impl Foreseen {
    /// True if it goes on where it was: its checkpoint says where, and what is there was not only begun by a reload that
    /// came to nothing.
    pub fn goes_on(&self) -> bool {
        self.again || !self.positions.is_empty() || self.epoch.is_some_and(|epoch| epoch > Epoch(0))
    }

    fn of(verdict: Verdict, error: Option<Error>) -> Self {
        Self { verdict, epoch: None, again: false, positions: Positions::new(), changes: Vec::new(), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use forebay_core::checkpoint::{Commit, Entry, Plan};
    use forebay_core::{Ledger, Partition, Position, PositionRange, TopicIds};

    fn identity(sink: &str) -> Identity {
        let text = |text: &str| text.to_owned();
        Identity { pipeline: text("p"), query: text("q"), source: text("KafkaV2[t]"), sink: text(sink) }
    }

    fn entries(committed: bool) -> Vec<Entry> {
        let range = PositionRange { partition: Partition::new("t", 0), from: Position(5), to: Position(9) };
        let ranges = vec![range];
        let (topics, replay) = (TopicIds::new(), Vec::new());
        let plan = Plan {
            epoch: Epoch(0),
            planned_at_ms: 7,
            ranges,
            topics,
            replay,
            times: None,
            tables: Default::default(),
        };
        let ledger = Ledger::default();
        let commit = Commit {
            epoch: Epoch(0),
            ledger,
            observed: None,
            quiet_since_ms: Vec::new(),
            quality: None,
            last: false,
        };
        [Entry::Plan(plan), Entry::Commit(commit)].into_iter().take(1 + usize::from(committed)).collect()
    }

    fn facts(entries: Vec<Entry>, was: Option<&str>) -> Facts {
        let definition = |sql: &str| Definition { sql: sql.to_owned(), ..Definition::default() };
        Facts {
            identity: identity("DeltaSink[a]"),
            definition: definition("SELECT 1"),
            folder: PathBuf::from("data/checkpoints/p/q"),
            shown: Ok(Shown { identity: identity("DeltaSink[a]"), entries, state: Vec::new() }),
            was: was.map(definition),
            bears: Ok(()),
            fits: Ok(()),
            advice: None,
        }
    }

    #[test]
    fn a_query_goes_on_where_its_journal_ends() {
        for (entries, epoch, again, at) in [
            (entries(true), 1, false, Some(9)),
            (entries(false), 0, true, Some(5)),
            (Vec::new(), 0, false, None),
        ] {
            let foreseen = facts(entries, Some("SELECT 1")).foresee();
            assert_eq!(foreseen.goes_on(), at.is_some(), "an empty checkpoint is no place to go on from");
            assert_eq!(foreseen.verdict, Verdict::Unchanged);
            assert_eq!((foreseen.epoch, foreseen.again), (Some(Epoch(epoch)), again));
            assert_eq!(foreseen.positions.get(&Partition::new("t", 0)).map(|at| at.0), at);
        }
    }

    #[test]
    fn what_was_not_kept_is_not_known_and_what_changed_is_told() {
        assert_eq!(facts(entries(true), None).foresee().verdict, Verdict::Unknown);
        let changed = facts(entries(true), Some("SELECT 2")).foresee();
        assert_eq!(changed.verdict, Verdict::Changed);
        assert_eq!(changed.changes[0].what, "sql");
    }

    #[test]
    fn another_sink_a_hole_and_damage_are_refused_as_run_refuses_them() {
        let other = Facts { identity: identity("DeltaSink[b]"), ..facts(entries(true), None) };
        let refused = other.foresee().error.unwrap();
        assert_eq!(refused.code(), &codes::CHECKPOINT_OTHER_QUERY);
        assert!(refused.message().contains("sink was `DeltaSink[a]`, is `DeltaSink[b]`"), "{refused}");
        let other = Facts { identity: identity("DeltaSink[b]"), ..facts(entries(true), None) };
        let advised = Facts { advice: Some("Undo it.".to_owned()), ..other }.foresee().error.unwrap();
        assert_eq!((advised.code(), advised.hint()), (refused.code(), "Undo it."));
        assert_ne!(refused.hint(), advised.hint());
        let hole = facts(entries(true).split_off(1), None).foresee();
        assert_eq!(hole.error.unwrap().code(), &codes::CHECKPOINT_DAMAGED);
        let none =
            Facts { shown: Err(Error::new(&codes::CHECKPOINT_NOT_FOUND, "none")), ..facts(Vec::new(), None) };
        assert_eq!(none.foresee().verdict, Verdict::New);
    }

    #[test]
    fn state_that_it_does_not_fit_refuses_whatever_else_is_well() {
        let bears = || Err(Error::new(&codes::STATE_CHANGED, "so"));
        let foreseen = Facts { bears: bears(), ..facts(entries(true), Some("SELECT 2")) }.foresee();
        assert_eq!(foreseen.error.unwrap().code(), &codes::STATE_CHANGED);
        let none = Err(Error::new(&codes::CHECKPOINT_NOT_FOUND, "none"));
        let new = Facts { shown: none, bears: bears(), ..facts(Vec::new(), None) };
        assert_eq!(new.foresee().verdict, Verdict::New, "it begins anew");
    }

    #[test]
    fn a_table_that_does_not_take_the_rows_refuses_and_one_that_is_down_does_not() {
        let with = |code, facts: Facts| Facts { fits: Err(Error::new(code, "so")), ..facts };
        let none = || Err(Error::new(&codes::CHECKPOINT_NOT_FOUND, "none"));
        let new = || Facts { shown: none(), ..facts(Vec::new(), None) };
        for facts in [facts(entries(true), Some("SELECT 2")), new()] {
            let refused = with(&codes::SINK_SCHEMA, facts).foresee();
            assert_eq!(refused.error.unwrap().code(), &codes::SINK_SCHEMA);
        }
        assert_eq!(with(&codes::SINK_UNAVAILABLE, new()).foresee().verdict, Verdict::New);
        let down = with(&codes::SINK_UNAVAILABLE, facts(entries(true), Some("SELECT 2")));
        assert_eq!(down.foresee().verdict, Verdict::Changed);
    }
}
