//! The integration tests: the real binary against real components, in one test binary.
//!
//! Needs the feature `faults` (kill points and storage faults) and the components that `scripts/services/install.sh`
//! installs; a test whose component is missing fails and says what to run. `FOREBAY_SOAK=1` runs the long forms.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test that cannot go on says where and stops"
)]

mod alert_kills;
mod alert_rules;
mod alert_silences;
mod alerts;
mod backtest;
mod catalog;
mod channels;
mod clients;
mod command_line;
mod crash;
mod crash_schema;
mod decoding;
mod deployment;
mod detectors;
mod devices_demo;
mod embedded_log;
mod event_time;
mod expects;
mod expects_rates;
mod faults;
mod files;
mod first_minutes;
mod fleet;
mod gateways;
mod gateways_broker;
mod gateways_clients;
mod gateways_conformance;
mod gateways_kills;
mod gateways_load;
mod gateways_sockets;
mod grafana;
mod invalid_records;
mod kafka;
mod kafka_secure;
mod kafka_sink;
mod kafka_source;
mod live;
mod log_access;
mod log_crash;
mod models;
mod openapi;
mod output_modes;
mod page;
mod plan;
mod plant;
mod postgres;
mod postgres_clients;
mod postgres_login;
mod postgres_spark;
mod postgres_wire;
mod produce;
mod quality;
mod quarantine;
mod readme;
mod reload;
mod s3;
mod schemas;
mod secure;
mod security;
mod serving;
mod spark;
mod state_crash;
mod state_damage;
mod state_kill;
mod state_limit;
mod streaming;
mod support;
mod tables;
mod testing;
mod top;
mod topics;
mod two_sources;
mod vehicles;
mod why;
