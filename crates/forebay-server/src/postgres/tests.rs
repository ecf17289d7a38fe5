//! The end point over a plant in memory, asked byte by byte. It has no tables to ask; statements have tests of their own
//! in the engine, and with a pipeline behind them in the binary's.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::tests::plant::Plant;

mod slow;

struct Wire {
    address: SocketAddr,
    stop: CancellationToken,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn wire() -> Wire {
    let stop = CancellationToken::new();
    let stage = Stage::new(Plant::new().shown(), stop.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let doors = Doors { tls: None, auth: None };
    tokio::spawn(serve(listener, doors, stage, stop.clone()));
    Wire { address, stop }
}

fn framed(letter: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [letter, &length, body].concat()
}

fn hello() -> Vec<u8> {
    framed(b"", b"\0\x03\0\0user\0ana\0database\0plant\0\0")
}

/// What a server says up to the end of its answer.
async fn said(stream: &mut TcpStream) -> String {
    let (mut out, mut piece) = (Vec::new(), [0; 4096]);
    let is_end = |out: &[u8]| out.len() >= 6 && out[out.len() - 6..].starts_with(b"Z\0\0\0\x05");
    while !is_end(&out) {
        match tokio::time::timeout(Duration::from_secs(5), stream.read(&mut piece))
            .await
            .unwrap()
            .unwrap_or(0)
        {
            0 => break,
            read => out.extend(&piece[..read]),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

async fn connected(wire: &Wire) -> TcpStream {
    let mut stream = TcpStream::connect(wire.address).await.unwrap();
    stream.write_all(&hello()).await.unwrap();
    let greeting = said(&mut stream).await;
    for part in
        ["server_version\0", "standard_conforming_strings\0on", "TimeZone\0UTC", "integer_datetimes\0on"]
    {
        assert!(greeting.contains(part), "{greeting}");
    }
    stream
}

#[tokio::test]
async fn commands_are_answered_and_an_error_leaves_the_connection() {
    let wire = wire().await;
    let mut stream = connected(&wire).await;
    for (sql, part) in [
        ("SHOW server_version", "16."),
        ("BEGIN; SET x.y = 'z'; SHOW x.y; COMMIT", "COMMIT"),
        ("SHOW nothing", "42704"),
        ("", "I"),
        ("DISCARD ALL", "DISCARD ALL"),
    ] {
        stream.write_all(&framed(b"Q", format!("{sql}\0").as_bytes())).await.unwrap();
        let answer = said(&mut stream).await;
        assert!(answer.contains(part), "{sql}: {answer}");
    }
    // An error is told at a Flush already, and passed over up to the Sync.
    let parse = framed(b"P", b"\0SHOW nothing\0\0\0");
    let bind = framed(b"B", b"\0\0\0\0\0\0\0\0");
    let execute = framed(b"E", b"\0\0\0\0\0");
    stream.write_all(&[parse, bind, execute, framed(b"S", b"")].concat()).await.unwrap();
    let answer = said(&mut stream).await;
    assert!(answer.contains("42704"), "{answer}");
}

#[tokio::test]
async fn no_bytes_harm_the_server_and_others_are_served() {
    let wire = wire().await;
    let mut seed = 0x1234_5678_9abc_def1_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for round in 0..150 {
        let mut stream = TcpStream::connect(wire.address).await.unwrap();
        let mut bytes: Vec<u8> = (0..random() % 200).map(|_| (random() >> 17) as u8).collect();
        if round % 2 == 0 {
            // Behind a good start, frames of good kinds with bodies of anything.
            let letter = b"QPBDECSHXpdcf"[(random() % 13) as usize];
            bytes = [hello(), framed(&[letter], &bytes)].concat();
        }
        stream.write_all(&bytes).await.unwrap();
        if round % 3 == 0 {
            let _ = stream.shutdown().await;
        }
    }
    connected(&wire).await;
}
