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
    roomy(ROOM).await
}

/// One whose clients share so many bytes.
async fn roomy(size: usize) -> Wire {
    let stop = CancellationToken::new();
    let stage = Stage::new(Plant::new().shown(), stop.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let doors = Doors { tls: None, auth: None };
    tokio::spawn(serve_in(listener, doors, stage, Room::new(size), stop.clone()));
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
async fn what_a_start_asks_for_in_its_options_is_done_or_refused() {
    let wire = wire().await;
    for (options, asked, part) in [
        ("-c statement_timeout=5s -c my.own=a\\ b", "SHOW statement_timeout; SHOW my.own", "5s"),
        ("-c my.own=a\\ b", "SHOW my.own", "a b"),
        ("-c search_path=late", "", "22023"),
        ("-c TimeZone=Europe/Berlin", "", "22023"),
        ("-d 5", "", "42601"),
    ] {
        let mut stream = TcpStream::connect(wire.address).await.unwrap();
        let parameters = format!("\0\x03\0\0user\0ana\0options\0{options}\0\0");
        stream.write_all(&framed(b"", parameters.as_bytes())).await.unwrap();
        let greeting = said(&mut stream).await;
        if asked.is_empty() {
            assert!(greeting.contains("FATAL") && greeting.contains(part), "{options}: {greeting}");
            continue;
        }
        stream.write_all(&framed(b"Q", format!("{asked}\0").as_bytes())).await.unwrap();
        let answer = said(&mut stream).await;
        assert!(answer.contains(part), "{options}: {answer}");
    }
    // A driver sends the zone of its machine by itself, and comes in.
    let mut stream = TcpStream::connect(wire.address).await.unwrap();
    let parameters = b"\0\x03\0\0user\0ana\0TimeZone\0Europe/Berlin\0\0";
    stream.write_all(&framed(b"", parameters)).await.unwrap();
    assert!(said(&mut stream).await.contains("TimeZone\0UTC"));
}

#[tokio::test]
async fn statements_of_all_clients_share_one_room_and_give_it_back() {
    let wire = roomy(2_500).await;
    let (mut first, mut second) = (connected(&wire).await, connected(&wire).await);
    let parse = |name: &str| {
        let body = format!("{name}\0SHOW server_version\0\0\0");
        [framed(b"P", body.as_bytes()), framed(b"S", b"")].concat()
    };
    for name in ["a", "b"] {
        first.write_all(&parse(name)).await.unwrap();
        let answer = said(&mut first).await;
        assert!(!answer.contains("53200"), "{answer}");
    }
    let mut refused = 0;
    for name in ["a", "b", "c"] {
        second.write_all(&parse(name)).await.unwrap();
        refused += usize::from(said(&mut second).await.contains("53200"));
    }
    assert!((1..3).contains(&refused), "{refused}");
    // A long text has no room either, and the connection goes on.
    let long = format!("SELECT '{}'\0", "x".repeat(100_000));
    second.write_all(&framed(b"Q", long.as_bytes())).await.unwrap();
    let answer = said(&mut second).await;
    assert!(answer.contains("53200") && answer.contains("out of memory"), "{answer}");
    drop(first);
    tokio::time::sleep(Duration::from_millis(200)).await;
    second.write_all(&parse("d")).await.unwrap();
    let answer = said(&mut second).await;
    assert!(!answer.contains("53200"), "{answer}");
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
