//! The messages that a test gives to a gateway: through its routes into topics, as those of devices go.
//!
//! ```text
//! given: { plant: [ { topic: plant/hall/dht11, payload: { temperature: 20 }, from: uno-1 } ] }
//!   ─▶ the gateway's route table ─▶ a record with key, value and added fields ─▶ the sources that read its topic
//! ```
//!
//! What must stay true: the table is the one that `forebay run` makes of the same routes. Who may publish what is not asked here, no
//! protocol is spoken, and headers are not kept, since a test's records have none.

use bytes::Bytes;
use forebay_core::Error;
use forebay_core::config::{GatewayConfig, GivenConfig, Pipeline, Problem, Written};
use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_gateway::{Message, RouteTable, Routed, Routes as _};

use super::expected::Reader;
use super::given::{bytes, named_topics};
use super::world::Record;

/// What can be said of a message.
const KEYS: [&str; 3] = ["topic", "payload", "from"];
/// The sender where none is said.
const SENDER: &str = "test";

/// The gateway that a name under `given` means.
pub fn gateway<'p>(name: &str, pipeline: &'p Pipeline) -> Option<&'p GatewayConfig> {
    pipeline.gateways.iter().find(|gateway| gateway.name.eq_ignore_ascii_case(name))
}

/// The records that become of its messages at a step that is at `at_ms`.
pub fn records(
    reader: &mut Reader<'_>,
    given: &GivenConfig,
    (gateway, pipeline): (&GatewayConfig, &Pipeline),
    at_ms: i64,
) -> Vec<Record> {
    let table = RouteTable::new(&gateway.routes);
    let each = given.records.iter().flat_map(|written| {
        routed(reader, written, &table, (gateway, pipeline), at_ms).unwrap_or_else(|error| {
            reader.tell(error, written);
            Vec::new()
        })
    });
    each.collect()
}

fn routed(
    reader: &mut Reader<'_>,
    written: &Written,
    table: &RouteTable,
    (gateway, pipeline): (&GatewayConfig, &Pipeline),
    at_ms: i64,
) -> Result<Vec<Record>, Error> {
    let how = "Write `{ topic: plant/hall/dht11, payload: { … } }`, if wanted with `from:`, the sender.";
    let bad = |what: &str| Error::new(&codes::BAD_VALUE, what.to_owned()).with_hint(how);
    let fields = written.fields().ok_or_else(|| bad("a message to a gateway is a mapping"))?;
    let (mut topic, mut payload, mut from) = (None, None, SENDER.to_owned());
    for (name, value) in fields {
        match name.text.as_str() {
            "topic" => topic = value.text().map(str::to_owned),
            "payload" => payload = bytes(value),
            "from" => from = value.text().unwrap_or(SENDER).to_owned(),
            other => {
                let unknown = unknown_name("key", other, KEYS.into_iter());
                let error = Error::new(&codes::UNKNOWN_KEY, format!("{} of a message", unknown.message()));
                let error = error.with_hint(unknown.hint());
                reader.problems.push(Problem::at(error, reader.file, name.place, other.chars().count()));
            }
        }
    }
    let topic = topic.filter(|topic| !topic.is_empty()).ok_or_else(|| bad("the message has no `topic`"))?;
    let message = Message {
        topic: &topic,
        payload: Bytes::from(payload.unwrap_or_default()),
        from: &from,
        properties: &[],
        at: at_ms,
        repeat: false,
    };
    let records = match table.route(&message) {
        Routed::Records(records) => records,
        Routed::Wrong(error) => return Err(error),
        Routed::Nowhere => {
            let routes: Vec<String> =
                gateway.routes.iter().map(|route| route.pattern.as_str().to_owned()).collect();
            let what = format!("no route of the gateway `{}` takes `{topic}`", gateway.name);
            let hint =
                format!("A device's message would be refused. Its routes take: {}.", routes.join(", "));
            return Err(Error::new(&codes::BAD_VALUE, what).with_hint(hint));
        }
    };
    records.into_iter().map(|record| read_by_a_source(record, pipeline)).collect()
}

/// The record as a test has it; refused where no source of the file would see it.
fn read_by_a_source(record: forebay_gateway::Record, pipeline: &Pipeline) -> Result<Record, Error> {
    let topic = record.topic.to_string();
    if !pipeline.sources.iter().any(|source| named_topics(source).contains(&topic)) {
        let what = format!("the message goes to the topic `{topic}`, which no source of the file names");
        return Err(Error::new(&codes::BAD_VALUE, what)
            .with_hint("A test sees what sources read: nothing can be expected of this message."));
    }
    Ok(Record {
        topic,
        partition: 0,
        timestamp_ms: record.timestamp,
        key: record.key.map(|key| key.to_vec()),
        value: Some(record.value.to_vec()),
    })
}
