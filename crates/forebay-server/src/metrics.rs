//! `/metrics` in the OpenMetrics text format, drawn from what everything says of itself at the moment of the scrape.

mod followers;

use std::fmt;
use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use forebay_core::Ledger;
use forebay_core::error::codes;
use forebay_engine::status::{Failures, QueryStatus};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use self::followers::Followers;
use crate::api::queries;
use crate::ask::{Ask, Outcome};
use crate::problem::Problem;

mod around;

use around::Around;

pub(crate) async fn metrics(ask: Ask) -> Outcome {
    let shown = &ask.state.shown;
    let mut registry = Registry::with_prefix("forebay");
    registry.register_collector(Box::new(Queries {
        pipeline: shown.pipeline.clone(),
        now_ms: shown.clock.now_ms(),
        all: shown.statuses(),
    }));
    registry.register_collector(Box::new(Around::of(&ask.state)));
    registry.register_collector(Box::new(Followers::of(shown)));
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
        }
        Err(_) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Err(Problem::new(status, &codes::INTERNAL, "the metrics cannot be written"))
        }
    }
}

/// Picks one count of a ledger.
type Fate = fn(&Ledger) -> u64;

/// A sample: its labels beside the pipeline's, and its value.
type Sample<N> = (Vec<(&'static str, String)>, N);

/// Writes a gauge of a pipeline.
fn gauges<N: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    pipeline: &str,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = Sample<N>>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in samples {
        ConstGauge::new(value).encode(family.encode_family(&of_pipeline(pipeline, labels))?)?;
    }
    Ok(())
}

/// Writes a counter of a pipeline.
fn counters<N: EncodeCounterValue>(
    encoder: &mut DescriptorEncoder<'_>,
    pipeline: &str,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = Sample<N>>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in samples {
        ConstCounter::new(value).encode(family.encode_family(&of_pipeline(pipeline, labels))?)?;
    }
    Ok(())
}

fn of_pipeline(pipeline: &str, labels: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    [vec![("pipeline", pipeline.to_owned())], labels].concat()
}

#[derive(Debug)]
struct Queries {
    pipeline: Arc<str>,
    now_ms: i64,
    all: Vec<QueryStatus>,
}

impl Queries {
    /// One metric of every query; a query whose value is not known has no sample.
    fn each<V: Into<Option<u64>>>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        gauge: bool,
        value: impl Fn(&QueryStatus) -> V,
    ) -> Result<(), fmt::Error> {
        let samples = self.all.iter().filter_map(|status| {
            let labels = vec![("query", status.name.to_string())];
            Some((labels, value(status).into()?))
        });
        match gauge {
            true => gauges(encoder, &self.pipeline, name, help, samples),
            false => counters(encoder, &self.pipeline, name, help, samples),
        }
    }
}

impl Queries {
    /// How old records are when they are committed; a query without any has no sample.
    fn latency(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Age of records at their commit, over the last ten seconds with a commit";
        let samples = self.all.iter().filter_map(|status| Some((status, status.latency?)));
        let samples = samples.flat_map(|(status, latency)| {
            [("0.5", latency.p50_ms), ("0.99", latency.p99_ms)].map(|(quantile, millis)| {
                let labels = vec![("query", status.name.to_string()), ("quantile", quantile.to_owned())];
                (labels, millis as f64 / 1000.0)
            })
        });
        gauges(encoder, &self.pipeline, "latency_seconds", help, samples)
    }

    /// For how long a table that a query is joined with cannot be read.
    fn tables(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "For how long no newer version of a table can be read, and the one before is used; 0 while it can";
        let samples = self.all.iter().flat_map(|status| {
            status.tables.iter().map(|table| {
                let labels = vec![("query", status.name.to_string()), ("table", table.name.clone())];
                // At least a little, also in the millisecond in which it began.
                let broken = |since: i64| (self.now_ms - since).max(1) as f64 / 1000.0;
                (labels, table.broken_since_ms.map_or(0.0, broken))
            })
        });
        gauges(encoder, &self.pipeline, "table_unreadable_seconds", help, samples)
    }
}

