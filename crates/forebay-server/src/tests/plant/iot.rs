//! The devices of the test plant.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use tokio::sync::watch;

use super::Plant;
use crate::shown::devices::*;

#[derive(Clone)]
pub(super) struct Iot(pub Arc<Plant>);

impl Iot {
    fn device(&self, key: &str, temperature: f64) -> Device {
        Device {
            key: key.into(),
            state: DeviceState::Live,
            last_seen: 1_000,
            rate: 2.0,
            count: 7,
            clock: Some(DeviceClock {
                offset: 7_200_000,
                latest: 7_200_040,
                state: ClockState::Ahead,
                ahead: 7,
                behind: 0,
            }),
            values: vec![
                Value::Text(key.to_owned()),
                Value::Number(temperature),
                Value::Bool(true),
                Value::Text("odd".to_owned()),
            ],
            spark: vec![None; 60],
        }
    }

    fn rows(&self, ask: &Ask) -> Slice {
        let mut all = self.0.temperatures.lock().clone();
        let is_wanted =
            |key: &str| key.contains(&ask.search) && ask.only.as_ref().is_none_or(|only| only.contains(key));
        all.retain(|(key, _)| is_wanted(key) && ask.state != Some(DeviceState::Quiet) && !ask.late);
        let is_on = |texts: &[String]| texts.iter().any(|text| text == "true");
        let fits = |(field, texts): &(usize, Vec<String>)| match field {
            0 => true,
            _ => is_on(texts),
        };
        all.retain(|(key, _)| {
            let of_key = ask.only_values.iter().find(|(field, _)| *field == 0);
            of_key.is_none_or(|(_, keys)| keys.contains(key)) && ask.only_values.iter().all(fits)
        });
        if ask.sort == Sort::FieldDescending(1) {
            all.sort_by(|a, b| b.1.total_cmp(&a.1));
        }
        let total = all.len() as u64;
        let devices = all.iter().skip(ask.offset).take(ask.limit).map(|(key, at)| self.device(key, *at));
        Slice { total, offset: ask.offset, devices: devices.collect() }
    }
}

impl Devices for Iot {
    fn sources(&self) -> Vec<Arc<dyn Followed>> {
        vec![Arc::new(self.clone())]
    }

    fn rate(&self) -> f64 {
        2.0
    }

    fn rates(&self) -> Vec<u64> {
        vec![3, 0, 2]
    }
}

#[async_trait]
impl Followed for Iot {
    fn name(&self) -> &str {
        "iot"
    }

    fn reads(&self) -> &str {
        "iot"
    }

    fn topic(&self) -> &str {
        "iot_topic"
    }

    fn layout(&self) -> Arc<Layout> {
        let ddl = "device_id STRING, temperature DOUBLE COMMENT '°C', on BOOLEAN, `a,b` STRING";
        Arc::new(
            Layout::new(&forebay_core::ddl::parse(ddl).unwrap(), None, &[]).with_labels(&["on".to_owned()]),
        )
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    fn counts(&self) -> Counts {
        let total = self.0.temperatures.lock().len() as u64;
        Counts { total, live: total, quiet: 0 }
    }

    fn clocks(&self) -> Option<Clocks> {
        let all = self.0.temperatures.lock();
        let off = |(key, _): &(String, f64)| OffClock { key: key.as_str().into(), offset: 7_200_000 };
        Some(Clocks { ahead: all.len() as u64, behind: 0, worst: all.iter().take(3).map(off).collect() })
    }

    fn view(self: Arc<Self>, ask: Ask) -> (Box<dyn View>, Slice) {
        let slice = self.rows(&ask);
        (Box::new(Looking { iot: (*self).clone(), ask, shown: slice.clone() }), slice)
    }

    fn device(&self, key: &str, _: Option<usize>) -> Option<Device> {
        let all = self.0.temperatures.lock();
        let (key, temperature) = all.iter().find(|(known, _)| known == key)?;
        Some(Iot::device(self, key, *temperature))
    }

    fn facets(&self, ask: &Ask) -> Facets {
        let total = self.rows(&Ask { limit: usize::MAX, ..ask.clone() }).total;
        let values = vec![
            FacetValue { value: Some("true".to_owned()), devices: total },
            FacetValue { value: None, devices: 1 },
        ];
        Facets { total, quiet: 1, late: 0, late_rows: 0, labels: vec![Facet { field: 2, values, others: 3 }] }
    }

    async fn shares(&self, ask: SharesAsk) -> Result<Shares> {
        if ask.label != 2 {
            return Err(Error::new(&codes::BAD_VALUE, "only labels are counted"));
        }
        let count = if ask.only.is_empty() { vec![1, 2] } else { vec![1, 0] };
        let share = |value: Option<&str>| Share { value: value.map(str::to_owned), count: count.clone() };
        let shares = vec![share(Some("true")), share(None)];
        Ok(Shares { start: 0, step: 1_000, shares, others: vec![0, 0] })
    }

    async fn history(&self, ask: HistoryAsk) -> Result<History> {
        let keys: Vec<Option<String>> =
            if ask.keys.is_empty() { vec![None] } else { ask.keys.into_iter().map(Some).collect() };
        let points = vec![Some(1.0), None];
        let series = |key| Series {
            key,
            min: points.clone(),
            mean: points.clone(),
            max: vec![Some(f64::NAN), None],
            count: vec![1, 0],
        };
        Ok(History { start: 0, step: 1_000, series: keys.into_iter().map(series).collect() })
    }

    fn last_second(&self, fields: &[usize], keys: &[&str]) -> LastSecond {
        let keys: Vec<Option<String>> =
            std::iter::once(None).chain(keys.iter().map(|key| Some((*key).to_owned()))).collect();
        let points = || {
            keys.iter().map(|key| Point { key: key.clone(), min: None, mean: Some(1.0), max: None }).collect()
        };
        LastSecond { t: 1_000, charts: fields.iter().map(|_| points()).collect() }
    }

    fn rate(&self) -> f64 {
        2.0
    }

    fn follower(&self) -> FollowerStatus {
        FollowerStatus { lag: Some(0), too_old: 1, caught_up_ms: Some(7), ..FollowerStatus::default() }
    }
}

struct Looking {
    iot: Iot,
    ask: Ask,
    shown: Slice,
}

impl View for Looking {
    fn changes(&mut self) -> Changes {
        self.iot.0.rendered.fetch_add(1, Ordering::Relaxed);
        let now: HashMap<String, f64> = self.iot.0.temperatures.lock().iter().cloned().collect();
        let mut rows = Vec::new();
        for (index, device) in self.shown.devices.iter_mut().enumerate() {
            let value = Value::Number(now[&*device.key]);
            if device.values[1] != value {
                device.values[1] = value.clone();
                rows.push(Change { index, last_seen: 2_000, rate: 3.0, values: vec![(1, value)] });
            }
        }
        Changes { version: 0, newest: Some(2_000).filter(|_| !rows.is_empty()), rows }
    }

    fn again(&mut self, always: bool) -> Option<Slice> {
        let slice = self.iot.rows(&self.ask);
        let keys = |slice: &Slice| slice.devices.iter().map(|device| device.key.clone()).collect::<Vec<_>>();
        let differs = keys(&slice) != keys(&self.shown);
        (always || differs).then(|| {
            self.shown = slice.clone();
            slice
        })
    }
}
