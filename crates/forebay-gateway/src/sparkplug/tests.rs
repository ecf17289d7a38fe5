//! Payloads that are made here by hand, byte by byte where it matters, and the rows that they become.

use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value as Json, json};

use super::payload::{MOST_METRICS, Metric, Payload, Value};
use super::*;

fn metric(name: &str, alias: u64, datatype: u32, value: Value) -> Metric {
    Metric {
        name: (!name.is_empty()).then(|| name.to_owned()),
        alias: (alias > 0).then_some(alias),
        datatype: (datatype > 0).then_some(datatype),
        value: Some(value),
        ..Metric::default()
    }
}

fn payload(seq: u64, metrics: Vec<Metric>) -> Vec<u8> {
    Payload { timestamp: Some(1000), metrics, seq: Some(seq) }.encode_to_vec()
}

struct Host {
    sparkplug: Sparkplug,
    now: i64,
}

impl Host {
    fn new() -> Self {
        Self { sparkplug: Sparkplug::default(), now: 5000 }
    }

    fn message(&self, topic: &str, payload: Vec<u8>, repeat: bool) -> Option<Vec<Json>> {
        let message =
            Message { topic, payload: payload.into(), from: "x", properties: &[], at: self.now, repeat };
        let rows = self.sparkplug.rows(&message, true)?;
        Some(rows.iter().map(|row| serde_json::from_slice(row).unwrap()).collect())
    }

    /// How many rows a message becomes.
    fn count(&self, topic: &str, payload: Vec<u8>) -> usize {
        let (payload, at) = (payload.into(), self.now);
        let message = Message { topic, payload, from: "x", properties: &[], at, repeat: false };
        self.sparkplug.rows(&message, true).unwrap().len()
    }

    fn take(&self, rest: &str, payload: Vec<u8>) -> Vec<Json> {
        let (event, device) = rest.split_once('/').map_or((rest, ""), |(event, device)| (event, device));
        let topic = format!("spBv1.0/plant/{event}/edge{}{device}", if device.is_empty() { "" } else { "/" });
        self.message(&topic, payload, false).unwrap()
    }

    /// A node with a device, both born, each with a metric.
    fn born() -> Self {
        let host = Self::new();
        let bd = metric("bdSeq", 0, 8, Value::Long(3));
        host.take("NBIRTH", payload(0, vec![bd, metric("load", 1, 10, Value::Double(0.5))]));
        host.take("DBIRTH/press", payload(1, vec![metric("temp", 2, 9, Value::Float(21.5))]));
        host
    }

    fn asked(&self) -> Vec<String> {
        self.sparkplug.commands().into_iter().map(|command| command.topic).collect()
    }
}

#[test]
fn each_metric_of_a_birth_is_a_row_with_its_value_in_the_field_of_its_kind() {
    let values = [
        (1, Value::Int(0xFFFF_FFFE), "Int8", json!({"long": -2})),
        (1, Value::Int(0xFE), "Int8", json!({"long": -2})),
        (2, Value::Int(0xFFFE), "Int16", json!({"long": -2})),
        (2, Value::Int(300), "Int16", json!({"long": 300})),
        (3, Value::Int(u32::MAX), "Int32", json!({"long": -1})),
        (4, Value::Long(u64::MAX), "Int64", json!({"long": -1})),
        (5, Value::Int(0xFE), "UInt8", json!({"long": 254})),
        (7, Value::Int(u32::MAX), "UInt32", json!({"long": 4_294_967_295_u64})),
        (8, Value::Long(u64::MAX), "UInt64", json!({"long": u64::MAX})),
        (9, Value::Float(0.1), "Float", json!({"double": 0.1})),
        (10, Value::Double(1e300), "Double", json!({"double": 1e300})),
        (10, Value::Double(f64::NAN), "Double", json!({"text": "NaN"})),
        (9, Value::Float(f32::NEG_INFINITY), "Float", json!({"text": "-inf"})),
        (11, Value::Boolean(false), "Boolean", json!({"boolean": false})),
        (12, Value::Text("ä\n\"".to_owned()), "String", json!({"text": "ä\n\""})),
        (13, Value::Long(1_700_000_000_000), "DateTime", json!({"long": 1_700_000_000_000_u64})),
        (15, Value::Text("u".to_owned()), "UUID", json!({"text": "u"})),
        (16, Value::DataSet(vec![1, 2, 3]), "DataSet", json!({"bytes": "AQID"})),
        (17, Value::Bytes(vec![255]), "Bytes", json!({"bytes": "/w=="})),
        (19, Value::Template(vec![0]), "Template", json!({"bytes": "AA=="})),
        (24, Value::Bytes(vec![1, 0, 0, 0]), "Int32Array", json!({"bytes": "AQAAAA=="})),
    ];
    for (datatype, value, name, expected) in values {
        let host = Host::new();
        let rows = host.take("NBIRTH", payload(0, vec![metric("m", 7, datatype, value)]));
        let row = rows[0].as_object().unwrap();
        let kinds = ["long", "double", "boolean", "text", "bytes"];
        let shown: serde_json::Map<String, Json> =
            kinds.iter().filter_map(|kind| Some(((*kind).to_owned(), row.get(*kind)?.clone()))).collect();
        assert_eq!((rows.len(), Json::Object(shown)), (1, expected), "{name}");
        let places =
            ["group", "edge_node", "device", "metric", "alias", "type", "event", "seq", "quality", "is_null"];
        let place: Vec<&Json> = places.iter().map(|place| &row[*place]).collect();
        let expected = json!(["plant", "edge", null, "m", 7, name, "NBIRTH", 0, "good", false]);
        assert_eq!(json!(place), expected);
        assert_eq!(row["timestamp"], 1000);
    }
}

