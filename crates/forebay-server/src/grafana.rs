//! A dashboard of Forebay itself for Grafana, over the metrics that Prometheus scrapes from `/metrics`.
//!
//! A table of panels, and the document made of it; `docs/grafana.json` is generated. What must stay true: each metric
//! there is stands in a panel, and no panel asks for one that is not there. An integration test compares both with
//! what a running pipeline serves.

use serde_json::{Value, json};

/// One panel: how wide it is, of 24, and what it asks Prometheus.
struct Panel {
    title: &'static str,
    /// What it tells, and when to worry.
    about: &'static str,
    kind: &'static str,
    unit: &'static str,
    width: u32,
    /// Legend and expression; `$SEL` stands for the choice of pipelines and queries, `$PIPES` for that of pipelines.
    asks: &'static [(&'static str, &'static str)],
}

/// Height of a row of panels, in Grafana's units.
const HEIGHT: u32 = 8;

const PANELS: &[Panel] = &[
    Panel {
        title: "Queries that fail",
        about: "Queries that are down or try again. `/health` says why and since when.",
        kind: "stat",
        unit: "none",
        width: 6,
        asks: &[("failing", "sum(1 - forebay_up$SEL)")],
    },
    Panel {
        title: "Records that wait",
        about: "In the source, beyond what is committed. It should come back to a small number.",
        kind: "stat",
        unit: "short",
        width: 6,
        asks: &[("lag", "sum(forebay_lag_records$SEL)")],
    },
    Panel {
        title: "Records read",
        about: "A second, over all queries.",
        kind: "stat",
        unit: "cps",
        width: 6,
        asks: &[("read", "sum(rate(forebay_records_read_total$SEL[1m]))")],
    },
    Panel {
        title: "Records without a fate",
        about: "Read, and neither written, filtered, set aside nor in flight. It is 0; anything else is a fault of Forebay.",
        kind: "stat",
        unit: "none",
        width: 6,
        asks: &[(
            "open",
            "sum(forebay_records_read_total$SEL) - sum(forebay_records_emitted_total$SEL) \
             - sum(forebay_records_aggregated_total$SEL) - sum(forebay_records_unmatched_total$SEL) \
             - sum(forebay_records_filtered_total$SEL) - sum(forebay_records_deduplicated_total$SEL) \
             - sum(forebay_records_dropped_total$SEL) - sum(forebay_records_quarantined_total$SEL) \
             - sum(forebay_records_late_total$SEL) - sum(forebay_records_in_flight$SEL)",
        )],
    },
    Panel {
        title: "From event to commit",
        about: "Age of records as the query commits them, by their own timestamps: the half, and the slowest hundredth.",
        kind: "timeseries",
        unit: "s",
        width: 12,
        asks: &[("p{{quantile}} {{query}}", "forebay_latency_seconds$SEL")],
    },
    Panel {
        title: "Fates of records",
        about: "What becomes of source records, each counted once, a second; beside it which expectations their rows fail.",
        kind: "timeseries",
        unit: "cps",
        width: 12,
        asks: &[
            ("emitted", "sum(rate(forebay_records_emitted_total$SEL[1m]))"),
            ("aggregated", "sum(rate(forebay_records_aggregated_total$SEL[1m]))"),
            ("unmatched", "sum(rate(forebay_records_unmatched_total$SEL[1m]))"),
            ("filtered", "sum(rate(forebay_records_filtered_total$SEL[1m]))"),
            ("deduplicated", "sum(rate(forebay_records_deduplicated_total$SEL[1m]))"),
            ("dropped", "sum(rate(forebay_records_dropped_total$SEL[1m]))"),
            ("quarantined", "sum(rate(forebay_records_quarantined_total$SEL[1m]))"),
            ("late", "sum(rate(forebay_records_late_total$SEL[1m]))"),
            ("not {{rule}}", "sum by (rule) (rate(forebay_expectation_failed_rows_total$SEL[1m])) > 0"),
        ],
    },
    Panel {
        title: "Quality",
        about: "The share of a source's records that were as it expects, that failed an expectation, and that could not be read.",
        kind: "timeseries",
        unit: "percentunit",
        width: 12,
        asks: &[(
            "{{verdict}} of {{source}}",
            "sum by (source, verdict) (rate(forebay_judged_records_total$SEL[5m])) \
             / ignoring (verdict) group_left sum by (source) (rate(forebay_judged_records_total$SEL[5m]))",
        )],
    },
    Panel {
        title: "Cost of expectations",
        about: "The share of a core that each expectation takes.",
        kind: "timeseries",
        unit: "percentunit",
        width: 12,
        asks: &[(
            "{{rule}} of {{source}}",
            "sum by (source, rule) (rate(forebay_expectation_seconds_total$SEL[1m]))",
        )],
    },
    Panel {
        title: "Lag",
        about: "Records that wait in the source, by query. Without a line the source does not answer.",
        kind: "timeseries",
        unit: "short",
        width: 12,
        asks: &[("{{query}}", "forebay_lag_records$SEL")],
    },
    Panel {
        title: "Rows written",
        about: "Rows that sinks were handed, a second, by query, and those of them that were refused for good and set aside.",
        kind: "timeseries",
        unit: "cps",
        width: 8,
        asks: &[
            ("{{query}}", "rate(forebay_rows_out_total$SEL[1m])"),
            ("refused of {{query}}", "rate(forebay_rows_refused_total$SEL[1m]) > 0"),
        ],
    },
    Panel {
        title: "Bytes read",
        about: "Bytes of record values, a second, by query.",
        kind: "timeseries",
        unit: "Bps",
        width: 8,
        asks: &[("{{query}}", "rate(forebay_bytes_read_total$SEL[1m])")],
    },
    Panel {
        title: "Epochs",
        about: "Epochs committed a second, by query. A query that waits for records commits none.",
        kind: "timeseries",
        unit: "none",
        width: 8,
        asks: &[("{{query}}", "deriv(forebay_epoch$SEL[1m])")],
    },
    Panel {
        title: "Quarantine",
        about: "Bytes set aside, by query. At `quarantine.maxBytes` the queries wait, or the oldest records make room.",
        kind: "timeseries",
        unit: "bytes",
        width: 8,
        asks: &[("{{query}}", "forebay_quarantine_bytes$SEL")],
    },
    Panel {
        title: "Quarantined records: replayed, and dropped to make room",
        about: "A second, by query.",
        kind: "timeseries",
        unit: "cps",
        width: 8,
        asks: &[
            ("replayed by {{query}}", "rate(forebay_records_replayed_total$SEL[1m])"),
            ("dropped by {{query}}", "rate(forebay_quarantine_evicted_total$SEL[1m])"),
        ],
    },
    Panel {
        title: "Records in flight",
        about: "Read, and their fate still open, by query.",
        kind: "timeseries",
        unit: "short",
        width: 8,
        asks: &[("{{query}}", "forebay_records_in_flight$SEL")],
    },
    Panel {
        title: "Watermark behind the clock",
        about: "How far event time lags, by query: what is older than this is told. A source that stays silent holds it back, if it has no `idleTimeout`.",
        kind: "timeseries",
        unit: "s",
        width: 8,
        asks: &[("{{query}}", "time() - (forebay_watermark_milliseconds$SEL > 0) / 1000")],
    },
    Panel {
        title: "Open keys",
        about: "Windows, sessions and keys that queries with state hold, by query.",
        kind: "timeseries",
        unit: "short",
        width: 8,
        asks: &[("{{query}}", "forebay_state_keys$SEL")],
    },
    Panel {
        title: "State",
        about: "Bytes of memory that queries with state hold. At its `stateLimit` a query fails.",
        kind: "timeseries",
        unit: "bytes",
        width: 8,
        asks: &[("{{query}}", "forebay_state_bytes$SEL")],
    },
    Panel {
        title: "Rows from too far ahead",
        about: "Rows whose event time was more than `maxFutureSkew` ahead of the clock, a second, by query: a device's clock is wrong.",
        kind: "timeseries",
        unit: "cps",
        width: 8,
        asks: &[("{{query}}", "rate(forebay_records_ahead_total$SEL[1m])")],
    },
    Panel {
        title: "Late rows that are kept",
        about: "Bytes of the tables `late.QUERY`. At 256 MiB the oldest make room.",
        kind: "timeseries",
        unit: "bytes",
        width: 8,
        asks: &[("{{query}}", "forebay_late_bytes$SEL")],
    },
    Panel {
        title: "Open alerts",
        about: "By rule.",
        kind: "timeseries",
        unit: "short",
        width: 8,
        asks: &[
            ("{{rule}} ({{severity}})", "forebay_alerts_open$PIPES"),
            ("notices that wait for {{channel}}", "forebay_notices_due$PIPES"),
        ],
    },
    Panel {
        title: "The page: readers",
        about: "Open pages, the different views that they look at, and readers that were dropped because they did not read.",
        kind: "timeseries",
        unit: "short",
        width: 8,
        asks: &[
            ("readers", "sum(forebay_http_readers$PIPES)"),
            ("views", "sum(forebay_http_views$PIPES)"),
            ("dropped in a minute", "sum(increase(forebay_http_readers_dropped_total$PIPES[1m]))"),
        ],
    },
    Panel {
        title: "HTTP requests",
        about: "A second, by the class of their status: 4xx are the asker's fault, 5xx are Forebay's, or there were too many.",
        kind: "timeseries",
        unit: "reqps",
        width: 8,
        asks: &[("{{status}}", "sum by (status) (rate(forebay_http_requests_total$PIPES[1m]))")],
    },
    Panel {
        title: "File that was refused",
        about: "1 while the file that is there was refused, and the pipeline runs by an older one. `/health` says why.",
        kind: "timeseries",
        unit: "none",
        width: 8,
        asks: &[("{{pipeline}}", "forebay_reload_refused$PIPES")],
    },
    Panel {
        title: "Lag of the live page",
        about: "Records that wait in the source for the live page, which reads beside the queries.",
        kind: "timeseries",
        unit: "short",
        width: 8,
        asks: &[("{{source}}", "forebay_follower_lag_records$PIPES")],
    },
    Panel {
        title: "History that is not saved",
        about: "For how long the history of the live page could not be saved. It is 0; a restart loses what came since. `/health` says why.",
        kind: "timeseries",
        unit: "s",
        width: 8,
        asks: &[("{{source}}", "forebay_history_unsaved_seconds$PIPES")],
    },
    Panel {
        title: "Gateways that are not connected",
        about: "Gateways that read from elsewhere (a broker, a serial line) and have lost it. It is 0; they try again by themselves.",
        kind: "stat",
        unit: "none",
        width: 8,
        asks: &[("waiting", "sum(1 - forebay_gateway_up$PIPES)")],
    },
    Panel {
        title: "Gateways",
        about: "What gateways counted, a second: messages taken and refused, devices that came and went.",
        kind: "timeseries",
        unit: "cps",
        width: 16,
        asks: &[("{{gateway}}: {{what}}", "rate(forebay_gateway_events_total$PIPES[1m])")],
    },
    Panel {
        title: "Channels that cannot be reached",
        about: "Channels of alerts that are down, or do not take a notice. It is 0; what waits is told again by itself.",
        kind: "stat",
        unit: "none",
        width: 8,
        asks: &[("failing", "sum(1 - forebay_channel_up$PIPES)")],
    },
    Panel {
        title: "Notices of alerts",
        about: "What channels took and what they refused for good, in a minute.",
        kind: "timeseries",
        unit: "short",
        width: 16,
        asks: &[
            ("{{channel}}: taken", "increase(forebay_notices_taken_total$PIPES[1m])"),
            ("{{channel}}: refused", "increase(forebay_notices_refused_total$PIPES[1m])"),
        ],
    },
    Panel {
        title: "Tables that cannot be read",
        about: "For how long no newer version of a table at rest can be read, by query; the version before is used. It is 0. `/health` says why.",
        kind: "timeseries",
        unit: "s",
        width: 8,
        asks: &[("{{table}} ({{query}})", "forebay_table_unreadable_seconds$SEL")],
    },
];

