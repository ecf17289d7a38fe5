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
    let at_work = Arc::new(AtomicUsize::new(0));
    let stop = CancellationToken::new();
    let shown = crate::Shown { sql: Arc::new(Bare(Arc::clone(&at_work))), ..Plant::new().shown() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let doors = Doors { tls: None, auth: None };
    tokio::spawn(serve(listener, doors, Stage::new(shown, stop.clone()), stop.clone()));
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