#[test]
fn flags_time_and_quality_of_a_metric_are_its_own() {
    let host = Host::born();
    // PropertySet of one key `Quality` (1), one value (2) of type Int32 (1: 3) and number (3: …).
    for (quality, name) in [(0_u8, "bad"), (1, "uncertain")] {
        let properties = [&[0x0A, 7][..], b"Quality", &[0x12, 4, 8, 3, 0x18, quality]].concat();
        let one = Metric {
            timestamp: Some(77),
            is_historical: Some(true),
            is_transient: Some(true),
            is_null: Some(true),
            properties: Some(properties),
            value: None,
            ..metric("load", 0, 0, Value::Int(0))
        };
        let row = &host.take("NDATA", payload(2 + u64::from(quality), vec![one]))[0];
        assert_eq!(
            (&row["timestamp"], &row["is_historical"], &row["is_transient"]),
            (&json!(77), &json!(true), &json!(true))
        );
        assert_eq!(
            (&row["is_null"], &row["quality"], &row["type"]),
            (&json!(true), &json!(name), &json!("Double"))
        );
    }
}

#[test]
fn an_alias_is_what_the_last_birth_says() {
    let host = Host::born();
    let row = &host.take("DDATA/press", payload(2, vec![metric("", 2, 0, Value::Float(22.5))]))[0];
    assert_eq!(
        (&row["metric"], &row["type"], &row["double"]),
        (&json!("temp"), &json!("Float"), &json!(22.5))
    );
    host.take("DBIRTH/press", payload(3, vec![metric("speed", 2, 3, Value::Int(1))]));
    let row = &host.take("DDATA/press", payload(4, vec![metric("", 2, 0, Value::Int(0xFFFF_FFFF))]))[0];
    assert_eq!((&row["metric"], &row["type"], &row["long"]), (&json!("speed"), &json!("Int32"), &json!(-1)));
    assert!(host.asked().is_empty());
    // An alias of the device is none of the node.
    let row = &host.take("NDATA", payload(5, vec![metric("", 2, 0, Value::Int(9))]))[0];
    assert_eq!((&row["metric"], &row["alias"], &row["long"]), (&Json::Null, &json!(2), &json!(9)));
    assert!(row["note"].as_str().unwrap().contains("alias"));
    assert_eq!(host.asked(), ["spBv1.0/plant/NCMD/edge"]);
}

#[test]
fn a_node_whose_birth_was_missed_loses_nothing_and_is_asked_once_in_a_while() {
    let mut host = Host::new();
    for seq in [7, 8] {
        let row = &host.take("NDATA", payload(seq, vec![metric("", 1, 0, Value::Double(0.5))]))[0];
        assert_eq!((&row["metric"], &row["alias"], &row["double"]), (&Json::Null, &json!(1), &json!(0.5)));
    }
    let commands = host.sparkplug.commands();
    assert_eq!((commands.len(), commands[0].topic.as_str()), (1, "spBv1.0/plant/NCMD/edge"));
    let command = Payload::decode(&commands[0].payload[..]).unwrap();
    assert_eq!(command.metrics[0].name.as_deref(), Some("Node Control/Rebirth"));
    assert_eq!((command.metrics[0].value.clone(), command.seq), (Some(Value::Boolean(true)), None));
    host.now += 31_000;
    host.take("DDATA/press", payload(9, vec![metric("", 1, 0, Value::Double(0.5))]));
    assert_eq!(host.asked().len(), 1);
}

