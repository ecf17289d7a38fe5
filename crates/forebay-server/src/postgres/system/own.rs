//! The schema `forebay`: what Forebay knows of the pipeline besides its rows, as tables.
//!
//! `queries` and `ledger` have a row for each query, `alerts` for each alert that is open or was, `quarantine` for each
//! record that is set aside, `devices` for each device with its newest values. Each is made when it is asked for, of
//! what REST shows at that moment; what may be long has a bound.

use std::sync::Arc;

use arrow::array::RecordBatch;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use serde_json::{Map, Value, json};

use super::OWN;
use super::cells::{Cell, Row, columns, filled};
use crate::shown::Shown;
use crate::shown::alerts::{Alert, AlertState, Wanted};
use crate::shown::devices::{Ask, DeviceState, Followed};
use crate::shown::quarantine::Filter;
use crate::shown::sql::Relation;

/// Most rows of a table.
const MOST: usize = 100_000;
/// Most records of the quarantine: their bytes are read from files.
const MOST_RECORDS: usize = 10_000;

const TABLES: [(&str, &str); 5] = [
    (
        "queries",
        "name text, sql text, format text, trigger text, sources text, state text, error text, committed_epoch long, \
         lag long, watermark time, quarantine_bytes long",
    ),
    (
        "ledger",
        "query text, read long, emitted long, aggregated long, unmatched long, filtered long, deduplicated long, \
         dropped long, quarantined long, late long, in_flight long, rows_out long, rows_refused long, \
         balances bool",
    ),
    (
        "alerts",
        "id text, rule text, source text, key text, state text, severity text, opened_at time, cleared_at time, \
         seen_at time, message text, opened_with text, cleared_with text, worst text, no_data bool, acknowledged_by text, \
         acknowledged_at time, muted_by text",
    ),
    (
        "quarantine",
        "topic text, partition int, record_offset long, set_aside_at time, code text, path text, why text, \
         queries text, sources text, key text, value text",
    ),
    ("devices", "source text, key text, state text, last_seen time, count long, rate double, newest text"),
];

/// The tables with their columns.
pub(super) fn relations() -> Vec<Relation> {
    let relation = |(name, form): &(&str, &str)| Relation {
        schema: OWN.to_owned(),
        name: (*name).to_owned(),
        columns: columns(form),
        is_view: false,
    };
    TABLES.iter().map(relation).collect()
}

/// A table by its name.
pub(super) async fn table(shown: &Shown, name: &str) -> Result<Option<RecordBatch>> {
    let Some((_, form)) = TABLES.iter().find(|(own, _)| *own == name) else { return Ok(None) };
    let shown = shown.clone();
    let name = name.to_owned();
    // The quarantine reads files, and many devices take a while to be put into order.
    let rows = tokio::task::spawn_blocking(move || match name.as_str() {
        "queries" => Ok(queries(&shown)),
        "ledger" => Ok(ledger(&shown)),
        "alerts" => Ok(alerts(&shown)),
        "quarantine" => quarantine(&shown),
        _ => Ok(shown.devices.sources().iter().flat_map(devices).take(MOST).collect()),
    });
    let rows = rows.await.map_err(|_| Error::new(&codes::INTERNAL, "a table ended unexpectedly"))??;
    filled(&columns(form), &rows).map(Some)
}

fn queries(shown: &Shown) -> Vec<Row> {
    let row = |status: forebay_engine::status::QueryStatus| {
        let about = shown.about.queries.iter().find(|about| *about.name == *status.name);
        let watermark = status.remembered.as_ref().map(|it| it.watermark.0);
        vec![
            ("name", (&*status.name).into()),
            ("sql", about.map(|about| about.sql.clone()).into()),
            ("format", about.map(|about| about.format.clone()).into()),
            ("trigger", about.map(|about| about.trigger.clone()).into()),
            ("sources", about.map(|about| about.sources.join(", ")).into()),
            ("state", status.state.word().into()),
            ("error", status.state.error().map(|error| error.message().to_owned()).into()),
            ("committed_epoch", status.committed.map(|epoch| epoch.0).into()),
            ("lag", status.lag.into()),
            ("watermark", watermark.map_or(Cell::Null, Cell::Time)),
            ("quarantine_bytes", status.quarantine_bytes.into()),
        ]
    };
    shown.statuses().into_iter().map(row).collect()
}

