use forebay_core::config::{Payload, RouteConfig, Target};
use forebay_core::route::{Pattern, Template};
use proptest::prelude::*;

use super::*;

fn target(payload: Payload) -> Target {
    Target {
        topic: "log".into(),
        key: None,
        payload,
        wrap: None,
        fields: Vec::new(),
        received_at: None,
        headers: Vec::new(),
        properties: false,
        rebirth: false,
    }
}

fn route(pattern: &str, target: Option<Target>) -> RouteConfig {
    RouteConfig { pattern: Pattern::parse(pattern).unwrap(), target }
}

fn template(text: &str, pattern: &str) -> Template {
    Template::parse(text, &Pattern::parse(pattern).unwrap()).unwrap()
}

fn routed(table: &RouteTable, topic: &str, payload: &[u8]) -> Routed {
    let properties = [("unit".to_owned(), "C".to_owned())];
    let payload = Bytes::copy_from_slice(payload);
    table.route(&Message { topic, payload, from: "uno-1", properties: &properties, at: 7, repeat: false })
}

fn value(table: &RouteTable, topic: &str, payload: &[u8]) -> Bytes {
    match routed(table, topic, payload) {
        Routed::Records(mut records) if records.len() == 1 => records.remove(0).value,
        other => panic!("{other:?}"),
    }
}

/// Adds `station` and `at` to JSON of `p/+`.
fn adding() -> RouteTable {
    let mut target = target(Payload::Json);
    target.fields = vec![("station".into(), template("{1}", "p/+"))];
    target.received_at = Some("at".into());
    RouteTable::new(&[route("p/+", Some(target))])
}

#[test]
fn the_first_route_that_takes_a_topic_counts_and_what_none_takes_is_told() {
    let other = Target { topic: "rest".into(), ..target(Payload::Json) };
    let table = RouteTable::new(&[
        route("p/a", Some(target(Payload::Json))),
        route("p/debug/#", None),
        route("p/#", Some(other)),
    ]);
    let topic = |topic: &str| match routed(&table, topic, b"{}") {
        Routed::Records(records) => {
            Some(records.iter().map(|record| record.topic.to_string()).collect::<Vec<_>>())
        }
        Routed::Nowhere => None,
        Routed::Wrong(error) => panic!("{error}"),
    };
    assert_eq!(topic("p/a"), Some(vec!["log".to_owned()]));
    assert_eq!(topic("p/b"), Some(vec!["rest".to_owned()]));
    assert_eq!(topic("p/debug/x"), Some(vec![]));
    assert_eq!(topic("q"), None);
    assert_eq!(table.topics().len(), 2);
}

#[test]
fn fields_stand_at_the_beginning_and_the_rest_is_as_it_came() {
    let table = adding();
    for (payload, expected) in [
        (
            &b"{\"t\": 21.50 ,\"x\":[1e400]}"[..],
            &b"{\"station\":\"a\\\"b\",\"at\":7,\"t\": 21.50 ,\"x\":[1e400]}"[..],
        ),
        (b" {} ", b"{\"station\":\"a\\\"b\",\"at\":7} "),
        (b"{\n}", b"{\"station\":\"a\\\"b\",\"at\":7\n}"),
    ] {
        assert_eq!(value(&table, "p/a\"b", payload), expected);
    }
}

#[test]
fn what_is_no_object_goes_on_as_it_came() {
    let table = adding();
    for payload in [&b""[..], b"{\"t\":", b"[1]", b"null", b"{} {}", b"\xff", b"{\"a\":1,}", b"{'a':1}"] {
        assert_eq!(value(&table, "p/a", payload), payload);
    }
}

