//! What readers get, and what it costs.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::StreamExt;
use serde_json::Value;

use crate::access::Terms;
use crate::routes::Part;
use crate::tests::Asked;
use crate::tests::plant::HOSTILE;
use crate::tests::sessions::{File, sign_in};

/// The events of a stream, as a browser reads them.
struct Events {
    body: axum::body::BodyDataStream,
    text: String,
}

impl Events {
    async fn of(asked: &Asked, path: &str) -> Self {
        Self::by(asked, path, &[]).await
    }

    /// Those that somebody gets who sends these headers.
    async fn by(asked: &Asked, path: &str, headers: &[(&str, &str)]) -> Self {
        let headers = [&[("host", "localhost")][..], headers].concat();
        let response = asked.send("GET", path, &headers, "").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: Body::into_data_stream(response.into_body()), text: String::new() }
    }

    /// The next event; `None` at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                if event.starts_with(':') {
                    // What keeps an idle connection open.
                    self.text = rest.to_owned();
                    continue;
                }
                let lines: Vec<&str> = event.lines().collect();
                let [name, data] = lines[..] else { panic!("an event has two lines: {event}") };
                let name = name.strip_prefix("event: ").unwrap().to_owned();
                let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
                self.text = rest.to_owned();
                return Some((name, data));
            }
            let more: Bytes =
                tokio::time::timeout(Duration::from_secs(5), self.body.next()).await.unwrap()?.ok()?;
            self.text.push_str(std::str::from_utf8(&more).unwrap());
        }
    }

    /// The next event of this name.
    async fn until(&mut self, name: &str) -> Value {
        loop {
            let (found, data) = self.next().await.expect("the stream goes on");
            if found == name {
                return data;
            }
        }
    }
}

#[tokio::test]
async fn a_reader_gets_the_rows_and_then_only_what_changes() {
    let asked = Asked::new();
    let mut events = Events::of(&asked, "/api/v1/live?fields=temperature&keys=d1,d2&limit=2").await;
    let (name, hello) = events.next().await.unwrap();
    assert_eq!((name.as_str(), &hello["pipeline"]), ("hello", &"plant".into()));
    assert_eq!(hello["rates"], serde_json::json!([3, 0, 2]));
    let (name, devices) = events.next().await.unwrap();
    assert_eq!((name.as_str(), &devices["total"]), ("devices", &3.into()));
    assert_eq!(devices["rows"][1]["values"], serde_json::json!({ "temperature": 20 }));
    let (name, tick) = events.next().await.unwrap();
    assert_eq!(name, "tick");
    assert_eq!(tick["charts"][0]["series"].as_array().unwrap().len(), 3);
    assert_eq!((&tick["latency"]["p99"], &tick["followers"][0]["tooOld"]), (&40.into(), &1.into()));
    assert_eq!((&tick["followers"][0]["rate"], &tick["followers"][0]["caughtUp"]), (&2.0.into(), &7.into()));
    assert_eq!((&tick["followers"][0]["rate"], &tick["followers"][0]["devices"]), (&2.0.into(), &3.into()));
    assert_eq!((&tick["queries"][0]["read"], &tick["brokenTables"]), (&0.into(), &serde_json::json!([])));
    let refused = (&tick["queries"][0]["rowsRefused"], &tick["quarantine"]["refused"]);
    assert_eq!(refused, (&0.into(), &serde_json::json!([])));
    assert_eq!(tick["followers"][0]["clocks"]["ahead"], 3);
    assert_eq!((&tick["queries"][1]["kind"], &tick["lag"]), (&"alert".into(), &3.into()));
    asked.plant.says(1, 33.5);
    let values = events.until("values").await;
    assert_eq!(values["rows"], serde_json::json!([[1, 2000, 3.0, { "temperature": 33.5 }]]));
    assert_eq!(values["e"], 2000);
    asked.plant.says(1, 33.5);
    asked.plant.opens("a1", "d1");
    let (name, alert) = loop {
        let (name, data) = events.next().await.unwrap();
        assert_ne!(name, "values", "nothing changed");
        if name == "alert" {
            break (name, data);
        }
    };
    assert_eq!((name.as_str(), &alert["id"]), ("alert", &"a1".into()));
    let devices = events.until("devices").await;
    assert_eq!(devices["rows"][0]["severity"], "critical", "a row shows its alert within a second");
}

#[tokio::test]
async fn many_changes_in_a_frame_are_one_event_and_fifty_readers_cost_one_rendering() {
    let asked = Asked::new();
    let mut all = Vec::new();
    for _ in 0..50 {
        all.push(Events::of(&asked, "/api/v1/live?limit=2").await);
    }
    for events in &mut all {
        events.until("tick").await;
    }
    assert_eq!(asked.state.hub.views(), 1);
    let before = asked.plant.rendered.load(Ordering::Relaxed);
    (0..1_000).for_each(|n| asked.plant.says(0, f64::from(n)));
    let mut first = None;
    for events in &mut all {
        let values = events.until("values").await;
        assert_eq!(values["rows"][0][3]["temperature"], 999.0);
        assert_eq!(first.get_or_insert(values["t"].clone()), &values["t"], "the same bytes for all");
    }
    assert_eq!(asked.plant.rendered.load(Ordering::Relaxed) - before, 1);
}

#[tokio::test]
async fn who_comes_later_gets_the_rows_from_which_the_others_go_on() {
    let asked = Asked::new();
    let mut first = Events::of(&asked, "/api/v1/live").await;
    first.until("tick").await;
    asked.plant.says(0, 41.0);
    first.until("values").await;
    let mut second = Events::of(&asked, "/api/v1/live").await;
    assert_eq!(second.until("devices").await["rows"][0]["values"]["temperature"], 41.0);
}

