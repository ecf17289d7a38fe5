//! A plant in memory: three devices, one of them with a hostile name, and everything else that is shown.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use forebay_core::checkpoint::RecordId;
use forebay_core::clock::SystemClock;
use forebay_core::config::{SilenceConfig, SilenceTime};
use forebay_core::error::codes;
use forebay_core::latency::Latency;
use forebay_core::{Error, Result};
use forebay_engine::status::{QueryStatus, State};
use forebay_rules::Silences;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::{broadcast, watch};

use crate::shown::alerts::{
    Alert, AlertState, OfKey, Open, Place as At, Remark, Severity, Silence, Wanted, Wish,
};
use crate::shown::quarantine::{Change as Todo, Chosen, Counted, Filter, Place, Record};
use crate::shown::reload::{Fate, Turned};
use crate::shown::sql::{Refused, Rows};
use crate::shown::{
    About, AboutAlert, AboutQuery, Alerts, Channels, Control, NotReloaded, Quarantine, RefusedFile, Reloaded,
    Shown, Sql,
};

pub(crate) mod archives;
mod iot;

use self::iot::Iot;

/// A name that is markup, and would end an event if it were not escaped.
pub(crate) const HOSTILE: &str = "<img src=x onerror=alert(1)>\n\nevent: tick\ndata: {}\n\n'\"`";

pub(crate) struct Plant {
    pub temperatures: Mutex<Vec<(String, f64)>>,
    pub version: watch::Sender<u64>,
    pub queries: Vec<watch::Sender<QueryStatus>>,
    pub alerts: Mutex<Vec<Alert>>,
    pub silences: Silences,
    pub channels: Channels,
    pub told: broadcast::Sender<Arc<Alert>>,
    pub dropped: Mutex<Vec<i64>>,
    pub orders: Mutex<Vec<String>>,
    /// Statements that came.
    pub asked: Mutex<Vec<String>>,
    /// Frames that were rendered: one call of `changes` each.
    pub rendered: AtomicU64,
    pub refused: watch::Sender<Option<Arc<RefusedFile>>>,
}

impl Plant {
    pub fn new() -> Arc<Self> {
        let mut lake = QueryStatus::new("lake");
        lake.state = State::Waiting;
        lake.latency = Some(Latency { p50_ms: 12, p99_ms: 40 });
        lake.lag = Some(3);
        let names = ["d1", "d2", HOSTILE];
        Arc::new(Self {
            temperatures: Mutex::new(names.map(|name| (name.to_owned(), 20.0)).to_vec()),
            version: watch::Sender::new(1),
            queries: vec![watch::Sender::new(lake), watch::Sender::new(QueryStatus::new("alerts/hot"))],
            alerts: Mutex::default(),
            silences: Silences::default(),
            channels: Channels::new(Arc::new(SystemClock)),
            told: broadcast::Sender::new(64),
            dropped: Mutex::default(),
            orders: Mutex::default(),
            asked: Mutex::default(),
            rendered: AtomicU64::new(0),
            refused: watch::Sender::new(None),
        })
    }

