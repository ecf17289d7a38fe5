//! What the tests stand on: a log, routes, access, and a client that says exactly what it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use forebay_core::Error;
use forebay_core::clock::SystemClock;
use forebay_core::error::codes;
use mqtt_proto::{Pid, QoS, QosPid, TopicFilter, TopicName, v3, v5};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

use crate::mqtt::{Broker, Options, Peer};
use crate::{
    Access, Credentials, Delivery, Denied, Identity, Log, Message, Place, Record, Refusal, Routed, Routes,
    Settle, delivery,
};

/// What the log does with the next records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    #[default]
    Takes,
    /// Takes them, and says so when told.
    Holds,
    Never,
    Unknown,
}

/// A log in memory.
#[derive(Default)]
pub(super) struct TestLog {
    pub(super) mood: Mutex<Mood>,
    pub(super) values: Mutex<Vec<String>>,
    pub(super) batches: Mutex<Vec<usize>>,
    held: Mutex<Vec<Settle>>,
}

fn place(record: &Record, offset: usize) -> Place {
    Place { topic: record.topic.clone(), partition: 0, offset: offset as i64 }
}

impl TestLog {
    pub(super) fn set(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    pub(super) fn values(&self) -> Vec<String> {
        self.values.lock().clone()
    }

    pub(super) fn held(&self) -> usize {
        self.held.lock().len()
    }

    /// Settles what is held: as written, or as not known.
    pub(super) fn release(&self, written: bool) {
        for settle in self.held.lock().drain(..) {
            let place = Place { topic: "t".into(), partition: 0, offset: 0 };
            settle.settle(if written { Ok(place) } else { Err(Refusal::Unknown(broken())) });
        }
    }

    /// Settles the last that is held first.
    pub(super) fn release_last(&self) {
        if let Some(settle) = self.held.lock().pop() {
            settle.settle(Ok(Place { topic: "t".into(), partition: 0, offset: 0 }));
        }
    }
}

fn broken() -> Error {
    Error::new(&codes::LOG_FAILED, "the test's log fails")
}

#[async_trait]
impl Log for TestLog {
    async fn submit(&self, records: Vec<Record>) -> Vec<Delivery> {
        self.batches.lock().push(records.len());
        let mood = *self.mood.lock();
        let mut deliveries = Vec::new();
        for record in records {
            let (settle, to_come) = delivery();
            deliveries.push(to_come);
            let mut values = self.values.lock();
            if matches!(mood, Mood::Takes | Mood::Holds) {
                values.push(String::from_utf8_lossy(&record.value).into_owned());
            }
            match mood {
                Mood::Takes => settle.settle(Ok(place(&record, values.len()))),
                Mood::Holds => self.held.lock().push(settle),
                Mood::Never => settle.settle(Err(Refusal::Never(broken()))),
                Mood::Unknown => settle.settle(Err(Refusal::Unknown(broken()))),
            }
        }
        deliveries
    }
}

/// Everything below `nowhere/` has no route, `wrong/` never fits, the rest is one record.
pub(super) struct TestRoutes;

impl Routes for TestRoutes {
    fn route(&self, message: &Message<'_>) -> Routed {
        if message.topic.starts_with("nowhere/") {
            return Routed::Nowhere;
        }
        if message.topic.starts_with("wrong/") {
            return Routed::Wrong(broken());
        }
        Routed::Records(vec![Record {
            topic: message.topic.into(),
            key: None,
            value: message.payload.clone(),
            headers: Vec::new(),
            timestamp: message.at,
        }])
    }
}

/// Who gives a user needs the password `right`; nobody may use what is below `secret/`.
#[derive(Default)]
pub(super) struct TestAccess {
    pub(super) closed: AtomicBool,
}

impl Access for TestAccess {
    fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Identity, Denied> {
        match (credentials.user, credentials.secret) {
            (Some(user), Some(b"right")) => Ok(Identity(user.into())),
            (None, None) if !self.closed.load(Ordering::SeqCst) => Ok(Identity("anybody".into())),
            _ => Err(Denied),
        }
    }

    fn may_publish(&self, _: &Identity, _: &str, topic: &str) -> bool {
        !topic.starts_with("secret/")
    }

    fn may_subscribe(&self, _: &Identity, _: &str, filter: &str) -> bool {
        !filter.starts_with("secret/")
    }
}

pub(super) struct Stand {
    pub(super) broker: Arc<Broker>,
    pub(super) log: Arc<TestLog>,
    pub(super) access: Arc<TestAccess>,
}

impl Stand {
    pub(super) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(super) fn with(options: Options) -> Self {
        let log = Arc::new(TestLog::default());
        let access = Arc::new(TestAccess::default());
        let broker =
            Broker::start(options, log.clone(), Arc::new(TestRoutes), access.clone(), Arc::new(SystemClock));
        Self { broker, log, access }
    }

    /// A stream to the server, and nothing said on it.
    pub(super) fn dial(&self) -> Client {
        let (client, server) = tokio::io::duplex(64 << 10);
        let broker = self.broker.clone();
        let peer = Peer { name: "test".into(), certificate: None };
        tokio::spawn(async move { broker.serve(server, peer).await });
        Client::over(client)
    }

