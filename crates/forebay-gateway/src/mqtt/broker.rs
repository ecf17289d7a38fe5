//! What all connections share: sessions by client id, subscriptions, retained messages, counters.
//!
//! A session is opened and left under the lock of the sessions, so a client id has one connection at a time: a second one asks the
//! first to go, and waits until everything that the first sent has an outcome. Locks are taken in the order sessions, one session,
//! tree or store, and none is held while something is awaited.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use forebay_core::clock::Clock;
use mqtt_proto::v5::PublishProperties;
use mqtt_proto::{QoS, TopicName};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore};

use super::counters::{Counters, Snapshot, add, less};
use super::options::{Options, Retained};
use super::outbox::{Publication, Queued};
use super::refusals::Refusals;
use super::retained::Store;
use super::session::{Inbound, Session, State};
use super::tree::{Match, Tree};
use super::wills;
use super::wire::{Connect, code};
use crate::{Access, Command, Identity, Log, Routes};

/// How often the broker looks for sessions and wills whose time has come.
const SWEEP: Duration = Duration::from_millis(500);

/// Logins that are looked at side by side: comparing a password may take a core for a while.
const LOGINS: usize = 4;

/// The end point. One for a process, shared by all listeners.
pub struct Broker {
    pub(super) options: Options,
    pub(super) log: Arc<dyn Log>,
    pub(super) routes: Arc<dyn Routes>,
    pub(super) access: Arc<dyn Access>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Counters,
    pub(super) refusals: Refusals,
    pub(super) tree: RwLock<Tree>,
    pub(super) retained: Mutex<Store>,
    /// Room for large packets, in KiB.
    pub(super) large: Arc<Semaphore>,
    pub(super) logins: Semaphore,
    sessions: Mutex<Sessions>,
    numbers: AtomicU64,
    closing: AtomicBool,
    left: Notify,
    random: RandomState,
    me: Weak<Self>,
}

#[derive(Default)]
struct Sessions {
    by_client: HashMap<Arc<str>, Arc<Session>>,
    /// When to look at a session that nobody has.
    due: BTreeSet<(i64, Arc<str>)>,
}

/// A session that a connection has.
pub(super) struct Opened {
    pub(super) session: Arc<Session>,
    pub(super) number: u64,
    pub(super) present: bool,
    pub(super) inbound: Inbound,
    /// Seconds that it outlives the connection.
    pub(super) expiry: u32,
}

