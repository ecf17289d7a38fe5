//! The simple protocol: a text, and the answers of its statements one after the other.
//!
//! What must stay true: an error ends what stands behind it; each statement takes its turn by itself, so a text of several
//! holds no more than one.

use forebay_engine::adhoc::postgres::{Piece, split};

use super::connection::{Connection, End, Stop, columns};
use super::order::Order;
use super::reply::{Replies, Transaction};
use super::session::{Done, Session, failed_transaction, shown_column};
use super::sqlstate::{Refusal, TOO_LARGE};

/// Most statements of a text beside session commands: clients send a few together (Npgsql), nobody needs many.
const MOST_ASKS: usize = 8;

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
            self.end_portals(true);
        }
        self.out.ready(self.session.transaction);
        self.flush().await
    }

    async fn script(&mut self, sql: &str) -> Result<(), Stop> {
        let texts = split(sql).map_err(|error| Refusal::of(error, sql))?;
        if texts.is_empty() {
            self.out.empty();
        }
        let asks = texts.iter().filter(|text| !is_command(&text.pieces())).count();
        if asks > MOST_ASKS {
            let refusal = Refusal::new(TOO_LARGE, format!("a text has at most {MOST_ASKS} statements"));
            return Err(refusal
                .hint("Send them one by one; SET, SHOW, BEGIN and the like are not counted.")
                .into());
        }
        let is_block = texts.len() > 1;
        for text in texts {
            if let Some(order) = Order::read(&text) {
                self.cursor(order?, is_block, sql).await?;
                continue;
            }
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
                    self.end_portals(tag == "COMMIT");
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
