//! The dashboard for Grafana against what a running pipeline serves.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::*;

#[test]
fn the_dashboard_for_grafana_shows_every_metric_and_no_other() {
    let data = tempfile::tempdir().unwrap();
    let log = LogServer::start();
    log.produce("events", &proof_events(10));
    let file = copy_pipeline(data.path(), log.address, "events", 700);
    let args = ["run", file.to_str().unwrap(), "--trigger", "default"];
    let mut process = Process::spawn(&mut forebay(data.path(), &args));
    let (status, metrics) = get(process.address("http"), "/metrics");
    assert_eq!(status, 200);
    // `# TYPE forebay_rows_out counter` has samples called `forebay_rows_out_total`.
    let served: BTreeSet<String> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| match line.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, _) => name.to_owned(),
        })
        .collect();
    assert!(served.contains("forebay_rows_out_total") && served.contains("forebay_up"), "{served:?}");
    let dashboard = std::fs::read_to_string(root().join("docs/grafana.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let words = target["expr"].as_str().unwrap().split(|c: char| !(c.is_alphanumeric() || c == '_'));
            shown.extend(words.filter(|word| word.starts_with("forebay_")).map(str::to_owned));
        }
    }
    assert_eq!(shown, served);
}
