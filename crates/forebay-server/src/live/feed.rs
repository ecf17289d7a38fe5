//! One view as events: what is shown now, and what changed since.
//!
//! The feed remembers the rows as they were shown, so that whoever joins later gets the same rows from which all go on.

use std::sync::Arc;

use axum::body::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::{self, error::TryRecvError};
use tokio::sync::watch;

use super::Looked;
use crate::api;
use crate::api::devices::{MANY, Showing, look, question};
use crate::api::labels;
use crate::problem::Problem;
use crate::shown::Shown;
use crate::shown::alerts::{Alert, of_devices};
use crate::shown::devices::{self, Kind, Slice, View};

/// Of many devices it is counted at every fifth look only how they are spread: all of them are looked at for it.
const SELDOM: u32 = 5;

/// One event as it goes over the wire.
pub(super) fn event(name: &str, data: &impl std::fmt::Display) -> Bytes {
    // JSON has no line breaks of its own: they are escaped inside of texts.
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// A view, and what it has shown.
pub(super) struct Feed {
    shown: Shown,
    looked: Looked,
    following: Option<Following>,
    alerts: broadcast::Receiver<Arc<Alert>>,
}

/// The devices of a view.
struct Following {
    showing: Showing,
    /// `None` only while it is looked through elsewhere.
    view: Option<Box<dyn View>>,
    changed: watch::Receiver<u64>,
    rows: Slice,
    /// The number fields that are shown.
    charts: Vec<usize>,
    /// How the devices were spread when it was looked last; `None` of a source without labels.
    labels: Option<Value>,
    /// Looks since then.
    looks: u32,
}

impl Feed {
    /// The feed of a view; fails if it names what is not there.
    pub async fn open(shown: &Shown, looked: &Looked) -> Result<Self, Problem> {
        let alerts = shown.alerts.changes();
        let following = match api::source(shown, &looked.source)? {
            None => None,
            Some(source) => {
                let changed = source.subscribe();
                let showing = Showing::new(shown, source, &looked.fields, &looked.field)?;
                let (view, rows) = opened(&showing, looked).await?;
                let is_number = |field: &&usize| {
                    showing.layout.fields.get(**field).is_some_and(|it| it.kind == Kind::Number)
                };
                let charts = showing.fields.iter().filter(is_number).copied().collect();
                let labels = spread(&showing, looked).await?;
                Some(Following { showing, view: Some(view), changed, rows, charts, labels, looks: 0 })
            }
        };
        Ok(Self { shown: shown.clone(), looked: looked.clone(), following, alerts })
    }

    /// All rows as they are shown.
    pub fn devices(&self) -> Bytes {
        let Some(following) = &self.following else {
            return event("devices", &json!({ "total": 0, "offset": 0, "rows": [] }));
        };
        let Slice { total, offset, devices } = &following.rows;
        let rows: Vec<Value> = devices.iter().map(|device| following.showing.device(device)).collect();
        event("devices", &json!({ "total": total, "offset": offset, "rows": rows }))
    }

    /// Looks again at who is in the view; true if the rows are others now, or if `always`.
    pub async fn again(&mut self, always: bool) -> Result<bool, Problem> {
        let Some(following) = &mut self.following else { return Ok(false) };
        let showing = &mut following.showing;
        let alerts = of_devices(&self.shown, &*showing.source);
        let alerted = alerts != showing.alerts;
        showing.alerts = alerts;
        following.looks += 1;
        if showing.source.counts().total <= MANY || following.looks >= SELDOM {
            following.labels = spread(showing, &self.looked).await?;
            following.looks = 0;
        }
        if alerted && self.looked.state == "alerting" {
            let (view, rows) = opened(showing, &self.looked).await?;
            (following.view, following.rows) = (Some(view), rows);
            return Ok(true);
        }
        let gone = || Problem::busy("the devices cannot be sorted now");
        let mut view = following.view.take().ok_or_else(gone)?;
        let (view, found) = if showing.source.counts().total <= MANY {
            let found = view.again(always || alerted);
            (view, found)
        } else {
            let looked = move || {
                let found = view.again(always || alerted);
                (view, found)
            };
            tokio::task::spawn_blocking(looked).await.map_err(|_| gone())?
        };
        following.view = Some(view);
        Ok(found.map(|found| following.rows = found).is_some())
    }

    /// What changed in the rows since the last call, if anything did.
    pub fn values(&mut self, now_ms: i64) -> Option<Bytes> {
        let following = self.following.as_mut()?;
        if !following.changed.has_changed().unwrap_or(false) {
            return None;
        }
        following.changed.borrow_and_update();
        let changes = following.view.as_mut()?.changes();
        let mut rows = Vec::with_capacity(changes.rows.len());
        for change in changes.rows {
            let Some(device) = following.rows.devices.get_mut(change.index) else { continue };
            (device.last_seen, device.rate) = (change.last_seen, change.rate);
            let mut values = Map::new();
            for (field, value) in change.values {
                if following.showing.fields.binary_search(&field).is_ok() {
                    values.insert(following.showing.name(field), json!(value));
                }
                if let Some(shown) = device.values.get_mut(field) {
                    *shown = value;
                }
            }
            rows.push(json!([change.index, change.last_seen, change.rate, values]));
        }
        if rows.is_empty() {
            return None;
        }
        Some(event("values", &json!({ "t": now_ms, "e": changes.newest, "rows": rows })))
    }

    /// The last closed second of the fields that are shown, as the tick's `charts`.
    pub fn charts(&self) -> Value {
        let Some(following) = &self.following else { return json!([]) };
        let keys: Vec<&str> = self.looked.keys.iter().map(String::as_str).collect();
        let showing = &following.showing;
        let second = showing.source.last_second(&following.charts, &keys);
        let charts = following.charts.iter().zip(second.charts).map(|(field, series)| {
            json!({ "source": showing.source.name(), "field": showing.name(*field), "t": second.t, "series": series })
        });
        charts.collect()
    }

    /// How the devices are spread over the values of their labels, as the tick's `labels`.
    pub fn labels(&self) -> &Value {
        self.following.as_ref().and_then(|following| following.labels.as_ref()).unwrap_or(&Value::Null)
    }

    /// The alerts that opened or cleared since the last call.
    pub fn alerts(&mut self) -> Vec<Bytes> {
        let mut told = Vec::new();
        loop {
            match self.alerts.try_recv() {
                Ok(alert) => told.push(event("alert", &json!(*alert))),
                // The page asks for the list when it connects; the tick has the counts in any case.
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return told,
            }
        }
    }
}

/// How the devices of a view are spread; `None` of a source without labels.
async fn spread(showing: &Showing, looked: &Looked) -> Result<Option<Value>, Problem> {
    if showing.layout.labels.is_empty() {
        return Ok(None);
    }
    let facets = labels::facets(showing, asked(showing, looked)?).await?;
    Ok(Some(labels::told(showing, &facets)))
}

fn asked(showing: &Showing, looked: &Looked) -> Result<devices::Ask, Problem> {
    let slice = (looked.offset, looked.limit);
    let ask = question(showing, &looked.search, &looked.state, &looked.sort, slice)?;
    let only_values = labels::wanted(&showing.layout, looked.chosen.iter().map(String::as_str))?;
    Ok(devices::Ask { only_values, ..ask })
}

async fn opened(showing: &Showing, looked: &Looked) -> Result<(Box<dyn View>, Slice), Problem> {
    let opened = look(&showing.source, asked(showing, looked)?).await;
    opened.ok_or_else(|| Problem::busy("the devices cannot be sorted now"))
}
