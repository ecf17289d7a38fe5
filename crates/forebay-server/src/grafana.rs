//! A dashboard of Forebay itself for Grafana, over the metrics that Prometheus scrapes from `/metrics`.
//!
//! A table of [panels], and the document made of it; `docs/grafana.json` is generated. What must stay true: each metric
//! there is stands in a panel, and no panel asks for one that is not there. An integration test compares both with
//! what a running pipeline serves.

mod panels;

use serde_json::{Value, json};

use self::panels::PANELS;

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
