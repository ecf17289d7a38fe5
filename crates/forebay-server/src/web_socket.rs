//! WebSocket: MQTT as browsers speak it (`/mqtt`), and messages of a topic for an HTTP gateway (the path that takes its posts).
//!
//! Who may open one is decided before the upgrade, as for every route: a gateway with users by its own means (MQTT asks in its
//! CONNECT), one without by the server's, with the proof of origin that a browser must show. What must stay true: no page of another
//! site gets through to a gateway without users; sockets are bounded in number, and each in what it may hold; what was taken is
//! answered before a socket is closed, also where its client has said that it closes; the end of the run ends them.

mod bytes;
mod upgrade;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::Response;
use forebay_core::error::codes;
use forebay_gateway::http::{Ingest, NotTaken};
use forebay_gateway::{Identity, Peer};
use futures::{FutureExt as _, SinkExt, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::{Error as Broken, Message};
use tokio_util::sync::CancellationToken;

use self::bytes::SocketBytes;
use self::upgrade::{Socket, Upgrade, offered};
use crate::access::{Proof, Role, Terms};
use crate::api::ingest;
use crate::connections;
use crate::problem::Problem;
use crate::state::State;

/// Most sockets at a time.
pub(crate) const MOST: usize = 1_000;
/// Largest frame, and most bytes that wait to be sent: MQTT packets go through in pieces.
const FRAME: usize = 1 << 20;
/// Bytes of one frame that we send, and that are read at once.
const PIECE: usize = 16 << 10;
/// Most messages that go to the log together.
const TOGETHER: usize = 256;
/// The subprotocol that MQTT requires of its clients (MQTT 5, section 6), and the name that it had before.
const OF_MQTT: [&str; 2] = ["mqtt", "mqttv3.1"];

/// `GET /mqtt`
pub(crate) async fn mqtt(state: Arc<State>, terms: Arc<Terms>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let opened = (|| {
        let gateways = &state.shown.gateways;
        let over = gateways.mqtt.clone().ok_or_else(|| {
            Problem::missing("there is no MQTT here")
                .hint("A gateway of `format: mqtt` is here, unless it says `webSocket: false`.")
        })?;
        if over.has_users {
            terms.host(&parts.headers)?;
        } else {
            admit(&state, &terms, &parts)?;
        }
        let (mut upgrade, place) = upgrade(&state, &mut parts)?;
        upgrade.protocol = offered(&parts.headers, &OF_MQTT);
        if upgrade.protocol.is_none() {
            return Err(Problem::bad("the WebSocket does not offer the subprotocol `mqtt`")
                .hint("MQTT over WebSocket needs the header `Sec-WebSocket-Protocol: mqtt`; in a browser `new WebSocket(url, 'mqtt')`."));
        }
        let peer = Peer { address: peer(&parts), certificate: None };
        let ending = gateways.ending.clone();
        Ok(upgrade.serve(async move |socket| {
            over.door.serve(Box::new(SocketBytes::over(socket)), peer, ending).await;
            drop(place);
        }))
    })();
    opened.unwrap_or_else(Problem::into_response)
}

/// `GET /api/v1/ingest/GATEWAY/TOPIC`, to be upgraded: each frame is a message, each is answered in its order.
pub(crate) async fn messages(
    state: Arc<State>,
    terms: Arc<Terms>,
    (name, topic): (String, String),
    request: Request,
) -> Response {
    let (mut parts, _) = request.into_parts();
    let opened = (|| {
        let gateways = &state.shown.gateways;
        let who = match ingest::with_users(gateways, parts.uri.path()) {
            Some(gateway) => ingest::device(gateway, &terms, &parts.headers)?,
            None => admit(&state, &terms, &parts)?,
        };
        // A name that is written in another way than it is was not looked at above.
        let gateway = gateways.http.get(&name).filter(|_| ingest::is_plain(parts.uri.path(), &name)).cloned();
        let gateway = gateway.ok_or_else(|| Problem::missing("no HTTP gateway has this name"))?;
        ingest::check_topic(&topic)?;
        if !gateway.access().may_publish(&who, &who.0, &topic) {
            return Err(ingest::not_taken(NotTaken::Denied));
        }
        let (mut upgrade, place) = upgrade(&state, &mut parts)?;
        let ending = gateways.ending.clone();
        upgrade.most = gateway.limits().body.min(FRAME);
        Ok(upgrade.serve(async move |socket| {
            take(socket, &gateway, &who, &topic, &ending).await;
            drop(place);
        }))
    })();
    opened.unwrap_or_else(Problem::into_response)
}

/// Who opens a gateway without users, as the server knows them.
fn admit(state: &State, terms: &Terms, parts: &Parts) -> Result<Identity, Problem> {
    let now_ms = state.shown.clock.now_ms();
    let asker = terms.check(Role::Operator, Proof::Origin, &parts.headers, peer(parts), now_ms)?;
    Ok(Identity(asker.person().map_or("http".into(), |person| Arc::clone(&person.name))))
}

fn peer(parts: &Parts) -> IpAddr {
    parts.extensions.get().map_or(Ipv4Addr::LOCALHOST.into(), |connections::Peer(peer)| *peer)
}

fn upgrade(state: &State, parts: &mut Parts) -> Result<(Upgrade, OwnedSemaphorePermit), Problem> {
    if state.shown.gateways.ending.is_cancelled() {
        return Err(Problem::busy("the run ends, nothing more is taken"));
    }
    let place = Arc::clone(&state.common.sockets).try_acquire_owned();
    let place = place.map_err(|_| Problem::busy("too many WebSockets are open"))?;
    Ok((Upgrade::of(parts)?, place))
}

/// Why nothing more comes.
enum End {
    /// The other side said that it closes. Our part of that is sent by whatever touches the socket next.
    Closed,
    /// It broke the protocol or a limit, or is gone.
    Broken(Broken),
    /// It is gone.
    Gone,
}

/// Takes messages until the other side or the run ends. Nothing is read while the log has not told of those before.
async fn take(mut socket: Socket, gateway: &Ingest, who: &Identity, topic: &str, ending: &CancellationToken) {
    let mut number = 0u64;
    loop {
        let first = tokio::select! {
            first = socket.next() => first,
            () = ending.cancelled() => break,
        };
        let mut together: Vec<Bytes> = Vec::new();
        let mut next = Some(first);
        let mut end = None;
        while let Some(frame) = next {
            match frame {
                Some(Ok(Message::Text(text))) => together.push(text.into()),
                Some(Ok(Message::Binary(bytes))) => together.push(bytes),
                Some(Ok(Message::Close(_))) => end = Some(End::Closed),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => end = Some(End::Broken(error)),
                None => end = Some(End::Gone),
            }
            next =
                if end.is_some() || together.len() >= TOGETHER { None } else { socket.next().now_or_never() };
        }
        let count = together.len() as u64;
        if count > 0 {
            let taken = gateway.take_messages(who, topic, together).await;
            let answered = match taken {
                Ok(taken) => {
                    let answers = taken.iter().map(ingest::outcome).zip(number..).map(numbered);
                    answer(&mut socket, answers, end.as_ref()).await
                }
                Err(refused) => {
                    let answers = (number..number + count).map(|number| not_taken(number, &refused));
                    answer(&mut socket, answers, end.as_ref()).await
                }
            };
            number += count;
            if answered.is_err() {
                return;
            }
        }
        match end {
            None => {}
            Some(End::Broken(Broken::Capacity(_))) => {
                gateway.refuse_unread();
                let most = gateway.limits().body.min(FRAME);
                let reason = format!("message {number} is longer than the {most} bytes that one may have");
                let close = CloseFrame { code: CloseCode::Size, reason: reason.into() };
                let _ = socket.send(Message::Close(Some(close))).await;
                break;
            }
            Some(_) => break,
        }
    }
    // The other side may be gone.
    let _ = SinkExt::close(&mut socket).await;
}

/// Sends answers. Once the other side has said that it closes, the socket takes nothing but our close; what is answered
/// then goes to the stream itself, as frames that stand before it. Nothing waits in the socket there: each round of answers was flushed.
async fn answer(
    socket: &mut Socket,
    answers: impl Iterator<Item = Value> + Send,
    end: Option<&End>,
) -> Result<(), Broken> {
    if !matches!(end, Some(End::Closed)) {
        for answer in answers {
            socket.feed(Message::Text(answer.to_string().into())).await?;
        }
        return socket.flush().await;
    }
    let mut frames = Vec::new();
    for answer in answers {
        Frame::message(answer.to_string(), OpCode::Data(Data::Text), true).format(&mut frames)?;
    }
    socket.get_mut().write_all(&frames).await.map_err(Broken::Io)
}

fn numbered((mut outcome, number): (Value, u64)) -> Value {
    outcome["message"] = number.into();
    outcome
}

fn not_taken(number: u64, refused: &NotTaken) -> Value {
    let (code, error) = match refused {
        NotTaken::Denied => (&codes::DENIED, "this user may not publish to this topic"),
        NotTaken::NoRoute => (&codes::NO_ROUTE, "no route of the gateway takes this topic"),
        _ => (&codes::HTTP, "the message cannot be taken"),
    };
    json!({ "message": number, "code": code.id, "error": error, "hint": code.remedy, "again": false })
}
