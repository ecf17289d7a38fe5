//! Which keys of an epoch are awake: a condition holds in one of their rows, or something is remembered of them.
//!
//! What must stay true: a key that sleeps changes nothing, whatever its other rows say.

use crate::columns::Rows;
use crate::key::Keys;
use crate::logic::Watched;
use crate::state::RuleState;
use forebay_core::Result;

/// Keys for which a condition holds.
#[derive(Debug, Default)]
pub(crate) struct Awake(Keys);

impl Awake {
    /// Takes the keys of the rows for which a condition holds.
    pub fn take(&mut self, rows: &Rows) -> Result<()> {
        let mut opened = None;
        for row in rows.holding() {
            let opened = match opened {
                Some(opened) => opened,
                None => *opened.insert(rows.opened()?),
            };
            self.0.number(opened.key(row));
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

/// The keys that are not awake, found out as they are asked for.
pub(crate) struct Sleepers<'a> {
    awake: &'a Awake,
    watched: &'a Watched,
    state: &'a RuleState,
    has_active: bool,
}

impl<'a> Sleepers<'a> {
    pub fn new(awake: &'a Awake, watched: &'a Watched, state: &'a RuleState) -> Self {
        Self { awake, watched, state, has_active: state.active() > 0 }
    }

    /// True if the key sleeps.
    pub fn has(&self, key: &str) -> bool {
        let Self { awake, watched, state, has_active } = self;
        awake.0.find(key).is_none() && !(*has_active && state.is_active(&watched.logic, key))
    }
}
