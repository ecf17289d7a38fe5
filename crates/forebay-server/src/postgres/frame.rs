//! What a client sends, byte by byte.
//!
//! A frame is a letter, a length and a body; the first ones of a connection have no letter. What must stay true: no byte
//! from the net makes this panic; nothing is allocated by a length that was only claimed; a frame that is longer than its
//! kind may be ends the connection before its body is read, and so does a long one of who was not let in; a long one for
//! which there is no [`Room`](super::room) is passed over while it comes in.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

mod rest;

use super::room::Held;
pub(super) use rest::Rest;

/// Longest frame of a start, in bytes; PostgreSQL's own bound.
const MAX_START: usize = 10_000;
/// Longest password or step of SCRAM.
const MAX_PASSWORD: usize = 8 << 10;
/// Longest statement: that of the SQL parser, and a little more for names and types.
const MAX_STATEMENT: usize = (1 << 20) + (512 << 10);
/// Longest values of a statement's parameters.
const MAX_VALUES: usize = 8 << 20;
/// Longest frame of any other kind, and of any that takes no room.
const MAX_OTHER: usize = 64 << 10;
/// So often a long frame is there while it is read: as it came, in a buffer that grew by doubling, as a body, as its parts.
const COPIES: usize = 4;
/// So many bytes are read at once.
const PIECE: usize = 16 << 10;
/// So many bytes may lie read and not looked at while a statement runs.
pub(super) const AHEAD: usize = 64 << 10;

/// The first frame of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// It asks for TLS.
    Tls,
    /// It asks for an encryption of Kerberos'.
    Gss,
    /// It wants to end what another connection does.
    Cancel { pid: i32, secret: i32 },
    /// It wants a session, in this version of the protocol with these parameters.
    Start { version: (u16, u16), parameters: Vec<(String, String)> },
}

/// A frame of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Query(String),
    Parse {
        name: String,
        sql: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    /// `S` a statement, `P` a portal.
    Describe {
        kind: u8,
        name: String,
    },
    Execute {
        portal: String,
        rows: i32,
    },
    Close {
        kind: u8,
        name: String,
    },
    Sync,
    Flush,
    Terminate,
    /// A password, or a step of SCRAM.
    Password(Vec<u8>),
    /// Data of a COPY, which there is none of.
    Copy,
    /// A long one of this letter, for which there was no room.
    NoRoom(u8),
}

/// Values for a statement's parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bind {
    pub portal: String,
    pub statement: String,
    /// 0 text, 1 binary: none, one for all, or one for each.
    pub formats: Vec<i16>,
    pub values: Vec<Option<Vec<u8>>>,
    /// The same of the columns of the answer.
    pub results: Vec<i16>,
}

/// Why a frame is none.
#[derive(Debug)]
pub(super) enum Bad {
    /// The other side is gone, or does not answer.
    Gone,
    /// It breaks the protocol; the connection ends.
    Broken(String),
}

impl From<io::Error> for Bad {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

fn broken<T>(why: impl Into<String>) -> Result<T, Bad> {
    Err(Bad::Broken(why.into()))
}

/// Reads frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    read: Vec<u8>,
    /// So many of them are done with.
    done: usize,
    /// What a long frame takes; `None` before its client is let in.
    held: Option<Held>,
    /// The letter of a frame that is passed over, and how much of it is to come.
    passed: Option<(u8, usize)>,
}

impl Frames {
    fn left(&self) -> &[u8] {
        self.read.get(self.done..).unwrap_or_default()
    }

    /// From now on also long ones, as far as there is room.
    pub fn long(&mut self, held: Held) {
        self.held = Some(held);
    }

    /// Bytes that were read and not looked at.
    pub fn ahead(&self) -> usize {
        self.read.len().saturating_sub(self.done)
    }

    /// Reads a piece. `Bad::Gone` if there is no more.
    pub async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<(), Bad> {
        if self.done > 0 {
            self.read.drain(..self.done);
            self.done = 0;
            // What held a long one is not kept.
            if self.read.len() <= PIECE {
                self.read.shrink_to(2 * PIECE);
            }
        }
        self.read.reserve(PIECE);
        match stream.read_buf(&mut self.read).await? {
            0 => Err(Bad::Gone),
            _ => Ok(()),
        }
    }

