//! `POST /api/v1/ingest/GATEWAY/TOPIC`: what devices post.
//!
//! The path names the gateway and then the topic as MQTT would have it, so that one word of a proxy or of `curl` says both. Who
//! may post is a matter of the gateway's users, where it has any: a device's token opens nothing else here, and no session or token of
//! the server opens a gateway that has users. Without users it needs the role `operator`.
//!
//! What must stay true: 202 says that the log has all of it, fsynced; where it has not, the answer says of each message where it is or
//! why it is not there. Each way in which a client can mend a refusal has a code of its own.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use forebay_core::Error;
use forebay_core::error::codes;
use forebay_gateway::http::{BodyError, Ingest, LONGEST_KEY, NotTaken, Packing, Post, Split, Taken};
use forebay_gateway::{Credentials, Identity, Place};
use serde_json::{Value, json};

use crate::access::Terms;
use crate::answer::json_answer;
use crate::ask::{Ask, Outcome};
use crate::body::Read;
use crate::problem::Problem;
use crate::shown::gateways::Gateways;

/// Where gateways stand in the path.
pub(crate) const PREFIX: &str = "/api/v1/ingest/";

/// The gateway that a path names, if it has users of its own; as it stands, so only by its plain name.
pub(crate) fn with_users<'g>(gateways: &'g Gateways, path: &str) -> Option<&'g Ingest> {
    let name = path.strip_prefix(PREFIX)?.split('/').next()?;
    gateways.http.get(name).filter(|gateway| gateway.has_users()).map(|gateway| &**gateway)
}

/// True if a path names the gateway in plain letters, so that [`with_users`] has seen it.
pub(crate) fn is_plain(path: &str, name: &str) -> bool {
    path.strip_prefix(PREFIX).and_then(|rest| rest.split('/').next()) == Some(name)
}

/// Who posts, by the token that they show.
pub(crate) fn device(gateway: &Ingest, terms: &Terms, headers: &HeaderMap) -> Result<Identity, Problem> {
    terms.host(headers)?;
    let secret = Terms::token(headers)?.as_bytes();
    let shown = Credentials { user: None, secret: Some(secret), certificate: None, client: "" };
    gateway.access().authenticate(&shown).map_err(|_| {
        Problem::sign_in("this token is not known to the gateway")
            .hint("The gateway has `users` in the pipeline's file: each has the hash of its token there.")
    })
}

/// The gateway of a request.
pub(crate) fn gateway<'a>(gateways: &'a Gateways, name: &str) -> Result<&'a Arc<Ingest>, Problem> {
    gateways.http.get(name).ok_or_else(|| {
        let known: Vec<&str> = gateways.http.keys().map(String::as_str).collect();
        let hint = if known.is_empty() {
            "The pipeline's file has no gateway of `format: http`.".to_owned()
        } else {
            format!("There are: {}.", known.join(", "))
        };
        Problem::missing("no HTTP gateway has this name").hint(hint)
    })
}

