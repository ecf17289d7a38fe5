//! The pipeline's file, read again while it runs.
//!
//! ```text
//!  file ─▶ all that is wrong with it ─▶ what differs ─▶ is each difference safe? ─▶ new ones open
//!               │                                              │                        │
//!               ▼                                              ▼                        ▼
//!            refused: nothing was touched, everything goes on as before             begin to change
//!
//!  those that are gone and those that changed end after the epoch they are in ─▶ those that changed open and go on from
//!  their checkpoints ─▶ new ones start ─▶ followers ─▶ the server shows the new file
//! ```
//!
//! A difference is safe if a start by the new file would go on without an error (what [`crate::foresight`] says of
//! checkpoint and table), and if the process stays what it is: its pipeline's name, its embedded log.
//!
//! What must stay true: a file that is refused has changed nothing. Where the last step before the change fails, what it
//! has made by then stays, topics of the embedded log and empty checkpoints of new queries: they are in nobody's way. A
//! query that is in both files alike is never interrupted. At no moment two keep one checkpoint: the old one has ended
//! before the new one opens. So whatever dies in between, the next start finds checkpoints as any other end leaves them,
//! and goes on by the file that is there. Reloads come one after the other, and none while the run ends: one that has
//! changed nothing yet is given up, one that has is brought to its end.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_engine::status::{QueryStatus, State};
use forebay_server::shown::reload::{Fate, RefusedFile, Turned};
use forebay_server::shown::{NotReloaded, Reloaded};
use forebay_storage::kill_point;

use crate::control::{Ask, Outcome, conflict};
use crate::fleet::Ready;
use crate::load::{self, Loaded};
use crate::made::{Difference, Made, differences};
use crate::pipeline::{Running, begun};
use crate::runnable::Run;
use crate::work::{Chosen, chosen, named};
use crate::{alerts, definition, facts, standing, talk};

impl Running {
    /// Reads the file again, says what came of it, and answers whoever waits. False if `stop` came first: then nothing
    /// was touched, and whoever waits is told that the run ends.
    pub(crate) async fn take_again(&mut self, ask: Ask, stop: Pin<&mut impl Future<Output = ()>>) -> bool {
        let checked = tokio::select! {
            checked = self.check() => checked,
            () = stop => return false,
        };
        if self.file.as_ref().is_some_and(|file| !ask.is_about(file)) {
            talk::say("the file was changed while it was read: it is read again once it is left alone");
            return true;
        }
        let outcome = match checked {
            Ok(checked) => self.take(checked).await,
            Err(refused) => Err(refused),
        };
        match &outcome {
            Ok(done) => talk::say(&told(done)),
            // Its problems were told one by one.
            Err(refused) => talk::error(&refused.error),
        }
        self.remember(&ask.by, &outcome);
        if let Some(reply) = ask.reply {
            // Who asked may have gone.
            let _ = reply.send(outcome);
        }
        true
    }

    /// Whoever looks later sees that the file was refused, until one is taken.
    fn remember(&self, by: &str, outcome: &Outcome) {
        let refused = match outcome {
            Ok(_) => None,
            // There is no file that could be mended.
            Err(_) if self.file.is_none() => return,
            Err(NotReloaded { error, problems }) => Some(Arc::new(RefusedFile {
                by: by.to_owned(),
                at_ms: self.site.clock.now_ms(),
                why: error.message().to_owned(),
                first: problems.first().unwrap_or(error).clone(),
            })),
        };
        self.site.refused.send_replace(refused);
    }

    /// The file as it is now, if nothing in it is refused. Touches nothing.
    async fn check(&self) -> Result<Checked, NotReloaded> {
        let Some(file) = &self.file else {
            let error = conflict("this run has no file that could be read again");
            return Err(error.with_hint("`forebay run FILE` has one.").into());
        };
        let loaded = self.read(file).await?;
        let wanted = chosen(&loaded, &self.site.overrides.queries)?;
        let made = self.site.made(&loaded, &wanted);
        let mut differences = differences(&self.made, &made);
        let (problems, elsewhere) = self.refusals(&loaded, &wanted, &mut differences).await?;
        if !problems.is_empty() {
            problems.iter().for_each(talk::error);
            return Err(not_safe(file, problems));
        }
        Ok(Checked { loaded, made, differences, elsewhere })
    }

