//! Alerts as queries: what `alerts:` in the file becomes.
//!
//! ```text
//! { on: iot, key: device_id, when: temperature > 70 }
//!      ─▶ SELECT device_id, (temperature > 70), time and partition of the record, temperature FROM iot; and which source it is
//!      ─▶ a query `alerts/NAME` whose sink is forebay-rules' AlertSink
//! ```
//!
//! One with levels has a pair of conditions for each; columns that `noData` watches are beside those that are shown.
//! [`plan`] makes the SELECT and says what is wrong with its pieces, at their places in the file; [`columns`] knows
//! which columns a text names; [`together`] finds those that read the same, whose rows are computed once; [`removed`] ends what rules have open that the file does not have any more. What must
//! stay true: an alert runs under the same loop as every query, so that nothing here has to know about epochs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_core::clock::{Clock, millis};
use forebay_core::config::AlertConfig;
use forebay_engine::plan::StreamPlan;
use forebay_engine::share::Share;
use forebay_rules::{AlertBook, AlertSink, Bounds, Logic, Notices, Readings, Rule, ValueColumn, Watched};
use forebay_storage::Door;

pub mod columns;
mod plan;
mod removed;
mod together;

pub use plan::{File, planned};
pub use removed::end_removed;

/// Cleared alerts that are kept of all alerts together, as long as each of them keeps [`LEAST_CLEARED`].
const CLEARED: usize = 10_000;

/// Cleared alerts that each alert keeps at least.
const LEAST_CLEARED: usize = 100;

/// An alert whose query is planned.
#[derive(Clone)]
pub struct PlannedAlert {
    pub config: AlertConfig,
    pub plan: Arc<StreamPlan>,
    /// The sources that it watches, by itself or through views.
    pub sources: Vec<String>,
    /// The columns that are kept with it.
    pub values: Vec<ValueColumn>,
    /// The key column as its schema spells it.
    pub key: String,
    /// The field of each of them that the key is; one of which it is computed is not there.
    pub key_fields: BTreeMap<String, String>,
    /// The columns of which silence is told, as the value columns are named.
    pub fields: Vec<String>,
    /// Who is told.
    pub notices: Notices,
    /// What it computes together with others that watch the same.
    pub share: Option<Share>,
    /// The same for all of them: whose rows they get.
    pub readings: Readings,
}

impl PlannedAlert {
    /// The name of its query.
    pub fn query_name(&self) -> String {
        query_name(&self.config.name)
    }

    /// The name of its folders: one that no query can have.
    pub fn folder_name(&self) -> String {
        format!("{FOLDER}{}", self.config.name)
    }

    /// Where its checkpoint lies.
    pub fn checkpoint(&self, data: &Path, pipeline: &str) -> PathBuf {
        data.join("checkpoints").join(pipeline).join(self.folder_name())
    }

    /// How its rows become transitions.
    pub fn logic(&self) -> Logic {
        Logic::of(&self.config, self.fields.clone())
    }

    /// True if time alone can make it tell of something.
    pub fn goes_by_time(&self) -> bool {
        self.config.no_data.is_some()
    }

    /// Its rule, with its logic and who is told.
    pub fn watched(&self) -> Watched {
        let AlertConfig { name, hold, severity, message, .. } = &self.config;
        let rule = Rule {
            name: name.clone(),
            key_column: self.key.clone(),
            key_fields: self.key_fields.clone(),
            severity: *severity,
            hold_ms: millis(*hold),
            message: message.as_ref().map(|(message, _)| message.clone()),
            values: self.values.clone(),
        };
        Watched { rule, logic: self.logic(), notices: self.notices.clone() }
    }

    /// Its sink, of `count` alerts in all, with its journal beside the checkpoint.
    pub fn sink(
        &self,
        count: usize,
        checkpoint: &Path,
        door: Door,
        clock: Arc<dyn Clock>,
        book: AlertBook,
    ) -> AlertSink {
        let watched = self.watched();
        let sink = AlertSink::new(watched, bounds(count), checkpoint.to_path_buf(), door, clock, book);
        sink.reading_with(self.readings.clone())
    }
}

/// What each of `count` alerts keeps.
pub fn bounds(count: usize) -> Bounds {
    let cleared = (CLEARED / count.max(1)).max(LEAST_CLEARED);
    Bounds { cleared, ..Bounds::default() }
}

/// What the folders of alerts begin with, in place of [`QUERY`]: no query's name holds a dot.
const FOLDER: &str = "alerts.";

/// What the names of alerts' queries begin with.
const QUERY: &str = "alerts/";

/// The name of an alert's query.
pub fn query_name(alert: &str) -> String {
    format!("{QUERY}{alert}")
}

/// The name of the alert whose query has this name, if it is one's.
pub fn rule_of(query: &str) -> Option<&str> {
    query.strip_prefix(QUERY)
}

/// The name of the query whose folder this is.
pub fn query_of(folder: &str) -> String {
    folder.strip_prefix(FOLDER).map_or_else(|| folder.to_owned(), query_name)
}
