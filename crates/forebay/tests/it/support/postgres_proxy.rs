//! What can happen on the way to PostgreSQL: an answer that is lost, a line that is cut, one on which nothing comes any more.
//!
//! The proxy passes bytes on as they come and reads along on the client's side: each message has its length, so a COMMIT is
//! known from data that looks like one. With the answer to it lost, the client cannot know whether the server has committed.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What becomes of a COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The line is cut before it reaches the server.
    Before,
    /// The server commits and answers, the line is cut, and the client does not hear of it.
    After,
}

#[derive(Default)]
struct Shared {
    /// What the next commits come to, the last one first.
    cuts: Mutex<Vec<Cut>>,
    done: AtomicU32,
    held: AtomicBool,
    closed: AtomicBool,
    lines: Mutex<Vec<TcpStream>>,
}

/// A proxy in front of a server, on an address of its own.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    pub fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let of_lines = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if of_lines.closed.load(Ordering::Relaxed) {
                    return;
                }
                // A server that is down is a line that is closed at once.
                let Ok(server) = TcpStream::connect(server) else { continue };
                serve(&of_lines, client, server);
            }
        });
        Self { address, shared }
    }

    /// Has the next commits end so, in this order.
    pub fn cut_commits(&self, cuts: &[Cut]) {
        *self.shared.cuts.lock().unwrap() = cuts.iter().rev().copied().collect();
    }

    /// Commits that were cut so far.
    pub fn cut(&self) -> u32 {
        self.shared.done.load(Ordering::Relaxed)
    }

    /// Passes nothing on, and keeps every line open: whoever waits hears nothing, also on new lines.
    pub fn hold(&self) {
        self.shared.held.store(true, Ordering::Relaxed);
    }

    /// Passes on again, also what was held back.
    pub fn pass(&self) {
        self.shared.held.store(false, Ordering::Relaxed);
    }

    /// Cuts all lines that there are.
    pub fn hang_up(&self) {
        for line in self.shared.lines.lock().unwrap().drain(..) {
            let _ = line.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        self.pass();
        self.hang_up();
        let _ = TcpStream::connect(self.address);
    }
}

/// The lines of one client, with what its two threads tell each other.
struct Pair {
    client: TcpStream,
    server: TcpStream,
    /// The client has sent a COMMIT whose answer is to be lost.
    losing: AtomicBool,
}