fn ledger(shown: &Shown) -> Vec<Row> {
    let row = |status: forebay_engine::status::QueryStatus| {
        let counts = json!(status.ledger);
        let count = |name: &str| -> Cell { counts.get(name).and_then(Value::as_u64).into() };
        vec![
            ("query", (&*status.name).into()),
            ("read", count("read")),
            ("emitted", count("emitted")),
            ("aggregated", count("aggregated")),
            ("unmatched", count("unmatched")),
            ("filtered", count("filtered")),
            ("deduplicated", count("deduplicated")),
            ("dropped", count("dropped")),
            ("quarantined", count("quarantined")),
            ("late", count("late")),
            ("in_flight", count("inFlight")),
            ("rows_out", count("rowsOut")),
            ("rows_refused", count("rowsRefused")),
            ("balances", status.ledger.balances().into()),
        ]
    };
    shown.statuses().into_iter().map(row).collect()
}

fn alerts(shown: &Shown) -> Vec<Row> {
    let row = |alert: Arc<Alert>| {
        let values = |values: &Map<String, Value>| Value::Object(values.clone()).to_string();
        let acknowledged = alert.life.acknowledged.as_ref();
        vec![
            ("id", alert.id.as_str().into()),
            ("rule", alert.rule.as_str().into()),
            ("source", alert.source.as_str().into()),
            ("key", alert.key.as_deref().into()),
            ("state", if alert.state == AlertState::Open { "open" } else { "cleared" }.into()),
            ("severity", json!(alert.severity).as_str().into()),
            ("opened_at", Cell::Time(alert.opened_at)),
            ("cleared_at", alert.cleared_at.map_or(Cell::Null, Cell::Time)),
            ("seen_at", Cell::Time(alert.seen_at)),
            ("message", alert.message.as_str().into()),
            ("opened_with", values(&alert.value).into()),
            ("cleared_with", alert.cleared_value.as_ref().map(values).into()),
            ("worst", alert.worst().word().into()),
            ("no_data", alert.life.no_data.is_some().into()),
            ("acknowledged_by", acknowledged.map(|remark| remark.by.as_str()).into()),
            ("acknowledged_at", acknowledged.map_or(Cell::Null, |remark| Cell::Time(remark.at))),
            ("muted_by", alert.life.muted.as_deref().into()),
        ]
    };
    shown.alerts.list(&Wanted::default(), None, MOST).into_iter().map(row).collect()
}

fn quarantine(shown: &Shown) -> Result<Vec<Row>> {
    let (_, records) = shown.quarantine.list(&Filter::default(), None, MOST_RECORDS)?;
    let text = |bytes: Option<Vec<u8>>| -> Cell {
        bytes.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}")).into()
    };
    let row = |record: crate::shown::quarantine::Record| {
        vec![
            ("topic", record.place.id.topic.as_str().into()),
            ("partition", record.place.id.partition.into()),
            ("record_offset", record.place.id.offset.into()),
            ("set_aside_at", Cell::Time(record.place.at)),
            ("code", record.code.into()),
            ("path", record.path.into()),
            ("why", record.why.into()),
            ("queries", record.queries.join(", ").into()),
            ("sources", record.sources.join(", ").into()),
            ("key", text(record.key)),
            ("value", text(record.raw)),
        ]
    };
    Ok(records.into_iter().map(row).collect())
}

fn devices(source: &Arc<dyn Followed>) -> Vec<Row> {
    let layout = source.layout();
    let ask = Ask { limit: MOST, ..Ask::default() };
    let (_, slice) = Arc::clone(source).view(ask);
    let row = |device: &crate::shown::devices::Device| {
        let values = layout.fields.iter().zip(&device.values);
        let values: Map<String, Value> =
            values.map(|(field, value)| (field.name.clone(), json!(value))).collect();
        vec![
            ("source", source.name().into()),
            ("key", (&*device.key).into()),
            ("state", if device.state == DeviceState::Live { "live" } else { "quiet" }.into()),
            ("last_seen", Cell::Time(device.last_seen)),
            ("count", device.count.into()),
            ("rate", Cell::Float(device.rate)),
            ("newest", Value::Object(values).to_string().into()),
        ]
    };
    slice.devices.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use forebay_live::Value as Shown;
    use serde_json::json;

    #[test]
    fn the_newest_values_of_a_device_are_the_ones_that_came() {
        let beyond = (1_i64 << 53) + 1;
        let values = [
            Shown::from(beyond),
            Shown::from(i64::MIN),
            Shown::from(7),
            Shown::Number(1_767_607_200_123.456),
        ];
        assert_eq!(json!(values).to_string(), format!("[{beyond},{},7,1767607200123.456]", i64::MIN));
    }
}
