//! What is around the queries: alerts, the file, and the HTTP server itself.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::{counters, gauges};
use crate::shown::alerts::Severity;
use crate::state::State;

/// All of it at one moment.
#[derive(Debug)]
pub(super) struct Around {
    pipeline: Arc<str>,
    /// Rule, severity, open alerts; those without any too.
    alerts: Vec<(String, Severity, u64)>,
    answers: [(&'static str, u64); 4],
    /// The file that is there was refused.
    is_refused: bool,
    readers: u64,
    views: u64,
    dropped: u64,
}

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
            is_refused: shown.refused.borrow().is_some(),
            readers: hub.readers() as u64,
            views: hub.views() as u64,
            dropped: hub.dropped(),
        }
    }
}

impl Collector for Around {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (to, of) = (&mut encoder, &*self.pipeline);
        let alone = |value: u64| [(Vec::new(), value)];
        let open = self.alerts.iter().map(|(rule, severity, count)| {
            (vec![("rule", rule.clone()), ("severity", severity.word().to_owned())], *count)
        });
        gauges(to, of, "alerts_open", "Open alerts", open)?;
        let refused = alone(u64::from(self.is_refused));
        gauges(to, of, "reload_refused", "1 while the file that is there was refused", refused)?;
        let answers =
            self.answers.iter().map(|(class, count)| (vec![("status", (*class).to_owned())], *count));
        counters(to, of, "http_requests", "Answers by the class of their status", answers)?;
        gauges(to, of, "http_readers", "Readers of events, as open pages are", alone(self.readers))?;
        gauges(to, of, "http_views", "Different views that they look at", alone(self.views))?;
        counters(
            to,
            of,
            "http_readers_dropped",
            "Readers that were dropped because they did not read",
            alone(self.dropped),
        )
    }
}
