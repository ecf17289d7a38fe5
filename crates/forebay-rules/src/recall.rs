//! What a rule's journal says of one record, for whoever asks later. Reads only; works beside a running alert.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use forebay_core::config::Severity;
use forebay_core::error::codes;
use forebay_core::{Error, Result};

use crate::alert::Alert;
use crate::columns::Columns;
use crate::journal::{self, NAME};
use crate::key;
use crate::logic::Logic;
use crate::machine::Said;
use crate::state::RuleState;

/// A row as its alert sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The key, as it is kept; `None` for NULL.
    pub key: Option<String>,
    /// Its time, milliseconds since 1970.
    pub at: i64,
    /// What it says of each level, the mildest first.
    pub says: Vec<Says>,
}

/// What a row says of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Says {
    /// Which level.
    pub severity: Severity,
    /// Whether `when` holds; `None` for NULL.
    pub when: Option<bool>,
    /// Whether `clear` holds; `None` for NULL.
    pub clear: Option<bool>,
}

impl Seen {
    /// The only row of a batch of the alert's query, in an epoch of this time (milliseconds since 1970).
    ///
    /// # Errors
    /// `INTERNAL` if the batch is not one of such an alert.
    pub fn row(batch: &RecordBatch, logic: &Logic, epoch_ms: i64) -> Result<Self> {
        let columns = Columns::find(&batch.schema(), logic, std::iter::empty())?;
        let rows = columns.rows(batch, epoch_ms)?;
        if rows.len() != 1 {
            return Err(Error::new(&codes::INTERNAL, "a record gave more than one row"));
        }
        let row = rows.row(0);
        let levels = logic.levels.iter().zip(columns.have_clear()).zip(row.says);
        let says = levels.map(|((level, has_clear), Said { when, clear })| Says {
            severity: level.severity,
            when,
            clear: if has_clear { clear } else { when.map(|when| !when) },
        });
        Ok(Self { key: key::shown(rows.opened()?.key(0)), at: row.at, says: says.collect() })
    }
}

/// What a row did, as far as the journal still says.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// It opened this alert.
    Opened(Arc<Alert>),
    /// It raised or lowered this alert, to this level.
    Changed(Arc<Alert>, Severity),
    /// It cleared this alert.
    Cleared(Arc<Alert>),
    /// The condition began to hold with it, and holds since.
    Began,
}

/// What a journal says.
#[derive(Debug, Default)]
pub struct Recalled(RuleState);

impl Recalled {
    /// Reads the journal in the folder of a checkpoint; one that is not there says nothing.
    ///
    /// # Errors
    /// `CHECKPOINT_DAMAGED`, `CHECKPOINT_VERSION`, `STORAGE`.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(NAME);
        match fs::read(&path) {
            Ok(bytes) => Ok(Self(journal::parse(&path, &bytes, usize::MAX)?.state)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Error::new(&codes::STORAGE, "cannot read a journal of alerts")
                .at(path.display())
                .caused_by(error)),
        }
    }

    /// How many alerts are open.
    pub fn open(&self) -> usize {
        self.0.all_open().count()
    }

    /// What rows of this key and time did, in the order in which they did it. Of rows of one key in one millisecond it is not
    /// known which of them it was.
    pub fn deeds(&self, seen: &Seen) -> Vec<Deed> {
        let held = key::held(seen.key.as_deref());
        let mut deeds = Vec::new();
        let is_of = |alert: &&Arc<Alert>| alert.held_key() == held && alert.life.no_data.is_none();
        let known = self.0.cleared().filter(is_of).chain(self.0.open(&held));
        for alert in known {
            if alert.opened_at == seen.at {
                deeds.push(Deed::Opened(Arc::clone(alert)));
            }
            let changes = alert.life.levels.iter().filter(|change| change.at == seen.at);
            deeds.extend(changes.map(|change| Deed::Changed(Arc::clone(alert), change.severity)));
            if alert.cleared_at == Some(seen.at) && !alert.rule_removed {
                deeds.push(Deed::Cleared(Arc::clone(alert)));
            }
        }
        if self.0.began(&held, seen.at) {
            deeds.push(Deed::Began);
        }
        deeds
    }
}
