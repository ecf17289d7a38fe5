//! Nodes of Sparkplug: rows by the routes, and the command by which a node is asked for its births.

use std::sync::Arc;

use forebay_core::clock::SystemClock;
use forebay_core::config::{Payload, RouteConfig, Target};
use forebay_core::route::{Pattern, Template};
use mqtt_proto::v5;

use super::hall::Hall;
use super::stand::{Stand, TestAccess, TestLog, five, publish5};
use crate::mqtt::{Broker, Options};
use crate::{Counts, RouteTable};

/// An NDATA of sequence 7 with the value 5 of alias 1, as bytes.
const DATA: &str = "\u{12}\u{4}\u{10}\u{1}\u{50}\u{5}\u{18}\u{7}";

fn routes() -> Arc<RouteTable> {
    let pattern = Pattern::parse("spBv1.0/{group}/+/#").unwrap();
    let template = |text| Template::parse(text, &pattern).unwrap();
    let target = Target {
        topic: "metrics".into(),
        key: Some(template("{group}/{$.edge_node}")),
        payload: Payload::Sparkplug,
        wrap: None,
        fields: vec![("hall".into(), template("{1}"))],
        received_at: None,
        headers: Vec::new(),
        properties: false,
        rebirth: true,
    };
    Arc::new(RouteTable::new(&[RouteConfig { pattern: pattern.clone(), target: Some(target) }]))
}

#[tokio::test]
async fn a_node_whose_birth_was_missed_is_asked_by_the_end_point() {
    let (log, access) = (Arc::new(TestLog::default()), Arc::new(TestAccess::default()));
    let clock = Arc::new(SystemClock);
    let broker = Broker::start(Options::default(), log.clone(), routes(), access.clone(), clock);
    let stand = Stand { broker, log, access };
    let (mut node, _) = stand.connect5(five("node")).await;
    assert_eq!(node.subscribe5("spBv1.0/g/NCMD/e", |_| {}).await, 2);
    node.send5(v5::Packet::Publish(publish5("spBv1.0/g/NDATA/e", 0, 0, DATA))).await;
    let command = node.message5().await;
    assert_eq!(&*command.topic_name, "spBv1.0/g/NCMD/e");
    let is_there = |part: &[u8]| command.payload.windows(part.len()).any(|bytes| bytes == part);
    assert!(is_there(b"Node Control/Rebirth"));
    stand.until(|stand| stand.log.values().len() == 1).await;
    let row = &stand.log.values()[0];
    assert!(row.starts_with(r#"{"hall":"g","group":"g","edge_node":"e""#), "{row}");
    assert!(row.contains(r#""long":5"#), "{row}");
}

#[tokio::test]
async fn a_node_whose_birth_was_missed_is_asked_by_way_of_the_broker() {
    let hall = Hall::with(routes(), |settings| settings.filters = vec!["spBv1.0/#".to_owned()]).await;
    let mut link = hall.subscribed(false).await;
    link.send5(v5::Packet::Publish(publish5("spBv1.0/g/NDATA/e", 0, 0, DATA))).await;
    let command = link.message5().await;
    assert_eq!((&*command.topic_name, command.qos_pid), ("spBv1.0/g/NCMD/e", mqtt_proto::QosPid::Level0));
    assert!(hall.client.counts().contains(&("commands", 1)));
    // What is no Sparkplug goes on as it came.
    link.send5(v5::Packet::Publish(publish5("spBv1.0/g/NDATA/e", 0, 0, "not protobuf"))).await;
    hall.until(|hall| hall.log.values().len() == 2).await;
    assert_eq!(hall.log.values()[1], "not protobuf");
}
