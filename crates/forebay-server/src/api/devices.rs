//! `/devices` and `/device`: the newest values of each device, with the alerts that are open for it.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::labels::wanted;
use super::{names, source};
use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::paging;
use crate::problem::Problem;
use crate::shown::Shown;
use crate::shown::alerts::{OfKey, of_devices};
use crate::shown::devices::{self, Device, DeviceState, Followed, Layout, Slice, Sort, known};

/// Devices beyond which sorting them is not done on a worker of the runtime.
pub(crate) const MANY: u64 = 5_000;

/// A source with what its devices are shown with.
pub(crate) struct Showing {
    pub source: Arc<dyn Followed>,
    pub layout: Arc<Layout>,
    /// The fields that are shown, in the order of the layout.
    pub fields: Vec<usize>,
    pub spark: Option<usize>,
    pub alerts: HashMap<String, OfKey>,
}

impl Showing {
    /// These fields of a source, each by itself or several with commas between them; all if none is named.
    pub fn new(
        shown: &Shown,
        source: Arc<dyn Followed>,
        fields: &[String],
        spark: &str,
    ) -> Result<Self, Problem> {
        let layout = source.layout();
        let mut chosen = Vec::new();
        for sent in fields {
            match layout.field(sent) {
                Some(field) => chosen.push(field),
                None => {
                    for name in names(std::iter::once(sent.as_str())) {
                        chosen.push(known(&layout, &name)?);
                    }
                }
            }
        }
        chosen.sort_unstable();
        chosen.dedup();
        if chosen.is_empty() {
            chosen = (0..layout.fields.len()).collect();
        }
        let spark = if spark.is_empty() { layout.spark } else { Some(known(&layout, spark)?) };
        let alerts = of_devices(shown, &*source);
        Ok(Self { source, layout, fields: chosen, spark, alerts })
    }

    /// The contract's DEVICE.
    pub fn device(&self, device: &Device) -> Value {
        let alerts = self.alerts.get(&*device.key);
        let values: Map<String, Value> = self
            .fields
            .iter()
            .map(|field| {
                (self.name(*field), json!(device.values.get(*field).unwrap_or(&devices::Value::Null)))
            })
            .collect();
        json!({
            "source": self.source.name(),
            "key": &*device.key,
            "state": device.state,
            "lastSeen": device.last_seen,
            "rate": device.rate,
            "count": device.count,
            "clock": device.clock,
            "alerts": alerts.map_or(0, |alerts| alerts.count),
            "severity": alerts.map(|alerts| alerts.severity),
            "values": values,
            "spark": self.spark.map(|field| json!({ "field": self.name(field), "points": device.spark })),
        })
    }

    /// A field's name.
    pub fn name(&self, field: usize) -> String {
        self.layout.fields.get(field).map(|field| field.name.clone()).unwrap_or_default()
    }
}

/// What is asked of a source's devices.
pub(crate) fn question(
    showing: &Showing,
    search: &str,
    state: &str,
    sort: &str,
    slice: (usize, usize),
) -> Result<devices::Ask, Problem> {
    Ok(devices::Ask {
        search: search.to_owned(),
        state: match state {
            "live" => Some(DeviceState::Live),
            "quiet" => Some(DeviceState::Quiet),
            _ => None,
        },
        late: state == "late",
        only_values: Vec::new(),
        only: (state == "alerting").then(|| Arc::new(showing.alerts.keys().cloned().collect())),
        sort: Sort::parse(sort, &showing.layout)?,
        offset: slice.0,
        limit: slice.1,
        spark: showing.spark,
    })
}

/// A view of devices and its rows; many of them are sorted where nobody waits for a worker.
pub(crate) async fn look(
    source: &Arc<dyn Followed>,
    ask: devices::Ask,
) -> Option<(Box<dyn devices::View>, Slice)> {
    if source.counts().total <= MANY {
        return Some(Arc::clone(source).view(ask));
    }
    let source = Arc::clone(source);
    tokio::task::spawn_blocking(move || source.view(ask)).await.ok()
}

pub(crate) async fn list(ask: Ask) -> Outcome {
    let (shown, given) = (&ask.state.shown, &ask.given);
    let words = [given.text("search"), given.word("state"), given.text("sort")];
    let Some(source) = source(shown, given.text("source"))? else {
        return Ok(answer(&json!({
            "total": 0,
            "counts": { "live": 0, "quiet": 0, "alerting": 0 },
            "clocks": null,
            "devices": [],
            "next": null,
        })));
    };
    let chosen: Vec<&str> = given.all("where").collect();
    let list = paging::List::of(&[&["devices", source.name()], &words[..], &chosen[..]].concat());
    let offset = match list.parts::<1>(given.text("cursor"))? {
        None => 0,
        Some([offset]) => offset.parse().map_err(|_| paging::unknown())?,
    };
    let limit = given.integer("limit");
    let fields: Vec<String> = given.all("fields").map(str::to_owned).collect();
    let showing = Showing::new(shown, source, &fields, "")?;
    let question = question(&showing, words[0], words[1], words[2], (offset, limit))?;
    let only_values = wanted(&showing.layout, chosen.into_iter())?;
    let question = devices::Ask { only_values, ..question };
    let Some((_, slice)) = look(&showing.source, question).await else {
        return Err(Problem::busy("the devices cannot be sorted now"));
    };
    let end = offset + slice.devices.len();
    let has_more = !slice.devices.is_empty() && (end as u64) < slice.total;
    let counts = showing.source.counts();
    Ok(answer(&json!({
        "total": slice.total,
        "counts": { "live": counts.live, "quiet": counts.quiet, "alerting": showing.alerts.len() },
        "clocks": showing.source.clocks(),
        "devices": slice.devices.iter().map(|device| showing.device(device)).collect::<Vec<_>>(),
        "next": has_more.then(|| list.cursor(&[&end.to_string()])),
    })))
}

pub(crate) async fn one(ask: Ask) -> Outcome {
    let (shown, key) = (&ask.state.shown, ask.given.text("key"));
    let missing = || Problem::missing(format!("no device has the key `{key}`"));
    let source = source(shown, ask.given.text("source"))?.ok_or_else(missing)?;
    let showing = Showing::new(shown, source, &[], "")?;
    let device = showing.source.device(key, showing.spark).ok_or_else(missing)?;
    Ok(answer(&showing.device(&device)))
}
