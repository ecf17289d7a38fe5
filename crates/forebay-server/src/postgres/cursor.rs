//! Cursors in words: DECLARE, FETCH, MOVE, CLOSE, as ODBC and scripts read a long answer piece by piece.
//!
//! A cursor is a portal under its name, so that it can be described, and counts as one. Its statement goes on from FETCH to
//! FETCH: nothing is made before it is asked for, and nothing is kept, so it goes forward only. What must stay true: a
//! cursor ends with its transaction unless it is `WITH HOLD`; of a connection a few at most are half-read, because each
//! holds a turn; one that is not fetched from for a minute gives its turn back, as every portal.

use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Stop};
use super::extended::MOST_PORTALS;
use super::order::{Order, Step};
use super::portal::{Kind, Portal, State};
use super::reply::Transaction;
use super::session::failed_transaction;
use super::sqlstate::{CANCELED, NO_PORTAL, NOT_SUPPORTED, Refusal};
use super::statement::Running;

/// Statements of a connection that are read in part and hold a turn: one turn is left for others.
const MOST_RUNNING: usize = 3;

/// Whether a portal outlives its transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Hold {
    #[default]
    No,
    /// Once that is committed.
    Wanted,
    Held,
}

impl Connection {
    /// Does one of the simple protocol. `is_block` if others stand beside it, which are one transaction.
    pub(super) async fn cursor(&mut self, order: Order, is_block: bool, sql: &str) -> Result<(), Stop> {
        self.may_use(&order, is_block)?;
        match order {
            Order::Declare { name, is_held, query } => {
                let ready = self.planned(&query, &[], sql).await?;
                if !ready.parameters().is_empty() {
                    return Err(Refusal::new("42P02", "there is no parameter $1").into());
                }
                let state = State::Ready { ready: Box::new(ready), values: Vec::new() };
                let held = Some(self.room.hold(sql.len())?);
                self.open(name, is_held, Portal { held, ..Portal::new(Kind::Rows, sql, state) })?;
            }
            Order::Fetch { name, step, is_move } => {
                let portal = self.portals.get(&name).ok_or_else(|| no_cursor(&name))?;
                if !is_move {
                    let columns = portal.columns.clone();
                    self.out.columns(&columns, |_| 0);
                }
                let (_, taken) = self.take(&name, step, is_move, &[], usize::MAX).await?;
                self.out.complete(&fetched(is_move, taken));
            }
            Order::Close(name) => self.close(name)?,
        }
        Ok(())
    }

    /// Refuses what cannot be done now.
    pub(super) fn may_use(&self, order: &Order, is_block: bool) -> Result<(), Refusal> {
        if self.session.transaction == Transaction::Failed {
            return Err(failed_transaction());
        }
        let is_alone = self.session.transaction == Transaction::None && !is_block;
        if is_alone && matches!(order, Order::Declare { is_held: false, .. }) {
            let refusal = Refusal::new("25P01", "DECLARE CURSOR can only be used in transaction blocks");
            return Err(refusal.hint("Send BEGIN before, or declare it WITH HOLD."));
        }
        Ok(())
    }

    /// Opens a cursor.
    pub(super) fn open(&mut self, name: String, is_held: bool, mut portal: Portal) -> Result<(), Refusal> {
        if self.portals.contains_key(&name) {
            return Err(Refusal::new("42P03", format!("cursor \"{name}\" already exists")));
        }
        if self.portals.len() >= MOST_PORTALS {
            let message = format!("a connection has at most {MOST_PORTALS} cursors and portals");
            return Err(Refusal::new("53400", message).hint("CLOSE those that are done with."));
        }
        portal.hold = if is_held { Hold::Wanted } else { Hold::No };
        self.portals.insert(name, portal);
        self.out.complete("DECLARE CURSOR");
        Ok(())
    }

    pub(super) fn close(&mut self, name: Option<String>) -> Result<(), Refusal> {
        match name {
            None => {
                self.portals.clear();
                self.out.complete("CLOSE CURSOR ALL");
            }
            Some(name) => {
                self.portals.remove(&name).ok_or_else(|| no_cursor(&name))?;
                self.out.complete("CLOSE CURSOR");
            }
        }
        Ok(())
    }

