//! Clients that do not read, and that change their mind, over statements that need no table.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_engine::adhoc::{Limits, TableResolver};
use forebay_engine::plan::{JsonDecode, JsonDecoderFactory};

use super::*;
use crate::shown::sql::{Refused, Relation, Rows, Sql, Statements, Turn};

/// Nothing to read, and how many statements are at work.
#[derive(Default)]
struct Bare(Arc<AtomicUsize>);

struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl TableResolver for Bare {
    async fn resolve(&self, _: Option<&str>, _: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(None)
    }

    async fn names(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

impl JsonDecoderFactory for Bare {
    fn decoder(&self, _: SchemaRef, _: &BTreeMap<String, String>) -> Result<JsonDecode> {
        Err(Error::new(&codes::NOT_YET, "there is no JSON"))
    }
}

#[async_trait]
impl Statements for Bare {
    fn tables(&self) -> Arc<dyn TableResolver> {
        Arc::new(Self::default())
    }

    fn json(&self) -> Arc<dyn JsonDecoderFactory> {
        Arc::new(Self::default())
    }

    async fn relations(&self) -> Arc<Vec<Relation>> {
        Arc::default()
    }

    async fn turn(&self) -> Result<Turn> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let held = Box::new(Held(Arc::clone(&self.0)));
        Ok(Turn { runtime: tokio::runtime::Handle::current(), limits: Limits::default(), held })
    }
}

#[async_trait]
impl Sql for Bare {
    async fn ask(&self, _: &str, _: usize) -> Result<Rows, Refused> {
        Err(Error::new(&codes::NOT_YET, "there is no REST").into())
    }

    fn statements(&self) -> Option<Arc<dyn Statements>> {
        Some(Arc::new(Self(Arc::clone(&self.0))))
    }
}

async fn bare() -> (Wire, Arc<AtomicUsize>) {
    bare_in(ROOM).await
}

/// Whose clients share so many bytes.
async fn bare_in(size: usize) -> (Wire, Arc<AtomicUsize>) {
    let at_work = Arc::new(AtomicUsize::new(0));
    let stop = CancellationToken::new();
    let shown = crate::Shown { sql: Arc::new(Bare(Arc::clone(&at_work))), ..Plant::new().shown() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let doors = Doors { tls: None, auth: None };
    let stage = Stage::new(shown, stop.clone());
    tokio::spawn(serve_in(listener, doors, stage, Room::new(size), stop.clone()));
    (Wire { address, stop }, at_work)
}

/// A connection, and what cancels its statement.
async fn opened(wire: &Wire) -> (TcpStream, Vec<u8>) {
    let mut stream = TcpStream::connect(wire.address).await.unwrap();
    stream.write_all(&hello()).await.unwrap();
    let mut greeting = Vec::new();
    while !greeting.ends_with(b"Z\0\0\0\x05I") {
        assert!(stream.read_buf(&mut greeting).await.unwrap() > 0);
    }
    // The message before the last: its key.
    let key = greeting[greeting.len() - 6 - 8..greeting.len() - 6].to_vec();
    (stream, framed(b"", &[&80_877_102_u32.to_be_bytes()[..], &key].concat()))
}

async fn end(at_work: &AtomicUsize) {
    for _ in 0..200 {
        if at_work.load(Ordering::SeqCst) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("a statement still holds its turn");
}

const ENDLESS: &[u8] = b"SELECT value, 'a text of some length' FROM generate_series(1, 1000000000000)\0";

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_holds_little_and_ends_when_cancelled_or_gone() {
    let (wire, at_work) = bare().await;
    let (mut stream, cancel) = opened(&wire).await;
    stream.write_all(&framed(b"Q", ENDLESS)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(at_work.load(Ordering::SeqCst), 1, "it waits for its reader");
    let mut other = TcpStream::connect(wire.address).await.unwrap();
    other.write_all(&cancel).await.unwrap();
    // What was made for nobody: the buffers of the kernel, and a few pieces.
    let (mut bytes, mut last) = (0, Vec::new());
    let mut piece = vec![0; 1 << 16];
    while !last.ends_with(b"Z\0\0\0\x05I") {
        let read = stream.read(&mut piece).await.unwrap();
        assert!(read > 0, "the connection ended");
        bytes += read;
        last.extend(&piece[..read]);
        last.drain(..last.len().saturating_sub(300));
    }
    assert!(String::from_utf8_lossy(&last).contains("57014"), "{:?}", String::from_utf8_lossy(&last));
    assert!(bytes < 32 << 20, "{bytes} bytes were made ahead");
    end(&at_work).await;
    // Somebody else's key ends nothing; a client that goes ends its own.
    stream.write_all(&framed(b"Q", ENDLESS)).await.unwrap();
    let mut wrong = cancel.clone();
    *wrong.last_mut().unwrap() ^= 1;
    let mut other = TcpStream::connect(wire.address).await.unwrap();
    other.write_all(&wrong).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(at_work.load(Ordering::SeqCst), 1);
    drop(stream);
    end(&at_work).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_several_statements_and_cursors_hold_turns_only_while_they_are_read() {
    let (wire, at_work) = bare().await;
    let (mut stream, _) = opened(&wire).await;
    for (sql, parts, turns) in [
        ("SELECT 1 AS one; SHOW x; SELECT 2 AS two", &["SELECT 1", "42704"][..], 0),
        ("SELECT 1 AS one; SELECT 2 AS two", &["one", "two"], 0),
        ("BEGIN; DECLARE c CURSOR FOR SELECT value FROM generate_series(1, 1000000)", &["DECLARE CURSOR"], 0),
        ("FETCH 3 FROM c; FETCH 2 FROM c", &["FETCH 3", "FETCH 2"], 1),
        ("MOVE ALL IN c; FETCH c", &["MOVE 999995", "FETCH 0"], 0),
        ("CLOSE c; COMMIT", &["CLOSE CURSOR", "COMMIT"], 0),
        (
            "BEGIN; DECLARE c CURSOR FOR SELECT value FROM generate_series(1, 1000000); FETCH c",
            &["FETCH 1"],
            1,
        ),
        ("ROLLBACK; FETCH c", &["ROLLBACK", "34000"], 0),
    ] {
        stream.write_all(&framed(b"Q", format!("{sql}\0").as_bytes())).await.unwrap();
        let answer = said(&mut stream).await;
        assert!(parts.iter().all(|part| answer.contains(part)), "{sql}: {answer}");
        if turns == 0 {
            end(&at_work).await;
        }
        assert_eq!(at_work.load(Ordering::SeqCst), turns, "{sql}");
    }
}

/// A bind of a text to the one parameter of the statement `s`.
fn bind(portal: &str, value: &str) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap().to_be_bytes();
    let body = [portal.as_bytes(), b"\0s\0\0\0\0\x01", &length, value.as_bytes(), b"\0\0"].concat();
    framed(b"B", &body)
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_all_clients_share_one_room_and_give_it_back() {
    let (wire, _) = bare_in(100_000).await;
    let (mut stream, _) = opened(&wire).await;
    let (mut other, _) = opened(&wire).await;
    let value = "x".repeat(30_000);
    let parse = framed(b"P", b"s\0SELECT $1::text AS t\0\0\0");
    for stream in [&mut stream, &mut other] {
        for asked in [framed(b"Q", b"BEGIN\0"), [parse.clone(), framed(b"S", b"")].concat()] {
            stream.write_all(&asked).await.unwrap();
            said(stream).await;
        }
    }
    for portal in ["a", "b", "c"] {
        stream.write_all(&[bind(portal, &value), framed(b"S", b"")].concat()).await.unwrap();
        let answer = said(&mut stream).await;
        assert!(!answer.contains("53200"), "{portal}: {answer}");
    }
    other.write_all(&[bind("a", &value), framed(b"S", b"")].concat()).await.unwrap();
    let answer = said(&mut other).await;
    assert!(answer.contains("53200"), "{answer}");
    stream.write_all(&framed(b"Q", b"COMMIT\0")).await.unwrap();
    said(&mut stream).await;
    other.write_all(&framed(b"Q", b"ROLLBACK\0")).await.unwrap();
    said(&mut other).await;
    let again = [bind("", &value), framed(b"E", b"\0\0\0\0\0"), framed(b"S", b"")];
    other.write_all(&again.concat()).await.unwrap();
    let answer = said(&mut other).await;
    assert!(!answer.contains("53200") && answer.contains("SELECT 1"), "{}", answer.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_the_types_that_the_places_of_its_parameters_have() {
    let (wire, _) = bare().await;
    let (mut stream, _) = opened(&wire).await;
    let parse = b"s\0SELECT value FROM generate_series(1, $1) WHERE $3 LIMIT $2\0\0\0";
    let values = b"\0s\0\0\0\0\x03\0\0\0\x019\0\0\0\x012\0\0\0\x01t\0\0";
    let asked = [
        framed(b"P", parse),
        framed(b"D", b"Ss\0"),
        framed(b"B", values),
        framed(b"E", b"\0\0\0\0\0"),
        framed(b"S", b""),
    ];
    stream.write_all(&asked.concat()).await.unwrap();
    let answer = said(&mut stream).await;
    assert!(answer.contains("\0\x03\0\0\0\x14\0\0\0\x14\0\0\0\x10"), "two of int8, one of bool: {answer:?}");
    assert!(answer.contains("SELECT 2"), "{answer:?}");
}