#[tokio::test]
async fn a_view_that_nobody_looks_at_is_given_up_and_a_place_with_its_reader() {
    let asked = Asked::new();
    let mut all = Vec::new();
    for n in 0..200 {
        all.push(Events::of(&asked, &format!("/api/v1/live?offset={}", n % 4)).await);
    }
    let refused = asked.get("/api/v1/live").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (503, &"FB-8004".into()));
    assert_eq!(asked.state.hub.views(), 4);
    all.clear();
    tokio::time::timeout(Duration::from_secs(5), async {
        while asked.state.hub.views() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    Events::of(&asked, "/api/v1/live").await.until("hello").await;
}

#[tokio::test]
async fn there_are_only_so_many_different_views_and_shared_ones_cost_nothing() {
    let asked = Asked::new();
    let mut all = Vec::new();
    for n in 0..64 {
        all.push(Events::of(&asked, &format!("/api/v1/live?offset={n}")).await);
    }
    let refused = asked.send("GET", "/api/v1/live?offset=64", &[("host", "localhost")], "").await;
    assert_eq!(refused.status(), 503);
    let problem = asked.get("/api/v1/live?offset=64").await.json();
    assert_eq!(problem["code"], "FB-8004");
    assert!(problem["hint"].as_str().unwrap().contains("share a view"), "{problem}");
    assert_eq!(
        (asked.state.hub.views(), asked.state.hub.readers()),
        (64, 64),
        "the refused one has no place"
    );
    all.push(Events::of(&asked, "/api/v1/live?offset=7").await);
    assert_eq!((asked.state.hub.views(), asked.state.hub.readers()), (64, 65));
}

#[tokio::test]
async fn a_token_takes_its_share_of_views_and_readers_and_others_always_get_some() {
    let file = File::new();
    let terms = Terms { auth: Some(file.open()), tls: false, loopback: true };
    let asked = Asked::on(terms, Part::All);
    let bearer = |role: &str| format!("Bearer {}", file.token(role));
    let (viewer, operator) = (bearer("viewer"), bearer("operator"));
    let (viewer, operator) = (("authorization", viewer.as_str()), ("authorization", operator.as_str()));
    // A session is its token's.
    let cookie = sign_in(&asked, &file.token("viewer")).await;
    let session = ("cookie", cookie.as_str());
    let view = |n: usize| format!("/api/v1/live?offset={n}");
    let refused = async |n: usize, who: (&str, &str)| {
        let headers = [("host", "localhost"), who];
        // A stream that is opened after all has no end.
        assert_eq!(asked.send("GET", &view(n), &headers, "").await.status().as_u16(), 429, "{n}");
        let problem = asked.ask("GET", &view(n), &headers, "").await.json();
        assert_eq!(problem["code"], "FB-8004");
        assert!(problem["hint"].as_str().unwrap().contains("the same token"), "{problem}");
    };
    let mut all = Vec::new();
    for n in 0..16 {
        all.push(Events::by(&asked, &view(n), &[if n % 2 == 0 { viewer } else { session }]).await);
    }
    refused(16, viewer).await;
    refused(16, session).await;
    let mut others = vec![Events::by(&asked, &view(16), &[operator]).await];
    all.push(Events::by(&asked, &view(16), &[viewer]).await);
    for n in 17..50 {
        all.push(Events::by(&asked, &view(n % 16), &[session]).await);
    }
    assert_eq!((asked.state.hub.views(), asked.state.hub.readers()), (17, 51));
    refused(0, viewer).await;
    refused(0, session).await;
    for n in 17..32 {
        others.push(Events::by(&asked, &view(n), &[operator]).await);
    }
    all.pop();
    all.push(Events::by(&asked, &view(0), &[viewer]).await);
    all.last_mut().unwrap().until("tick").await;
}

#[tokio::test]
async fn a_hostile_name_is_data_and_nothing_else() {
    let asked = Asked::new();
    let mut events = Events::of(&asked, "/api/v1/live?search=img").await;
    let devices = events.until("devices").await;
    assert_eq!(devices["rows"][0]["key"], HOSTILE);
}

#[tokio::test]
async fn what_is_shown_anew_is_shown_to_all_who_ask_and_streams_end_so_that_their_readers_come_again() {
    let asked = Asked::new();
    let mut events = Events::of(&asked, "/api/v1/live").await;
    events.until("tick").await;
    let mut shown = asked.plant.shown();
    let mut about = (*shown.about).clone();
    about.title = Some("another title".to_owned());
    shown.about = about.into();
    asked.stage.show(shown);
    assert_eq!(asked.get("/api/v1/schema").await.json()["title"], "another title");
    let mut again = Events::of(&asked, "/api/v1/live").await;
    again.until("tick").await;
    assert_eq!(asked.stage.now().hub.readers(), 2, "places are bounded over all that was ever shown");
    while events.next().await.is_some() {}
    assert_eq!(asked.stage.now().hub.readers(), 1);
    again.until("tick").await;
}

#[tokio::test]
async fn every_stream_ends_when_the_server_stops() {
    let asked = Asked::new();
    let mut events = Events::of(&asked, "/api/v1/live").await;
    events.until("tick").await;
    asked.stop.cancel();
    while events.next().await.is_some() {}
    let mut late = Events::of(&asked, "/api/v1/live").await;
    assert_eq!(late.next().await.unwrap().0, "hello");
    assert_eq!(late.next().await, None, "who comes after the end is told so");
}
