//! Frames of bytes in a file, each with its length and checksum.
//!
//! ```text
//! forebay-state-changes\n | length: u64 | CRC-32C of length and body: u32 | body | …
//! ```
//!
//! Numbers are little-endian. What must stay true: a body is given only if it is, bit by bit, what was written, and
//! nothing is allocated by a length that the file does not have.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use forebay_core::Result;

use super::error::failed;

/// Length and checksum.
const HEAD: usize = 12;

/// Appends a frame whose body `fill` writes.
pub(super) fn push(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    fill(out)?;
    let len = (out.len() - start - HEAD) as u64;
    let crc = checksum(len, &out[start + HEAD..]);
    out[start..start + 8].copy_from_slice(&len.to_le_bytes());
    out[start + 8..start + HEAD].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

fn checksum(len: u64, body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&len.to_le_bytes()), body)
}

/// Why the bytes of a file cannot be used.
#[derive(Debug)]
pub(super) enum Broken {
    /// They are not what was written, or not all of it: another copy may be whole.
    Damaged(PathBuf, String),
    /// They are, and are of no use; or nobody knows, because the disk does not answer.
    Refused(forebay_core::Error),
}

impl From<forebay_core::Error> for Broken {
    fn from(error: forebay_core::Error) -> Self {
        Self::Refused(error)
    }
}

/// Reads the frames of a file.
#[derive(Debug)]
pub(super) struct Frames {
    path: PathBuf,
    file: BufReader<File>,
    /// Bytes of the file when it was opened.
    len: u64,
    /// The end of the last good frame.
    at: u64,
    body: Vec<u8>,
}

impl Frames {
    /// Opens a file that begins with `magic`.
    pub fn open(path: &Path, magic: &str) -> Result<Self, Broken> {
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (len, file) = opened.map_err(|e| failed(path, "open", e))?;
        let file = BufReader::with_capacity(1 << 16, file);
        let mut frames = Self { path: path.to_path_buf(), file, len, at: 0, body: Vec::new() };
        let mut found = vec![0; magic.len()];
        if !frames.read(&mut found)? || found != magic.as_bytes() {
            return Err(frames.broken("it does not begin as a file of state"));
        }
        frames.at = magic.len() as u64;
        Ok(frames)
    }

    pub fn good_len(&self) -> u64 {
        self.at
    }

    /// Bytes of the file when it was opened.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The body of the next frame; `None` at the end of the file.
    pub fn next(&mut self) -> Result<Option<&[u8]>, Broken> {
        let rest = self.len - self.at;
        if rest == 0 {
            return Ok(None);
        }
        let mut head = [0; HEAD];
        if rest < HEAD as u64 || !self.read(&mut head)? {
            return Err(self.broken("it ends within a record"));
        }
        let [l0, l1, l2, l3, l4, l5, l6, l7, c0, c1, c2, c3] = head;
        let len = u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, l7]);
        if len > rest - HEAD as u64 {
            return Err(self.broken("it ends within a record, or the record's length is damaged"));
        }
        let mut body = std::mem::take(&mut self.body);
        body.resize(len as usize, 0);
        let is_whole = self.read(&mut body)?;
        self.body = body;
        if !is_whole || checksum(len, &self.body) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(self.broken("a record fails its checksum"));
        }
        self.at += HEAD as u64 + len;
        Ok(Some(&self.body))
    }

    /// The bytes after the last good frame cannot be used.
    pub fn broken(&self, why: &str) -> Broken {
        Broken::Damaged(self.path.clone(), format!("{why} (at byte {})", self.at))
    }

    /// Fills `buffer`; false if the file ends before.
    fn read(&mut self, buffer: &mut [u8]) -> Result<bool> {
        match self.file.read_exact(buffer) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(e) => Err(failed(&self.path, "read", e)),
        }
    }
}

/// Takes numbers and bytes from the front of a body; `None` where it ends too early.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    pub fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// Bytes behind their length.
    pub fn sized(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u64()?).ok()?;
        self.bytes(len)
    }
}

/// Appends bytes behind their length, which `fill` decides.
pub(super) fn push_sized(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    fill(out)?;
    let len = (out.len() - start - 8) as u64;
    out[start..start + 8].copy_from_slice(&len.to_le_bytes());
    Ok(())
}