    /// Goes on by this file, unless what is new in it cannot be opened.
    async fn take(&mut self, checked: Checked) -> Outcome {
        let Checked { loaded, made, differences, elsewhere } = checked;
        let wanted = chosen(&loaded, &self.site.overrides.queries)?;
        let fates = Fates { wanted: &wanted, differences: &differences };
        let statements = self.site.statements(&loaded);
        let follows = self.site.follows(&loaded, &wanted)?;
        let open = |it: &&Chosen<'_>| self.site.open(&loaded, it);
        let changed: Vec<_> = fates.of(&[Fate::Changed]).collect();
        let changes = changed.iter().map(open).collect::<Result<Vec<_>>>()?;
        let new: Vec<_> = fates.of(&[Fate::New, Fate::Returned]).collect();
        let ready = new.iter().map(|it| Ready::new(&it.work.name(), open(it)?));
        let ready = ready.collect::<Result<Vec<_>>>()?;
        self.site.hosting.make_topics(&wanted)?;
        // From here on nothing is refused any more.
        self.site.hosting.keep(elsewhere);
        self.site.remember(&loaded, changed.iter().chain(&new).copied());
        kill_point("reload.before");
        let awake = self.fleet.hold();
        let gone: Vec<&str> = fates.names(Fate::Removed).collect();
        let names: Vec<String> = changed.iter().map(|it| it.work.name()).collect();
        let ended = self.fleet.turn(&gone, names.iter().map(String::as_str).zip(changes).collect()).await;
        kill_point("reload.between");
        for it in ended {
            talk::say(&standing::ended(&it, self.started.elapsed()));
        }
        let rules: Vec<String> =
            gone.iter().filter_map(|name| alerts::rule_of(name)).map(str::to_owned).collect();
        alerts::end_removed(&self.site, &loaded, Some(rules)).await;
        self.fleet.add(ready);
        self.fleet.arrange(&made.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
        drop(awake);
        self.followers.turn(follows).await;
        self.channels.turn(&loaded.pipeline).await;
        let shown = self.site.shown(&loaded, statements, &self.fleet, self.followers.live(), &self.asks);
        self.stage.show(shown);
        kill_point("reload.after");
        let page = |loaded: &Loaded| definition::of_page(&loaded.pipeline.dashboard);
        let dashboard = page(&self.loaded) != page(&loaded);
        let queries = self.turned(differences).await;
        self.made = made.into_iter().collect();
        self.loaded = loaded;
        Ok(Reloaded { queries, dashboard })
    }

    /// The file as it is now; the problems of one that is not sound are told with their lines.
    async fn read(&self, file: &Path) -> Result<Loaded, NotReloaded> {
        let (path, data) = (file.to_path_buf(), self.site.global.data.clone());
        let (trigger, only) = (self.site.overrides.trigger, self.site.overrides.queries.clone());
        // Planning is computing, and queries run meanwhile.
        let read = move || {
            load::load_file(&path, Some(Run { data: &data, trigger, needs_tables: true, only: &only }))
        };
        let lost = |e| Error::new(&codes::INTERNAL, "reading the file ended unexpectedly").caused_by(e);
        let problems = match tokio::task::spawn_blocking(read).await.map_err(lost)? {
            Ok(Ok(loaded)) => return Ok(loaded),
            Ok(Err(problems)) => problems,
            Err(error) => return Err(unreadable(error).into()),
        };
        let problems: Vec<Error> = problems.into_iter().map(|problem| problem.error).collect();
        let plural = if problems.len() == 1 { "" } else { "s" };
        let message =
            format!("{} has {} problem{plural}, so it is not taken", file.display(), problems.len());
        let code = problems.first().map_or(&codes::BAD_VALUE, Error::code);
        let error = Error::new(code, message).with_hint(GOES_ON);
        Err(NotReloaded { error, problems })
    }

    /// What of the new file cannot be taken while the pipeline runs, and which addresses in it are somebody else's. Those
    /// that seemed new and were there before are told to [return](Fate::Returned).
    async fn refusals(
        &self,
        loaded: &Loaded,
        wanted: &[Chosen<'_>],
        differences: &mut [Difference],
    ) -> Result<(Vec<Error>, Vec<SocketAddr>)> {
        let name = &loaded.pipeline.name;
        if *name != self.loaded.pipeline.name {
            let message =
                format!("the pipeline is `{}`, in the file it is `{name}`", self.loaded.pipeline.name);
            return Ok((vec![Error::new(&codes::NOT_WHILE_RUNNING, message)], Vec::new()));
        }
        let gateways = self.site.gateways.holds(&loaded.pipeline);
        let (mut refusals, elsewhere) = match self.site.hosting.holds(name, wanted).await {
            Ok(elsewhere) => (Vec::new(), elsewhere),
            Err(error) => (vec![error], Vec::new()),
        };
        refusals.extend(gateways);
        for difference in differences.iter_mut().filter(|it| matches!(it.fate, Fate::Changed | Fate::New)) {
            let name = &difference.name;
            let Some(it) = wanted.iter().find(|it| it.work.name() == *name) else { continue };
            let foreseen = facts::gather(&self.site.global.data, loaded, it).await?.foresee();
            refusals.extend(foreseen.error.as_ref().map(|error| named(name, error)));
            if difference.fate == Fate::New && foreseen.goes_on() {
                difference.returns(foreseen.changes.into_iter().map(|change| change.what).collect());
            }
        }
        Ok((refusals, elsewhere))
    }

    /// What became of each, once those that were started have begun or failed.
    async fn turned(&self, differences: Vec<Difference>) -> Vec<Turned> {
        let is_started =
            |name: &str| differences.iter().any(|it| it.name == name && it.fate != Fate::Unchanged);
        let mut statuses = self.statuses();
        statuses.retain(|status| is_started(&status.borrow().name));
        with_errors(differences, &begun(statuses).await)
    }
}

/// A file that can be taken while the pipeline runs.
struct Checked {
    loaded: Loaded,
    made: Vec<(String, Made)>,
    differences: Vec<Difference>,
    /// Where its sources read from somebody else.
    elsewhere: Vec<SocketAddr>,
}

/// Whatever is refused, this is true.
const GOES_ON: &str = "The pipeline goes on as it was. `forebay validate FILE` tells the same.";

/// Where a start takes what a run that goes on cannot.
const START: &str =
    "Undo the change, or stop the run and start it again; `forebay plan FILE` says what the start would do.";

/// Where a start would be refused too, whoever stops the run stands still.
const NO_START: &str = "The pipeline goes on as it was. Do not stop the run for this: a start with this file would be refused too. \
                        Undo the change, or do what the problem's own hint says; `forebay plan FILE` tells whether a start would \
                        be taken.";

/// What is wanted, by what is to become of it.
struct Fates<'a> {
    wanted: &'a [Chosen<'a>],
    differences: &'a [Difference],
}

