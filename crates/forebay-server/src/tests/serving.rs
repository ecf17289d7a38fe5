//! What only a real connection shows: slow clients, and the end of the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::plant::Plant;
use crate::access::Terms;
use crate::routes::Part;
use crate::{Server, Stage, connections};
use forebay_core::error::codes;

async fn read_some(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 64 << 10];
    let length = stream.read(&mut bytes).await.unwrap_or_default();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[tokio::test]
async fn an_open_address_is_refused() {
    let open: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let refused = Server::bind(open).await.err().unwrap();
    assert_eq!(refused.code(), &codes::ADDRESS);
    assert!(refused.hint().contains("--auth") && refused.hint().contains("--tls-cert"), "{refused:?}");
}

#[tokio::test]
async fn a_stream_ends_with_the_server_and_a_head_that_is_too_large_is_refused() {
    let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let (address, stop) = (server.address(), CancellationToken::new());
    let plant = Plant::new();
    let running = tokio::spawn(server.run(Stage::new(plant.shown(), stop.clone()), stop.clone()));
    let mut live = TcpStream::connect(address).await.unwrap();
    live.write_all(b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut seen = String::new();
    while !seen.contains("event: devices") {
        let more = read_some(&mut live).await;
        assert!(!more.is_empty(), "{seen}");
        seen.push_str(&more);
    }
    assert!(seen.starts_with("HTTP/1.1 200") && seen.contains("event: hello"), "{seen}");
    let mut large = TcpStream::connect(address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let _ = large.write_all(head.as_bytes()).await;
    // Who still sends when the answer comes may not get to see it.
    let refused = read_some(&mut large).await;
    assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 431"), "{refused}");
    let stopped = Instant::now();
    stop.cancel();
    running.await.unwrap();
    assert!(stopped.elapsed() < Duration::from_secs(2), "the page that watches does not hold the server");
    let mut rest = Vec::new();
    live.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the stream has an end");
}

/// A server with so many places over a plant.
struct Serving {
    asked: super::Asked,
    address: SocketAddr,
    running: tokio::task::JoinHandle<()>,
}

impl Serving {
    fn start(most: usize) -> Self {
        let asked = super::Asked::new();
        let listener = connections::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let terms = Arc::new(Terms { auth: None, tls: false, loopback: true });
        let router = crate::guard::router(&asked.stage, &terms, Part::All);
        let stop = asked.stop.clone();
        let running = tokio::spawn(connections::serve_most(most, listener, None, router, stop));
        Self { asked, address, running }
    }

    /// A connection on which this was sent.
    async fn sends(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn stop(self) {
        self.asked.stop.cancel();
        self.running.await.unwrap();
    }
}

const LIVE: &str = "GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn a_reader_that_stops_reading_is_cut_off_and_its_place_is_free_again() {
    let serving = Serving::start(8);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    // What the reader's own end holds is not the server's to bound.
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let mut reader = socket.connect(serving.address).await.unwrap();
    reader.write_all(LIVE.as_bytes()).await.unwrap();
    // From its first tick on it gets what the others get.
    while !read_some(&mut reader).await.contains("event: tick") {}
    // Less than what a mailbox takes, or the kernel if it is left to itself: only the connection can tell.
    let long = "x".repeat(64 << 10);
    for n in 0..16 {
        serving.asked.plant.opens(&n.to_string(), &long);
    }
    let started = Instant::now();
    let hub = &serving.asked.state.hub;
    while hub.readers() > 0 || hub.views() > 0 {
        assert!(started.elapsed() < Duration::from_secs(10), "the reader holds its place");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(hub.dropped(), 1);
    serving.stop().await;
}

#[tokio::test]
async fn a_reader_that_goes_was_not_dropped() {
    let serving = Serving::start(8);
    let mut reader = serving.sends(LIVE).await;
    assert!(read_some(&mut reader).await.starts_with("HTTP/1.1 200"));
    drop(reader);
    let hub = &serving.asked.state.hub;
    tokio::time::timeout(Duration::from_secs(5), async {
        while hub.readers() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(hub.dropped(), 0);
    serving.stop().await;
}

#[tokio::test]
async fn who_waits_makes_room_for_who_asks_and_who_watches_stays() {
    let serving = Serving::start(6);
    let mut watches = serving.sends(LIVE).await;
    assert!(read_some(&mut watches).await.starts_with("HTTP/1.1 200"));
    let body = "POST /api/v1/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    // One by one, so that it is known who waits longest.
    let mut waiting = Vec::new();
    for text in ["", "GET / HTTP/1.1\r\nHost:", HEALTH, body] {
        let mut stream = serving.sends(text).await;
        if text == HEALTH {
            assert!(read_some(&mut stream).await.starts_with("HTTP/1.1 200"));
        }
        waiting.push(stream);
        // A connection that is answered was accepted, and so were those before it.
        assert!(read_some(&mut serving.sends(HEALTH).await).await.starts_with("HTTP/1.1 200"));
    }
    let mut asking = Vec::new();
    for _ in 0..8 {
        let mut stream = serving.sends(HEALTH).await;
        let answer = tokio::time::timeout(Duration::from_secs(5), read_some(&mut stream)).await;
        assert!(answer.expect("nobody keeps it out").starts_with("HTTP/1.1 200"));
        asking.push(stream);
    }
    for mut stream in waiting {
        assert_eq!(read_some(&mut stream).await, "", "it was closed without a word");
    }
    assert!(read_some(&mut watches).await.contains("event: "), "who watches goes on");
    serving.stop().await;
}
