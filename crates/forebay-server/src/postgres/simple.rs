//! The simple protocol: a text, and the answers of its statements one after the other.

use forebay_engine::adhoc::postgres::{Piece, split};

use super::connection::{Connection, End, Stop, columns};
use super::reply::{Replies, Transaction};
use super::session::{Done, Session, failed_transaction, shown_column};
use super::sqlstate::{NOT_SUPPORTED, Refusal};

impl Connection {
    /// The simple protocol: a text, its answers.
    pub(super) async fn query(&mut self, sql: &str) -> Result<(), End> {
        self.statements.remove("");
        self.portals.remove("");
        match self.script(sql).await {
            Ok(()) => {}
            Err(Stop::Refused(refusal)) => self.fail(&refusal),
            Err(Stop::End(end)) => return Err(end),
        }
        if self.session.transaction == Transaction::None {
            self.portals.clear();
        }
        self.out.ready(self.session.transaction);
        self.flush().await
    }

    async fn script(&mut self, sql: &str) -> Result<(), Stop> {
        let texts = split(sql).map_err(|error| Refusal::of(error, sql))?;
        if texts.is_empty() {
            self.out.empty();
        }
        // Each of them takes its turn: only commands may stand beside one.
        let asks = texts.iter().filter(|text| !is_command(&text.pieces())).count();
        if asks > 1 {
            let refusal = Refusal::new(NOT_SUPPORTED, "one statement at a time is possible here");
            return Err(refusal
                .hint("Send each by itself; SET, SHOW, BEGIN and the like may stand beside one.")
                .into());
        }
        for text in texts {
            if self.command(&text.pieces(), true)? {
                continue;
            }
            if self.session.transaction == Transaction::Failed {
                return Err(failed_transaction().into());
            }
            let cancel = self.key.begin();
            let (work, settings) = (self.work.clone(), self.session.settings());
            let timeout = self.session.statement_timeout();
            let own = text.clone();
            let planned = async move { work.plan(&own, Vec::new(), settings, timeout).await };
            let planned = self.watched(&cancel, planned).await?;
            let ready = planned.map_err(|error| Refusal::of(error, sql))?;
            if !ready.parameters().is_empty() {
                return Err(Refusal::new("42P02", "there is no parameter $1").into());
            }
            let columns = columns(&ready.schema());
            let work = self.work.clone();
            let run = async move { work.run(ready, Vec::new(), Vec::new()).await };
            let mut running = self.watched(&cancel, run).await?.map_err(|error| Refusal::of(error, sql))?;
            self.out.columns(&columns, |_| 0);
            let sent = self.send(&mut running, usize::MAX, &cancel, sql).await?;
            self.out.complete(&format!("SELECT {sent}"));
        }
        Ok(())
    }

    /// Does a session command; false if these are not the words of one. `described` if its columns are told with it.
    pub(super) fn command(&mut self, words: &[Piece], described: bool) -> Result<bool, Refusal> {
        let Some(done) = self.session.command(words, &mut self.out) else { return Ok(false) };
        match done? {
            Done::Tag(tag) => {
                if matches!(tag.as_str(), "COMMIT" | "ROLLBACK") {
                    self.portals.clear();
                }
                self.out.complete(&tag);
            }
            Done::Row { column, value } => {
                if described {
                    self.out.columns(&[shown_column(&column)], |_| 0);
                }
                self.out.row(&[value]);
                self.out.complete("SHOW");
            }
            Done::Deallocate(None) => {
                self.statements.clear();
                self.out.complete("DEALLOCATE ALL");
            }
            Done::Deallocate(Some(name)) => {
                self.statements.remove(&name);
                self.out.complete("DEALLOCATE");
            }
            Done::Discard => {
                self.statements.clear();
                self.portals.clear();
                self.out.complete("DISCARD ALL");
            }
        }
        Ok(true)
    }
}

/// True for the words of a session command.
pub(super) fn is_command(words: &[Piece]) -> bool {
    Session::new("").command(words, &mut Replies::default()).is_some()
}