pub(crate) async fn post(mut ask: Ask) -> Outcome {
    let state = ask.state.clone();
    let gateway = gateway(&state.shown.gateways, ask.path("gateway"))?;
    if state.shown.gateways.ending.is_cancelled() {
        return Err(Problem::busy("the run ends, nothing more is taken"));
    }
    let who = sender(&ask, gateway)?;
    let Ok(turn) = gateway.turns().clone().try_acquire_owned() else {
        return Err(Problem::too_many("as many posts as may be are under way at this gateway", 1));
    };
    let header = |name: &str| match ask.headers.get(name).map(|value| value.to_str()) {
        _ if ask.headers.get_all(name).iter().count() > 1 => {
            Err(Problem::bad(format!("there are two headers `{name}`")))
        }
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text.to_owned())),
        Some(Err(_)) => Err(Problem::bad(format!("the header `{name}` is not plain text"))),
    };
    let kind = header(header::CONTENT_TYPE.as_str())?.unwrap_or_default();
    let split = Split::of(&kind).ok_or_else(|| {
        unsupported("the gateway does not take this Content-Type")
            .hint("application/json (one value, or an array of messages), application/x-ndjson (one in each line), text/plain or application/octet-stream (the body is one).")
    })?;
    let encoding = header(header::CONTENT_ENCODING.as_str())?.unwrap_or_default();
    let packing = Packing::of(&encoding).ok_or_else(|| {
        unsupported("the gateway cannot unpack this Content-Encoding")
            .hint("gzip, zstd and identity are taken.")
    })?;
    let key = header("idempotency-key")?;
    if key.as_ref().is_some_and(|key| {
        key.is_empty() || key.len() > LONGEST_KEY || key.contains(|c: char| !c.is_ascii_graphic())
    }) {
        return Err(Problem::bad(format!(
            "the Idempotency-Key is not from 1 to {LONGEST_KEY} visible letters of ASCII"
        )));
    }
    let topic = ask.path("topic").to_owned();
    check_topic(&topic)?;
    let read = ask.take_body();
    let body = unpack(&state.common.bodies, packing, read, gateway.limits().body).await?;
    let gateway = Arc::clone(gateway);
    // On its own, to its end: a client that does not wait for the answer leaves a key behind whose outcome is known, and a
    // repeat meanwhile finds it under way.
    let taking = tokio::spawn(async move {
        let Unpacked { bytes, _held } = body;
        let _turn = turn;
        gateway.take(Post { who: &who, topic: &topic, split, body: bytes, key: key.as_deref() }).await
    });
    match taking.await {
        Ok(Ok(taken)) => answer(&taken),
        Ok(Err(refused)) => Err(not_taken(refused)),
        Err(_) => Err(Error::new(&codes::INTERNAL, "the post was not taken to its end").into()),
    }
}

/// Who posts: the device of the gateway's users, else the person or program that the server knows.
fn sender(ask: &Ask, gateway: &Ingest) -> Result<Identity, Problem> {
    match &ask.admitted.device {
        Some(device) => Ok(device.clone()),
        None if gateway.has_users() => {
            Err(Problem::sign_in("the gateway has users, and the request names none"))
        }
        None => Ok(Identity(
            ask.admitted.asker.person().map_or("http".into(), |person| std::sync::Arc::clone(&person.name)),
        )),
    }
}

/// What is in a body, and its part of the room.
struct Unpacked {
    bytes: Bytes,
    _held: (Read, Option<tokio::sync::OwnedSemaphorePermit>),
}

async fn unpack(
    room: &std::sync::Arc<tokio::sync::Semaphore>,
    packing: Packing,
    mut read: Read,
    most: usize,
) -> Result<Unpacked, Problem> {
    let bytes = Bytes::from(std::mem::take(&mut read.bytes));
    if packing == Packing::Identity {
        return Ok(Unpacked { bytes, _held: (read, None) });
    }
    // What comes out may be as large as is allowed.
    let size = u32::try_from(most).unwrap_or(u32::MAX);
    let held = room.clone().try_acquire_many_owned(size);
    let held = held.map_err(|_| Problem::busy("too many bodies are being unpacked"))?;
    let unpacked = tokio::task::spawn_blocking(move || packing.unpack(bytes, most)).await;
    let unpacked =
        unpacked.map_err(|_| Error::new(&codes::INTERNAL, "the body could not be unpacked to its end"))?;
    let bytes = unpacked.map_err(|error| not_taken(NotTaken::Bad(error)))?;
    Ok(Unpacked { bytes, _held: (read, Some(held)) })
}

/// Refuses what is no name of a topic.
pub(crate) fn check_topic(topic: &str) -> Result<(), Problem> {
    if topic.contains(['+', '#', '\0']) {
        return Err(Problem::bad("a topic holds neither `+`, `#` nor NUL")
            .hint("Those stand in patterns. Post to one topic; `%2B` and `%23` are the same letters."));
    }
    Ok(())
}