impl Broker {
    /// Makes the end point; it accepts nothing by itself. Needs a tokio runtime, for wills and the end of sessions.
    pub fn start(
        options: Options,
        log: Arc<dyn Log>,
        routes: Arc<dyn Routes>,
        access: Arc<dyn Access>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let large =
            options.large_packets.max(usize::try_from(options.max_packet).unwrap_or(usize::MAX)) >> 10;
        let broker = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            large: Arc::new(Semaphore::new((large + 1).min(Semaphore::MAX_PERMITS))),
            logins: Semaphore::new(LOGINS),
            options,
            log,
            routes,
            access,
            clock,
            counters: Counters::default(),
            refusals: Refusals::default(),
            tree: RwLock::default(),
            retained: Mutex::default(),
            sessions: Mutex::default(),
            numbers: AtomicU64::new(1),
            closing: AtomicBool::new(false),
            left: Notify::new(),
            random: RandomState::new(),
        });
        tokio::spawn(sweep(Arc::downgrade(&broker)));
        broker
    }

    /// The counters.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            sessions_now: self.sessions.lock().by_client.len() as u64,
            subscriptions_now: self.tree.read().len() as u64,
            retained_now: self.retained.lock().len() as u64,
            ..self.counters.snapshot()
        }
    }

    /// Ends all connections: each reads nothing more, answers what it has read once the log has it, and says that the server goes.
    /// Returns when they are gone, or after `patience`. Wills of clients that are sent away so are published.
    pub async fn shutdown(&self, patience: Duration) {
        self.closing.store(true, Ordering::SeqCst);
        for session in self.sessions.lock().by_client.values() {
            session.dismiss(&mut session.state(), code::SHUTTING_DOWN, "the server goes");
        }
        let all_gone = async {
            while self.counters.connections_now.load(Ordering::SeqCst) > 0 {
                drop(tokio::time::timeout(Duration::from_millis(50), self.left.notified()).await);
            }
        };
        drop(tokio::time::timeout(patience, all_gone).await);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    pub(super) fn connection_left(&self) {
        less(&self.counters.connections_now, 1);
        self.left.notify_one();
    }

    /// For a task that outlives the caller's borrow.
    pub(super) fn handle(&self) -> Option<Arc<Self>> {
        self.me.upgrade()
    }

    pub(super) fn now(&self) -> i64 {
        self.clock.now_ms()
    }

    /// A client id for a client without one.
    pub(super) fn new_client_id(&self) -> String {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        format!("auto-{:016x}{:08x}", self.random.hash_one(number), number & 0xFFFF_FFFF)
    }

    /// Gives the session of a client id to a connection; waits until the one that has it is done. The error is a reason code.
    pub(super) async fn open(
        &self,
        connect: &Connect,
        client: &Arc<str>,
        who: &Identity,
    ) -> Result<Opened, u8> {
        loop {
            let busy = {
                let mut sessions = self.sessions.lock();
                match self.try_open(&mut sessions, connect, client, who)? {
                    Ok(opened) => return Ok(opened),
                    Err(busy) => busy,
                }
            };
            let released = busy.released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            let still_there = {
                let mut state = busy.state();
                busy.dismiss(&mut state, code::TAKEN_OVER, "another connection has this client id");
                state.number != 0
            };
            if still_there {
                released.await;
            }
        }
    }

    fn try_open(
        &self,
        sessions: &mut Sessions,
        connect: &Connect,
        client: &Arc<str>,
        who: &Identity,
    ) -> Result<Result<Opened, Arc<Session>>, u8> {
        if self.is_closing() {
            return Err(code::UNAVAILABLE);
        }
        if let Some(session) = sessions.by_client.get(client).cloned() {
            if session.who != *who {
                return Err(code::CLIENT_ID);
            }
            let mut state = session.state();
            if state.number != 0 {
                drop(state);
                return Ok(Err(session));
            }
            let over = state.ends_at.is_some_and(|at| at <= self.now());
            if !connect.clean_start && !over {
                return Ok(Ok(self.begin(&session, &mut state, connect, true)));
            }
            self.end(sessions, &session, &mut state);
        }
        if sessions.by_client.len() >= self.options.max_sessions {
            return Err(code::QUOTA);
        }
        let session = Session::new(client.clone(), who.clone());
        sessions.by_client.insert(client.clone(), session.clone());
        let opened = self.begin(&session, &mut session.state(), connect, false);
        Ok(Ok(opened))
    }

    fn begin(&self, session: &Arc<Session>, state: &mut State, connect: &Connect, present: bool) -> Opened {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        session.belongs_to(state, number);
        state.ends_at = None;
        state.will_at = None;
        state.will.clone_from(&connect.will);
        state.outbox.begin(connect.receive_maximum.min(self.options.receive_maximum));
        let expiry = connect.expiry.min(self.options.max_session_expiry);
        Opened {
            session: session.clone(),
            number,
            present,
            inbound: std::mem::take(&mut state.inbound),
            expiry,
        }
    }

    /// A connection is done with its session: with its will, unless the client took leave of it.
    pub(super) fn leave(&self, session: &Arc<Session>, inbound: Inbound, expiry: u32, will: bool) {
        let now = self.now();
        {
            let mut sessions = self.sessions.lock();
            let mut state = session.state();
            session.belongs_to(&mut state, 0);
            state.inbound = inbound;
            less(&self.counters.queued_bytes_now, state.outbox.park());
            if !will {
                state.will = None;
            }
            if expiry == 0 {
                self.end(&mut sessions, session, &mut state);
            } else {
                let ends_at = now.saturating_add(i64::from(expiry).saturating_mul(1000));
                state.ends_at = Some(ends_at);
                sessions.due.insert((ends_at, session.client.clone()));
                let delay = state.will.as_ref().map(|will| will.delay.min(expiry));
                match delay {
                    Some(0) => wills::publish(self, session, state.will.take()),
                    Some(delay) => {
                        let at = now.saturating_add(i64::from(delay).saturating_mul(1000));
                        state.will_at = Some(at);
                        sessions.due.insert((at, session.client.clone()));
                    }
                    None => {}
                }
            }
        }
        session.released.notify_waiters();
    }

    /// Ends a session that nobody has.
    fn end(&self, sessions: &mut Sessions, session: &Arc<Session>, state: &mut State) {
        state.ended = true;
        let mut tree = self.tree.write();
        for filter in state.filters.drain() {
            let (group, plain) = split(&filter);
            tree.remove(group, plain, &session.client);
        }
        drop(tree);
        less(&self.counters.queued_bytes_now, state.outbox.bytes);
        state.outbox = super::outbox::Outbox::default();
        sessions.by_client.remove(&session.client);
        wills::publish(self, session, state.will.take());
    }

    /// Ends what is over at `now`, and publishes wills that are due.
    fn sweep(&self, now: i64) {
        let mut sessions = self.sessions.lock();
        while sessions.due.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, client)) = sessions.due.pop_first() else { break };
            let Some(session) = sessions.by_client.get(&client).cloned() else { continue };
            let mut state = session.state();
            if state.number != 0 {
                continue;
            }
            if state.will_at.is_some_and(|at| at <= now) {
                state.will_at = None;
                wills::publish(self, &session, state.will.take());
            }
            if state.ends_at.is_some_and(|at| at <= now) {
                self.end(&mut sessions, &session, &mut state);
            }
        }
    }

    /// Gives a message that the log has to whom it is for, and keeps it if it is retained.
    pub(super) fn spread(&self, publication: &Arc<Publication>) {
        let Options { retained, max_retained, retained_bytes, ref name, .. } = self.options;
        let keeps = publication.retain && retained == Retained::State;
        if keeps && !self.retained.lock().set(publication, max_retained, retained_bytes) {
            tracing::warn!(gateway = %name, topic = %publication.topic, "no room for a retained message");
        }
        let mut matches = self.tree.read().matches(&publication.topic);
        matches.sort_by_key(|found| Arc::as_ptr(&found.session).addr());
        for same in matches.chunk_by(|one, other| Arc::ptr_eq(&one.session, &other.session)) {
            self.deliver(publication, same);
        }
    }

    /// Gives a command of the routes to whom it is for, with QoS 0. It is ours and no device's, so the log need not have it.
    pub(super) fn say(&self, command: Command) {
        let Ok(topic) = TopicName::try_from(command.topic.as_str()) else { return };
        self.spread(&Arc::new(Publication {
            topic,
            payload: command.payload,
            qos: QoS::Level0,
            retain: false,
            properties: PublishProperties::default(),
            expires_at: None,
            from: "".into(),
        }));
    }

    /// One subscriber's copies: one for each subscription that has an identifier if there are several, because a packet of the
    /// codec names one identifier; otherwise one, at the highest QoS.
    fn deliver(&self, publication: &Arc<Publication>, matches: &[Match]) {
        let wanted = |found: &&Match| !(found.wish.no_local && found.session.client == publication.from);
        let queued = |found: &Match| Queued {
            publication: publication.clone(),
            qos: found.wish.qos.min(publication.qos),
            retain: found.wish.retain_as_published && publication.retain,
            id: found.wish.id,
        };
        let copies = matches.iter().filter(wanted).filter(|found| found.wish.id.is_some()).count();
        if copies > 1 {
            for found in matches.iter().filter(wanted).filter(|found| found.wish.id.is_some()) {
                self.offer(&found.session, queued(found));
            }
            return;
        }
        let mut kept = matches.iter().filter(wanted).map(|found| (found, queued(found)));
        let Some((found, mut message)) = kept.next() else { return };
        for (_, other) in kept {
            message.qos = message.qos.max(other.qos);
            message.retain |= other.retain;
            message.id = message.id.or(other.id);
        }
        self.offer(&found.session, message);
    }

    fn offer(&self, session: &Arc<Session>, queued: Queued) {
        let options = &self.options;
        let size = queued.publication.size();
        let mut state = session.state();
        let here = state.number != 0;
        let waiting = self.counters.queued_bytes_now.load(Ordering::Relaxed);
        let full = state.outbox.len() >= options.queue_messages
            || state.outbox.bytes + size > options.queue_bytes
            || usize::try_from(waiting).unwrap_or(usize::MAX).saturating_add(size)
                > options.queue_bytes_total;
        if state.ended || full || (!here && queued.qos == QoS::Level0) {
            add(&self.counters.deliveries_dropped, 1);
            if full && queued.qos != QoS::Level0 {
                session.dismiss(&mut state, code::QUOTA, "too many messages wait for this client");
            }
            return;
        }
        add(&self.counters.queued_bytes_now, size);
        state.outbox.push(queued);
        drop(state);
        if here {
            session.wake.notify_one();
        }
    }
}

/// The group and the filter of a shared subscription.
pub(super) fn split(filter: &mqtt_proto::TopicFilter) -> (Option<&str>, &str) {
    match filter.shared_info() {
        Some((group, plain)) => (Some(group), plain),
        None => (None, filter),
    }
}

async fn sweep(broker: Weak<Broker>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(broker) = broker.upgrade() else { return };
        broker.sweep(broker.now());
    }
}