    pub fn shown(self: &Arc<Self>) -> Shown {
        let query = AboutQuery {
            name: "lake".into(),
            sql: "SELECT * FROM iot".into(),
            format: "delta".into(),
            trigger: "default".into(),
            sources: vec!["iot".into()],
        };
        let alert = AboutAlert {
            name: "hot".into(),
            on: "iot".into(),
            key: "device_id".into(),
            key_fields: BTreeMap::from([("iot".into(), "device_id".into())]),
            when: "temperature > 70".into(),
            clear: "temperature < 65".into(),
            for_ms: 10_000,
            severity: Severity::Critical,
        };
        let night = SilenceConfig {
            name: "night".into(),
            rules: vec!["hot".into()],
            keys: vec!["d*".into()],
            severities: vec![Severity::Info],
            time: SilenceTime::Once { from_ms: 0, until_ms: i64::MAX },
        };
        let about = About {
            title: None,
            queries: vec![query],
            bootstraps: vec![("iot".to_owned(), "127.0.0.1:9092".to_owned())],
            tables: vec!["iot".into(), "lake".into()],
            panels: vec![json!({ "id": "p", "title": "T", "chart": "line" })],
            alerts: vec![alert],
            silences: vec![night],
        };
        Shown {
            pipeline: "plant".into(),
            version: "test",
            started_ms: 1,
            about: Arc::new(about),
            queries: self.queries.iter().map(watch::Sender::subscribe).collect(),
            devices: Arc::new(Iot(Arc::clone(self))),
            alerts: Arc::new(Iot(Arc::clone(self))),
            channels: self.channels.clone(),
            quarantine: Arc::new(Iot(Arc::clone(self))),
            cycles: Arc::new(Iot(Arc::clone(self))),
            sql: Arc::new(Iot(Arc::clone(self))),
            control: Arc::new(Iot(Arc::clone(self))),
            refused: self.refused.subscribe(),
            gateways: Arc::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// A device says something new.
    pub fn says(&self, index: usize, temperature: f64) {
        self.temperatures.lock()[index].1 = temperature;
        self.version.send_modify(|version| *version += 1);
    }

    pub fn opens(&self, id: &str, key: &str) {
        let alert = Alert {
            id: id.into(),
            rule: "hot".into(),
            source: "iot".into(),
            key: Some(key.into()),
            severity: Severity::Critical,
            state: AlertState::Open,
            opened_at: self.alerts.lock().len() as i64,
            cleared_at: None,
            rule_removed: false,
            seen_at: 6,
            message: format!("{key} is hot"),
            value: serde_json::Map::from_iter([("temperature".to_owned(), json!(71.5))]),
            cleared_value: None,
            life: forebay_rules::Life::default(),
        };
        self.alerts.lock().push(alert.clone());
        let _ = self.told.send(Arc::new(alert));
    }
}

impl Alerts for Iot {
    fn list(&self, wanted: &Wanted, after: Option<At>, limit: usize) -> Vec<Arc<Alert>> {
        let mut all: Vec<Alert> = self.0.alerts.lock().clone();
        all.sort_by_key(|alert| std::cmp::Reverse(At::of(alert)));
        all.retain(|alert| wanted.has(alert) && after.is_none_or(|after| At::of(alert) < after));
        all.into_iter().take(limit).map(Arc::new).collect()
    }

    fn open(&self) -> Open {
        Open { critical: self.0.alerts.lock().len() as u64, ..Open::default() }
    }

    fn by_rule(&self) -> HashMap<(String, Severity), u64> {
        HashMap::from([(("hot".to_owned(), Severity::Critical), self.0.alerts.lock().len() as u64)])
    }

    fn by_key(&self, _: &str, field: &str) -> HashMap<String, OfKey> {
        let all = self.0.alerts.lock();
        let of_devices = all.iter().filter(|_| field == "device_id");
        let key = |alert: &Alert| alert.key.clone().unwrap_or_default();
        of_devices.map(|alert| (key(alert), OfKey { count: 1, severity: alert.severity })).collect()
    }

    fn due(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([("ops".to_owned(), 2)])
    }

    fn acknowledge(&self, id: &str, remark: Remark) -> Result<Arc<Alert>> {
        let mut all = self.0.alerts.lock();
        let found = all.iter_mut().find(|alert| alert.id == id);
        let alert = found.ok_or_else(|| Error::new(&codes::NO_RESOURCE, "it is not open"))?;
        alert.life.acknowledged.get_or_insert(remark);
        Ok(Arc::new(alert.clone()))
    }

    fn comment(&self, id: &str, remark: Remark) -> Result<Arc<Alert>> {
        let mut all = self.0.alerts.lock();
        let found = all.iter_mut().find(|alert| alert.id == id);
        let alert = found.ok_or_else(|| Error::new(&codes::NO_RESOURCE, "it is not open"))?;
        alert.life.comments.push(remark);
        Ok(Arc::new(alert.clone()))
    }

    fn silences(&self, now: i64) -> Vec<Silence> {
        self.0.silences.all(now)
    }

    fn silence(&self, wish: Wish, made: Remark) -> Result<Silence> {
        self.0.silences.make(wish, made)
    }

    fn end_silence(&self, id: &str, ended: Remark) -> Result<Silence> {
        self.0.silences.end(id, ended)
    }

    fn changes(&self) -> broadcast::Receiver<Arc<Alert>> {
        self.0.told.subscribe()
    }
}

impl Quarantine for Iot {
    fn list(&self, which: &Filter, after: Option<&Place>, limit: usize) -> Result<(Counted, Vec<Record>)> {
        let dropped = self.0.dropped.lock();
        let record = |offset: i64| Record {
            place: Place {
                at: offset,
                id: RecordId { topic: "iot/a".into(), partition: 0, offset },
                mark: 9,
            },
            queries: vec!["lake".into()],
            sources: vec!["iot".into()],
            refused_by: None,
            code: "json.syntax".into(),
            path: "$".into(),
            why: HOSTILE.into(),
            key: None,
            raw: Some(b"{\xff".to_vec()),
        };
        let is_wanted = which.code.as_deref().is_none_or(|code| code == "json.syntax");
        let open = (0..5).rev().filter(|offset| is_wanted && !dropped.contains(offset)).map(record);
        let mut open: Vec<Record> = open.collect();
        let counted = Counted { open: open.len() as u64, bytes: 100, refused: Vec::new() };
        open.retain(|record| after.is_none_or(|after| record.place < *after));
        open.truncate(limit);
        Ok((counted, open))
    }

    fn count(&self, which: &Filter) -> Result<Counted> {
        Ok(Quarantine::list(self, which, None, 0)?.0)
    }

    fn change(&self, which: &Chosen, change: Todo) -> Result<u64> {
        let offsets: Vec<i64> = match which {
            Chosen::Named(records) => records.iter().map(|record| record.offset).collect(),
            Chosen::All(filter) => Quarantine::list(self, filter, None, 10)?
                .1
                .iter()
                .map(|record| record.place.id.offset)
                .collect(),
        };
        if offsets.iter().any(|offset| *offset > 4) {
            return Err(Error::new(&codes::QUARANTINE_NOT_FOUND, "it is not in the quarantine"));
        }
        if change == Todo::Drop {
            self.0.dropped.lock().extend(&offsets);
        }
        Ok(offsets.len() as u64)
    }
}

#[async_trait]
impl Sql for Iot {
    async fn ask(&self, sql: &str, rows: usize) -> Result<Rows, Refused> {
        self.0.asked.lock().push(sql.to_owned());
        match sql {
            "slow" => std::future::pending().await,
            "busy" => Err(Error::new(&codes::BUSY, "too many").into()),
            "wrong" => {
                let error = Error::new(&codes::SQL_SYNTAX, "it cannot be read");
                Err(Refused { error, place: Some((1, 7)) })
            }
            _ => Ok(Rows {
                columns: vec![("n <b>".into(), "INT".into())],
                json: "[[1],[null]]".into(),
                count: 2,
                truncated: rows < 3,
            }),
        }
    }
}

#[async_trait]
impl Control for Iot {
    async fn stop(&self, query: &str) -> Result<()> {
        self.0.orders.lock().push(format!("stop {query}"));
        Ok(())
    }

    async fn start(&self, query: &str) -> Result<()> {
        self.0.orders.lock().push(format!("start {query}"));
        Err(Error::new(&codes::CONFLICT, "the query runs already"))
    }

    /// Fails the first time.
    async fn reload(&self, by: &str) -> Result<Reloaded, NotReloaded> {
        let mut orders = self.0.orders.lock();
        let is_first = !orders.iter().any(|order| order.starts_with("reload"));
        orders.push(format!("reload by {by}"));
        if is_first {
            let problem = Error::new(&codes::UNKNOWN_KEY, "unknown key `formt`").at("plant.yaml:4:5");
            let error = Error::new(&codes::UNKNOWN_KEY, "plant.yaml has 1 problem");
            return Err(NotReloaded { error, problems: vec![problem] });
        }
        let error = Error::new(&codes::SINK_SCHEMA, "it does not fit");
        let turned = |name: &str, fate, error| Turned {
            name: name.to_owned(),
            fate,
            changes: vec!["sql".to_owned()],
            error,
        };
        let queries = vec![turned("lake", Fate::Changed, Some(error)), turned("hot", Fate::Removed, None)];
        Ok(Reloaded { queries, dashboard: true })
    }
}
