//! Silences over REST: made, listed, ended, and refused in words that help.

use serde_json::json;

use super::Asked;

#[tokio::test]
async fn a_silence_is_made_by_somebody_listed_and_ended() {
    let asked = Asked::new();
    let body = "{\"rules\":[\"HOT\"],\"keys\":[\"d*\"],\"severities\":[\"critical\"],\"for\":\"2 hours\",\"comment\":\"<b>new rolls</b>\"}";
    let made = asked.post("/api/v1/silences", body).await.json();
    assert_eq!(
        (&made["id"], &made["state"], &made["rules"]),
        (&json!("1"), &json!("active"), &json!(["hot"]))
    );
    assert_eq!(made["until"].as_i64().unwrap() - made["from"].as_i64().unwrap(), 7_200_000);
    assert_eq!(
        (&made["made"]["by"], &made["made"]["comment"]),
        (&json!("at the machine"), &json!("<b>new rolls</b>"))
    );
    let null = "{\"rules\":[],\"key\":null,\"from\":4000000000000,\"until\":4000000000001}";
    let later = asked.post("/api/v1/silences", null).await.json();
    assert_eq!((&later["state"], &later["key"]), (&json!("pending"), &json!(null)));
    assert!(later.as_object().unwrap().contains_key("key") && !made.as_object().unwrap().contains_key("key"));
    let listed = asked.get("/api/v1/silences").await.json();
    assert_eq!(listed["silences"], json!([made, later]));
    assert_eq!(
        (&listed["ofFile"][0]["name"], &listed["ofFile"][0]["active"]),
        (&json!("night"), &json!(true))
    );
    let end = async |id: &str| {
        let headers = [("host", "localhost"), ("x-forebay", "1")];
        asked.ask("DELETE", &format!("/api/v1/silences/{id}"), &headers, "").await
    };
    let ended = end("1").await.json();
    assert_eq!((&ended["state"], &ended["ended"]["by"]), (&json!("expired"), &json!("at the machine")));
    assert_eq!(end("1").await.json(), ended, "it stays as it is");
    assert_eq!(end("7").await.status, 404);
    for (body, status) in [
        ("{\"rules\":[\"cold\"],\"for\":\"1 hour\"}", 404),
        ("{\"for\":\"1 hour\"}", 400),
        ("{\"rules\":[\"hot\"]}", 400),
        ("{\"rules\":[\"hot\"],\"for\":\"soon\"}", 400),
        ("{\"rules\":[\"hot\"],\"for\":\"1 hour\",\"until\":4000000000000}", 400),
        ("{\"rules\":[\"hot\"],\"until\":1}", 400),
        ("{\"all\":true,\"rules\":[\"hot\"],\"for\":\"1 hour\"}", 400),
        ("{\"rules\":[\"hot\"],\"for\":\"1 hour\",\"by\":\"ana\"}", 400),
    ] {
        let got = asked.post("/api/v1/silences", body).await;
        assert_eq!(got.status, status, "{body}: {}", got.text);
        assert!(!got.json()["hint"].as_str().unwrap().is_empty(), "{body}");
    }
}
