//! A broker that is a test, and a client of ours that goes there.

use std::sync::Arc;
use std::time::Duration;

use forebay_core::clock::SystemClock;
use mqtt_proto::{v3, v5};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::stand::{Client as Wire, TestLog, TestRoutes};
use crate::mqtt::client::{Client, Protocol, Server, Settings};
use crate::{Counts, Routes};

pub(super) type Link = Wire<TcpStream>;

/// A broker's place, and a client that goes there.
pub(super) struct Hall {
    listener: TcpListener,
    pub(super) log: Arc<TestLog>,
    pub(super) client: Arc<Client>,
    pub(super) stop: CancellationToken,
    pub(super) task: JoinHandle<()>,
}

impl Hall {
    pub(super) async fn new(change: impl FnOnce(&mut Settings)) -> Self {
        Self::with(Arc::new(TestRoutes), change).await
    }

    pub(super) async fn with(routes: Arc<dyn Routes>, change: impl FnOnce(&mut Settings)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut settings = Settings {
            name: "hall".to_owned(),
            server: Server { host: "127.0.0.1".to_owned(), port, is_encrypted: false, tls: None },
            protocol: Protocol::V5,
            client: "forebay-1".to_owned(),
            user: None,
            password: None,
            filters: vec!["t/#".to_owned()],
            qos: 2,
            expiry: Duration::from_secs(3600),
            keep_alive: Duration::from_secs(30),
            receive_maximum: 10,
            under_way_bytes: 1 << 20,
            max_packet: 1 << 20,
            drops_retained: false,
        };
        change(&mut settings);
        let (log, stop) = (Arc::new(TestLog::default()), CancellationToken::new());
        let client = Arc::new(Client::new(settings));
        let clock = Arc::new(SystemClock);
        let run = Arc::clone(&client).run(routes, log.clone(), clock, stop.clone());
        Self { listener, log, client, stop, task: tokio::spawn(run) }
    }

    pub(super) async fn three(change: impl FnOnce(&mut Settings)) -> Self {
        Self::new(|settings| {
            settings.protocol = Protocol::V311;
            change(settings);
        })
        .await
    }

    pub(super) async fn dialled(&self) -> Link {
        let accepted = timeout(Duration::from_secs(10), self.listener.accept()).await;
        Wire::over(accepted.expect("it comes again").unwrap().0)
    }

    /// The next connection of 5.0, let in; its subscription is taken, if it makes one.
    pub(super) async fn five(&self, present: bool) -> Link {
        let mut link = self.dialled().await;
        assert!(matches!(link.read5().await, Some(v5::Packet::Connect(_))));
        let connack = v5::Connack::new(present, v5::ConnectReasonCode::Success);
        link.send5(v5::Packet::Connack(connack)).await;
        link
    }

    pub(super) async fn subscribed(&self, present: bool) -> Link {
        let mut link = self.five(present).await;
        match link.read5().await {
            Some(v5::Packet::Subscribe(packet)) => {
                let codes = vec![v5::SubscribeReasonCode::GrantedQoS2; packet.topics.len()];
                link.send5(v5::Packet::Suback(v5::Suback::new(packet.pid, codes))).await;
            }
            other => panic!("{other:?}"),
        }
        link
    }

    pub(super) async fn subscribed3(&self, present: bool) -> Link {
        let mut link = self.dialled().await;
        assert!(matches!(link.read3().await, Some(v3::Packet::Connect(_))));
        link.send3(v3::Packet::Connack(v3::Connack::new(present, v3::ConnectReturnCode::Accepted))).await;
        match link.read3().await {
            Some(v3::Packet::Subscribe(packet)) => link.raw(&[0x90, 3, 0, packet.pid.value() as u8, 2]).await,
            other => panic!("{other:?}"),
        }
        link
    }

    pub(super) async fn until(&self, what: impl Fn(&Self) -> bool) {
        for _ in 0..1000 {
            if what(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it never became so: {:?} {:?}", self.client.counts(), self.client.state());
    }

    pub(super) fn count(&self, name: &str) -> u64 {
        self.client.counts().into_iter().find(|(what, _)| *what == name).unwrap().1
    }
}