    /// Takes rows of a cursor, `most` at most: whether there is more of the step to take, and how many rows those were.
    pub(super) async fn take(
        &mut self,
        name: &str,
        step: Step,
        is_move: bool,
        binary: &[bool],
        most: usize,
    ) -> Result<(bool, usize), Stop> {
        let portal = self.portals.get_mut(name).ok_or_else(|| no_cursor(name))?;
        let (skip, count) = step.rows(portal.gone)?;
        let binary: Vec<bool> =
            (0..portal.columns.len()).map(|at| binary.get(at).copied().unwrap_or_default()).collect();
        match &portal.state {
            State::Ready { .. } => portal.binary = binary,
            State::Running(_) if portal.binary != binary && !is_move => {
                let message = "all rows of a cursor come in one form, text or binary";
                return Err(Refusal::new(NOT_SUPPORTED, message).into());
            }
            _ => {}
        }
        let Some(mut portal) = self.portals.remove(name) else { return Err(no_cursor(name).into()) };
        let cancel = self.begin();
        let mut taken = 0;
        let wanted = count.min(most);
        if let Some(mut running) = self.begun(&mut portal, true, &cancel).await? {
            let skipped = self.pass(&mut running, skip, &cancel, &portal.sql).await?;
            if skipped == skip {
                taken = match is_move {
                    true => self.pass(&mut running, wanted, &cancel, &portal.sql).await?,
                    false => self.send(&mut running, wanted, &cancel, &portal.sql).await?,
                };
                if taken == wanted {
                    portal.state = State::Running(running);
                }
            }
            portal.gone += skipped + taken;
        }
        self.portals.insert(name.to_owned(), portal);
        Ok((taken == wanted && wanted < count, taken))
    }

    /// The statement of a portal at work, begun if it was not; `None` if all of it was taken. `is_partial` if it may be left
    /// half-read.
    pub(super) async fn begun(
        &mut self,
        portal: &mut Portal,
        is_partial: bool,
        cancel: &CancellationToken,
    ) -> Result<Option<Running>, Stop> {
        match std::mem::replace(&mut portal.state, State::Over) {
            State::Ready { ready, values } => {
                let running = self.portals.values().filter(|portal| portal.is_running()).count();
                if is_partial && running >= MOST_RUNNING {
                    let message =
                        format!("a connection has at most {MOST_RUNNING} answers that it has read in part");
                    return Err(Refusal::new("53400", message).hint("Read or close one of them.").into());
                }
                let (work, binary) = (self.work.clone(), portal.binary.clone());
                let run = async move { work.run(*ready, values, binary).await };
                let running = self.watched(cancel, run).await?;
                Ok(Some(running.map_err(|error| Refusal::of(error, &portal.sql))?))
            }
            State::Running(running) => Ok(Some(running)),
            State::Over => Ok(None),
            State::GivenUp => {
                let refusal = Refusal::new(CANCELED, "the rows were not fetched for too long");
                Err(refusal.hint("Fetch more at once, or LIMIT them.").into())
            }
        }
    }

    /// Passes over so many rows, and says how many there were.
    async fn pass(
        &mut self,
        running: &mut Running,
        count: usize,
        cancel: &CancellationToken,
        sql: &str,
    ) -> Result<usize, Stop> {
        let mut passed = 0;
        while passed < count {
            let next = self.watched(cancel, running.next(count - passed)).await?;
            let Some((_, rows)) = next.map_err(|error| Refusal::of(error, sql))? else { break };
            passed += rows;
        }
        Ok(passed)
    }

    /// Ends the portals of a transaction that is over.
    pub(super) fn end_portals(&mut self, is_committed: bool) {
        self.portals.retain(|_, portal| {
            if portal.hold == Hold::Wanted && is_committed {
                portal.hold = Hold::Held;
            }
            portal.hold == Hold::Held
        });
    }
}

pub(super) fn fetched(is_move: bool, count: usize) -> String {
    format!("{} {count}", if is_move { "MOVE" } else { "FETCH" })
}

fn no_cursor(name: &str) -> Refusal {
    Refusal::new(NO_PORTAL, format!("cursor \"{name}\" does not exist"))
}