impl Queries {
    /// How many rows failed each expectation of the sources that a query reads, what it cost, and how many records were as expected.
    fn expectations(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Rows that failed an expectation of their source, in all epochs that were committed";
        let samples = self.each_expectation(|it| it.rows);
        counters(encoder, &self.pipeline, "expectation_failed_rows", help, samples)?;
        let help = "Time of a core that an expectation took in this run";
        let samples = self.each_expectation(|it| it.spent.nanos as f64 / 1e9);
        counters(encoder, &self.pipeline, "expectation_seconds", help, samples)?;
        let help = "Records of a source with expectations, by verdict, in all epochs that were committed";
        let samples = self.all.iter().flat_map(|status| {
            let past = status.quality.lock();
            let mut names: Vec<&str> = status.expectations.iter().map(|it| &*it.source).collect();
            names.dedup();
            let each = names.into_iter().flat_map(|source| {
                let total = past.total(source).cloned().unwrap_or_default();
                let valid = total.rows.saturating_sub(total.failed);
                let counts = [("valid", valid), ("failed", total.failed), ("unreadable", total.unreadable)];
                counts.map(|(verdict, count)| {
                    let of = [("query", status.name.to_string()), ("source", source.to_owned())];
                    (of.into_iter().chain([("verdict", verdict.to_owned())]).collect(), count)
                })
            });
            each.collect::<Vec<Sample<u64>>>()
        });
        counters(encoder, &self.pipeline, "judged_records", help, samples)
    }

    /// One sample of every expectation.
    fn each_expectation<N>(&self, value: impl Fn(&Failures) -> N) -> impl Iterator<Item = Sample<N>> {
        self.all.iter().flat_map(move |status| {
            let samples = status.expectations.iter().map(|it| {
                let labels = vec![
                    ("query", status.name.to_string()),
                    ("source", it.source.to_string()),
                    ("rule", it.expected.name.to_string()),
                    ("action", it.expected.on_fail.word().to_owned()),
                ];
                (labels, value(it))
            });
            samples.collect::<Vec<_>>()
        })
    }
}

impl Collector for Queries {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let encoder = &mut encoder;
        let fates: [(&str, Fate); 10] = [
            ("read", |ledger| ledger.read),
            ("emitted", |ledger| ledger.emitted),
            ("aggregated", |ledger| ledger.aggregated),
            ("unmatched", |ledger| ledger.unmatched),
            ("filtered", |ledger| ledger.filtered),
            ("deduplicated", |ledger| ledger.deduplicated),
            ("dropped", |ledger| ledger.dropped),
            ("quarantined", |ledger| ledger.quarantined),
            ("late", |ledger| ledger.late),
            ("replayed", |ledger| ledger.replayed),
        ];
        for (fate, count) in fates {
            let help = format!("Source records by fate: {fate}");
            self.each(encoder, &format!("records_{fate}"), &help, false, |status| count(&status.ledger))?;
        }
        self.each(encoder, "records_in_flight", "Source records whose fate is open", true, |status| {
            status.ledger.in_flight
        })?;
        self.each(
            encoder,
            "rows_out",
            "Rows that the sink was handed, with those that it refused",
            false,
            |status| status.ledger.rows_out,
        )?;
        self.each(
            encoder,
            "rows_refused",
            "Rows that the sink refused for good: they are in the quarantine",
            false,
            |status| status.ledger.rows_refused,
        )?;
        self.each(encoder, "bytes_read", "Bytes of record values", false, |status| status.ledger.bytes_read)?;
        self.each(encoder, "epoch", "Newest committed epoch", true, |status| {
            status.committed.map_or(0, |epoch| epoch.0)
        })?;
        self.each(
            encoder,
            "lag_records",
            "Records that wait in the source beyond what is committed",
            true,
            queries::lag,
        )?;
        self.each(encoder, "quarantine_bytes", "Bytes in the quarantine", true, |status| {
            status.quarantine_bytes
        })?;
        self.each(
            encoder,
            "quarantine_evicted",
            "Quarantined records dropped to make room",
            false,
            |status| status.quarantine_evicted,
        )?;
        self.each(
            encoder,
            "state_bytes",
            "Bytes of memory that operators with state hold",
            true,
            queries::state_bytes,
        )?;
        self.each(encoder, "state_keys", "Keys that operators with state hold", true, |status| {
            status.remembered.as_ref().map_or(0, |it| it.keys)
        })?;
        self.each(
            encoder,
            "watermark_milliseconds",
            "The watermark, milliseconds since 1970",
            true,
            |status| queries::watermark(status).and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0),
        )?;
        self.each(
            encoder,
            "records_ahead",
            "Rows whose event time was too far ahead of the clock to move the watermark",
            false,
            |status| status.remembered.as_ref().map_or(0, |it| it.ahead),
        )?;
        self.each(encoder, "late_bytes", "Bytes of late rows that are kept", true, |status| {
            status.remembered.as_ref().map_or(0, |it| it.late_bytes)
        })?;
        self.each(encoder, "up", "1 while the query runs or waits", true, |status| {
            u64::from(status.state.error().is_none())
        })?;
        self.expectations(encoder)?;
        self.latency(encoder)?;
        self.tables(encoder)
    }
}

