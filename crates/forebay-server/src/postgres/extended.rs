//! The extended protocol: statements that are parsed once and bound to values, and portals, from which rows are fetched.
//!
//! A statement is planned when it is parsed, so that its errors, parameters and columns are known then, and anew when it is
//! bound later: its tables may have changed. What must stay true: a connection holds a bounded number of either, and all
//! connections together the texts and values for which there is [`Room`](super::room); of what was parsed only the newest
//! keeps its plan.

use datafusion::common::ScalarValue;
use forebay_engine::adhoc::postgres::Text;

use super::connection::{Connection, Stop, columns};
use super::cursor::fetched;
use super::frame::Bind;
use super::order::{Order, Step};
use super::portal::{Kind, Portal, State};
use super::reply::{Column, Transaction};
use super::room::Held;
use super::session::{failed_transaction, shown_column, shown_name};
use super::sqlstate::{NO_PORTAL, NO_STATEMENT, PROTOCOL, Refusal};
use super::statement::Ready;
use super::types::{self, PgType};
use super::values;

/// Most statements of a connection.
const MOST_STATEMENTS: usize = 1_000;
/// Most bytes of their texts.
const MOST_TEXT: usize = 8 << 20;
/// Most portals: each may hold values of some megabytes.
pub(super) const MOST_PORTALS: usize = 16;

/// So many bytes a word of a text takes at most for each of its bytes, once it is read.
const READ: usize = 64;
/// What a statement or a portal takes beside its texts.
const EACH: usize = 512;

/// A statement that was parsed.
pub(super) struct Statement {
    /// Its text, which is read again when it is bound: its words are many times as large.
    sql: String,
    /// Its parameters' types as the client said them; 0 for none.
    declared: Vec<u32>,
    /// The same as the client is told.
    parameters: Vec<u32>,
    columns: Vec<Column>,
    /// Its plan, until it is used, or too old, or another is parsed.
    ready: Option<Ready>,
    _held: Held,
}

impl Connection {
    pub async fn parse(&mut self, name: String, sql: &str, declared: Vec<u32>) -> Result<(), Stop> {
        if !name.is_empty() && self.statements.contains_key(&name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(Refusal::new("42P05", message).into());
        }
        let texts: usize = self.statements.values().map(|statement| statement.sql.len()).sum();
        if self.statements.len() >= MOST_STATEMENTS || texts + sql.len() > MOST_TEXT {
            let message = format!(
                "a connection has at most {MOST_STATEMENTS} prepared statements of {MOST_TEXT} bytes in all"
            );
            return Err(Refusal::new("53400", message)
                .hint("Close those that are done with, or DEALLOCATE ALL.")
                .into());
        }
        let kind = Kind::of(sql)?;
        let mut held = self.room.hold(EACH + name.len() + sql.len() + 8 * declared.len())?;
        let (mut parameters, mut shown, mut plan) = (declared.clone(), Vec::new(), None);
        self.statements.values_mut().for_each(|statement| statement.ready = None);
        match &kind {
            Kind::Query(text) | Kind::Cursor(Order::Declare { query: text, .. }) => {
                if self.session.transaction == Transaction::Failed {
                    return Err(failed_transaction().into());
                }
                let ready = self.planned(text, &declared, sql).await?;
                if let Kind::Query(_) = kind {
                    shown = columns(&ready.schema());
                }
                parameters = told(&ready, &declared);
                plan = Some(ready);
            }
            Kind::Command(text) => {
                let words = text.pieces();
                if words.first().is_some_and(|word| word.is("SHOW")) {
                    shown = vec![shown_column(&shown_name(&words))];
                }
            }
            Kind::Cursor(order) => shown = self.fetches(order),
            Kind::Empty | Kind::Rows => {}
        }
        let names: usize = shown.iter().map(|column| column.name.len() + EACH / 8).sum();
        if !held.set(EACH + name.len() + sql.len() + 8 * parameters.len() + names) {
            return Err(self.room.full().into());
        }
        let statement =
            Statement { sql: sql.to_owned(), declared, parameters, columns: shown, ready: plan, _held: held };
        self.statements.insert(name, statement);
        self.out.parsed();
        Ok(())
    }

    /// The columns of the rows that it fetches.
    fn fetches(&self, order: &Order) -> Vec<Column> {
        let portal = match order {
            Order::Fetch { name, is_move: false, .. } => self.portals.get(name),
            _ => None,
        };
        portal.map(|portal| portal.columns.clone()).unwrap_or_default()
    }