    pub(super) async fn connect5(&self, connect: v5::Connect) -> (Client, v5::Connack) {
        let mut client = self.dial();
        client.send5(v5::Packet::Connect(connect)).await;
        match client.read5().await {
            Some(v5::Packet::Connack(connack)) => (client, connack),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn connect3(&self, connect: v3::Connect) -> (Client, v3::Connack) {
        let mut client = self.dial();
        client.send3(v3::Packet::Connect(connect)).await;
        match client.read3().await {
            Some(v3::Packet::Connack(connack)) => (client, connack),
            other => panic!("{other:?}"),
        }
    }

    /// A client of 5.0 whose session outlives it.
    pub(super) async fn five(&self, name: &str) -> Client {
        self.connect5(five(name)).await.0
    }

    pub(super) async fn three(&self, name: &str) -> Client {
        self.connect3(three(name)).await.0
    }

    /// Waits until something is so.
    pub(super) async fn until(&self, what: impl Fn(&Self) -> bool) {
        for _ in 0..500 {
            if what(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it never became so");
    }

    pub(super) async fn alone(&self) {
        self.until(|stand| stand.broker.snapshot().connections_now == 0).await;
    }
}

pub(super) fn five(name: &str) -> v5::Connect {
    let mut connect = v5::Connect::new(name.into(), 60);
    connect.clean_start = false;
    connect.properties.session_expiry_interval = Some(100);
    connect
}

pub(super) fn three(name: &str) -> v3::Connect {
    let mut connect = v3::Connect::new(name.into(), 60);
    connect.clean_session = false;
    connect
}

pub(super) fn qos(level: u8, pid: u16) -> QosPid {
    let pid = Pid::try_from(pid).unwrap_or_default();
    match level {
        0 => QosPid::Level0,
        1 => QosPid::Level1(pid),
        _ => QosPid::Level2(pid),
    }
}

pub(super) fn pid(pid: u16) -> Pid {
    Pid::try_from(pid).unwrap()
}

pub(super) fn publish5(topic: &str, level: u8, id: u16, payload: &str) -> v5::Publish {
    v5::Publish::new(qos(level, id), TopicName::try_from(topic).unwrap(), payload.to_owned().into())
}

pub(super) fn publish3(topic: &str, level: u8, id: u16, payload: &str) -> v3::Publish {
    v3::Publish::new(qos(level, id), TopicName::try_from(topic).unwrap(), payload.to_owned().into())
}

/// The other end of a stream.
pub(super) struct Client<S = DuplexStream> {
    pub(super) stream: S,
    input: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(super) fn over(stream: S) -> Self {
        Self { stream, input: Vec::new() }
    }

    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        // A server that has closed already takes nothing more.
        drop(self.stream.write_all(bytes).await);
    }

    pub(super) async fn send5(&mut self, packet: v5::Packet) {
        self.raw(packet.encode().unwrap().as_ref()).await;
    }

    pub(super) async fn send3(&mut self, packet: v3::Packet) {
        self.raw(packet.encode().unwrap().as_ref()).await;
    }

    async fn more(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read =
            timeout(Duration::from_secs(5), self.stream.read(&mut bytes)).await.expect("an answer in time");
        let count = read.unwrap_or(0);
        self.input.extend_from_slice(&bytes[..count]);
        count > 0
    }

    /// The next packet; none if the server closed.
    pub(super) async fn read5(&mut self) -> Option<v5::Packet> {
        loop {
            if !self.input.is_empty()
                && let Some(packet) = v5::Packet::decode(&self.input).unwrap()
            {
                self.input.drain(..packet.encode_len().unwrap());
                return Some(packet);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    pub(super) async fn read3(&mut self) -> Option<v3::Packet> {
        loop {
            if !self.input.is_empty()
                && let Some(packet) = v3::Packet::decode(&self.input).unwrap()
            {
                self.input.drain(..packet.encode_len().unwrap());
                return Some(packet);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Nothing comes, and the connection stands.
    pub(super) async fn silent(&mut self) {
        let mut bytes = [0; 64];
        let read = timeout(Duration::from_millis(60), self.stream.read(&mut bytes)).await;
        assert!(read.is_err() && self.input.is_empty(), "{read:?} {bytes:?} {:?}", self.input);
    }

    pub(super) async fn subscribe5(&mut self, filter: &str, change: impl Fn(&mut v5::Subscribe)) -> u8 {
        let options = v5::SubscriptionOptions {
            max_qos: QoS::Level2,
            no_local: false,
            retain_as_published: false,
            retain_handling: v5::RetainHandling::SendAtSubscribe,
        };
        let mut packet = v5::Subscribe::new(pid(9), vec![(TopicFilter::try_from(filter).unwrap(), options)]);
        change(&mut packet);
        self.send5(v5::Packet::Subscribe(packet)).await;
        match self.read5().await {
            Some(v5::Packet::Suback(suback)) => suback.topics[0] as u8,
            other => panic!("{other:?}"),
        }
    }

    /// The next packet, which is a message.
    pub(super) async fn message5(&mut self) -> v5::Publish {
        match self.read5().await {
            Some(v5::Packet::Publish(publish)) => publish,
            other => panic!("{other:?}"),
        }
    }

    /// The reason of the DISCONNECT that comes next, and the end behind it.
    pub(super) async fn disconnected(&mut self) -> u8 {
        match self.read5().await {
            Some(v5::Packet::Disconnect(disconnect)) => {
                assert_eq!(self.read5().await, None, "closed behind DISCONNECT");
                disconnect.reason_code as u8
            }
            other => panic!("{other:?}"),
        }
    }
}
