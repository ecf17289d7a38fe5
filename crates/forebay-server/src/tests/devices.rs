//! Devices, their history and their alerts, page by page.

use serde_json::{Value, json};

use super::Asked;
use super::plant::HOSTILE;

fn keys(devices: &Value) -> Vec<&str> {
    devices["devices"].as_array().unwrap().iter().map(|device| device["key"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn devices_come_page_by_page_with_their_alerts() {
    let asked = Asked::new();
    asked.plant.opens("a1", "d2");
    let first = asked.get("/api/v1/devices?limit=2&search=").await.json();
    assert_eq!((keys(&first), &first["total"]), (vec!["d1", "d2"], &json!(3)));
    assert_eq!(first["devices"][1]["severity"], "critical");
    assert_eq!(
        first["devices"][1]["values"],
        json!({ "device_id": "d2", "temperature": 20, "on": true, "a,b": "odd" })
    );
    let clock =
        json!({ "offset": 7_200_000, "latest": 7_200_040, "state": "ahead", "ahead": 7, "behind": 0 });
    assert_eq!(first["devices"][0]["clock"], clock);
    assert_eq!(first["clocks"]["worst"][0], json!({ "key": "d1", "offset": 7_200_000 }));
    let next = first["next"].as_str().unwrap();
    let second = asked.get(&format!("/api/v1/devices?limit=2&cursor={next}")).await.json();
    assert_eq!((keys(&second), &second["next"]), (vec![HOSTILE], &Value::Null));
    let other = asked.get(&format!("/api/v1/devices?search=d&cursor={next}")).await;
    assert_eq!(other.status, 400, "a cursor of another question");
    asked.plant.says(1, 99.0);
    let hottest = asked.get("/api/v1/devices?sort=-temperature&limit=1&fields=temperature").await.json();
    assert_eq!(hottest["devices"][0]["values"], json!({ "temperature": 99 }));
    assert_eq!(keys(&asked.get("/api/v1/devices?state=alerting").await.json()), ["d2"]);
    let one = asked.get("/api/v1/device?source=IOT&key=d2").await.json();
    assert_eq!((&one["alerts"], &one["spark"]["field"]), (&json!(1), &json!("temperature")));
}

#[tokio::test]
async fn a_field_with_a_comma_in_its_name_can_be_asked_for() {
    let asked = Asked::new();
    let values = async |fields: &str| {
        let path = format!("/api/v1/devices?limit=1&{fields}");
        asked.get(&path).await.json()["devices"][0]["values"].clone()
    };
    assert_eq!(values("fields=a,b").await, json!({ "a,b": "odd" }));
    let both = json!({ "a,b": "odd", "temperature": 20, "on": true });
    assert_eq!(values("fields=on,temperature&fields=a%2Cb").await, both);
}

#[tokio::test]
async fn history_is_one_series_for_each_key_or_one_for_all() {
    let asked = Asked::new();
    let all = asked.get("/api/v1/history?field=temperature").await.json();
    assert_eq!((&all["series"][0]["key"], &all["unit"]), (&Value::Null, &json!("°C")));
    assert_eq!(all["series"][0]["max"], json!([null, null]), "what is no number is null");
    let two = asked.get("/api/v1/history?field=TEMPERATURE&range=6h&key=d1&key=d,2").await.json();
    assert_eq!((&two["field"], &two["series"][1]["key"]), (&json!("temperature"), &json!("d,2")));
}

#[tokio::test]
async fn the_rows_of_a_device_are_asked_of_its_source_or_of_a_table_whatever_its_key_holds() {
    let asked = Asked::new();
    let path = "/api/v1/device/history?key=d'1%5C&fields=on&where=on:true&where=on:&limit=7";
    let told = asked.get(path).await.json();
    assert_eq!(
        (&told["source"], &told["table"], &told["key"], &told["time"]),
        (&json!("iot"), &json!("iot"), &json!("d'1\\"), &json!("_kafka.timestamp"))
    );
    assert_eq!((&told["rows"], &told["rowCount"]), (&json!([[1], [null]]), &json!(2)));
    let path = "/api/v1/device/history?key=d1&table=late.`x&time=temperature&fields=on,temperature";
    assert_eq!(asked.get(path).await.status, 200);
    assert_eq!(
        *asked.plant.asked.lock(),
        [
            "SELECT `_kafka`.`timestamp` AS `_kafka.timestamp`, `on` AS `on` FROM `iot` WHERE \
             CAST(`device_id` AS STRING) = 'd\\'1\\\\' AND (CAST(`on` AS STRING) = 'true' OR `on` IS NULL) \
             ORDER BY `_kafka`.`timestamp` DESC NULLS LAST LIMIT 8",
            "SELECT `temperature` AS `temperature`, `on` AS `on` FROM `late`.```x` WHERE \
             CAST(`device_id` AS STRING) = 'd1' ORDER BY `temperature` DESC NULLS LAST LIMIT 51",
        ]
    );
    assert_eq!(asked.get("/api/v1/device/history").await.status, 404, "nobody's");
}

fn ids(alerts: &Value) -> Vec<&str> {
    alerts["alerts"].as_array().unwrap().iter().map(|alert| alert["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn alerts_come_newest_first_and_page_by_page_whatever_becomes_of_them() {
    let asked = Asked::new();
    (0..3).for_each(|n| asked.plant.opens(&format!("a{n}"), "d1"));
    let first = asked.get("/api/v1/alerts?limit=2&state=open").await.json();
    assert_eq!((&first["open"], ids(&first)), (&json!(3), vec!["a2", "a1"]));
    asked.plant.opens("new", "d1");
    // The one at which the page ends is forgotten meanwhile.
    asked.plant.alerts.lock().retain(|alert| alert.id != "a1");
    let next = format!("/api/v1/alerts?limit=2&state=open&cursor={}", first["next"].as_str().unwrap());
    let second = asked.get(&next).await.json();
    assert_eq!((ids(&second), &second["next"]), (vec!["a0"], &Value::Null));
    let long = "d".repeat(100_000);
    (0..2).for_each(|n| asked.plant.opens(&format!("{long}{n}"), &long));
    let cursor = asked.get("/api/v1/alerts?limit=1").await.json()["next"].as_str().unwrap().to_owned();
    assert!(cursor.len() < 100, "whatever a key is: {cursor}");
}

#[tokio::test]
async fn alerts_of_a_source_a_key_and_a_rule_are_chosen() {
    let asked = Asked::new();
    asked.plant.opens("a1", "d1");
    asked.plant.opens("a2", "d2");
    asked.plant.opens("empty", "");
    asked.plant.opens("none", "");
    asked.plant.alerts.lock()[3].key = None;
    let both = asked.get("/api/v1/alerts?key=d2&keyIs=null").await;
    assert_eq!(both.status, 400, "{}", both.text);
    for (choice, expected) in [
        ("source=IOT", vec!["none", "empty", "a2", "a1"]),
        ("source=iot&rule=hot&key=d2", vec!["a2"]),
        ("key=d3", vec![]),
        ("keyIs=null", vec!["none"]),
        ("keyIs=empty&state=open", vec!["empty"]),
        ("key=&keyIs=&source=iot", vec!["none", "empty", "a2", "a1"]),
        ("rule=cold", vec![]),
        ("source=other", vec![]),
    ] {
        let found = asked.get(&format!("/api/v1/alerts?{choice}")).await.json();
        assert_eq!((ids(&found), &found["open"]), (expected.clone(), &json!(expected.len())), "{choice}");
    }
}

#[tokio::test]
async fn devices_are_chosen_by_what_they_said_last_and_a_cursor_keeps_the_choice() {
    let asked = Asked::new();
    let some = asked.get("/api/v1/devices?where=device_id:d1&where=device_id:d2&where=ON:true&limit=1").await;
    let some = some.json();
    assert_eq!((keys(&some), &some["total"]), (vec!["d1"], &json!(2)));
    let next = some["next"].as_str().unwrap();
    let rest = "/api/v1/devices?where=device_id:d1&where=device_id:d2&where=ON:true&limit=1&cursor=";
    assert_eq!(keys(&asked.get(&format!("{rest}{next}")).await.json()), ["d2"]);
    let other = asked.get(&format!("/api/v1/devices?where=device_id:d1&limit=1&cursor={next}")).await;
    assert_eq!(other.status, 400, "a cursor of another choice");
    assert_eq!(asked.get("/api/v1/devices?where=on:").await.json()["total"], 0);
    assert_eq!(asked.get("/api/v1/devices?state=late").await.json()["total"], 0);
    let hint = asked.get("/api/v1/devices?where=onn:true").await.json();
    assert!(hint["hint"].as_str().unwrap().contains("Did you mean `on`?"), "{hint}");
}

#[tokio::test]
async fn labels_tell_how_devices_are_spread_now_and_how_often_each_value_came() {
    let asked = Asked::new();
    let labels = asked.get("/api/v1/labels?where=device_id:d1").await.json();
    assert_eq!(
        (&labels["source"], &labels["total"], &labels["quiet"]),
        (&json!("iot"), &json!(1), &json!(1))
    );
    let values = json!([{ "value": "true", "devices": 1 }, { "value": null, "devices": 1 }]);
    assert_eq!(labels["labels"], json!([{ "field": "on", "values": values, "others": 3 }]));
    let shares = asked.get("/api/v1/shares?field=ON&range=6h&points=10").await.json();
    assert_eq!((&shares["field"], &shares["step"]), (&json!("on"), &json!(1_000)));
    assert_eq!(shares["series"][1], json!({ "value": null, "count": [1, 2] }));
    let chosen = asked.get("/api/v1/shares?field=on&where=on:true").await.json();
    assert_eq!(chosen["series"][0]["count"], json!([1, 0]));
    assert_eq!(asked.get("/api/v1/schema").await.json()["sources"][0]["labels"], json!(["on"]));
}
