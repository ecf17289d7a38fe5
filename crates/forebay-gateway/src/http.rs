//! The HTTP gateway, as far as it is not HTTP: what is posted becomes messages, these become records, and each is answered by
//! where it is, or why it is not.
//!
//! ```text
//!  body ─▶ unpack ─▶ split (one, lines, array) ─▶ routes ─▶ known by its key? ─▶ log ─▶ an outcome for each message
//! ```
//!
//! What must stay true: a message is told to be taken only when the log has it, fsynced. A post that is repeated with its key sends
//! only what is not known to be in the log ([`keys`]). What is held of a post is bounded: what comes out of its packing, how many
//! messages it has, how many posts are under way.

mod body;
mod keys;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use forebay_core::Error;
use forebay_core::clock::Clock;
use forebay_core::error::codes;
use forebay_storage::kill_point;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

pub use self::body::{BodyError, Packing, Split};
use self::keys::{Claim, Keys};
use crate::{Access, Counts, Identity, Log, Message, Place, Record, Refusal, Routed, Routes};

/// The header of records that came with an idempotency key: the key, a `/`, and the number of the message in its post.
pub const KEY_HEADER: &str = "idempotency-key";

/// Longest idempotency key in bytes.
pub const LONGEST_KEY: usize = 128;

/// What the gateway may hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a body, as it comes and unpacked.
    pub body: usize,
    /// Messages of a post.
    pub messages: usize,
    /// Posts under way at a time.
    pub posts: usize,
    /// Keys that are remembered.
    pub keys: usize,
    /// For how long.
    pub key_life: Duration,
    /// How long a post waits for the log.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 4 << 20,
            messages: 10_000,
            posts: 32,
            keys: 100_000,
            key_life: Duration::from_secs(24 * 3600),
            patience: Duration::from_secs(30),
        }
    }
}

/// One HTTP gateway.
pub struct Ingest {
    name: String,
    routes: Arc<dyn Routes>,
    access: Arc<dyn Access>,
    /// Whether it has users of its own.
    has_users: bool,
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    keys: Keys,
    turns: Arc<Semaphore>,
    counters: Counters,
}

/// What was counted.
#[derive(Debug, Default)]
struct Counters {
    posts: AtomicU64,
    taken: AtomicU64,
    repeated: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    unknown: AtomicU64,
}

/// What was counted, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Posts, and messages over WebSocket.
    pub posts: u64,
    /// Messages that the log took.
    pub taken: u64,
    /// Messages that it had already, known by the key of their post.
    pub repeated: u64,
    /// Messages that a route drops.
    pub dropped: u64,
    /// Messages that were refused for good; a post that was refused before its messages were told apart counts as one.
    pub refused: u64,
    /// Messages of which it is not known whether the log has them.
    pub unknown: u64,
}

/// What was posted.
#[derive(Debug)]
pub struct Post<'a> {
    /// Who posts it.
    pub who: &'a Identity,
    /// The topic.
    pub topic: &'a str,
    /// How the body holds its messages.
    pub split: Split,
    /// The body, unpacked.
    pub body: Bytes,
    /// The idempotency key, if it has one.
    pub key: Option<&'a str>,
}

/// What became of one message.
#[derive(Clone, Debug)]
pub enum Taken {
    /// The log has it, there.
    There(Place),
    /// The log had it already, there: a post before had the same key.
    Known(Place),
    /// Its route drops it.
    Dropped,
    /// It will never be taken.
    Refused(Error),
    /// Whether the log has it is not known; it may be sent again.
    Unknown(Error),
}

/// Why nothing of a post was looked at.
#[derive(Debug)]
pub enum NotTaken {
    /// It is not what the gateway takes.
    Bad(BodyError),
    /// The sender may not publish to this topic.
    Denied,
    /// No route takes the topic.
    NoRoute,
    /// The same key is under way.
    UnderWay,
    /// The key was used for another post.
    OtherPost,
}

