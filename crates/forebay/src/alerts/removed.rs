//! Alerts of rules that the file does not have any more.
//!
//! Whoever takes a rule out of the file does not want its alerts: they end as cleared when the file is run without it. What
//! must stay true: a rule that another process runs now, from another version of the file, is left to it; and whatever is wrong
//! here keeps no query from running.

use std::fs;
use std::io;
use std::path::Path;

use forebay_core::Result;
use forebay_core::clock::Clock;
use forebay_core::error::codes;
use forebay_engine::checkpoint;
use forebay_rules::AlertBook;
use forebay_storage::Door;

use super::{FOLDER, bounds};
use crate::load::Loaded;
use crate::talk;

/// Ends the open alerts of these rules, which are not in the file; without any named, of all that are not and have a
/// checkpoint. Reads a whole journal for each. Blocks.
pub fn end_removed(
    data: &Path,
    loaded: &Loaded,
    rules: Option<Vec<String>>,
    door: &Door,
    clock: &dyn Clock,
    book: &AlertBook,
) {
    let folder = data.join("checkpoints").join(&loaded.pipeline.name);
    for rule in rules.unwrap_or_else(|| removed(&folder, loaded)) {
        let dir = folder.join(format!("{FOLDER}{rule}"));
        let ended = end(&rule, &dir, loaded.alerts.len(), door, clock.now_ms(), book);
        match ended {
            Ok(0) => {}
            Ok(count) => {
                talk::say(&format!("alert `{rule}` is not in the file any more: {count} open ended"))
            }
            Err(error) if error.code() == &codes::CHECKPOINT_LOCKED => {}
            Err(error) => tracing::warn!(rule = rule.as_str(), %error, "alerts of a removed rule stay open"),
        }
    }
}

/// The rules that have a checkpoint in this folder and are not in the file.
fn removed(folder: &Path, loaded: &Loaded) -> Vec<String> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries.flatten(),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(folder = %folder.display(), %error, "alerts of removed rules cannot be looked for");
            }
            return Vec::new();
        }
    };
    let rules = entries
        .filter_map(|entry| entry.file_name().to_string_lossy().strip_prefix(FOLDER).map(str::to_owned));
    rules.filter(|rule| !loaded.alerts.iter().any(|alert| alert.config.name == *rule)).collect()
}

fn end(rule: &str, dir: &Path, count: usize, door: &Door, now_ms: i64, book: &AlertBook) -> Result<usize> {
    let _held = checkpoint::hold(dir)?;
    forebay_rules::end_removed(rule, dir, door.clone(), &bounds(count), now_ms, book)
}
