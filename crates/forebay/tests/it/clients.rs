//! Kafka's own clients against the embedded log, unchanged.

use crate::support::*;

/// Runs a client's scenarios against a log of its own and returns how many it says went well.
fn scenarios(runner: &str, args: &[&str]) -> usize {
    let log = LogServer::start();
    let address = log.address.to_string();
    let said = run_script(runner, &[args, &["--bootstrap", &address]].concat());
    said.lines().filter(|line| line.starts_with("OK")).count()
}

#[test]
fn kafka_python_and_the_plants_own_producer() {
    assert_eq!(scenarios("scripts/services/python.sh", &["tests/clients/kafka_python_seed.py"]), 7);
}

#[test]
fn librdkafka_through_confluents_python_client() {
    assert_eq!(scenarios("scripts/services/python.sh", &["tests/clients/confluent_clients.py"]), 11);
}

#[test]
fn kcat() {
    assert_eq!(scenarios("tests/clients/kcat.sh", &[]), 12);
}

#[test]
fn apache_kafkas_java_tools() {
    assert_eq!(scenarios("tests/clients/java_tools.sh", &[]), 6);
}

#[test]
fn transactions_of_librdkafka_and_kafka_python() {
    assert_eq!(scenarios("scripts/services/python.sh", &["tests/clients/transactions.py"]), 6);
}

#[test]
fn transactions_of_the_java_client() {
    assert_eq!(scenarios("tests/clients/java_transactions.sh", &[]), 3);
}

#[test]
fn sparks_kafka_connector() {
    assert_eq!(scenarios("scripts/services/spark-python.sh", &["tests/clients/spark_kafka.py"]), 3);
}
