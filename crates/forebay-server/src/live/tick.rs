//! What everybody sees once a second, whatever they look at: queries, ledger, alerts, quarantine, followers.
//!
//! Rendered once a second for all views together; a view adds its charts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay_engine::status::{QueryStatus, State};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::api::{ledger, queries, reload};
use crate::health;
use crate::shown::Shown;
use crate::shown::alerts::of_devices;
use crate::shown::quarantine::{Counted, Filter};

/// Epochs of a query that are shown.
const EPOCHS: usize = 20;
/// How often the quarantine is counted: its files are read for it.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// Seconds between two ticks beyond which nobody looked meanwhile, and a rate would be one of long ago.
const PAUSE: i64 = 5;

/// The part of a tick that all views share.
pub(super) struct Tick {
    shown: Shown,
    last: Mutex<Option<Last>>,
    quarantine: Arc<Mutex<Newest>>,
}

struct Last {
    second: i64,
    /// The tick without its closing brace.
    text: Arc<str>,
    /// What each query had read.
    read: HashMap<Arc<str>, u64>,
}

/// The quarantine as it was counted last.
#[derive(Default)]
struct Newest {
    counted: Counted,
    at: Option<Instant>,
}

impl Tick {
    pub fn new(shown: Shown) -> Self {
        Self { shown, last: Mutex::default(), quarantine: Arc::default() }
    }

    /// For something else that is shown from now on: what was counted and read so far still holds.
    pub fn next(&self, shown: Shown) -> Self {
        Self { shown, last: Mutex::new(self.last.lock().take()), quarantine: Arc::clone(&self.quarantine) }
    }

    /// The tick of this second with a view's charts, and how its devices are spread.
    pub fn with(&self, now_ms: i64, charts: &Value, labels: &Value) -> String {
        format!("{},\"labels\":{labels},\"charts\":{charts}}}", self.text(now_ms))
    }

    fn text(&self, now_ms: i64) -> Arc<str> {
        let second = now_ms.div_euclid(1000);
        let mut last = self.last.lock();
        if let Some(last) = last.as_ref().filter(|last| last.second == second) {
            return Arc::clone(&last.text);
        }
        self.count();
        let statuses = self.shown.statuses();
        let body = self.body(&statuses, last.as_ref(), second, now_ms).to_string();
        let text: Arc<str> = body.strip_suffix('}').unwrap_or(&body).into();
        let read = statuses.into_iter().map(|status| (status.name, status.ledger.read)).collect();
        *last = Some(Last { second, text: Arc::clone(&text), read });
        text
    }

    /// The next tick counts the quarantine anew.
    pub fn quarantine_changed(&self) {
        self.quarantine.lock().at = None;
    }

    /// Counts the quarantine on a thread that may wait, if that was long ago.
    fn count(&self) {
        let mut last = self.quarantine.lock();
        if last.at.is_some_and(|at| at.elapsed() < COUNT_EVERY) {
            return;
        }
        last.at = Some(Instant::now());
        let (quarantine, newest) = (Arc::clone(&self.shown.quarantine), Arc::clone(&self.quarantine));
        tokio::task::spawn_blocking(move || match quarantine.count(&Filter::default()) {
            Ok(counted) => newest.lock().counted = counted,
            Err(error) => tracing::debug!(%error, "the quarantine cannot be counted"),
        });
    }

