//! Bodies of requests: read before a turn is taken, so that who sends slowly takes none.
//!
//! What must stay true: a body holds memory as it arrives, all bodies together no more than [`ROOM`], each for no longer
//! than its request.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use forebay_core::error::codes;
use futures::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::Role;
use crate::problem::Problem;

/// Largest body: SQL texts are bounded by the same.
const MOST: usize = 1 << 20;
/// Bytes of all bodies at once.
pub(crate) const ROOM: usize = 32 << 20;
/// How long a body may take, from the request's head to its end.
pub(crate) const TIME: Duration = Duration::from_secs(10);

/// A body that was read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub bytes: Vec<u8>,
    /// Its part of the room.
    held: Option<OwnedSemaphorePermit>,
}

/// Largest body of somebody who has not said who they are: a token and a few letters. All connections together find room
/// for such bodies beside those of others.
const MOST_OF_ANYONE: usize = 4 << 10;

/// Most bytes of a body that needs this role.
pub(crate) fn most(role: Role) -> usize {
    if role == Role::Anyone { MOST_OF_ANYONE } else { MOST }
}

/// Reads a body of JSON of at most so many bytes within `time`, as far as there is `room`.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    most: usize,
    room: &Arc<Semaphore>,
    time: Duration,
) -> Result<Read, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Problem::new(status, &codes::BODY_KIND, "the body must be application/json")
            .hint("Send the header `Content-Type: application/json`."));
    }
    read_any(headers, body, most, room, time).await
}

/// Reads a body of any kind of at most so many bytes within `time`, as far as there is `room`.
pub(crate) async fn read_any(
    headers: &HeaderMap,
    body: Body,
    most: usize,
    room: &Arc<Semaphore>,
    time: Duration,
) -> Result<Read, Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if announced.and_then(|length| length.parse().ok()).is_some_and(|length: usize| length > most) {
        return Err(too_large(most));
    }
    let read = tokio::time::timeout(time, take(body, most, room)).await;
    read.unwrap_or_else(|_| {
        let message = format!("the body did not arrive within {time:?}");
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, &codes::TOO_SLOW, message))
    })
}

async fn take(body: Body, most: usize, room: &Arc<Semaphore>) -> Result<Read, Problem> {
    let (mut read, mut parts) = (Read::default(), body.into_data_stream());
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| Problem::bad("the body ended too early"))?;
        if read.bytes.len() + part.len() > most {
            return Err(too_large(most));
        }
        let size = u32::try_from(part.len()).unwrap_or(u32::MAX);
        let more = Arc::clone(room).try_acquire_many_owned(size);
        let more = more.map_err(|_| Problem::busy("too many bodies are being read"))?;
        match &mut read.held {
            Some(held) => held.merge(more),
            None => read.held = Some(more),
        }
        read.bytes.extend_from_slice(&part);
    }
    Ok(read)
}

fn too_large(most: usize) -> Problem {
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    Problem::new(status, &codes::TOO_LARGE, format!("the body is longer than {most} bytes"))
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::http::HeaderValue;
    use futures::{FutureExt as _, stream};

    use super::*;

    fn json() -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))])
    }

    /// A body of which so many bytes arrive, and then nothing more.
    fn stuck(bytes: usize) -> Body {
        let part = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b' '; bytes]))]);
        Body::from_stream(part.chain(stream::pending()))
    }

    fn status(refused: Result<Read, Problem>) -> u16 {
        refused.unwrap_err().into_response().status().as_u16()
    }

    #[tokio::test]
    async fn a_body_that_does_not_arrive_is_given_up() {
        let room = Arc::new(Semaphore::new(100));
        let read = read(&json(), stuck(10), MOST, &room, Duration::from_millis(20)).await;
        assert_eq!(status(read), 408);
        assert_eq!(room.available_permits(), 100);
    }

    #[tokio::test]
    async fn bodies_hold_what_has_arrived_and_no_more_than_there_is_room_for() {
        let (room, headers) = (Arc::new(Semaphore::new(100)), json());
        let mut slow = Box::pin(read(&headers, stuck(60), MOST, &room, TIME));
        assert!((&mut slow).now_or_never().is_none());
        assert_eq!(status(read(&headers, Body::from(" ".repeat(41)), MOST, &room, TIME).await), 503);
        let small = read(&headers, Body::from(" ".repeat(40)), MOST, &room, TIME).await.unwrap();
        assert_eq!((small.bytes.len(), room.available_permits()), (40, 0));
        drop((slow, small));
        assert_eq!(room.available_permits(), 100);
    }

    #[tokio::test]
    async fn who_has_not_signed_in_sends_little() {
        let (room, headers) = (Arc::new(Semaphore::new(ROOM)), json());
        let long = || Body::from(" ".repeat(MOST_OF_ANYONE + 1));
        assert_eq!(status(read(&headers, long(), most(Role::Anyone), &room, TIME).await), 413);
        assert!(read(&headers, long(), most(Role::Viewer), &room, TIME).await.is_ok());
    }
}
