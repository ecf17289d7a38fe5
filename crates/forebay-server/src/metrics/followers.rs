//! The metrics of followers: how far behind the page is, and for how long its history was not saved.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::gauges;
use crate::shown::Shown;
use crate::shown::devices::FollowerStatus;

#[derive(Debug)]
pub(super) struct Followers {
    pipeline: Arc<str>,
    now_ms: i64,
    /// By the source's name.
    all: Vec<(String, FollowerStatus)>,
}

impl Followers {
    pub fn of(shown: &Shown) -> Self {
        let sources = shown.devices.sources();
        Self {
            pipeline: Arc::clone(&shown.pipeline),
            now_ms: shown.clock.now_ms(),
            all: sources.iter().map(|source| (source.name().to_owned(), source.follower())).collect(),
        }
    }

    /// One gauge of every follower; one whose value is not known has no sample.
    fn each(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        value: impl Fn(&FollowerStatus) -> Option<f64>,
    ) -> Result<(), fmt::Error> {
        let samples = self
            .all
            .iter()
            .filter_map(|(source, status)| Some((vec![("source", source.clone())], value(status)?)));
        gauges(encoder, &self.pipeline, name, help, samples)
    }
}

impl Collector for Followers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let encoder = &mut encoder;
        let help = "Records that wait in the source for the live page";
        self.each(encoder, "follower_lag_records", help, |status| status.lag.map(|lag| lag as f64))?;
        let help = "For how long the history of the live page could not be saved; 0 while it can";
        self.each(encoder, "history_unsaved_seconds", help, |status| {
            // At least a little, also in the millisecond in which it began.
            let since = status.unsaved.as_ref().map(|(_, since)| *since);
            Some(since.map_or(0.0, |since| (self.now_ms - since).max(1) as f64 / 1000.0))
        })
    }
}

#[cfg(test)]
mod tests {
    use forebay_core::Error;
    use forebay_core::error::codes;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn a_follower_that_does_not_know_its_lag_has_no_sample_of_it() {
        let unsaved = Some((Error::new(&codes::STORAGE, "full"), 1_000));
        let lost = FollowerStatus { unsaved, ..FollowerStatus::default() };
        let well = FollowerStatus { lag: Some(7), ..FollowerStatus::default() };
        let all = vec![("a".to_owned(), lost), ("b".to_owned(), well)];
        let mut registry = Registry::with_prefix("forebay");
        registry.register_collector(Box::new(Followers { pipeline: "p".into(), now_ms: 3_500, all }));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "forebay_follower_lag_records{pipeline=\"p\",source=\"b\"} 7.0",
                "forebay_history_unsaved_seconds{pipeline=\"p\",source=\"a\"} 2.5",
                "forebay_history_unsaved_seconds{pipeline=\"p\",source=\"b\"} 0.0",
            ]
        );
    }
}
