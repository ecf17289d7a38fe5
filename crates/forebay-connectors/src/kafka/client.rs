//! A cluster as one thing: connections to its brokers, opened when needed, and calls that are tried again.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex as SyncMutex;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use super::connection::Connection;
use super::error::{check, unavailable};
use super::metadata::{ClusterMetadata, Topics};
use super::options::ClientConfig;
use super::retry;

/// A client of one cluster. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: ClientConfig,
    tls: Option<TlsConnector>,
    /// Everything learned so far: where brokers are, and who leads what.
    known: SyncMutex<ClusterMetadata>,
    connections: SyncMutex<HashMap<String, Arc<Place>>>,
}

/// What a coordinator is asked for; the numbers are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coordinator {
    Group = 0,
    Transaction = 1,
}

impl Coordinator {
    fn words(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Transaction => "transactional id",
        }
    }
}

/// Where the connection to one address is, or will be: whoever finds none opens it while the others wait.
type Place = Mutex<Option<Arc<Connection>>>;

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("bootstrap", &self.config.bootstrap).finish_non_exhaustive()
    }
}

impl Client {
    /// Reads certificates and reaches one of the bootstrap servers.
    ///
    /// # Errors
    /// `SOURCE_UNAVAILABLE` if none answers, `SOURCE_AUTH` if there is no trust, `SECRET` for unreadable certificates.
    pub async fn connect(config: ClientConfig) -> Result<Self> {
        let client = Self::new(config)?;
        client.metadata(&Topics::Named(Vec::new())).await?;
        Ok(client)
    }

    /// A client that connects when it is first used.
    pub fn new(config: ClientConfig) -> Result<Self> {
        let tls = config.tls.as_ref().map(crate::tls::TlsFiles::connector).transpose()?;
        let known = SyncMutex::new(ClusterMetadata::default());
        let inner = Inner { config, tls, known, connections: SyncMutex::new(HashMap::new()) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How it was made.
    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// Asks for brokers and topics, once. What the answer says is remembered for [`Client::leader`].
    pub async fn metadata(&self, topics: &Topics) -> Result<ClusterMetadata> {
        self.ask_metadata(topics, false).await
    }

    /// As [`Client::metadata`]; missing topics are created where the cluster allows that.
    pub async fn metadata_or_create(&self, topics: &Topics) -> Result<ClusterMetadata> {
        self.ask_metadata(topics, true).await
    }

    async fn ask_metadata(&self, topics: &Topics, create: bool) -> Result<ClusterMetadata> {
        let answer = self.any().await?.call(&topics.request(create)).await?;
        let mut metadata = ClusterMetadata::from_answer(answer);
        if metadata.brokers.is_empty() {
            return Err(unavailable(
                &self.inner.config.bootstrap.join(", "),
                "the cluster knows no broker yet",
            ));
        }
        self.add_topic_ids(&mut metadata).await?;
        self.inner.known.lock().learn(&metadata);
        metadata.topics.retain(|name, topic| topics.includes(name, topic.internal));
        Ok(metadata)
    }

    /// The id of the broker that leads a partition, as last learned.
    pub fn leader(&self, partition: &forebay_core::Partition) -> Option<i32> {
        self.inner.known.lock().leader(partition)
    }

    /// The id of a topic, as last learned; `None` for one that is not known, and from brokers that give no ids.
    pub fn topic_id(&self, topic: &str) -> Option<uuid::Uuid> {
        self.inner.known.lock().topics.get(topic)?.id
    }

    /// The shared connection to a broker.
    pub async fn broker(&self, id: i32) -> Result<Arc<Connection>> {
        self.connection(&self.address_of(id)?).await
    }

    /// A connection to a broker for one user alone: for calls that the broker holds for long.
    pub async fn dial(&self, id: i32) -> Result<Connection> {
        self.open(&self.address_of(id)?).await
    }

    fn address_of(&self, id: i32) -> Result<String> {
        let known = self.inner.known.lock();
        known.brokers.get(&id).cloned().ok_or_else(|| {
            Error::new(
                &codes::SOURCE_UNAVAILABLE,
                format!("kafka broker {id} is not part of the cluster at the moment"),
            )
        })
    }

    /// A connection to whichever broker answers: one that is open, else the first that can be reached.
    pub(super) async fn any(&self) -> Result<Arc<Connection>> {
        let addresses = {
            let known = self.inner.known.lock();
            let mut addresses: Vec<String> = known.brokers.values().cloned().collect();
            addresses.extend(self.inner.config.bootstrap.iter().cloned());
            addresses
        };
        for address in &addresses {
            if let Some(place) = self.existing(address)
                && let Ok(slot) = place.try_lock()
                && let Some(connection) = slot.as_ref().filter(|connection| connection.is_open())
            {
                return Ok(Arc::clone(connection));
            }
        }
        let mut first_error = None;
        for address in &addresses {
            match self.connection(address).await {
                Ok(connection) => return Ok(connection),
                // Distrust is reported at once: another broker would hide it.
                Err(error) if error.code() == &codes::SOURCE_AUTH => return Err(error),
                Err(error) => drop(first_error.get_or_insert(error)),
            }
        }
        Err(first_error.unwrap_or_else(|| unavailable("no address", "there is no bootstrap server")))
    }

    /// The broker that changes topics.
    pub(super) async fn controller(&self) -> Result<Arc<Connection>> {
        let known = self.metadata(&Topics::Named(Vec::new())).await?;
        match known.controller {
            Some(id) => self.broker(id).await,
            None => self.any().await,
        }
    }

    /// The broker that keeps a group's offsets, or the state of a transactional id.
    pub(super) async fn coordinator(&self, of: Coordinator, name: &str) -> Result<Arc<Connection>> {
        let request = FindCoordinatorRequest::default()
            .with_key(StrBytes::from_string(name.to_owned()))
            .with_key_type(of as i8);
        let answer = self.any().await?.call(&request).await?;
        check(answer.error_code, &format_args!("to name the coordinator of {} `{name}`", of.words()))?;
        self.connection(&format!("{}:{}", answer.host, answer.port)).await
    }

    /// Calls `attempt` again after transient failures, for as long as `kafka.default.api.timeout.ms` allows.
    pub(super) async fn retrying<T, F>(&self, attempt: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        retry::until(self.inner.config.retry_timeout, self.inner.config.backoff, attempt).await
    }

    fn existing(&self, address: &str) -> Option<Arc<Place>> {
        self.inner.connections.lock().get(address).cloned()
    }

    async fn connection(&self, address: &str) -> Result<Arc<Connection>> {
        let place = Arc::clone(self.inner.connections.lock().entry(address.to_owned()).or_default());
        let mut slot = place.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| connection.is_open()) {
            return Ok(Arc::clone(connection));
        }
        let connection = Arc::new(self.open(address).await?);
        *slot = Some(Arc::clone(&connection));
        Ok(connection)
    }

    async fn open(&self, address: &str) -> Result<Connection> {
        Connection::open(address, &self.inner.config, self.inner.tls.as_ref()).await
    }
}