#[cfg(test)]
mod tests {
    use forebay_core::expectation::{Expected, OnFail, Spent};
    use forebay_core::quality::{EpochQuality, Judged};
    use forebay_engine::lookup::Standing;

    use super::*;

    fn written(status: QueryStatus) -> String {
        let mut registry = Registry::with_prefix("forebay");
        registry.register_collector(Box::new(Queries {
            pipeline: "plant".into(),
            now_ms: 65_000,
            all: vec![status],
        }));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn every_sample_names_its_pipeline_and_an_unknown_lag_has_none() {
        let mut status = QueryStatus::new("lake");
        let samples = |text: &str| -> Vec<String> {
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
        };
        let unknown = samples(&written(status.clone()));
        assert!(!unknown.iter().any(|line| line.starts_with("forebay_lag_records")), "{unknown:?}");
        assert!(
            unknown.iter().all(|line| line.contains("{pipeline=\"plant\",query=\"lake\"}")),
            "{unknown:?}"
        );
        status.lag = Some(61);
        status.latency = Some(forebay_core::latency::Latency { p50_ms: 40, p99_ms: 1_500 });
        let known = samples(&written(status));
        assert!(known.iter().any(|line| line.starts_with("forebay_lag_records{") && line.ends_with(" 61")));
        let latency = "forebay_latency_seconds{pipeline=\"plant\",query=\"lake\",quantile=\"0.99\"} 1.5";
        assert!(known.iter().any(|line| line == latency), "{known:?}");
    }

    #[test]
    fn each_expectation_tells_how_many_rows_failed_it() {
        let mut status = QueryStatus::new("lake");
        let expected = Expected { name: "speed_range".into(), on_fail: OnFail::Drop };
        let spent = Spent { nanos: 1_500_000_000, rows: 9 };
        status.expectations = vec![Failures { source: "cars".into(), expected, rows: 7, spent }];
        let mut epoch = EpochQuality::default();
        epoch.add("cars", &Judged { rows: 9, failed: 7, unreadable: 2, ..Judged::default() });
        status.quality.lock().add(&epoch);
        let text = written(status);
        let rule = "{pipeline=\"plant\",query=\"lake\",source=\"cars\",rule=\"speed_range\",action=\"drop\"}";
        let verdict = |word: &str| {
            format!(
                "forebay_judged_records_total{{pipeline=\"plant\",query=\"lake\",source=\"cars\",verdict=\"{word}\"}}"
            )
        };
        for line in [
            format!("forebay_expectation_failed_rows_total{rule} 7"),
            format!("forebay_expectation_seconds_total{rule} 1.5"),
            format!("{} 2", verdict("valid")),
            format!("{} 7", verdict("failed")),
            format!("{} 2", verdict("unreadable")),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_table_tells_for_how_long_it_cannot_be_read() {
        let table = |name: &str, broken_since_ms| Standing {
            name: name.to_owned(),
            version: None,
            rows: 2,
            bytes: 64,
            error: None,
            broken_since_ms,
        };
        let mut status = QueryStatus::new("lake");
        status.tables = vec![table("devices", Some(5_000)), table("sites", None)].into();
        let text = written(status);
        for (name, seconds) in [("devices", "60.0"), ("sites", "0.0")] {
            let line = format!(
                "forebay_table_unreadable_seconds{{pipeline=\"plant\",query=\"lake\",table=\"{name}\"}} {seconds}"
            );
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(written(QueryStatus::new("lake")).contains("# TYPE forebay_table_unreadable_seconds gauge"));
    }
}
