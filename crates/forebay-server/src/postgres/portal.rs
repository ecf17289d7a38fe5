//! What a statement is, and a portal: a statement with its values, of which rows are fetched.

use datafusion::common::ScalarValue;
use forebay_engine::adhoc::postgres::Text;

use super::connection::{columns, one};
use super::cursor::Hold;
use super::order::Order;
use super::reply::Column;
use super::room::Held;
use super::simple::is_command;
use super::sqlstate::Refusal;
use super::statement::{Ready, Running};

#[derive(Clone)]
pub(super) enum Kind {
    Empty,
    Command(Text),
    Cursor(Order),
    Query(Text),
    /// A query that is planned.
    Rows,
}

impl Kind {
    /// That of the one statement of a text.
    pub fn of(sql: &str) -> Result<Self, Refusal> {
        Ok(match one(sql)? {
            None => Self::Empty,
            Some(text) if is_command(&text.pieces()) => Self::Command(text),
            Some(text) => match Order::read(&text) {
                Some(order) => Self::Cursor(order?),
                None => Self::Query(text),
            },
        })
    }
}

/// A statement with its values.
pub(super) struct Portal {
    pub kind: Kind,
    pub sql: String,
    pub columns: Vec<Column>,
    /// For each column whether it is wanted in binary.
    pub binary: Vec<bool>,
    pub state: State,
    /// Rows that were taken of it.
    pub gone: usize,
    pub hold: Hold,
    /// What its text and its values take.
    pub held: Option<Held>,
}

pub(super) enum State {
    /// Not begun.
    Ready {
        ready: Box<Ready>,
        values: Vec<ScalarValue>,
    },
    Running(Running),
    /// All its rows were taken, or it has none.
    Over,
    /// Its rows were not fetched for too long.
    GivenUp,
}

impl Portal {
    /// One whose rows come as text.
    pub fn new(kind: Kind, sql: &str, state: State) -> Self {
        let columns = match &state {
            State::Ready { ready, .. } => columns(&ready.schema()),
            _ => Vec::new(),
        };
        Self {
            kind,
            sql: sql.to_owned(),
            columns,
            binary: Vec::new(),
            state,
            gone: 0,
            hold: Hold::No,
            held: None,
        }
    }

    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    /// Ends its work.
    pub fn give_up(&mut self) {
        if self.is_running() {
            self.state = State::GivenUp;
        }
    }
}