#[test]
fn a_field_that_is_there_already_is_refused_also_where_it_is_written_with_escapes() {
    for payload in [&b"{\"at\":1}"[..], b"{\"x\":{\"y\":1},\"stat\\u0069on\":2}"] {
        match routed(&adding(), "p/a", payload) {
            Routed::Wrong(error) => assert_eq!(error.code(), &codes::MESSAGE_REFUSED),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        value(&adding(), "p/a", b"{\"x\":{\"at\":1}}"),
        &b"{\"station\":\"a\",\"at\":7,\"x\":{\"at\":1}}"[..]
    );
}

#[test]
fn a_number_becomes_a_field_letter_by_letter() {
    let mut wrapping = target(Payload::Number);
    wrapping.wrap = Some("distance".into());
    let table = RouteTable::new(&[route("p", Some(wrapping))]);
    assert_eq!(value(&table, "p", b" 12.50\r\n"), &b"{\"distance\":12.50}"[..]);
    assert_eq!(value(&table, "p", b"-1e-7"), &b"{\"distance\":-1e-7}"[..]);
    for odd in [&b"nan"[..], b"", b"1,2", b"+5", b"0x1", b"1 2", b"{\"distance\":1}", b"\"1\"", b"01"] {
        assert_eq!(value(&table, "p", odd), odd);
    }
}

#[test]
fn text_and_bytes_become_strings() {
    let wrapped = |payload: Payload| {
        let mut target = target(payload);
        target.wrap = Some("v".into());
        RouteTable::new(&[route("p", Some(target))])
    };
    assert_eq!(value(&wrapped(Payload::Text), "p", "ä\"\n".as_bytes()), "{\"v\":\"ä\\\"\\n\"}".as_bytes());
    assert_eq!(value(&wrapped(Payload::Text), "p", b"\xff"), &b"\xff"[..]);
    assert_eq!(value(&wrapped(Payload::Binary), "p", b"\xff\0"), &b"{\"v\":\"/wA=\"}"[..]);
    assert_eq!(
        value(&RouteTable::new(&[route("p", Some(target(Payload::Binary)))]), "p", b"\xff\0"),
        &b"\xff\0"[..]
    );
}

#[test]
fn keys_and_headers_come_of_topic_sender_and_fields() {
    let mut target = target(Payload::Json);
    target.key = Some(template("{1}/{from}/{$.d.id}", "p/+"));
    target.headers = vec![
        ("n".into(), template("{$.n}", "p/+")),
        ("gone".into(), template("{$.gone}", "p/+")),
        ("t".into(), template("{topic}", "p/+")),
    ];
    target.properties = true;
    let table = RouteTable::new(&[route("p/+", Some(target))]);
    let record = |payload: &[u8]| match routed(&table, "p/a", payload) {
        Routed::Records(mut records) => records.remove(0),
        other => panic!("{other:?}"),
    };
    let one = record(b"{\"d\":{\"id\":\"x\\u00e4\"},\"n\":12345678901234567890123,\"n\":1.10}");
    assert_eq!(one.key.as_deref(), Some("a/uno-1/xä".as_bytes()));
    let headers: Vec<(&str, &[u8])> = one.headers.iter().map(|(name, value)| (&**name, &value[..])).collect();
    assert_eq!(headers, [("unit", &b"C"[..]), ("n", b"1.10"), ("t", b"p/a")]);
    for none in [&b"{}"[..], b"{\"d\":{\"id\":null}}", b"{\"d\":7}", b"[", b"{\"d\":{\"id\":[1]}}"] {
        let record = record(none);
        assert_eq!((record.key, &record.value[..]), (None, none));
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_in_the_record(payload in proptest::collection::vec(any::<u8>(), 0..64), braces in any::<bool>()) {
        let mut payload = payload;
        if braces {
            payload = format!("{{\"a\":{}}}", payload.len()).into_bytes();
        }
        if let Routed::Records(records) = routed(&adding(), "p/a", &payload) {
            let rest = payload.strip_prefix(b"{").unwrap_or(&payload);
            prop_assert!(records[0].value.ends_with(rest));
        }
        if let Routed::Records(records) = routed(&RouteTable::new(&[route("p/a", Some(target(Payload::Json)))]), "p/a", &payload) {
            prop_assert_eq!(&records[0].value[..], &payload[..]);
        }
    }

    #[test]
    fn what_fields_are_added_to_stays_json_with_the_same_fields(names in proptest::collection::btree_map("[a-z]{1,4}", any::<i64>(), 0..5)) {
        let object = serde_json::json!(names);
        let Routed::Records(records) = routed(&adding(), "p/s", object.to_string().as_bytes()) else {
            prop_assert!(names.contains_key("at"));
            return Ok(());
        };
        let mut got: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&records[0].value).unwrap();
        prop_assert_eq!(got.remove("station"), Some("s".into()));
        prop_assert_eq!(got.remove("at"), Some(7.into()));
        prop_assert_eq!(serde_json::Value::Object(got), object);
    }
}