/// 202 with the place of each message; 422 if any of them will never be taken, 503 if of any it is not known: then each says
/// with its number where it is, or why it is not.
fn answer(taken: &[Taken]) -> Outcome {
    let outcomes = taken.iter().map(outcome);
    let unknown = taken.iter().filter(|it| matches!(it, Taken::Unknown(_))).count();
    let refused = taken.iter().filter(|it| matches!(it, Taken::Refused(_))).count();
    if unknown + refused == 0 {
        let messages: Vec<Value> = outcomes.collect();
        return Ok(json_answer(StatusCode::ACCEPTED, "application/json", &json!({ "messages": messages })));
    }
    let count = format!("{} of {} messages are not taken, the others are", unknown + refused, taken.len());
    let problem = if unknown > 0 {
        Problem::busy(format!("{count}; of {unknown} it is not known whether the log has them"))
            .hint("Send the post again, with the same `Idempotency-Key` if it had one: then only what is not known to be in the log is sent. Without one, send those of `messages` that say `again`.")
    } else {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, &codes::MESSAGE_REFUSED, count)
            .hint("`messages` says of each, by its number from 0, where it is in the log or why it is not. Sending those again is of no use.")
    };
    let numbered = outcomes.enumerate().map(|(number, mut outcome)| {
        outcome["message"] = number.into();
        outcome
    });
    Err(problem.with_messages(numbered.collect()))
}

/// What became of one message: where it is, or why it is not taken and whether sending it again is of use.
pub(crate) fn outcome(taken: &Taken) -> Value {
    match taken {
        Taken::There(place) => there(place),
        Taken::Known(place) => {
            let mut known = there(place);
            known["repeated"] = true.into();
            known
        }
        Taken::Dropped => json!({ "dropped": true }),
        Taken::Refused(error) | Taken::Unknown(error) => json!({
            "code": error.code().id,
            "error": error.detail().map_or_else(
                || error.message().to_owned(),
                |detail| format!("{}: {detail}", error.message()),
            ),
            "hint": error.hint(),
            "again": matches!(taken, Taken::Unknown(_)),
        }),
    }
}

fn there(place: &Place) -> Value {
    // A repeat that the log recognised without saying where it is.
    let offset = if place.offset < 0 { Value::Null } else { place.offset.into() };
    json!({ "topic": &*place.topic, "partition": place.partition, "offset": offset })
}

fn unsupported(message: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, &codes::BODY_KIND, message)
}

/// A post of which nothing was looked at.
pub(crate) fn not_taken(refused: NotTaken) -> Problem {
    match refused {
        NotTaken::Bad(BodyError::TooLarge(most)) => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            &codes::TOO_LARGE,
            format!("the body is longer than {most} bytes, unpacked"),
        )
        .hint("Send less at a time; the gateway's `maxBody` says how much."),
        NotTaken::Bad(BodyError::TooMany(most)) => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            &codes::TOO_LARGE,
            format!("the body has more than {most} messages"),
        )
        .hint("Send fewer at a time; the gateway's `maxMessages` says how many."),
        NotTaken::Bad(BodyError::Broken(error)) => error.into(),
        NotTaken::Denied => Problem::denied("this user may not publish to this topic")
            .hint("The `publish` of the gateway's user names the topics that it may."),
        NotTaken::NoRoute => {
            Problem::new(StatusCode::NOT_FOUND, &codes::NO_ROUTE, "no route of the gateway takes this topic")
        }
        NotTaken::UnderWay => Problem::new(
            StatusCode::CONFLICT,
            &codes::KEY_UNDER_WAY,
            "a post with this Idempotency-Key is under way",
        ),
        NotTaken::OtherPost => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            &codes::KEY_OF_OTHER,
            "this Idempotency-Key was used for another post",
        ),
    }
}