impl Pair {
    fn hang_up(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

fn serve(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) {
    for line in [&client, &server] {
        line.set_nodelay(true).unwrap();
        shared.lines.lock().unwrap().push(line.try_clone().unwrap());
    }
    let pair = Arc::new(Pair { client, server, losing: AtomicBool::new(false) });
    let (upward, of_pair) = (shared.clone(), pair.clone());
    thread::spawn(move || {
        let _ = up(&upward, &of_pair);
        of_pair.hang_up();
    });
    let downward = shared.clone();
    thread::spawn(move || {
        let _ = down(&downward, &pair);
        pair.hang_up();
    });
}

/// The next bytes of one side; 0 at its end. What is held is not read.
fn read(shared: &Shared, from: &mut &TcpStream, buffer: &mut [u8]) -> std::io::Result<usize> {
    let count = loop {
        match from.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    while shared.held.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(5));
    }
    Ok(count)
}

/// From client to server, message by message.
fn up(shared: &Shared, pair: &Pair) -> std::io::Result<()> {
    let (mut from, mut to) = (&pair.client, &pair.server);
    let (mut buffer, mut messages) = (vec![0; 64 << 10], Messages::default());
    loop {
        let count = read(shared, &mut from, &mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        if messages.take(&buffer[..count]) {
            let cut = shared.cuts.lock().unwrap().pop();
            match cut {
                Some(Cut::Before) => {
                    shared.done.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                Some(Cut::After) => pair.losing.store(true, Ordering::SeqCst),
                None => {}
            }
        }
        to.write_all(&buffer[..count])?;
    }
}

/// From server to client; where an answer is to be lost, up to the server's word that it is ready for more.
fn down(shared: &Shared, pair: &Pair) -> std::io::Result<()> {
    const READY: [u8; 6] = [b'Z', 0, 0, 0, 5, b'I'];
    let (mut from, mut to) = (&pair.server, &pair.client);
    let (mut buffer, mut lost) = (vec![0; 64 << 10], Vec::new());
    loop {
        let count = read(shared, &mut from, &mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        if pair.losing.load(Ordering::SeqCst) {
            lost.extend_from_slice(&buffer[..count]);
            if lost.ends_with(&READY) {
                shared.done.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
        } else {
            to.write_all(&buffer[..count])?;
        }
    }
}

/// Reads along on the client's side of PostgreSQL's protocol 3.0.
#[derive(Default)]
struct Messages {
    /// The message that has come in part: all of a short one, the beginning of a long one.
    begun: Vec<u8>,
    /// Bytes of a long message that are still to come and tell nothing.
    skip: usize,
    /// The start-up message has come: from now on each message begins with its type.
    is_started: bool,
}

/// No COMMIT is longer.
const SHORT: usize = 64 << 10;

impl Messages {
    /// Takes what came; true if the end of a COMMIT was in it.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        let mut found = false;
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            self.begun.push(bytes[0]);
            bytes = &bytes[1..];
            let head = if self.is_started { 5 } else { 4 };
            if self.begun.len() < head {
                continue;
            }
            let length = u32::from_be_bytes(self.begun[head - 4..head].try_into().unwrap()) as usize;
            let whole = length + head - 4;
            if whole > SHORT {
                self.skip = whole - self.begun.len();
                self.begun.clear();
            } else if self.begun.len() == whole {
                found |= self.is_started && commits(&self.begun);
                // Requests for encryption have numbers of their own in place of the version.
                let is_startup = !self.is_started && self.begun[4..6] == [0, 3];
                self.is_started |= is_startup;
                self.begun.clear();
            }
        }
        found
    }
}

/// True for a query (`Q`) or a statement to prepare (`P`: name, text) that ends in a COMMIT.
fn commits(message: &[u8]) -> bool {
    let text = match message[0] {
        b'Q' => &message[5..],
        b'P' => message[5..].splitn(2, |&byte| byte == 0).nth(1).unwrap_or_default(),
        _ => return false,
    };
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text).to_uppercase();
    let last = text.split(';').map(str::trim).rfind(|statement| !statement.is_empty());
    last.is_some_and(|statement| statement == "COMMIT" || statement.starts_with("COMMIT "))
}

#[test]
fn a_commit_is_known_however_its_bytes_come() {
    let message = |kind: &[u8], body: &[u8]| [kind, &(body.len() as u32 + 4).to_be_bytes(), body].concat();
    let query = |sql: &str| message(b"Q", format!("{sql}\0").as_bytes());
    let startup = message(b"", b"\0\x03\0\0user\0forebay\0\0");
    let encryption = message(b"", &80_877_103u32.to_be_bytes());
    let data = message(b"d", b"COMMIT\0");
    let long = message(b"d", &vec![b'Q'; SHORT + 5]);
    let start = [encryption, startup].concat();
    for (sent, commits) in [
        (query("COMMIT"), 1),
        (query("update t set a = 1; commit;"), 1),
        (message(b"P", b"s\0COMMIT\0\0\0"), 1),
        (query("CREATE TEMPORARY TABLE t (a int) ON COMMIT DROP"), 0),
        ([data, long, query("SELECT 'COMMIT'"), query("COMMIT")].concat(), 1),
    ] {
        let bytes = [start.clone(), sent].concat();
        for size in [1, 7, 4_096, bytes.len()] {
            let mut messages = Messages::default();
            let found = bytes.chunks(size).filter(|part| messages.take(part)).count();
            assert_eq!(found, commits, "in parts of {size}: {}", String::from_utf8_lossy(&bytes[..80]));
        }
    }
}