    pub(super) async fn planned(&mut self, text: &Text, declared: &[u32], sql: &str) -> Result<Ready, Stop> {
        let cancel = self.begin();
        let given = declared.iter().map(|oid| types::arrow(*oid)).collect();
        let (work, text) = (self.work.clone(), text.clone());
        let (settings, timeout) = (self.session.settings(), self.session.statement_timeout());
        let planned = async move { work.plan(&text, given, settings, timeout).await };
        Ok(self.watched(&cancel, planned).await?.map_err(|error| Refusal::of(error, sql))?)
    }

    pub async fn bind(&mut self, bind: Bind) -> Result<(), Stop> {
        let Bind { portal, statement: name, formats, values: sent, results } = bind;
        let Some(statement) = self.statements.get_mut(&name) else {
            let message = format!("prepared statement \"{name}\" does not exist");
            return Err(Refusal::new(NO_STATEMENT, message).into());
        };
        if !portal.is_empty() && self.portals.contains_key(&portal) {
            return Err(Refusal::new("42P03", format!("cursor \"{portal}\" already exists")).into());
        }
        if self.portals.len() >= MOST_PORTALS {
            let message = format!("a connection has at most {MOST_PORTALS} portals");
            return Err(Refusal::new("53400", message).into());
        }
        let (mut kind, sql, declared) =
            (Kind::of(&statement.sql)?, statement.sql.clone(), statement.declared.clone());
        // Of a query the words are not kept.
        let read = if matches!(kind, Kind::Query(_)) { 1 } else { READ };
        let mut held = self.room.hold(EACH + read * sql.len())?;
        let ready = statement.ready.take().filter(Ready::is_fresh);
        let mut shown = statement.columns.clone();
        let state = match &kind {
            Kind::Empty | Kind::Rows | Kind::Command(_) => State::Over,
            Kind::Query(text) | Kind::Cursor(Order::Declare { query: text, .. }) => {
                if self.session.transaction == Transaction::Failed {
                    return Err(failed_transaction().into());
                }
                let ready = match ready {
                    Some(ready) => ready,
                    None => self.planned(text, &declared, &sql).await?,
                };
                if let Kind::Query(_) = kind {
                    shown = columns(&ready.schema());
                }
                let values = given(&ready, &declared, &formats, &sent)?;
                let bytes: usize = values.iter().map(ScalarValue::size).sum();
                if !held.set(EACH + read * sql.len() + bytes) {
                    return Err(self.room.full().into());
                }
                State::Ready { ready: Box::new(ready), values }
            }
            Kind::Cursor(order) => {
                shown = self.fetches(order);
                State::Over
            }
        };
        let binary = each(&results, shown.len())?;
        if let Kind::Query(_) = kind {
            kind = Kind::Rows;
        }
        let made = Portal { columns: shown, binary, held: Some(held), ..Portal::new(kind, &sql, state) };
        self.portals.insert(portal, made);
        self.out.bound();
        Ok(())
    }

    pub fn describe(&mut self, kind: u8, name: &str) -> Result<(), Stop> {
        let columns: &[Column] = match kind {
            b'S' => {
                let Some(statement) = self.statements.get(name) else {
                    let message = format!("prepared statement \"{name}\" does not exist");
                    return Err(Refusal::new(NO_STATEMENT, message).into());
                };
                self.out.parameters(&statement.parameters);
                if statement.columns.is_empty() {
                    self.out.no_columns();
                } else {
                    self.out.columns(&statement.columns, |_| 0);
                }
                return Ok(());
            }
            b'P' => match self.portals.get(name) {
                Some(portal) => &portal.columns,
                None => return Err(no_portal(name).into()),
            },
            _ => {
                return Err(
                    Refusal::new(PROTOCOL, "a description of what is neither statement nor portal").into()
                );
            }
        };
        let binary = self.portals.get(name).map(|portal| portal.binary.clone()).unwrap_or_default();
        if columns.is_empty() {
            self.out.no_columns();
        } else {
            let columns = columns.to_vec();
            self.out.columns(&columns, |at| i16::from(binary.get(at).copied().unwrap_or_default()));
        }
        Ok(())
    }

