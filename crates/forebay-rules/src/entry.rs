//! The entries of a rule's journal, and what they are made of. [`RuleState`](crate::state::RuleState) says what each does.
//!
//! What must stay true: what version 1 wrote is read as what it meant, and what is not there is not written.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_core::Epoch;
use serde::{Deserialize, Serialize};

use crate::alert::Alert;
use crate::life::Cause;
use crate::machine::{Gate, Standing};
use crate::notices::{Notice, Outbox, Waiting};
use crate::silent::Silence;

/// What is remembered of a subject beside its alerts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Watch {
    /// By level, as far as one remembers something.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rest_until: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Of a silence: the newest record, and its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// An epoch's changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Changes {
    /// Alerts that opened, changed or cleared, in the order in which they did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<Alert>,
    /// Open alerts that are another without a transition: somebody is told of them now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub updates: Vec<Alert>,
    /// What is remembered of subjects from now on; `None`: nothing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub watches: BTreeMap<String, Option<Watch>>,
    /// Who is to be told, and what waits to be told.
    #[serde(flatten)]
    pub telling: Telling,
    /// Version 1: keys whose condition began to hold, with the time.
    #[serde(skip_serializing)]
    pub pending: BTreeMap<String, i64>,
    /// Version 1: keys whose condition ceased before an alert opened.
    #[serde(skip_serializing)]
    pub idle: Vec<String>,
}

/// What an entry adds to the outbox.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Telling {
    /// Notices that are due now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// By channel, what waits now; `None`: nothing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub waiting: BTreeMap<String, Option<Waiting>>,
}

/// Which epoch of which query is in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Last {
    pub query_id: String,
    pub epoch: Epoch,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Entry {
    /// Everything so far.
    Snapshot(Box<Snapshot>),
    /// What one epoch changed.
    Epoch(EpochEntry),
    /// What a person did with an open alert: how it is now.
    Person(Box<PersonEntry>),
    /// These notices reached their channels, or nobody waits for them any more.
    Delivered(Vec<String>),
}

/// Everything so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Snapshot {
    pub last: Option<Last>,
    pub watches: BTreeMap<String, Watch>,
    pub open: Vec<Alert>,
    pub cleared: Vec<Alert>,
    #[serde(skip_serializing_if = "Outbox::is_empty")]
    pub outbox: Outbox,
    /// Version 1.
    #[serde(skip_serializing)]
    pub pending: BTreeMap<String, i64>,
}

/// What one epoch changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EpochEntry {
    #[serde(flatten)]
    pub last: Last,
    #[serde(flatten)]
    pub changes: Changes,
}

/// What a person did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PersonEntry {
    pub alert: Alert,
    #[serde(flatten)]
    pub telling: Telling,
}

impl Watch {
    /// What version 1 remembered of a key that waits.
    pub fn pending(since: i64) -> Self {
        Self { gates: vec![Gate { since: Some(since), ..Gate::default() }], ..Self::default() }
    }

    /// What is to be remembered of a standing; `None`: nothing.
    pub fn of(standing: &Standing, causes: &[Cause]) -> Option<Self> {
        let watch = Self {
            gates: standing.kept_gates().to_vec(),
            rest_until: standing.rest_until,
            causes: causes.to_vec(),
            ..Self::default()
        };
        (watch != Self::default()).then_some(watch)
    }

    /// The same of a silence.
    pub fn of_silence(silence: &Silence, source: Option<&Arc<str>>) -> Option<Self> {
        let seen = Some(silence.seen?);
        Some(Self { seen, source: source.map(|source| source.to_string()), ..Self::default() })
    }
}