/// The dashboard as text, to be imported into Grafana; it asks which Prometheus to read.
pub fn dashboard() -> String {
    let (mut x, mut y, mut panels) = (0, 0, Vec::new());
    for (id, panel) in (1..).zip(PANELS) {
        if x + panel.width > 24 {
            (x, y) = (0, y + HEIGHT);
        }
        panels.push(panel.document(id, x, y));
        x += panel.width;
    }
    let document = json!({
        "title": "Forebay",
        "uid": "forebay",
        "tags": ["forebay"],
        "schemaVersion": 39,
        "editable": true,
        "refresh": "10s",
        "time": { "from": "now-1h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus" },
            choice("pipeline", "label_values(forebay_up, pipeline)"),
            choice("query", "label_values(forebay_up{pipeline=~\"$pipeline\"}, query)"),
        ]},
        "panels": panels,
    });
    format!("{document:#}\n")
}

/// A list to choose from, filled by Prometheus; at first all of it.
fn choice(name: &str, query: &str) -> Value {
    json!({
        "name": name,
        "type": "query",
        "datasource": prometheus(),
        "query": { "query": query, "refId": name },
        "refresh": 2,
        "multi": true,
        "includeAll": true,
        "allValue": ".*",
        "current": { "text": "All", "value": "$__all" },
    })
}

