//! What only a real connection shows: slow clients, and the end of the server.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::plant::Plant;
use crate::Server;
use forebay_core::error::codes;

async fn read_some(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 64 << 10];
    let length = stream.read(&mut bytes).await.unwrap_or_default();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[tokio::test]
async fn an_open_address_is_refused() {
    let refused = Server::bind("0.0.0.0:0".parse().unwrap()).await.unwrap_err();
    assert_eq!(refused.code(), &codes::ADDRESS);
}

#[tokio::test]
async fn a_stream_ends_with_the_server_and_a_head_that_is_too_large_is_refused() {
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (address, stop) = (server.address(), CancellationToken::new());
    let plant = Plant::new();
    let running = tokio::spawn(server.run(plant.shown(), stop.clone()));
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

#[tokio::test]
async fn a_reader_that_stops_reading_is_cut_off_and_its_place_is_free_again() {
    let asked = super::Asked::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = crate::guard::router(&asked.state);
    let running = tokio::spawn(crate::connections::serve(listener, router, asked.stop.clone()));
    let mut reader = TcpStream::connect(address).await.unwrap();
    reader.write_all(b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(read_some(&mut reader).await.starts_with("HTTP/1.1 200"));
    // More than a mailbox and what the two ends of a connection hold for themselves.
    let long = "x".repeat(1 << 20);
    for n in 0..24 {
        asked.plant.opens(&n.to_string(), &long);
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    let started = Instant::now();
    while asked.state.hub.readers() > 0 {
        assert!(started.elapsed() < Duration::from_secs(10), "the reader holds its place");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(asked.state.hub.views(), 0);
    asked.stop.cancel();
    running.await.unwrap();
}
