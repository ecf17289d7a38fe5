//! What a client sends, byte by byte.
//!
//! A frame is a letter, a length and a body; the first ones of a connection have no letter. What must stay true: no byte
//! from the net makes this panic; nothing is allocated by a length that was only claimed; a frame that is longer than its
//! kind may be ends the connection before its body is read.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest frame of a start, in bytes; PostgreSQL's own bound.
const MAX_START: usize = 10_000;
/// Longest password or step of SCRAM.
const MAX_PASSWORD: usize = 8 << 10;
/// Longest statement: that of the SQL parser, and a little more for names and types.
const MAX_STATEMENT: usize = (1 << 20) + (512 << 10);
/// Longest values of a statement's parameters.
const MAX_VALUES: usize = 8 << 20;
/// Longest frame of any other kind.
const MAX_OTHER: usize = 64 << 10;
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
}

impl Frames {
    fn left(&self) -> &[u8] {
        self.read.get(self.done..).unwrap_or_default()
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
        loop {
            if let Some((letter, body)) = self.body(1, most)? {
                return frame(letter, &body);
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
        let left = self.left();
        let letter = left.first().copied().unwrap_or_default();
        let Some(length) = left.get(letters..letters + 4) else { return Ok(None) };
        let most = most(letter)?;
        let length = length.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        if !(4..=most).contains(&length) {
            return broken(format!("a message of {length} bytes; at most {most} are possible"));
        }
        let Some(body) = left.get(letters + 4..letters + length) else { return Ok(None) };
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

/// What is left of a body.
pub(super) struct Rest<'a>(pub &'a [u8]);

impl<'a> Rest<'a> {
    /// The next bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Bad> {
        match self.0.split_at_checked(count) {
            Some((taken, rest)) => {
                self.0 = rest;
                Ok(taken)
            }
            None => broken("a message that ends too early"),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        let bytes = self.take(N)?;
        bytes.try_into().or_else(|_| broken("a message that ends too early"))
    }

    pub fn u8(&mut self) -> Result<u8, Bad> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub fn i16(&mut self) -> Result<i16, Bad> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, Bad> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Result<i32, Bad> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64, Bad> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    fn count(&mut self) -> Result<u16, Bad> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// A text up to its NUL.
    pub fn text(&mut self) -> Result<String, Bad> {
        let Some(end) = self.0.iter().position(|byte| *byte == 0) else {
            return broken("a text without its end");
        };
        let text = self.take(end)?;
        self.0 = self.0.get(1..).unwrap_or_default();
        match std::str::from_utf8(text) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => broken("a text that is not UTF-8"),
        }
    }

    /// A value with its length; `None` for NULL.
    pub fn value(&mut self) -> Result<Option<Vec<u8>>, Bad> {
        match self.i32()? {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) => Ok(Some(self.take(length)?.to_vec())),
                Err(_) => broken("a value of a negative length"),
            },
        }
    }
}

#[cfg(test)]
mod pieces;

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(letter: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[letter][..], &length.to_be_bytes(), body].concat()
    }

    async fn read(bytes: &[u8]) -> Vec<Result<Frame, Bad>> {
        let (mut frames, mut stream, mut out) = (Frames::default(), bytes, Vec::new());
        loop {
            let next = frames.next(&mut stream).await;
            let is_end = next.is_err();
            out.push(next);
            if is_end {
                return out;
            }
        }
    }

    #[tokio::test]
    async fn what_was_sent_is_what_is_read() {
        let bind =
            [&b"p\0s\0"[..], &[0, 1, 0, 1, 0, 2, 0, 0, 0, 1, 7, 255, 255, 255, 255, 0, 1, 0, 1]].concat();
        let sent = [
            framed(b'Q', b"SELECT 1\0"),
            framed(b'P', b"s\0SELECT $1\0\0\x01\0\0\0\x17"),
            framed(b'B', &bind),
            framed(b'D', b"Ss\0"),
            framed(b'E', b"p\0\0\0\0\x05"),
            framed(b'S', b""),
        ];
        let all = read(&sent.concat()).await;
        let all: Vec<&Frame> = all.iter().filter_map(|frame| frame.as_ref().ok()).collect();
        let (name, sql) = ("s".to_owned(), "SELECT $1".to_owned());
        let expected = [
            Frame::Query("SELECT 1".to_owned()),
            Frame::Parse { name: name.clone(), sql, types: vec![23] },
            Frame::Bind(Bind {
                portal: "p".to_owned(),
                statement: name.clone(),
                formats: vec![1],
                values: vec![Some(vec![7]), None],
                results: vec![1],
            }),
            Frame::Describe { kind: b'S', name },
            Frame::Execute { portal: "p".to_owned(), rows: 5 },
            Frame::Sync,
        ];
        assert_eq!(all, expected.iter().collect::<Vec<_>>());
    }

    /// Every prefix of good frames, and random bytes behind a good letter.
    #[tokio::test]
    async fn no_bytes_make_it_panic_or_hold_more_than_they_are() {
        let bind = [&b"p\0s\0"[..], &[0, 1, 0, 1, 0, 1, 0, 0, 0, 1, 7, 0, 0]].concat();
        let good = [
            framed(b'P', b"s\0SELECT $1\0\0\x01\0\0\0\x17"),
            framed(b'B', &bind),
            framed(b'E', b"\0\0\0\0\0"),
        ];
        for frame in &good {
            for end in 0..frame.len() {
                assert!(read(&frame[..end]).await.last().unwrap().is_err());
                let cut = framed(frame[0], &frame[5..end.max(5)]);
                let _ = read(&cut).await;
            }
        }
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let letters = b"QPBDECSHXpdcfZ\0\xff";
        let mut frames = 0;
        for _ in 0..20_000 {
            let body: Vec<u8> = (0..random() % 40).map(|_| (random() >> 13) as u8).collect();
            let letter = letters[(random() % letters.len() as u64) as usize];
            frames += read(&framed(letter, &body)).await.iter().filter(|frame| frame.is_ok()).count();
            let _ = first(&body);
        }
        assert!(frames > 1_000, "{frames}");
        // A length that is only claimed is refused, and nothing is made for it.
        for claimed in [[0xff, 0xff, 0xff, 0xff], [0x7f, 0xff, 0xff, 0xff], [0, 0, 0, 3]] {
            let bytes = [&b"Q"[..], &claimed].concat();
            assert!(matches!(read(&bytes).await.last(), Some(Err(Bad::Broken(_)))));
        }
    }
}