    fn body(&self, statuses: &[QueryStatus], last: Option<&Last>, second: i64, now_ms: i64) -> Value {
        let shown = &self.shown;
        let problems = health::problems(shown, statuses);
        let sources = shown.devices.sources();
        let followers = sources.iter().map(|source| {
            let it = source.follower();
            json!({
                "source": source.name(), "reads": source.reads(), "rate": source.rate(), "lag": it.lag, "tooOld": it.too_old,
                "behind": it.behind, "caughtUp": it.caught_up_ms, "clocks": source.clocks(),
                "devices": source.counts().total,
            })
        });
        let (mut all, mut live, mut quiet, mut alerting) = (0, 0, 0, 0);
        for source in &sources {
            let counts = source.counts();
            (all, live, quiet) = (all + counts.total, live + counts.live, quiet + counts.quiet);
            alerting += of_devices(shown, &**source).len();
        }
        let open = shown.alerts.open();
        let quarantine = self.quarantine.lock().counted.clone();
        let refused = quarantine.refused.iter();
        let refused = refused.map(|of| json!({ "query": of.query, "rows": of.rows, "newest": of.newest_ms }));
        json!({
            "now": now_ms,
            "rate": shown.devices.rate(),
            "lag": statuses.iter().filter_map(queries::lag).max(),
            "latency": slowest(statuses).map_or(Value::Null, queries::latency),
            "status": health::word(&problems),
            "problems": problems,
            "refusedReload": reload::refused(shown),
            "brokenTables": health::broken_tables(statuses),
            "queries": statuses.iter().map(|status| query(status, rate(status, last, second), now_ms)).collect::<Vec<_>>(),
            "ledger": ledger::total(statuses),
            "alerts": { "open": open.total(), "bySeverity": open },
            "quarantine": {
                "open": quarantine.open, "bytes": quarantine.bytes, "refused": refused.collect::<Vec<_>>(),
            },
            "devices": { "total": all, "live": live, "quiet": quiet, "alerting": alerting },
            "followers": followers.collect::<Vec<_>>(),
        })
    }
}

/// Records that a query read per second since the tick before; without one, as its newest report says.
fn rate(status: &QueryStatus, last: Option<&Last>, second: i64) -> f64 {
    let before = last.filter(|last| (1..=PAUSE).contains(&(second - last.second)));
    match before.and_then(|last| Some((last.read.get(&status.name)?, second - last.second))) {
        Some((read, seconds)) => status.ledger.read.saturating_sub(*read) as f64 / seconds as f64,
        None => status.last_progress().and_then(|report| report.input_rows_per_second).unwrap_or(0.0),
    }
}

/// The query whose records take longest: all others are through earlier.
fn slowest(statuses: &[QueryStatus]) -> Option<&QueryStatus> {
    let runs = |status: &&QueryStatus| !matches!(status.state, State::Stopped { .. } | State::Failed { .. });
    let queries = statuses.iter().filter(|status| queries::kind(status) == "query").filter(runs);
    queries.filter(|status| status.latency.is_some()).max_by_key(|status| status.latency.map(|it| it.p99_ms))
}

/// The expectations that rows failed, and how many did.
fn unexpected(status: &QueryStatus) -> Vec<Value> {
    let failed = status.expectations.iter().filter(|it| it.rows > 0);
    failed.map(|it| json!({ "name": &*it.expected.name, "rows": it.rows })).collect()
}

fn query(status: &QueryStatus, rate: f64, now_ms: i64) -> Value {
    let newest = status.recent.iter().skip(status.recent.len().saturating_sub(EPOCHS));
    let epochs = newest.map(|report| {
        json!({
            "epoch": report.batch_id, "rows": report.num_input_rows, "ms": report.batch_duration,
            "at": report.started_ms(),
        })
    });
    let error = status.state.error().map(queries::error_value);
    json!({
        "name": &*status.name,
        "kind": queries::kind(status),
        "state": status.state.word(),
        "since": queries::since(status),
        "epoch": status.committed.map(|epoch| epoch.0),
        "lag": queries::lag(status),
        "read": status.ledger.read,
        "rowsRefused": status.ledger.rows_refused,
        "unexpected": unexpected(status),
        "rate": rate,
        "latency": queries::latency(status),
        "error": error,
        "watermark": queries::watermark(status),
        "stateBytes": queries::state_bytes(status),
        "remembers": queries::remembers(status),
        "waitingFor": queries::waiting_for(status, now_ms),
        "epochs": epochs.collect::<Vec<_>>(),
    })
}
