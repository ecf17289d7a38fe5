//! Messages to a gateway: what its routes make of them is what queries read.

use super::super::check::check;
use super::super::report;
use super::super::run::run;
use crate::load;

const FILE: &str = "pipeline: p\n\
    gateways:\n\
    \x20 plant:\n\
    \x20   format: mqtt\n\
    \x20   options: { listen: 127.0.0.1:0 }\n\
    \x20   routes:\n\
    \x20     \"plant/{station}/dht11\": { topic: dht_test, key: \"{station}\", fields: { station: \"{station}\", by: \"{from}\" } }\n\
    \x20     \"plant/+/sr04\": { topic: sr04_test, value: number, as: distance }\n\
    \x20     \"debug/#\": { drop: true }\n\
    \x20     \"other\": { topic: elsewhere }\n\
    sources:\n\
    \x20 dht:\n\
    \x20   format: kafka\n\
    \x20   options: { subscribe: dht_test, kafka.bootstrap.servers: \"nobody.invalid:1\" }\n\
    \x20   value: json\n\
    \x20   schema: station STRING, by STRING, temperature DOUBLE\n\
    \x20 sr04:\n\
    \x20   format: kafka\n\
    \x20   options: { subscribe: sr04_test, kafka.bootstrap.servers: \"nobody.invalid:1\" }\n\
    \x20   value: json\n\
    \x20   schema: distance DOUBLE\n\
    queries:\n\
    \x20 climate: { sql: \"SELECT CAST(_kafka.key AS STRING) AS k, station, by, temperature FROM dht\", format: console }\n\
    \x20 near: { sql: SELECT distance FROM sr04 WHERE distance < 10, format: console }\n";

fn told(tests: &str) -> Result<Vec<String>, Vec<String>> {
    let text = format!("{FILE}tests:\n{tests}");
    let loaded = load::load(&text, "p.yaml", None).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut problems = Vec::new();
    let tests = check(&loaded.pipeline.tests, "p.yaml", &loaded, &mut problems);
    if !problems.is_empty() {
        let told =
            problems.iter().map(|problem| format!("{} {}", problem.error.message(), problem.error.hint()));
        return Err(told.collect());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    Ok(tests
        .iter()
        .map(|test| report::text(test, &runtime.block_on(run(test, &loaded)).unwrap(), false))
        .collect())
}

#[test]
fn a_message_goes_through_the_routes_into_the_queries_of_its_topic() {
    let tests = "\
        \x20 - name: climate and distance\n\
        \x20   given:\n\
        \x20     plant:\n\
        \x20       - { topic: plant/hall/dht11, payload: { temperature: 20.5 }, from: uno-1 }\n\
        \x20       - { topic: plant/roof/dht11, payload: '{\"temperature\": 3}' }\n\
        \x20       - { topic: plant/hall/sr04, payload: '7.25' }\n\
        \x20       - { topic: debug/x, payload: text }\n\
        \x20   expect:\n\
        \x20     queries:\n\
        \x20       climate: { rows: [ { k: hall, station: hall, by: uno-1, temperature: 20.5 }, { k: roof, station: roof, by: test, temperature: 3 } ] }\n\
        \x20       near: { rows: [ { distance: 7.25 } ] }\n\
        \x20 - name: what is broken is set aside\n\
        \x20   given: { plant: [ { topic: plant/hall/sr04, payload: far } ] }\n\
        \x20   expect: { queries: { near: { rows: [], ledger: { quarantined: 1 } } } }\n";
    let told = told(tests).unwrap();
    assert!(told.len() == 2 && told.iter().all(|told| told.starts_with("ok  ")), "{told:?}");
    let wrong = tests.replace("k: hall, station: hall", "k: hall, station: roof");
    assert!(self::told(&wrong).unwrap()[0].starts_with("FAIL"), "a route that does otherwise is seen");
}

#[test]
fn a_message_that_no_route_takes_or_nobody_reads_is_told() {
    for (message, words) in [
        ("{ topic: plant/hall, payload: x }", "no route of the gateway `plant` takes `plant/hall`"),
        ("{ topic: other, payload: x }", "goes to the topic `elsewhere`, which no source of the file names"),
        ("{ payload: x }", "the message has no `topic`"),
        ("{ topic: debug/x, playload: x }", "unknown key `playload` of a message"),
        ("text", "a message to a gateway is a mapping"),
    ] {
        let test = format!(
            "  - name: x\n    given: {{ plant: [ {message} ] }}\n    expect: {{ queries: {{ near: {{ rows: [] }} }} }}\n"
        );
        let problems = told(&test).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains(words)), "{message}: {problems:?}");
    }
}
