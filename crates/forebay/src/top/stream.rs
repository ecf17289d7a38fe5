//! Listens to a server and comes back when the connection breaks.
//!
//! ```text
//!  schema ─▶ hello, alerts, events of the view … ─┬─ another view is wanted ─▶ hello, alerts, its events …
//!    ▲                                             ├─ ended, as at a reload of the server's file ─▶ at once again
//!    │                                             └─ broken, silent ─▶ told as Lost, a pause (0.5 s, 1, 2, … 5)
//!    └────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! What must stay true: whatever breaks is told before it is tried again, and after a break everything is asked anew:
//! nothing of before is taken for what is now. Alerts are asked for once a stream tells of those that follow, so that
//! none is lost between the list and the stream.

use std::time::Duration;

use forebay_core::Error;
use forebay_core::error::codes;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::asked::{View, asked};
use super::bounds::shortened;
use super::events::{Event, Events};
use super::listed::{Listed, alerts};
use super::server::{SILENCE, Server, deepest};
use super::words::{Alert, Hello, Schema, Slice, Tick, Values};

/// The pauses between attempts: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// A stream that was open this long is opened again at once when the server ends it.
const WORTH: Duration = Duration::from_secs(2);

/// What became known.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Message {
    /// A connection begins.
    Schema(Schema),
    Hello(Hello),
    /// All alerts that are listed, newest first.
    Alerts(Vec<Alert>),
    Tick(Box<Tick>),
    Devices(Slice),
    Values(Values),
    Alert(Alert),
    /// The connection broke or was refused; after a pause it is tried again.
    Lost(Error),
}

/// How listening ended.
enum End {
    /// Nobody takes the messages any more.
    Done,
    /// The server ended a stream that had been worth something: it is tried again, and nobody needs to know.
    Over,
    /// It broke; whether anything had come before.
    Lost(Error, bool),
}

/// Listens until nobody takes the messages any more.
pub async fn follow(server: Server, mut views: watch::Receiver<View>, out: mpsc::Sender<Message>) {
    let (first, longest) = PAUSES;
    let mut pause = first;
    loop {
        let (why, had_word) = match connected(&server, &mut views, &out).await {
            End::Done => return,
            End::Over => {
                pause = first;
                continue;
            }
            End::Lost(why, had_word) => (why, had_word),
        };
        if had_word {
            pause = first;
        }
        if out.send(Message::Lost(why)).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = out.closed() => return,
        }
        pause = (pause * 2).min(longest);
    }
}

/// One connection: the schema, then one view after the other.
async fn connected(server: &Server, views: &mut watch::Receiver<View>, out: &mpsc::Sender<Message>) -> End {
    let schema = match server.get::<Schema>(server.at("schema")).await {
        Ok(schema) => schema.with_units(),
        Err(error) => return End::Lost(error, false),
    };
    if out.send(Message::Schema(schema.clone())).await.is_err() {
        return End::Done;
    }
    loop {
        let view = views.borrow_and_update().clone();
        let mut url = server.at("live");
        url.query_pairs_mut().extend_pairs(asked(&view, &schema));
        let mut response = match server.open(url).await {
            Ok(response) => response,
            Err(error) => return End::Lost(error, false),
        };
        let opened = Instant::now();
        let (mut events, mut listed) = (Events::default(), Listed::default());
        loop {
            let chunk = tokio::select! {
                chunk = tokio::time::timeout(SILENCE, response.chunk()) => chunk,
                changed = views.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return End::Done,
                },
            };
            let found = match chunk {
                Err(_) => return End::Lost(server.silent(), true),
                Ok(Err(error)) => return End::Lost(server.unreachable(&deepest(&error)), true),
                Ok(Ok(None)) if opened.elapsed() >= WORTH => return End::Over,
                Ok(Ok(None)) => return End::Lost(server.unreachable(&"it ended the connection"), true),
                Ok(Ok(Some(bytes))) => events.push(&bytes),
            };
            let messages = found.and_then(|events| events.iter().map(message).collect::<Result<Vec<_>, _>>());
            let messages = match messages {
                Ok(messages) => messages,
                Err(error) => return End::Lost(error.at(server.shown()), true),
            };
            for message in messages.into_iter().flatten() {
                if listed.is_due(&message) {
                    match alerts(server).await {
                        Ok(alerts) => {
                            listed.take(&alerts);
                            if out.send(Message::Alerts(alerts)).await.is_err() {
                                return End::Done;
                            }
                        }
                        Err(error) if !listed.is_known() => return End::Lost(error, true),
                        // Those that were told stand, and another tick asks again.
                        Err(_) => {}
                    }
                }
                if out.send(message).await.is_err() {
                    return End::Done;
                }
            }
        }
    }
}

