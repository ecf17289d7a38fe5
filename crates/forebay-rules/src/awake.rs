//! Which keys of an epoch are awake: a condition holds in one of their rows, or something is remembered of them.
//!
//! What must stay true: a key that sleeps changes nothing, whatever its other rows say.

use std::sync::Arc;

use crate::columns::Rows;
use crate::key::Keys;
use crate::readings::{KeyColumn, Names, Numbers};
use crate::state::RuleState;
use forebay_core::Result;

/// Keys for which a condition holds.
#[derive(Debug, Default)]
pub(crate) struct Awake(Keys);

impl Awake {
    /// Takes the keys of the rows for which a condition holds.
    pub fn take(&mut self, rows: &Rows) -> Result<()> {
        let mut keys = None;
        for row in rows.holding() {
            let keys = match keys {
                Some(keys) => keys,
                None => *keys.insert(rows.keys()?),
            };
            self.0.number(keys.key(row));
        }
        Ok(())
    }

    pub fn add(&mut self, other: &Self) {
        other.0.texts().for_each(|key| {
            self.0.number(key);
        });
    }

    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }
}

/// Which rows are of keys that are awake, by the numbers of these.
pub(crate) struct Wakers<'a> {
    awake: &'a Awake,
    state: &'a RuleState,
    known: Vec<(Arc<Names>, Numbers)>,
}

impl<'a> Wakers<'a> {
    pub fn new(awake: &'a Awake, state: &'a RuleState) -> Self {
        Self { awake, state, known: Vec::new() }
    }

    /// The numbers of the keys of a batch that are awake.
    pub fn among(&mut self, keys: &KeyColumn) -> Option<&Numbers> {
        let Self { awake, state, known } = self;
        // What was numbered since is of another batch, whose keys may have none in an older set.
        let names = keys.names();
        let known_at = known.iter().position(|(of, _)| Arc::ptr_eq(of, names));
        let at = known_at.unwrap_or_else(|| {
            let numbers = names.among(awake.0.texts().chain(state.subjects()));
            known.push((Arc::clone(names), numbers));
            known.len() - 1
        });
        known.get(at).map(|(_, numbers)| numbers)
    }
}