impl<'a> Fates<'a> {
    /// Those of these fates, in the order of the file.
    fn of(&self, fates: &'static [Fate]) -> impl Iterator<Item = &'a Chosen<'a>> {
        let (wanted, differences) = (self.wanted, self.differences);
        wanted.iter().filter(move |it| {
            let name = it.work.name();
            differences.iter().any(|of| of.name == name && fates.contains(&of.fate))
        })
    }

    fn names(&self, fate: Fate) -> impl Iterator<Item = &'a str> {
        self.differences.iter().filter(move |it| it.fate == fate).map(|it| it.name.as_str())
    }
}

/// What became of each, with what failed as these say.
fn with_errors(differences: Vec<Difference>, statuses: &[QueryStatus]) -> Vec<Turned> {
    let error = |name: &str| match &statuses.iter().find(|status| &*status.name == name)?.state {
        State::Failed { error, .. } => Some(error.clone()),
        _ => None,
    };
    let turned = differences.into_iter().map(|Difference { name, fate, changes }| Turned {
        error: error(&name),
        name,
        fate,
        changes,
    });
    turned.collect()
}

/// The refusal of a file that is sound and cannot be taken while the pipeline runs.
fn not_safe(file: &Path, problems: Vec<Error>) -> NotReloaded {
    let (count, plural) = (problems.len(), if problems.len() == 1 { "" } else { "s" });
    let message = format!("{} has {count} change{plural} that cannot be made while it runs", file.display());
    let error = Error::new(&codes::NOT_WHILE_RUNNING, message);
    // What else is wrong is what `run` would end with.
    let a_start_helps = problems.iter().all(|problem| problem.code() == &codes::NOT_WHILE_RUNNING);
    let error = error.with_hint(if a_start_helps { START } else { NO_START });
    NotReloaded { error, problems }
}