    pub async fn execute(&mut self, name: &str, rows: i32) -> Result<(), Stop> {
        let Some(mut portal) = self.portals.remove(name) else { return Err(no_portal(name).into()) };
        match &portal.kind {
            Kind::Empty => self.out.empty(),
            Kind::Command(text) => {
                let words = text.pieces();
                self.command(&words, false)?;
                // A portal may be executed again, but not what has ended all of them.
                if matches!(self.session.transaction, Transaction::None) {
                    return Ok(());
                }
            }
            Kind::Cursor(order) => {
                let order = order.clone();
                self.ordered(order, &mut portal, rows).await?;
            }
            Kind::Query(_) | Kind::Rows => self.fetch(&mut portal, rows).await?,
        }
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    async fn fetch(&mut self, portal: &mut Portal, rows: i32) -> Result<(), Stop> {
        if self.session.transaction == Transaction::Failed {
            return Err(failed_transaction().into());
        }
        let cancel = self.begin();
        let most = usize::try_from(rows).ok().filter(|rows| *rows > 0).unwrap_or(usize::MAX);
        let sql = portal.sql.clone();
        let Some(mut running) = self.begun(portal, most < usize::MAX, &cancel).await? else {
            self.out.complete("SELECT 0");
            return Ok(());
        };
        let sent = self.send(&mut running, most, &cancel, &sql).await?;
        if sent == most {
            portal.state = State::Running(running);
            self.out.suspended();
        } else {
            self.out.complete(&format!("SELECT {sent}"));
        }
        Ok(())
    }
}

impl Connection {
    /// What is to be done with a cursor.
    async fn ordered(&mut self, order: Order, own: &mut Portal, rows: i32) -> Result<(), Stop> {
        self.may_use(&order, false)?;
        match order {
            Order::Declare { name, is_held, query } => {
                let state = std::mem::replace(&mut own.state, State::Over);
                drop(query);
                let made = Portal { held: own.held.take(), ..Portal::new(Kind::Rows, &own.sql, state) };
                self.open(name, is_held, made)?;
            }
            Order::Fetch { name, step, is_move } => {
                let most = usize::try_from(rows).ok().filter(|rows| *rows > 0).unwrap_or(usize::MAX);
                // What it has taken already, if it was told to stop before its end.
                let step = match step {
                    Step::Next(count) => Step::Next(count.saturating_sub(own.gone)),
                    other => other,
                };
                let (is_more, taken) = self.take(&name, step, is_move, &own.binary, most).await?;
                own.gone += taken;
                match is_more {
                    true => self.out.suspended(),
                    false => self.out.complete(&fetched(is_move, taken)),
                }
            }
            Order::Close(name) => self.close(name)?,
        }
        Ok(())
    }
}

fn no_portal(name: &str) -> Refusal {
    Refusal::new(NO_PORTAL, format!("portal \"{name}\" does not exist"))
}

/// The types of parameters as the client is told.
fn told(ready: &Ready, declared: &[u32]) -> Vec<u32> {
    let each = ready.parameters().iter().enumerate();
    each.map(|(at, data_type)| match declared.get(at) {
        Some(oid) if types::arrow(*oid).is_some() => *oid,
        _ => PgType::of_type(data_type).oid,
    })
    .collect()
}

/// A format for each of so many: none said is text, one said is for all.
fn each(formats: &[i16], count: usize) -> Result<Vec<bool>, Refusal> {
    if let Some(other) = formats.iter().find(|format| !matches!(format, 0 | 1)) {
        return Err(Refusal::new(PROTOCOL, format!("unsupported format code: {other}")));
    }
    match formats {
        [] => Ok(vec![false; count]),
        [one] => Ok(vec![*one == 1; count]),
        all if all.len() == count => Ok(all.iter().map(|format| *format == 1).collect()),
        all => {
            let message = format!("bind message has {} formats for {count} values", all.len());
            Err(Refusal::new(PROTOCOL, message))
        }
    }
}

/// The values of a statement's parameters.
fn given(
    ready: &Ready,
    declared: &[u32],
    formats: &[i16],
    sent: &[Option<Vec<u8>>],
) -> Result<Vec<ScalarValue>, Refusal> {
    let (oids, wanted) = (told(ready, declared), ready.parameters());
    if sent.len() != wanted.len() {
        let message = format!(
            "bind message supplies {} parameters, but the statement requires {}",
            sent.len(),
            wanted.len()
        );
        return Err(Refusal::new(PROTOCOL, message));
    }
    let binary = each(formats, sent.len())?;
    let values = sent.iter().zip(binary).zip(oids).zip(wanted);
    values
        .map(|(((value, is_binary), oid), wanted)| values::read(value.as_deref(), is_binary, oid, wanted))
        .collect()
}