#[test]
fn a_gap_in_the_sequence_is_a_row_and_a_repeat_is_none() {
    let host = Host::born();
    let load = || vec![metric("", 1, 0, Value::Double(0.5))];
    let rows = host.take("NDATA", payload(5, load()));
    let (gap, row) = (&rows[0], &rows[1]);
    assert_eq!(
        (&gap["event"], &gap["seq"], &gap["quality"], &gap["metric"]),
        (&json!("GAP"), &json!(5), &json!("uncertain"), &Json::Null)
    );
    assert!(gap["note"].as_str().unwrap().starts_with("expected 2, so 3 "), "{gap}");
    assert_eq!((&row["metric"], &row["quality"]), (&json!("load"), &json!("good")));
    assert_eq!(host.asked().len(), 1);
    assert_eq!(host.take("NDATA", payload(6, load())).len(), 1);
    // What the protocol sends again was counted before, and moves nothing.
    let again = host.message("spBv1.0/plant/NDATA/edge", payload(5, load()), true).unwrap();
    assert_eq!((again.len(), &again[0]["metric"]), (1, &json!("load")));
    assert_eq!(host.take("NDATA", payload(7, load())).len(), 1);
    // After 255 comes 0.
    for seq in 8..=255 {
        assert_eq!(host.take("NDATA", payload(seq, load())).len(), 1, "{seq}");
    }
    assert_eq!(host.take("NDATA", payload(0, load())).len(), 1);
    // A number that no node sends is taken by its low byte, and nothing overflows.
    assert_eq!(host.take("NDATA", payload(u64::MAX, load()))[0]["event"], "GAP");
    assert_eq!(host.take("NDATA", payload(0, load())).len(), 1);
}

#[test]
fn after_a_death_each_metric_is_stale_once() {
    let host = Host::born();
    let rows = host.take("DDEATH/press", payload(2, Vec::new()));
    let shown: Vec<Json> =
        rows.iter().map(|row| json!([row["device"], row["metric"], row["quality"]])).collect();
    assert_eq!(json!(shown), json!([["press", null, "stale"], ["press", "temp", "stale"]]));
    assert_eq!(host.take("DBIRTH/press", payload(3, vec![metric("temp", 2, 9, Value::Float(1.0))])).len(), 1);
    let death = |bd: u64| {
        let bd = metric("bdSeq", 0, 8, Value::Long(bd));
        Payload { timestamp: Some(9), metrics: vec![bd], seq: None }.encode_to_vec()
    };
    // The will of a connection before the last birth, which arrives after it.
    let old = host.take("NDEATH", death(2));
    assert_eq!((old.len(), &old[0]["quality"]), (1, &json!("good")));
    let rows = host.take("NDEATH", death(3));
    let mut shown: Vec<String> =
        rows.iter().map(|row| format!("{} {} {}", row["device"], row["metric"], row["quality"])).collect();
    shown.sort();
    assert_eq!(
        shown,
        [
            "\"press\" \"temp\" \"stale\"",
            "null \"bdSeq\" \"stale\"",
            "null \"load\" \"stale\"",
            "null null \"stale\""
        ]
    );
    assert!(rows.iter().all(|row| row["is_null"] == true && row["timestamp"] == 9));
    assert_eq!(
        (host.take("NDEATH", death(3)).len(), host.sparkplug.0.lock().nodes.bytes()),
        (1, 0),
        "all is forgotten"
    );
}