fn prometheus() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

impl Panel {
    fn document(&self, id: u32, x: u32, y: u32) -> Value {
        let targets = ('A'..).zip(self.asks).map(|(letter, (legend, expression))| {
            json!({
                "refId": letter.to_string(),
                "datasource": prometheus(),
                "legendFormat": legend,
                "expr": expression
                    .replace("$SEL", "{pipeline=~\"$pipeline\", query=~\"$query\"}")
                    .replace("$PIPES", "{pipeline=~\"$pipeline\"}"),
            })
        });
        json!({
            "id": id,
            "type": self.kind,
            "title": self.title,
            "description": self.about,
            "datasource": prometheus(),
            "gridPos": { "x": x, "y": y, "w": self.width, "h": HEIGHT },
            "fieldConfig": { "defaults": { "unit": self.unit, "min": 0 }, "overrides": [] },
            "targets": targets.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_panels_fill_rows_without_overlap() {
        let document: Value = serde_json::from_str(&dashboard()).unwrap();
        let mut taken = std::collections::BTreeSet::new();
        for panel in document["panels"].as_array().unwrap() {
            let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
            for x in at("x")..at("x") + at("w") {
                assert!(x < 24 && taken.insert((x, at("y"))), "{}", panel["title"]);
            }
            assert!(!panel["targets"].as_array().unwrap().is_empty() && !dashboard().contains("$SEL"));
            assert!(!dashboard().contains("$PIPES"));
        }
    }
}