/// Why the file could not even be read.
fn unreadable(error: anyhow::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::new(&codes::FILE_UNREADABLE, format!("{error:#}")),
    }
}

/// `reloaded: lake changed (sql), hot new, 2 unchanged`
fn told(done: &Reloaded) -> String {
    let mut parts: Vec<String> = Vec::new();
    for it in done.queries.iter().filter(|it| it.fate != Fate::Unchanged) {
        let changes =
            if it.changes.is_empty() { String::new() } else { format!(" ({})", it.changes.join(", ")) };
        let failed = it.error.as_ref().map_or_else(String::new, |error| format!(" and failed: {error}"));
        parts.push(format!("{} {}{changes}{failed}", it.name, it.fate.word()));
    }
    if done.dashboard {
        parts.push("the page changed".to_owned());
    }
    let unchanged = done.queries.iter().filter(|it| it.fate == Fate::Unchanged).count();
    parts.push(format!("{unchanged} unchanged"));
    format!("reloaded: {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_a_start_that_would_be_refused() {
        let hint = |codes: &[&'static forebay_core::error::Code]| {
            let problems = codes.iter().map(|code| Error::new(code, "so")).collect();
            not_safe(Path::new("p.yaml"), problems).error.hint().to_owned()
        };
        assert!(hint(&[&codes::NOT_WHILE_RUNNING]).contains("stop the run and start it again"));
        for reasons in [&[&codes::STATE_CHANGED][..], &[&codes::NOT_WHILE_RUNNING, &codes::SINK_SCHEMA]] {
            let hint = hint(reasons);
            assert!(hint.contains("Do not stop the run") && !hint.contains("start it again"), "{hint}");
        }
    }

    #[test]
    fn what_a_changed_query_fails_with_is_in_the_answer_and_is_said() {
        let changed = |name: &str| Difference {
            name: name.to_owned(),
            fate: Fate::Changed,
            changes: vec!["sql".to_owned()],
        };
        let mut failed = QueryStatus::new("lake");
        failed.state = State::Failed { error: Error::new(&codes::STORAGE, "full"), since_ms: 1 };
        let queries =
            with_errors(vec![changed("lake"), changed("slow")], &[QueryStatus::new("slow"), failed]);
        assert_eq!(queries[0].error.as_ref().map(Error::code), Some(&codes::STORAGE));
        assert!(queries[1].error.is_none());
        let said = told(&Reloaded { queries, dashboard: false });
        assert!(said.starts_with("reloaded: lake changed (sql) and failed: "), "{said}");
        assert!(said.contains("full") && said.ends_with(", slow changed (sql), 0 unchanged"), "{said}");
    }
}
