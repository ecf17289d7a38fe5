//! Alerts of rules that the file does not have any more.
//!
//! Whoever takes a rule out of the file does not want its alerts: they end as cleared when the file is run without it. What
//! must stay true: a rule that another process runs now, from another version of the file, is left to it; and whatever is wrong
//! here keeps no query from running.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use forebay_core::Result;
use forebay_core::clock::Clock;
use forebay_core::error::codes;
use forebay_engine::checkpoint;
use forebay_rules::AlertBook;
use forebay_storage::Door;

use super::{FOLDER, bounds};
use crate::load::Loaded;
use crate::site::Site;
use crate::talk;

/// Ends the open alerts of these rules, which are not in the file; without any named, of all that are not and have a
/// checkpoint. Reads a whole journal for each, where that keeps nothing else waiting.
pub async fn end_removed(site: &Site, loaded: &Loaded, rules: Option<Vec<String>>) {
    let Site { global, door, clock, alerts: book, .. } = site;
    let folder = global.data.join("checkpoints").join(&loaded.pipeline.name);
    let here: Vec<String> = loaded.pipeline.alerts.iter().map(|alert| alert.name.clone()).collect();
    let (door, clock, book) = (door.clone(), Arc::clone(clock), book.clone());
    let ended = tokio::task::spawn_blocking(move || {
        let rules = rules.unwrap_or_else(|| removed(&folder, &here));
        end_each(&rules, &folder, here.len(), &door, &*clock, &book);
    });
    if let Err(error) = ended.await {
        tracing::error!(%error, "ending the alerts of removed rules ended unexpectedly");
    }
}

/// Ends what these rules have open, of `count` that are in the file.
fn end_each(rules: &[String], folder: &Path, count: usize, door: &Door, clock: &dyn Clock, book: &AlertBook) {
    for rule in rules {
        let dir = folder.join(format!("{FOLDER}{rule}"));
        match end(rule, &dir, count, door, clock.now_ms(), book) {
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
fn removed(folder: &Path, here: &[String]) -> Vec<String> {
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
    rules.filter(|rule| !here.contains(rule)).collect()
}

fn end(rule: &str, dir: &Path, count: usize, door: &Door, now_ms: i64, book: &AlertBook) -> Result<usize> {
    let _held = checkpoint::hold(dir)?;
    forebay_rules::end_removed(rule, dir, door.clone(), &bounds(count), now_ms, book)
}
