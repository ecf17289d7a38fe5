//! What can happen on the way to S3: the answer to a commit is lost, the commit never arrives, or only when nobody waits any more.
//!
//! The proxy passes bytes on as they come. A commit is a PUT of a version's file that must not exist yet; with the answer to it
//! lost, the client cannot know what became of it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What becomes of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The line is cut before it reaches the server.
    NeverAsked,
    /// The server writes and answers, the line is cut, and the client does not hear of it.
    Lost,
    /// The line to the client is cut, and the server hears of it a while later.
    Late,
}

#[derive(Default)]
struct Shared {
    /// What the next commits come to, the last one first.
    next: Mutex<Vec<Answer>>,
    done: AtomicU32,
    /// Says yes to everything that must not exist yet, as a server that does not know the condition.
    is_lenient: AtomicBool,
}

/// A proxy in front of a server, on an address of its own.
pub struct S3Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl S3Proxy {
    pub fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let of_lines = shared.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(server) else { continue };
                let shared = of_lines.clone();
                thread::spawn(move || serve(&shared, client, server));
            }
        });
        Self { address, shared }
    }

    /// Has the next commits end so, in this order.
    pub fn answer(&self, answers: &[Answer]) {
        *self.shared.next.lock().unwrap() = answers.iter().rev().copied().collect();
    }

    /// Commits that ended otherwise than the server says.
    pub fn done(&self) -> u32 {
        self.shared.done.load(Ordering::Relaxed)
    }

    /// Passes over the condition that a name must not exist.
    pub fn be_lenient(&self) {
        self.shared.is_lenient.store(true, Ordering::Relaxed);
    }
}

fn serve(shared: &Shared, client: TcpStream, server: TcpStream) {
    let _ = up(shared, &client, &server);
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

/// Passes on what the client says; what the server says is passed on by a thread until the line is cut.
fn up(shared: &Shared, mut client: &TcpStream, mut server: &TcpStream) -> std::io::Result<()> {
    let is_lost = Arc::new(AtomicBool::new(false));
    let (of_server, of_client, lost) = (server.try_clone()?, client.try_clone()?, is_lost.clone());
    let answers = thread::spawn(move || down(of_server, of_client, &lost));
    let mut piece = vec![0; 64 << 10];
    loop {
        let read = client.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        let said = &piece[..read];
        let head = String::from_utf8_lossy(&said[..read.min(4096)]).to_lowercase();
        let is_conditional = head.starts_with("put ") && head.contains("if-none-match: *");
        if is_conditional && shared.is_lenient.load(Ordering::Relaxed) {
            client.write_all(
                b"HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            )?;
            return Ok(());
        }
        let is_commit = is_conditional && head.contains("/_delta_log/0");
        let answer = if is_commit { shared.next.lock().unwrap().pop() } else { None };
        let Some(answer) = answer else {
            server.write_all(said)?;
            continue;
        };
        shared.done.fetch_add(1, Ordering::Relaxed);
        match answer {
            Answer::NeverAsked => return Ok(()),
            Answer::Lost => {
                is_lost.store(true, Ordering::Relaxed);
                server.write_all(said)?;
                // The body may come in another piece; the server's answer ends the other thread.
                client.set_read_timeout(Some(Duration::from_millis(200)))?;
                while let Ok(read @ 1..) = client.read(&mut piece) {
                    server.write_all(&piece[..read])?;
                }
                let _ = answers.join();
                return Ok(());
            }
            Answer::Late => {
                is_lost.store(true, Ordering::Relaxed);
                let mut whole = said.to_vec();
                client.set_read_timeout(Some(Duration::from_millis(200)))?;
                while let Ok(read @ 1..) = client.read(&mut piece) {
                    whole.extend_from_slice(&piece[..read]);
                }
                client.shutdown(Shutdown::Both)?;
                thread::sleep(Duration::from_millis(700));
                server.write_all(&whole)?;
                let _ = answers.join();
                return Ok(());
            }
        }
    }
}

fn down(mut server: TcpStream, mut client: TcpStream, is_lost: &AtomicBool) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(read @ 1..) = server.read(&mut piece) {
        if is_lost.load(Ordering::Relaxed) || client.write_all(&piece[..read]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}
