//! A server for tests: tells what it is given to tell, and remembers what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::server::Server;

/// What it tells.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// What each stream says at once, and how long it stays open after that; the last one is told again and again.
    pub streams: &'static [(&'static str, Duration)],
    /// The list of open alerts.
    pub open: &'static str,
    /// The list of those that cleared.
    pub cleared: &'static str,
}

/// A server that lives as long as its test.
pub struct Fake {
    /// How it is asked.
    pub server: Server,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Serves.
    pub async fn start(told: Told) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server::new(None, listener.local_addr().unwrap(), None).unwrap();
        let fake = Self { server, asked: Arc::default() };
        let asked = Arc::clone(&fake.asked);
        tokio::spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let path = path(&mut connection).await;
                let (body, rest) = answer(told, &path, &asked.lock().unwrap());
                asked.lock().unwrap().push(path);
                let whole = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}");
                tokio::spawn(async move {
                    // Who asked may have gone.
                    let _ = connection.write_all(whole.as_bytes()).await;
                    tokio::time::sleep(rest).await;
                });
            }
        });
        fake
    }

    /// What was asked of this so far, in order.
    pub fn asked(&self, part: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|path| path.contains(part)).cloned().collect()
    }
}

/// The body of an answer, and how long it goes on.
fn answer(told: Told, path: &str, asked: &[String]) -> (&'static str, Duration) {
    let of = |part: &str| path.contains(part);
    if of("/live") {
        let before = asked.iter().filter(|path| path.contains("/live")).count();
        return told.streams[before.min(told.streams.len() - 1)];
    }
    let body = match (of("state=open"), of("state=cleared")) {
        (true, _) => told.open,
        (_, true) => told.cleared,
        _ => "{}",
    };
    (body, Duration::ZERO)
}

async fn path(connection: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut bytes = [0; 1024];
        let count = connection.read(&mut bytes).await.unwrap();
        assert!(count > 0, "a request ends in the middle");
        request.extend_from_slice(&bytes[..count]);
    }
    let request = String::from_utf8(request).unwrap();
    request.split(' ').nth(1).unwrap().to_owned()
}
