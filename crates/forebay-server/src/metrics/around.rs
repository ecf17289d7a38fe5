//! What is around the queries: alerts, the file, and the HTTP server itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::{counters, gauges};
use crate::shown::alerts::{Severity, SilenceState};
use crate::shown::{AboutAlert, Gateways, Shown};
use crate::state::State;

/// All of it at one moment.
#[derive(Debug)]
pub(super) struct Around {
    pipeline: Arc<str>,
    /// Rule, severity, open alerts; those without any too.
    alerts: Vec<(String, Severity, u64)>,
    /// Silences that people made, of those that hold and those that will.
    silences: [(&'static str, u64); 2],
    /// Channel, notices that wait to be taken.
    due: Vec<(String, u64)>,
    /// Channel, notices it took, notices it refused for good, whether it can be reached.
    channels: Vec<(String, u64, u64, bool)>,
    answers: [(&'static str, u64); 4],
    /// The file that is there was refused.
    is_refused: bool,
    readers: u64,
    views: u64,
    dropped: u64,
    /// Gateway, what was counted, how often.
    gateways: Vec<(String, &'static str, u64)>,
    /// Gateway, whether it has a connection: of those that go to somebody by themselves.
    connected: Vec<(String, bool)>,
}

impl Around {
    /// As it stands now.
    pub fn of(state: &State) -> Self {
        let (shown, hub) = (&state.shown, &state.hub);
        let open = shown.alerts.by_rule();
        let of_rule = |rule: &AboutAlert| {
            let name = rule.name.clone();
            let mut each: BTreeMap<Severity, u64> = BTreeMap::from([(rule.severity, 0)]);
            let own = open.iter().filter(|((of, _), _)| *of == name);
            each.extend(own.map(|((_, severity), n)| (*severity, *n)));
            each.into_iter().map(move |(severity, n)| (name.clone(), severity, n))
        };
        Self {
            pipeline: Arc::clone(&shown.pipeline),
            alerts: shown.about.alerts.iter().flat_map(of_rule).collect(),
            silences: silences(shown),
            due: shown.alerts.due().into_iter().collect(),
            channels: channels(shown),
            answers: state.common.answers.by_class(),
            is_refused: shown.refused.borrow().is_some(),
            readers: hub.readers() as u64,
            views: hub.views() as u64,
            dropped: hub.dropped(),
            gateways: gateways(&shown.gateways),
            connected: connected(&shown.gateways),
        }
    }
}

fn silences(shown: &Shown) -> [(&'static str, u64); 2] {
    let now = shown.clock.now_ms();
    let all = shown.alerts.silences(now);
    let count = |state| all.iter().filter(|silence| silence.state(now) == state).count() as u64;
    [("active", count(SilenceState::Active)), ("pending", count(SilenceState::Pending))]
}

fn channels(shown: &Shown) -> Vec<(String, u64, u64, bool)> {
    let each = shown.channels.all().into_iter();
    each.map(|(name, channel)| (name, channel.taken, channel.refused, channel.down.is_none())).collect()
}

fn gateways(gateways: &Gateways) -> Vec<(String, &'static str, u64)> {
    let each = gateways.all.iter().flat_map(|gateway| {
        gateway.counts.counts().into_iter().map(|(what, count)| (gateway.name.clone(), what, count))
    });
    each.collect()
}

fn connected(gateways: &Gateways) -> Vec<(String, bool)> {
    let each = gateways.all.iter();
    each.filter_map(|gateway| Some((gateway.name.clone(), gateway.counts.state()?.is_up))).collect()
}

impl Collector for Around {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (to, of) = (&mut encoder, &*self.pipeline);
        let alone = |value: u64| [(Vec::new(), value)];
        let open = self.alerts.iter().map(|(rule, severity, count)| {
            (vec![("rule", rule.clone()), ("severity", severity.word().to_owned())], *count)
        });
        gauges(to, of, "alerts_open", "Open alerts", open)?;
        let silences =
            self.silences.iter().map(|(state, count)| (vec![("state", (*state).to_owned())], *count));
        gauges(to, of, "silences", "Silences that people made and that hold, or will", silences)?;
        let due = self.due.iter().map(|(channel, count)| (vec![("channel", channel.clone())], *count));
        gauges(to, of, "notices_due", "Notices of alerts that a channel has not taken yet", due)?;
        let of_channel = |name: &String| vec![("channel", name.clone())];
        let up = self.channels.iter().map(|(name, _, _, is_up)| (of_channel(name), u64::from(*is_up)));
        gauges(to, of, "channel_up", "0 while a channel cannot be reached, or does not take a notice", up)?;
        let taken = self.channels.iter().map(|(name, taken, ..)| (of_channel(name), *taken));
        counters(to, of, "notices_taken", "Notices of alerts that a channel took", taken)?;
        let given_up = self.channels.iter().map(|(name, _, refused, _)| (of_channel(name), *refused));
        counters(to, of, "notices_refused", "Notices of alerts that a channel refused for good", given_up)?;
        let refused = alone(u64::from(self.is_refused));
        gauges(to, of, "reload_refused", "1 while the file that is there was refused", refused)?;
        let counted = self.gateways.iter().map(|(gateway, what, count)| {
            (vec![("gateway", gateway.clone()), ("what", (*what).to_owned())], *count)
        });
        counters(to, of, "gateway_events", "What gateways counted, by what it is", counted)?;
        let connected = self
            .connected
            .iter()
            .map(|(gateway, is_up)| (vec![("gateway", gateway.clone())], u64::from(*is_up)));
        let help = "1 while a gateway that goes to a broker or a port has it";
        gauges(to, of, "gateway_up", help, connected)?;
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
