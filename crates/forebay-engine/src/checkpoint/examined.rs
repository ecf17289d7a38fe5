//! A checkpoint as far as it can be read, for people who look at one that is damaged.
//!
//! What must stay true: nothing that is sound is left out because something beside it is not, and what is not is named with
//! what the next start does about it. What decides anything reads with [`show`](super::show), which refuses all of that.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use forebay_core::checkpoint::Entry;
use forebay_core::{Error, Result};
use forebay_storage::lines;
use serde::Serialize;

use super::identity::Metadata;
use super::{Ends, Identity, JOURNAL_KIND, NO_METADATA, damaged, ends, not_found, parse_journal};
use crate::state::{self, Damage, ShownTable};

/// How often a checkpoint is read anew in which something seems damaged: a query that runs replaces files meanwhile.
const ATTEMPTS: usize = 3;

/// Between two of them.
const PAUSE: Duration = Duration::from_millis(20);

/// What `forebay checkpoint show` prints.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Examined {
    /// The query's identity for its sink; `None` where the metadata cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Who the query is, as far.
    #[serde(flatten)]
    pub identity: Option<Identity>,
    /// The entries that are whole, oldest first.
    pub entries: Vec<Entry>,
    /// What its operators remember after the newest of them that is a commit; empty for a query without state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<ShownTable>,
    /// The files that are not what was written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<Damage>,
}

impl Examined {
    /// The end of the journal.
    pub fn ends(&self) -> Ends {
        ends(&self.entries)
    }

    /// True if the query's next start refuses the checkpoint.
    pub fn is_refused(&self) -> bool {
        self.damaged.iter().any(|damage| damage.is_refused)
    }
}

/// Reads what can be read of the checkpoint in `dir`, beside a query that runs. Fails with `CHECKPOINT_NOT_FOUND` if there is
/// none.
pub fn examine(dir: &Path) -> Result<Examined> {
    let mut attempt = 1;
    loop {
        let examined = read(dir)?;
        if examined.damaged.is_empty() || attempt == ATTEMPTS {
            return Ok(examined);
        }
        attempt += 1;
        thread::sleep(PAUSE);
    }
}

fn read(dir: &Path) -> Result<Examined> {
    let mut examined = Examined::default();
    let (metadata_path, journal_path) = (dir.join("metadata"), dir.join("journal"));
    let mut refusals = Vec::new();
    match Metadata::read(&metadata_path) {
        Ok(Some(metadata)) => {
            (examined.id, examined.identity) = (Some(metadata.id), Some(metadata.identity));
        }
        Ok(None) if !journal_path.exists() => return Err(not_found(dir)),
        Ok(None) => refusals.push(damaged(&metadata_path, NO_METADATA)),
        Err(error) => refusals.push(error),
    }
    let (entries, refusal) = journal(&journal_path);
    examined.entries = entries;
    let (folder, committed) = (state::folder(dir), examined.ends().commit.map(|commit| commit.epoch));
    let is_told = refusal.is_none();
    refusals.extend(refusal);
    examined.damaged.extend(refusals.iter().map(|error| Damage::refused(error, dir)));
    if folder.exists() && is_told {
        let (tables, damage) = state::examine(&folder, committed);
        examined.state = tables;
        examined.damaged.extend(damage);
    } else if folder.exists() {
        // Which epoch the state should reach is not known for sure: what fits is shown, what does not is no damage.
        examined.state = state::show(&folder, committed).unwrap_or_default();
    }
    Ok(examined)
}

/// The entries of a journal that are whole, and what is wrong with others.
fn journal(path: &Path) -> (Vec<Entry>, Option<Error>) {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return (Vec::new(), Some(damaged(path, error))),
    };
    match parse_journal(path, &bytes) {
        Ok((entries, ..)) => (entries, None),
        Err(error) => {
            let texts = lines::sound(JOURNAL_KIND, &bytes);
            (texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect(), Some(error))
        }
    }
}
