//! What is around the queries: alerts, and the HTTP server itself.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::shown::alerts::Severity;
use crate::state::State;

/// All of it at one moment.
#[derive(Debug)]
pub(super) struct Around {
    pipeline: Arc<str>,
    /// Rule, severity, open alerts; those without any too.
    alerts: Vec<(String, Severity, u64)>,
    answers: [(&'static str, u64); 4],
    readers: u64,
    views: u64,
    dropped: u64,
}

/// A sample: its labels beside the pipeline's, and its value.
type Sample = (Vec<(&'static str, String)>, u64);

impl Around {
    /// As it stands now.
    pub fn of(state: &State) -> Self {
        let (shown, hub) = (&state.shown, &state.hub);
        let open = shown.alerts.by_rule();
        let count = |rule: &String| open.get(rule).copied().unwrap_or_default();
        let rules = shown.about.alerts.iter();
        Self {
            pipeline: Arc::clone(&shown.pipeline),
            alerts: rules.map(|rule| (rule.name.clone(), rule.severity, count(&rule.name))).collect(),
            answers: state.common.answers.by_class(),
            readers: hub.readers() as u64,
            views: hub.views() as u64,
            dropped: hub.dropped(),
        }
    }

    fn counters(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample>,
    ) -> fmt::Result {
        let mut family =
            encoder.encode_descriptor(name, help, None, ConstCounter::new(0u64).metric_type())?;
        for (labels, value) in samples {
            ConstCounter::new(value).encode(family.encode_family(&self.labels(labels))?)?;
        }
        Ok(())
    }

    fn gauges(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample>,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, ConstGauge::new(0u64).metric_type())?;
        for (labels, value) in samples {
            ConstGauge::new(value).encode(family.encode_family(&self.labels(labels))?)?;
        }
        Ok(())
    }

    fn labels(&self, more: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
        [vec![("pipeline", self.pipeline.to_string())], more].concat()
    }
}

impl Collector for Around {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let to = &mut encoder;
        let alone = |value: u64| [(Vec::new(), value)];
        let open = self.alerts.iter().map(|(rule, severity, count)| {
            (vec![("rule", rule.clone()), ("severity", severity.word().to_owned())], *count)
        });
        self.gauges(to, "alerts_open", "Open alerts", open)?;
        let answers =
            self.answers.iter().map(|(class, count)| (vec![("status", (*class).to_owned())], *count));
        self.counters(to, "http_requests", "Answers by the class of their status", answers)?;
        self.gauges(to, "http_readers", "Readers of events, as open pages are", alone(self.readers))?;
        self.gauges(to, "http_views", "Different views that they look at", alone(self.views))?;
        self.counters(
            to,
            "http_readers_dropped",
            "Readers that were dropped because they did not read",
            alone(self.dropped),
        )
    }
}