/// What an event says; none for those of a newer server.
fn message(event: &Event) -> Result<Option<Message>, Error> {
    let data = shortened(event.data.as_bytes());
    let read = match event.name.as_str() {
        "hello" => serde_json::from_slice(&data).map(Message::Hello),
        "tick" => serde_json::from_slice(&data).map(Message::Tick),
        "devices" => serde_json::from_slice(&data).map(Message::Devices),
        "values" => serde_json::from_slice(&data).map(Message::Values),
        "alert" => serde_json::from_slice(&data).map(Message::Alert),
        _ => return Ok(None),
    };
    let strange = |error: serde_json::Error| {
        Error::new(&codes::HTTP, format!("an event `{}` cannot be read", event.name)).with_detail(error)
    };
    read.map(Some).map_err(strange)
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, Told};
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn what_a_newer_or_older_server_says_is_read_as_far_as_it_goes() {
        let tick = r#"{"now": 5, "ledger": {"read": 3, "emitted": 2, "quarantined": 1, "balances": true, "melted": 0}, "lag": null,
            "queries": [{"name": "q", "melted": 7, "new": []}], "alerts": {"open": 1, "bySeverity": {"critical": 1}}}"#;
        let Ok(Some(Message::Tick(tick))) = message(&event("tick", tick)) else { panic!("no tick") };
        assert!(tick.ledgers.balance() && tick.ledgers.sum.read == 3, "{tick:?}");
        assert_eq!((tick.now, tick.lag, tick.queries[0].name.as_str(), tick.alerts.open), (5, None, "q", 1));
        let values = r#"{"t": 1, "rows": [[4, 2000, 1.5, {"a": 1}]]}"#;
        let Ok(Some(Message::Values(values))) = message(&event("values", values)) else {
            panic!("no values")
        };
        assert_eq!((values.rows[0].0, values.rows[0].1), (4, 2000));
        assert!(matches!(message(&event("weather", "?")), Ok(None)));
        assert!(message(&event("tick", "{")).is_err());
    }

    #[test]
    fn what_the_server_leaves_empty_is_read() {
        let tick = r#"{"problems": [
            {"query": null, "source": "iot", "what": "the history of the live page is not saved", "since": "2026-11-21T12:00:00.000Z",
             "code": "FB-5005", "error": "the disk is full", "hint": "Make room."},
            {"query": "lake", "source": null, "what": "the quarantine is full", "since": null, "code": null, "error": null, "hint": null}]}"#;
        let Ok(Some(Message::Tick(tick))) = message(&event("tick", tick)) else { panic!("no tick") };
        let about =
            |index: usize| (tick.problems[index].query.as_deref(), tick.problems[index].source.as_deref());
        assert_eq!((about(0), about(1)), ((None, Some("iot")), (Some("lake"), None)));
        let alert =
            r#"{"id": "hot/␀/5", "rule": "hot", "key": null, "clearedAt": null, "clearedValue": null}"#;
        let Ok(Some(Message::Alert(alert))) = message(&event("alert", alert)) else { panic!("no alert") };
        assert_eq!((alert.key.as_deref(), alert.about()), (None, "NULL"));
    }

    /// What stands for a message in the tests below.
    fn word(message: &Message) -> String {
        match message {
            Message::Schema(_) => "schema".to_owned(),
            Message::Hello(_) => "hello".to_owned(),
            Message::Alerts(alerts) => {
                let ids: Vec<&str> = alerts.iter().map(|alert| alert.id.as_str()).collect();
                format!("alerts {}", ids.join(" "))
            }
            Message::Tick(_) => "tick".to_owned(),
            Message::Devices(_) => "devices".to_owned(),
            Message::Values(_) => "values".to_owned(),
            Message::Alert(_) => "alert".to_owned(),
            Message::Lost(why) => format!("lost {}", why.detail().unwrap_or_default()),
        }
    }

    /// The first `count` messages.
    async fn told(fake: &Fake, count: usize) -> Vec<String> {
        let (_views, wanted) = watch::channel(View::default());
        let (sender, mut messages) = mpsc::channel(64);
        tokio::spawn(follow(fake.server.clone(), wanted, sender));
        let mut told = Vec::new();
        while told.len() < count {
            let message = tokio::time::timeout(Duration::from_secs(20), messages.recv()).await.unwrap();
            told.push(word(&message.unwrap()));
        }
        told
    }

    const GREETING: &str = "event: hello\ndata: {}\n\nevent: devices\ndata: {}\n\n";
    const NONE: &str = r#"{"alerts": []}"#;

    #[tokio::test]
    async fn a_stream_that_ends_is_opened_again_and_nobody_hears_of_it() {
        const STREAMS: &[(&str, Duration)] = &[(GREETING, Duration::from_millis(2_500))];
        let fake = Fake::start(Told { streams: STREAMS, open: NONE, cleared: NONE }).await;
        let once = ["schema", "hello", "alerts ", "devices"];
        assert_eq!(told(&fake, 8).await, [once, once].concat());
    }

    #[tokio::test]
    async fn a_stream_that_ends_too_soon_is_lost() {
        const STREAMS: &[(&str, Duration)] = &[(GREETING, Duration::ZERO)];
        let fake = Fake::start(Told { streams: STREAMS, open: NONE, cleared: NONE }).await;
        let expected =
            ["schema", "hello", "alerts ", "devices", "lost it ended the connection", "schema", "hello"];
        assert_eq!(told(&fake, 7).await, expected);
    }

    #[tokio::test]
    async fn open_alerts_are_asked_for_apart_and_again_when_one_is_missing() {
        const STREAMS: &[(&str, Duration)] = &[(
            "event: hello\ndata: {}\n\nevent: tick\ndata: {\"alerts\": {\"open\": 1}}\n\n\
             event: tick\ndata: {\"alerts\": {\"open\": 2}}\n\n\
             event: alert\ndata: {\"id\": \"d\", \"state\": \"open\"}\n\n\
             event: tick\ndata: {\"alerts\": {\"open\": 2}}\n\n\
             event: tick\ndata: {\"alerts\": {\"open\": 3}}\n\n\
             event: tick\ndata: {\"alerts\": {\"open\": 3}}\n\n",
            Duration::from_secs(20),
        )];
        let fake = Fake::start(Told {
            streams: STREAMS,
            open: r#"{"alerts": [{"id": "b", "state": "open", "openedAt": 3}, {"id": "c", "state": "open", "openedAt": 1}]}"#,
            cleared: r#"{"alerts": [{"id": "c", "state": "cleared", "openedAt": 1}, {"id": "a", "state": "cleared", "openedAt": 2}]}"#,
        })
        .await;
        let listed = "alerts b a c";
        let expected = ["schema", "hello", listed, "tick", "tick", "alert", "tick", "tick", listed, "tick"];
        assert_eq!(told(&fake, expected.len()).await, expected);
        let both = ["/api/v1/alerts?state=open&limit=200", "/api/v1/alerts?state=cleared&limit=50"];
        assert_eq!(fake.asked("/alerts"), [both, both].concat());
    }
}