#[test]
fn what_is_no_sparkplug_is_left_to_go_on_as_it_came() {
    let host = Host::new();
    let good = payload(0, vec![metric("m", 1, 3, Value::Int(1))]);
    for topic in [
        "plant/edge",
        "spBv1.0/plant/NBIRTH",
        "spBv1.0/plant/NBIRTH/edge/device",
        "spBv1.0/plant/DDATA/edge",
        "spBv1.0/plant/WHAT/edge",
        "spBv1.0//NBIRTH/edge",
        "spBv1.0/plant/DDATA/edge/",
        "spBv1.0/plant/DDATA/edge/d/e",
        "spAv1.0/plant/NBIRTH/edge",
        "spBv1.0/STATE/host",
    ] {
        assert!(host.message(topic, good.clone(), false).is_none(), "{topic}");
    }
    assert!(host.message(&format!("spBv1.0/{}/NBIRTH/edge", "x".repeat(600)), good.clone(), false).is_none());
    let name_is_not_utf8 = [0x12, 4, 0x0A, 2, 0xFF, 0xFE];
    let groups = [0x13_u8; 5000];
    let length_beyond = [0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F];
    let too_many = [0x12, 0].repeat(MOST_METRICS + 1);
    for broken in [&name_is_not_utf8[..], &groups, &length_beyond, &too_many, &[0x08], &[0xFF; 20]] {
        assert!(host.message("spBv1.0/plant/NBIRTH/edge", broken.to_vec(), false).is_none());
    }
    assert_eq!(host.sparkplug.0.lock().nodes.bytes(), 0, "and nothing is remembered of it");
    // As many as may be are taken, and an empty payload is a row of its own.
    let most = [0x12, 0].repeat(MOST_METRICS);
    assert_eq!(host.message("spBv1.0/plant/NBIRTH/edge", most, false).unwrap().len(), MOST_METRICS);
    assert_eq!(host.message("spBv1.0/plant/NDATA/other", Vec::new(), false).unwrap().len(), 1);
}

#[test]
fn memory_is_bounded_whatever_is_born() {
    let host = Host::new();
    let long = "m".repeat(60_000);
    for node in 0..1200 {
        let metrics = vec![metric(&format!("{long}{node}"), 1, 3, Value::Int(1))];
        let topic = format!("spBv1.0/g/NBIRTH/{node}");
        assert_eq!(host.count(&topic, payload(0, metrics)), 1);
    }
    let bytes = host.sparkplug.0.lock().nodes.bytes();
    assert!((32 << 20..=64 << 20).contains(&bytes), "{bytes}");
    for node in 0..12_000 {
        let topic = format!("spBv1.0/h/NDATA/{node}");
        host.count(&topic, payload(0, vec![metric("", 1, 0, Value::Int(1))]));
    }
    assert!(host.asked().len() <= MOST_COMMANDS);
    // A node with more than it may have: its rows are there, the alias is not known.
    let many = |from: u64| {
        (from..from + 9000).map(|n| metric(&format!("m{n}"), n, 3, Value::Int(1))).collect::<Vec<_>>()
    };
    let host = Host::new();
    for (seq, topic) in ["NBIRTH/edge", "DBIRTH/edge/a", "DBIRTH/edge/b"].iter().enumerate() {
        assert_eq!(host.count(&format!("spBv1.0/plant/{topic}"), payload(seq as u64, many(1))), 9000);
    }
    let row = &host.take("DDATA/b", payload(3, vec![metric("", 1, 0, Value::Int(1))]))[0];
    assert_eq!(row["metric"], Json::Null);
    assert_eq!(host.count("spBv1.0/plant/NDEATH/edge", Vec::new()), 18_001);
    assert_eq!(host.sparkplug.0.lock().nodes.bytes(), 0);
}

proptest! {
    #[test]
    fn no_payload_makes_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        event in 0..8_usize,
        repeat: bool,
    ) {
        let host = Host::born();
        let events = ["NBIRTH/e", "NDATA/e", "NDEATH/e", "NCMD/e", "DBIRTH/e/d", "DDATA/e/d", "DDEATH/e/d", "DCMD/e/d"];
        drop(host.message(&format!("spBv1.0/plant/{}", events[event]), bytes, repeat));
    }

    #[test]
    fn a_payload_that_is_cut_or_changed_never_panics(at in 0..200_usize, change: u8, cut: bool) {
        let host = Host::born();
        let metrics = vec![
            metric("a", 1, 3, Value::Int(7)),
            metric("b", 2, 12, Value::Text("text".to_owned())),
            Metric { properties: Some(vec![0x0A, 7, b'Q']), ..metric("c", 3, 16, Value::DataSet(vec![1, 2])) },
        ];
        let mut bytes = payload(2, metrics);
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] = change }
        drop(host.message("spBv1.0/plant/DBIRTH/edge/press", bytes.clone(), false));
        drop(host.message("spBv1.0/plant/NDATA/edge", bytes, true));
    }
}