    /// The first frame.
    pub async fn first(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<First, Bad> {
        loop {
            if let Some(body) = self.body(0, |_| Ok(MAX_START))? {
                return first(&body.1);
            }
            self.fill(stream).await?;
        }
    }

    /// The next frame. Nothing is lost if this is given up: what was read stays.
    pub async fn next(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Result<Frame, Bad> {
        // The one before is done with.
        if let Some(held) = &mut self.held {
            held.set(0);
        }
        loop {
            if let Some((letter, body)) = self.body(1, most)? {
                return frame(letter, &body);
            }
            if let Some((letter, left)) = self.passed.take() {
                let gone = left.min(self.ahead());
                self.done += gone;
                if gone == left {
                    return Ok(Frame::NoRoom(letter));
                }
                self.passed = Some((letter, left - gone));
            }
            self.fill(stream).await?;
        }
    }

    /// The letter and body of a frame, once it is there.
    fn body(
        &mut self,
        letters: usize,
        most: impl Fn(u8) -> Result<usize, Bad>,
    ) -> Result<Option<(u8, Vec<u8>)>, Bad> {
        if self.passed.is_some() {
            return Ok(None);
        }
        let left = self.left();
        let letter = left.first().copied().unwrap_or_default();
        let Some(length) = left.get(letters..letters + 4) else { return Ok(None) };
        let most = most(letter)?;
        let most = if self.held.is_none() { most.min(MAX_OTHER) } else { most };
        let length = length.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        if !(4..=most).contains(&length) {
            return broken(format!("a message of {length} bytes; at most {most} are possible"));
        }
        let here = left.len().min(length);
        if length > MAX_OTHER
            && let Some(held) = &mut self.held
            && !held.set(COPIES * here)
        {
            held.set(0);
            self.passed = Some((letter, letters + length));
            return Ok(None);
        }
        let Some(body) = self.left().get(letters + 4..letters + length) else { return Ok(None) };
        let body = body.to_vec();
        self.done += letters + length;
        Ok(Some((letter, body)))
    }
}

fn most(letter: u8) -> Result<usize, Bad> {
    Ok(match letter {
        b'Q' | b'P' => MAX_STATEMENT,
        b'B' => MAX_VALUES,
        b'p' => MAX_PASSWORD,
        b'D' | b'E' | b'C' | b'S' | b'H' | b'X' | b'F' | b'd' | b'c' | b'f' => MAX_OTHER,
        other => return broken(format!("a message of an unknown kind ({other})")),
    })
}

const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;

fn first(body: &[u8]) -> Result<First, Bad> {
    let mut rest = Rest(body);
    match rest.u32()? {
        TLS => Ok(First::Tls),
        GSS => Ok(First::Gss),
        CANCEL => Ok(First::Cancel { pid: rest.i32()?, secret: rest.i32()? }),
        version => {
            let version = ((version >> 16) as u16, (version & 0xffff) as u16);
            let mut parameters = Vec::new();
            loop {
                let name = rest.text()?;
                if name.is_empty() {
                    return Ok(First::Start { version, parameters });
                }
                parameters.push((name, rest.text()?));
            }
        }
    }
}

fn frame(letter: u8, body: &[u8]) -> Result<Frame, Bad> {
    let mut rest = Rest(body);
    Ok(match letter {
        b'Q' => Frame::Query(rest.text()?),
        b'P' => {
            let (name, sql) = (rest.text()?, rest.text()?);
            let count = rest.count()?;
            Frame::Parse { name, sql, types: (0..count).map(|_| rest.u32()).collect::<Result<_, _>>()? }
        }
        b'B' => {
            let (portal, statement) = (rest.text()?, rest.text()?);
            let count = rest.count()?;
            let formats = (0..count).map(|_| rest.i16()).collect::<Result<_, _>>()?;
            let count = rest.count()?;
            let values = (0..count).map(|_| rest.value()).collect::<Result<_, _>>()?;
            let count = rest.count()?;
            let results = (0..count).map(|_| rest.i16()).collect::<Result<_, _>>()?;
            Frame::Bind(Bind { portal, statement, formats, values, results })
        }
        b'D' => Frame::Describe { kind: rest.u8()?, name: rest.text()? },
        b'E' => Frame::Execute { portal: rest.text()?, rows: rest.i32()? },
        b'C' => Frame::Close { kind: rest.u8()?, name: rest.text()? },
        b'S' => Frame::Sync,
        b'H' => Frame::Flush,
        b'X' => Frame::Terminate,
        b'p' => Frame::Password(body.to_vec()),
        b'd' | b'c' | b'f' => Frame::Copy,
        other => return broken(format!("a message of an unknown kind ({other})")),
    })
}

#[cfg(test)]
mod pieces;
#[cfg(test)]
mod tests;