impl Ingest {
    /// A gateway of this name.
    pub fn new(
        name: impl Into<String>,
        routes: Arc<dyn Routes>,
        (access, has_users): (Arc<dyn Access>, bool),
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Self {
        let keys = Keys::new(limits.keys, limits.key_life);
        let turns = Arc::new(Semaphore::new(limits.posts));
        let (name, counters) = (name.into(), Counters::default());
        Self { name, routes, access, has_users, log, clock, limits, keys, turns, counters }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has users of its own; else the server's own rules say who may post.
    pub fn has_users(&self) -> bool {
        self.has_users
    }

    /// Its limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Who may post.
    pub fn access(&self) -> &dyn Access {
        &*self.access
    }

    /// One for each post that may be under way.
    pub fn turns(&self) -> &Arc<Semaphore> {
        &self.turns
    }

    /// What was counted so far.
    pub fn counted(&self) -> Counted {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counters { posts, taken, repeated, dropped, refused, unknown } = &self.counters;
        Counted {
            posts: read(posts),
            taken: read(taken),
            repeated: read(repeated),
            dropped: read(dropped),
            refused: read(refused),
            unknown: read(unknown),
        }
    }

    /// Takes a post and answers for each of its messages, in their order, once the log has told of all of them.
    ///
    /// # Errors
    /// [`NotTaken`] where no message was looked at; nothing of the post is in the log by this call.
    pub async fn take(&self, post: Post<'_>) -> Result<Vec<Taken>, NotTaken> {
        let Post { who, topic, split, body, key } = post;
        self.counters.posts.fetch_add(1, Ordering::Relaxed);
        if !self.access.may_publish(who, &who.0, topic) {
            return Err(self.refuse(1, NotTaken::Denied));
        }
        let at = self.clock.now_ms();
        let claim = match key {
            None => None,
            Some(key) => Some(self.keys.claim(&who.0, key, (topic, split, &body), at)?),
        };
        let messages = split.messages(&body, self.limits.messages);
        let messages = messages.map_err(|error| self.refuse(1, NotTaken::Bad(error)))?;
        let outcomes = self.append(who, topic, messages, (key, claim.as_ref()), at).await?;
        kill_point("gateway.http.known");
        if let Some(claim) = claim {
            claim.settle(&outcomes);
        }
        kill_point("gateway.http.settled");
        Ok(outcomes)
    }

    /// The same for messages that come one by one, as over WebSocket.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub async fn take_messages(
        &self,
        who: &Identity,
        topic: &str,
        messages: Vec<Bytes>,
    ) -> Result<Vec<Taken>, NotTaken> {
        self.counters.posts.fetch_add(messages.len() as u64, Ordering::Relaxed);
        if !self.access.may_publish(who, &who.0, topic) {
            return Err(self.refuse(messages.len(), NotTaken::Denied));
        }
        self.append(who, topic, messages, (None, None), self.clock.now_ms()).await
    }

    /// Counts a message that was refused before it was read.
    pub fn refuse_unread(&self) {
        self.counters.posts.fetch_add(1, Ordering::Relaxed);
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Brings messages to the log, but for those that are known by their key.
    async fn append(
        &self,
        who: &Identity,
        topic: &str,
        messages: Vec<Bytes>,
        (key, claim): (Option<&str>, Option<&Claim<'_>>),
        at: i64,
    ) -> Result<Vec<Taken>, NotTaken> {
        let count = messages.len();
        let mut outcomes: Vec<Option<Taken>> = Vec::with_capacity(count);
        let (mut records, mut of): (Vec<Record>, Vec<usize>) = (Vec::new(), Vec::new());
        for (index, payload) in messages.into_iter().enumerate() {
            if let Some(place) = claim.and_then(|claim| claim.known(index)) {
                outcomes.push(Some(Taken::Known(place)));
                continue;
            }
            let message = Message { topic, payload, from: &who.0, properties: &[], at, repeat: false };
            outcomes.push(match self.routes.route(&message) {
                Routed::Nowhere => return Err(self.refuse(count, NotTaken::NoRoute)),
                Routed::Wrong(error) => Some(Taken::Refused(error)),
                Routed::Records(made) if made.is_empty() => Some(Taken::Dropped),
                Routed::Records(made) => {
                    of.extend(std::iter::repeat_n(index, made.len()));
                    records.extend(made.into_iter().map(|record| marked(record, key, index)));
                    None
                }
            });
        }
        kill_point("gateway.http.received");
        let deadline = Instant::now() + self.limits.patience;
        let deliveries = timeout_at(deadline, self.log.submit(records)).await.unwrap_or_default();
        let mut settled = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            settled.push(timeout_at(deadline, delivery.wait()).await.ok());
        }
        for (number, index) in of.into_iter().enumerate() {
            let now = match settled.get(number) {
                Some(Some(Ok(place))) => Taken::There(place.clone()),
                Some(Some(Err(Refusal::Never(error)))) => Taken::Refused(error.clone()),
                Some(Some(Err(Refusal::Unknown(error)))) => Taken::Unknown(error.clone()),
                None | Some(None) => Taken::Unknown(too_slow(self.limits.patience)),
            };
            if let Some(outcome) = outcomes.get_mut(index) {
                *outcome = Some(worse(outcome.take(), now));
            }
        }
        let outcomes: Vec<Taken> = outcomes.into_iter().flatten().collect();
        self.count(&outcomes);
        Ok(outcomes)
    }

    /// Counts messages that were refused together.
    fn refuse(&self, count: usize, why: NotTaken) -> NotTaken {
        self.counters.refused.fetch_add(count as u64, Ordering::Relaxed);
        why
    }

    fn count(&self, outcomes: &[Taken]) {
        for outcome in outcomes {
            let count = match outcome {
                Taken::There(_) => &self.counters.taken,
                Taken::Known(_) => &self.counters.repeated,
                Taken::Dropped => &self.counters.dropped,
                Taken::Refused(_) => &self.counters.refused,
                Taken::Unknown(_) => &self.counters.unknown,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Counts for Ingest {
    fn counts(&self) -> Vec<(&'static str, u64)> {
        let Counted { posts, taken, repeated, dropped, refused, unknown } = self.counted();
        vec![
            ("posts", posts),
            ("taken", taken),
            ("repeated", repeated),
            ("dropped", dropped),
            ("refused", refused),
            ("unknown", unknown),
        ]
    }
}

/// Of several records of one message the one that is not there counts.
fn worse(before: Option<Taken>, now: Taken) -> Taken {
    match before {
        Some(before @ (Taken::Unknown(_) | Taken::Refused(_))) => before,
        _ => now,
    }
}

/// The record with the key of its post.
fn marked(mut record: Record, key: Option<&str>, index: usize) -> Record {
    if let Some(key) = key {
        record.headers.push((KEY_HEADER.into(), format!("{key}/{index}").into()));
    }
    record
}

fn too_slow(patience: Duration) -> Error {
    Error::new(
        &codes::SOURCE_UNAVAILABLE,
        format!("the log has not told within {patience:?} that it has the message"),
    )
    .with_hint("Send it again, with the same `Idempotency-Key` if it had one.")
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Ingest").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
