//! Listens to a server and comes back when the connection breaks.
//!
//! ```text
//!  facts (schema, alerts) ─▶ events of the view … ─┬─ another view is wanted ─▶ its events …
//!        ▲                                         └─ broken, silent ─▶ told as Lost, a pause (0.5 s, 1, 2, … 5)
//!        └───────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! What must stay true: whatever breaks is told before it is tried again, and after a break everything is asked anew:
//! nothing of before is taken for what is now.

use std::time::Duration;

use forebay_core::Error;
use forebay_core::error::codes;
use tokio::sync::{mpsc, watch};

use super::events::{Event, Events};
use super::server::{SILENCE, Server, deepest};
use super::words::{Alert, AlertList, Hello, Schema, Slice, Source, Tick, Values};

/// The pauses between attempts: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// Alerts that are asked for at the start of a connection.
const ALERTS: &str = "200";

/// Fields of a device that are asked for: more never fit beside each other.
const FIELDS: usize = 24;

/// Which devices are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The source; the first if there is none of this name.
    pub source: Option<String>,
    /// What is searched for; empty for all.
    pub search: String,
    /// The first device.
    pub offset: usize,
    /// How many.
    pub limit: usize,
}

/// What became known.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Message {
    /// A connection begins.
    Facts {
        schema: Schema,
        alerts: Vec<Alert>,
    },
    Hello(Hello),
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
    /// It broke; whether anything had come before.
    Lost(Error, bool),
}

/// Listens until nobody takes the messages any more.
pub async fn follow(server: Server, mut views: watch::Receiver<View>, out: mpsc::Sender<Message>) {
    let (first, longest) = PAUSES;
    let mut pause = first;
    loop {
        let End::Lost(why, had_word) = connected(&server, &mut views, &out).await else { return };
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

/// One connection: the facts, then one view after the other.
async fn connected(server: &Server, views: &mut watch::Receiver<View>, out: &mpsc::Sender<Message>) -> End {
    let mut alerts = server.at("alerts");
    alerts.query_pairs_mut().append_pair("limit", ALERTS);
    let facts = async {
        let schema: Schema = server.get(server.at("schema")).await?;
        let alerts: AlertList = server.get(alerts).await?;
        Ok::<_, Error>((schema.with_units(), alerts.alerts))
    };
    let (schema, alerts) = match facts.await {
        Ok(facts) => facts,
        Err(error) => return End::Lost(error, false),
    };
    if out.send(Message::Facts { schema: schema.clone(), alerts }).await.is_err() {
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
        let mut events = Events::default();
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
                Ok(Ok(None)) => return End::Lost(server.unreachable(&"it ended the connection"), true),
                Ok(Ok(Some(bytes))) => events.push(&bytes),
            };
            let messages = found.and_then(|events| events.iter().map(message).collect::<Result<Vec<_>, _>>());
            let messages = match messages {
                Ok(messages) => messages,
                Err(error) => return End::Lost(error.at(server.shown()), true),
            };
            for message in messages.into_iter().flatten() {
                if out.send(message).await.is_err() {
                    return End::Done;
                }
            }
        }
    }
}

/// The parameters of a view.
fn asked(view: &View, schema: &Schema) -> Vec<(&'static str, String)> {
    let mut asked = vec![("limit", view.limit.to_string()), ("offset", view.offset.to_string())];
    if !view.search.is_empty() {
        asked.push(("search", view.search.clone()));
    }
    if let Some(source) = source(schema, view.source.as_deref()) {
        asked.push(("source", source.name.clone()));
        let fields: Vec<&str> =
            shown(source).take(FIELDS).map(|field| source.fields[field].name.as_str()).collect();
        if !fields.is_empty() {
            asked.push(("fields", fields.join(",")));
        }
    }
    asked
}

/// The source of this name, else the first.
pub fn source<'a>(schema: &'a Schema, name: Option<&str>) -> Option<&'a Source> {
    let named = schema.sources.iter().find(|source| Some(source.name.as_str()) == name);
    named.or_else(|| schema.sources.first())
}

/// The fields of a device that are worth a column, best first: what is measured, what it says of itself, the rest.
pub fn shown(source: &Source) -> impl Iterator<Item = usize> {
    let rank = |role: &str| match role {
        "value" => Some(0),
        "status" => Some(1),
        "key" | "time" => None,
        _ => Some(2),
    };
    let mut fields: Vec<(u8, usize)> = (source.fields.iter().enumerate())
        // Names are sent with commas between them.
        .filter(|(_, field)| !field.name.contains(',') && Some(&field.name) != source.key.as_ref())
        .filter_map(|(index, field)| Some((rank(&field.role)?, index)))
        .collect();
    fields.sort_unstable();
    fields.into_iter().map(|(_, index)| index)
}

/// What an event says; none for those of a newer server.
fn message(event: &Event) -> Result<Option<Message>, Error> {
    let read = match event.name.as_str() {
        "hello" => serde_json::from_str(&event.data).map(Message::Hello),
        "tick" => serde_json::from_str(&event.data).map(Message::Tick),
        "devices" => serde_json::from_str(&event.data).map(Message::Devices),
        "values" => serde_json::from_str(&event.data).map(Message::Values),
        "alert" => serde_json::from_str(&event.data).map(Message::Alert),
        _ => return Ok(None),
    };
    let strange = |error: serde_json::Error| {
        Error::new(&codes::HTTP, format!("an event `{}` cannot be read", event.name)).with_detail(error)
    };
    read.map(Some).map_err(strange)
}

#[cfg(test)]
mod tests {
    use super::super::words::Field;
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn what_a_newer_or_older_server_says_is_read_as_far_as_it_goes() {
        let tick = r#"{"now": 5, "ledger": {"read": 3, "emitted": 2, "quarantined": 1, "balances": true, "melted": 0}, "lag": null,
            "queries": [{"name": "q", "watermark": 7, "new": []}], "alerts": {"open": 1, "bySeverity": {"critical": 1}}}"#;
        let Ok(Some(Message::Tick(tick))) = message(&event("tick", tick)) else { panic!("no tick") };
        assert!(tick.ledger.balances() && tick.ledger.read == 3, "{tick:?}");
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
    fn a_view_asks_for_what_is_measured_first() {
        let field =
            |name: &str, role: &str| Field { name: name.into(), role: role.into(), ..Field::default() };
        let fields = vec![
            field("id", "key"),
            field("at", "time"),
            field("note", "status"),
            field("a,b", "value"),
            field("heat", "value"),
            field("lat", "lat"),
        ];
        let source = Source { name: "iot".into(), key: Some("id".into()), fields };
        let schema = Schema { sources: vec![source], ..Schema::default() };
        let view = View { source: Some("gone".into()), search: "a b".into(), offset: 50, limit: 100 };
        let asked = asked(&view, &schema);
        for part in [("source", "iot"), ("fields", "heat,note,lat"), ("search", "a b"), ("offset", "50")] {
            assert!(asked.contains(&(part.0, part.1.to_owned())), "{part:?} is missing in {asked:?}");
        }
    }
}
