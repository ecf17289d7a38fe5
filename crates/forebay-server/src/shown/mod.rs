//! What the server shows, as it comes in: plain data and small traits, no system behind them.
//!
//! The binary implements the traits on the engine's handles, on the followers of the sources ([`devices`]) and on the
//! alerts' state ([`alerts`]); tests implement them in memory. What must stay true: nothing here waits for a query, so
//! no reader can hold one up; whatever may be slow (files, SQL) says so and is asked outside of the runtime's workers.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use forebay_core::Result;
use forebay_core::clock::Clock;
use forebay_core::config::SilenceConfig;
use forebay_engine::status::QueryStatus;
use serde_json::Value;
use tokio::sync::watch;

pub mod alerts;
pub mod channels;
pub mod cycles;
pub mod devices;
pub mod gateways;
pub mod quarantine;
pub mod reload;
pub mod sql;

pub use alerts::Alerts;
pub use channels::Channels;
pub use cycles::Cycles;
pub use devices::Devices;
pub use gateways::Gateways;
pub use quarantine::Quarantine;
pub use reload::{NotReloaded, RefusedFile, Reloaded};
pub use sql::Sql;

/// What the server shows of one pipeline. Cheap to clone.
#[derive(Clone)]
pub struct Shown {
    /// The pipeline's name.
    pub pipeline: Arc<str>,
    /// The version of Forebay.
    pub version: &'static str,
    /// When the pipeline was started, milliseconds since 1970.
    pub started_ms: i64,
    /// What the pipeline's file says.
    pub about: Arc<About>,
    /// The status of each query, in the order of the file; alerts' queries are named `alerts/NAME`.
    pub queries: Arc<[watch::Receiver<QueryStatus>]>,
    /// The devices and their history.
    pub devices: Arc<dyn Devices>,
    /// The alerts.
    pub alerts: Arc<dyn Alerts>,
    /// Who is told of them.
    pub channels: Channels,
    /// The records that could not be decoded.
    pub quarantine: Arc<dyn Quarantine>,
    /// The queries that collect and archive.
    pub cycles: Arc<dyn Cycles>,
    /// SQL over the pipeline's tables.
    pub sql: Arc<dyn Sql>,
    /// Stops queries and starts them again.
    pub control: Arc<dyn Control>,
    /// The file as it was refused last; `None` once one is taken.
    pub refused: watch::Receiver<Option<Arc<RefusedFile>>>,
    /// The ways by which devices push.
    pub gateways: Arc<Gateways>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Shown {
    /// The queries as of now.
    pub(crate) fn statuses(&self) -> Vec<QueryStatus> {
        self.queries.iter().map(|query| query.borrow().clone()).collect()
    }

    /// One of them.
    pub(crate) fn status(&self, name: &str) -> Option<QueryStatus> {
        self.statuses().into_iter().find(|status| &*status.name == name)
    }
}

/// What a pipeline's file says, as far as the page shows it.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The page's title; the pipeline's name without one.
    pub title: Option<String>,
    /// The queries in the order of the file.
    pub queries: Vec<AboutQuery>,
    /// Sources that read from this machine, each with the address; where others read from may be a secret.
    pub bootstraps: Vec<(String, String)>,
    /// The names that SQL can use: sources, tables, views.
    pub tables: Vec<String>,
    /// The panels of the page, each as the contract's PANEL.
    pub panels: Vec<Value>,
    /// The alert rules in the order of the file.
    pub alerts: Vec<AboutAlert>,
    /// The silences of the file.
    pub silences: Vec<SilenceConfig>,
}

/// `queries: NAME:`
#[derive(Clone, Debug)]
pub struct AboutQuery {
    /// Its name.
    pub name: String,
    /// Its SELECT.
    pub sql: String,
    /// The name of its sink's connector.
    pub format: String,
    /// Its trigger, as the file would say it.
    pub trigger: String,
    /// The sources that it reads, also through views.
    pub sources: Vec<String>,
}

/// `alerts: NAME:`
#[derive(Clone, Debug)]
pub struct AboutAlert {
    /// Its name.
    pub name: String,
    /// The source or view that it watches.
    pub on: String,
    /// The column that names what is alerted.
    pub key: String,
    /// The own field of each source that this is, dotted; one of which it is computed is not there.
    pub key_fields: BTreeMap<String, String>,
    /// The condition that opens it.
    pub when: String,
    /// The condition that clears it.
    pub clear: String,
    /// For how long the condition must hold, milliseconds.
    pub for_ms: u64,
    /// `info`, `warning` or `critical`.
    pub severity: alerts::Severity,
}

/// Stops queries and starts them again, and takes the pipeline's file anew.
#[async_trait]
pub trait Control: Send + Sync {
    /// Asks a query to end after the epoch it is in; the process goes on. `NO_RESOURCE` if there is none of this name,
    /// `CONFLICT` if it has ended already.
    async fn stop(&self, query: &str) -> Result<()>;

    /// Starts a query that has ended, from its checkpoint. `NO_RESOURCE` if there is none of this name, `CONFLICT` if
    /// it runs; else whatever keeps it from being opened.
    async fn start(&self, query: &str) -> Result<()>;

    /// Reads the pipeline's file again and takes it if every change is safe while the pipeline runs; else all goes on
    /// as before. Reloads are done one after the other; one that was begun is done, whether or not anybody waits. `by` says
    /// who asks.
    async fn reload(&self, by: &str) -> Result<Reloaded, NotReloaded>;
}
