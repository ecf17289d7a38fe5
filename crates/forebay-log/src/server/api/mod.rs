//! The requests, one small file per group of them, and the way from a measured request to one under way.
//!
//! A request is done **now** if nothing has to be waited for; **later** if it waits for the disk, in which case it is
//! begun here and its answer comes in its turn; **queued** if the same holds and its answer is small, so that the
//! client's next request may begin before it is sent; **parked** if it waits for other members of its group: begun
//! here as well, but the wait may be long, so it keeps nothing of its bytes; or **at the head** of the line (Fetch),
//! where it starts when all earlier answers are out; it keeps nothing of its bytes either.
//!
//! What must stay true: whatever depends on order (appends of a partition, requests of a group's member) has taken
//! its place when [`begin`] returns.

mod configs;
mod coordinator;
mod errors;
mod fetch;
mod group_admin;
mod groups;
mod list_offsets;
mod metadata;
mod offsets;
mod produce;
mod producers;
mod sasl;
mod topics;
mod transactions;
pub(super) mod versions;

use super::Shared;
use super::access::Need;
use super::connection::{Ended, Peer};
use super::frame::Frame;
use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

/// What a request may look at and change.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: Arc<Peer>,
}

/// What an answer needs to know of its request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) correlation_id: i32,
    pub(super) version: i16,
    pub(super) is_flexible: bool,
    pub(super) client_id: Option<StrBytes>,
}

/// How a request ends.
#[derive(Debug)]
pub(super) enum Outcome {
    /// With an answer.
    Answer(Frame),
    /// With an answer, and then by closing the connection, for this reason.
    Last(Frame, &'static str),
    /// Without: it asked for none.
    Silence,
    /// By closing the connection, where the protocol has no other way to say no.
    Close,
}

/// A request's waiting part.
pub(super) type Work = Pin<Box<dyn Future<Output = io::Result<Outcome>> + Send>>;

/// A request that has begun.
pub(super) enum Started {
    Now(Outcome),
    Later(Work),
    Queued(Work),
    Parked(Work),
    AtHead(Work),
}

impl Call {
    fn answer<T: Encodable>(&self, body: &T) -> io::Result<Outcome> {
        Frame::encode(self.correlation_id, self.is_flexible, body, self.version).map(Outcome::Answer)
    }

    /// Lets go of the request's bytes, which the client's name is a part of.
    fn without_text(self) -> Self {
        Self { client_id: None, ..self }
    }

    fn now<T: Encodable>(&self, body: &T) -> Result<Started, Ended> {
        Ok(Started::Now(self.answer(body)?))
    }

    fn later<T: Encodable>(self, body: impl Future<Output = T> + Send + 'static) -> Result<Started, Ended> {
        Ok(Started::Later(Box::pin(async move { self.answer(&body.await) })))
    }
}

/// Begins a request whose bytes were measured.
pub(super) async fn begin(cx: &Context, key: ApiKey, call: Call, body: Bytes) -> Result<Started, Ended> {
    let request = Body { key, version: call.version, bytes: body };
    let owned = cx.clone();
    match key {
        ApiKey::ApiVersions => call.now(&versions::supported()),
        ApiKey::SaslHandshake => sasl::handshake(cx, &call, &request.decode()?),
        ApiKey::SaslAuthenticate => sasl::authenticate(cx, &call, &request.decode()?),
        ApiKey::Metadata => call.later(metadata::handle(owned, request.decode()?)),
        ApiKey::Produce => produce::begin(cx, call, request.decode()?).await,
        ApiKey::Fetch => fetch::begin(cx, call, request.decode()?),
        ApiKey::ListOffsets => list_offsets::begin(cx, call, request.decode()?).await,
        ApiKey::InitProducerId => call.later(producers::init(owned, request.decode()?)),
        ApiKey::AddPartitionsToTxn => call.later(transactions::add_partitions(owned, request.decode()?)),
        ApiKey::AddOffsetsToTxn => call.later(transactions::add_offsets(owned, request.decode()?)),
        ApiKey::TxnOffsetCommit => call.later(transactions::commit_offsets(owned, request.decode()?)),
        ApiKey::EndTxn => call.later(transactions::end(owned, request.decode()?)),
        ApiKey::FindCoordinator => call.now(&coordinator::find(cx, &request.decode()?)),
        ApiKey::JoinGroup => groups::join(cx, call, request.decode()?),
        ApiKey::SyncGroup => groups::sync(cx, call, request.decode()?),
        ApiKey::Heartbeat => call.now(&groups::heartbeat(cx, &request.decode()?)),
        ApiKey::LeaveGroup => call.now(&groups::leave(cx, &request.decode()?)),
        ApiKey::OffsetCommit => offsets::commit(cx, call, request.decode()?),
        ApiKey::OffsetFetch => call.now(&offsets::fetch(cx, request.decode()?)),
        ApiKey::OffsetDelete => offsets::delete(cx, call, request.decode()?),
        ApiKey::ListGroups => call.now(&group_admin::list(cx)),
        ApiKey::DescribeGroups => call.now(&group_admin::describe(cx, request.decode()?)),
        ApiKey::DeleteGroups => group_admin::delete(cx, call, request.decode()?),
        ApiKey::CreateTopics => call.later(topics::create(owned, request.decode()?)),
        ApiKey::DeleteTopics => call.later(topics::delete(owned, request.decode()?)),
        ApiKey::CreatePartitions => call.later(topics::create_partitions(owned, request.decode()?)),
        ApiKey::DescribeConfigs => call.now(&configs::describe(cx, request.decode()?)),
        ApiKey::IncrementalAlterConfigs => call.later(configs::alter(owned, request.decode()?)),
        other => Err(Ended::UnknownApi { key: other as i16 }),
    }
}

impl Context {
    /// True if whoever asks may do that to what is called so; `api` is the request in which they ask.
    fn may(&self, api: ApiKey, need: Need, name: &str) -> bool {
        self.peer.session.may(api, need, name)
    }

    /// Runs what may block for long, in its turn.
    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let turn = self.shared.slow.clone().acquire_owned().await.map_err(io::Error::other)?;
        let work = move || {
            // Also if the one who asked is gone.
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
    }
}

/// A measured body, not decoded yet.
struct Body {
    key: ApiKey,
    version: i16,
    bytes: Bytes,
}

impl Body {
    fn decode<T: Decodable>(mut self) -> Result<T, Ended> {
        T::decode(&mut self.bytes, self.version)
            .map_err(|error| Ended::Malformed { key: self.key, why: error.to_string() })
    }
}

/// Text of an answer.
fn text(value: impl Into<String>) -> StrBytes {
    StrBytes::from_string(value.into())
}
