//! The REST API as its own document describes it, played against by schemathesis.

use std::time::Duration;

use serde_json::Value;

use crate::support::*;

/// Requests below which the run has not really been one.
const FEWEST: u64 = 1_000;

/// A pipeline with everything that can be asked for: a gateway, devices with odd names, alerts, bad records, tables, a view.
fn pipeline(log: &LogServer) -> String {
    let mut records: Vec<String> = (0..60)
        .map(|i| {
            let key = ["press-1", "a,b", "<img src=x>", "ä/ö?#%", ""][i % 5];
            format!(
                "{{\"device_id\": \"{key}\", \"temperature\": {i}.5, \"a,b\": {i}, \"on\": {}}}",
                i % 2 == 0
            )
        })
        .collect();
    records.extend((0..20).map(|i| format!("{{\"device_id\": \"press-{i}\", \"temperature\": \"hot\"}}")));
    log.produce("iot", &records);
    format!(
        "pipeline: fuzzed
gateways:
  web: {{ format: http, routes: {{ \"#\": {{ topic: posted }} }} }}
sources:
  iot:
    format: kafka
    options: {{ kafka.bootstrap.servers: \"{}\", subscribe: iot, startingOffsets: earliest }}
    value: json
    schema: device_id STRING, temperature DOUBLE, `a,b` BIGINT, on BOOLEAN
views:
  warm: SELECT * FROM iot WHERE temperature > 20
queries:
  lake: {{ sql: \"SELECT device_id, temperature FROM warm\", format: delta, options: {{ path: lake }} }}
  kept:
    sql: SELECT device_id FROM iot
    format: csv
    options: {{ path: kept }}
    cycle: {{ every: 1 second, archive: \"{{name}}_{{yyyyMMdd_HHmmss}}.csv\" }}
  states: {{ sql: \"SELECT device_id, on FROM iot\", format: delta, options: {{ path: states }} }}
alerts:
  hot: {{ on: iot, key: device_id, when: temperature > 30, severity: critical }}
dashboard:
  sources: {{ iot: {{ labels: [ \"on\" ] }} }}
",
        log.address
    )
}

fn number(text: &str, name: &str) -> u64 {
    let value: Value = serde_json::from_str(text).unwrap();
    value.pointer(name).and_then(Value::as_u64).unwrap_or_else(|| panic!("{name}: {text}"))
}

#[test]
fn the_document_holds_against_whatever_schemathesis_asks() {
    let (data, log) = (tempfile::tempdir().unwrap(), LogServer::start());
    let file = data.path().join("fuzzed.yaml");
    std::fs::write(&file, pipeline(&log)).unwrap();
    let mut process = Process::spawn(&mut forebay(data.path(), &["run", file.to_str().unwrap()]));
    let http = process.address("http");
    eventually("there is something to ask for", Duration::from_secs(30), || {
        number(&get(http, "/api/v1/devices").1, "/total") == 5
            && number(&get(http, "/api/v1/alerts").1, "/open") > 0
            && number(&get(http, "/api/v1/quarantine").1, "/open") == 20
            && number(&get(http, "/api/v1/cycles").1, "/0/count") > 0
            && get(http, "/api/v1/sql?q=SELECT+1+FROM+lake+LIMIT+1").0 == 200
            && get(http, "/api/v1/sql?q=SELECT+1+FROM+states+LIMIT+1").0 == 200
    });
    // So that there is one to start: operations are asked by their names.
    assert_eq!(post(http, "/api/v1/queries/states/stop", "").0, 202);
    eventually("one query stands", Duration::from_secs(10), || {
        get(http, "/api/v1/queries/states").1.contains("\"state\":\"stopped\"")
    });
    let silence = "{\"keys\": [\"nobody\"], \"for\": \"1 hour\"}";
    assert_eq!(post(http, "/api/v1/silences", silence).0, 200);
    let seed = std::env::var("FOREBAY_SEED").unwrap_or_else(|_| {
        let seed = if soak() { fastrand::u32(..) } else { 1 };
        seed.to_string()
    });
    println!("FOREBAY_SEED={seed}");
    let url = format!("http://{http}");
    let examples = if soak() { "400" } else { "25" };
    let arguments = ["tests/clients/openapi_fuzz.py", "--url", &url, "--seed", &seed, "--examples", examples];
    let said = run_script("scripts/services/python.sh", &arguments);
    let operations: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("OPERATION ")).collect();
    let document: Value = serde_json::from_str(&get(http, "/api/v1/openapi.json").1).unwrap();
    let paths = document["paths"].as_object().unwrap().values();
    let described: usize = paths.map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(operations.len(), described - 1, "all but the events:\n{said}");
    for operation in operations {
        // The names of the page's files are not guessed, and nobody signs in where nobody is asked to.
        let is_other = ["GET /assets/", "POST /api/v1/session"].iter().any(|it| operation.starts_with(it));
        assert!(is_other || operation.contains("2xx="), "nothing that works was asked: {operation}\n{said}");
    }
    let metrics = get(http, "/metrics").1;
    let answers = |class: &str| {
        let name = format!("forebay_http_requests_total{{pipeline=\"fuzzed\",status=\"{class}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.and_then(|count| count.parse::<u64>().ok()).unwrap_or_else(|| panic!("{class}: {metrics}"))
    };
    assert!(answers("2xx") + answers("4xx") > FEWEST, "{metrics}");
    assert_eq!(answers("5xx"), 0);
    assert!(process.stop().0);
}
