//! Numbers, texts and columns as bytes, little-endian, with a running checksum.
//!
//! Fixed layouts without names or tags: the files that are written with it carry a version, and a file of another version is
//! not read. What must stay true: reading never trusts a length; what does not fit gives `None`.

use std::io::{self, Write};

/// Bytes that gather before they are written.
const SPILL_BYTES: usize = 256 << 10;

/// Writes; the checksum is over all that was written.
pub(crate) struct Encoder<W> {
    out: W,
    buffer: Vec<u8>,
    crc: u32,
    written: u64,
}

impl<W: Write> Encoder<W> {
    pub fn new(out: W) -> Self {
        Self { out, buffer: Vec::new(), crc: 0, written: 0 }
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    pub fn u8(&mut self, value: u8) {
        self.buffer.push(value);
    }

    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    pub fn i64(&mut self, value: i64) {
        self.bytes(&value.to_le_bytes());
    }

    pub fn f32(&mut self, value: f32) {
        self.bytes(&value.to_le_bytes());
    }

    pub fn f64(&mut self, value: f64) {
        self.bytes(&value.to_le_bytes());
    }

    pub fn len(&mut self, length: usize) {
        self.u32(length as u32);
    }

    pub fn text(&mut self, text: &str) {
        self.len(text.len());
        self.bytes(text.as_bytes());
    }

    /// Hands on what has gathered, if that is much.
    pub fn spill(&mut self) -> io::Result<()> {
        if self.buffer.len() >= SPILL_BYTES { self.flush() } else { Ok(()) }
    }

    /// Ends with the checksum of everything before it; the number of bytes in all.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.flush()?;
        let crc = self.crc;
        self.u32(crc);
        self.flush()?;
        Ok((self.out, self.written))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, &self.buffer);
        self.out.write_all(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// The content of a text that ends with its checksum; `None` if that is wrong.
pub(crate) fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (content, crc) = bytes.split_last_chunk::<4>()?;
    (crc32c::crc32c(content) == u32::from_le_bytes(*crc)).then_some(content)
}

/// Reads what an [`Encoder`] wrote.
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.chunk::<1>().map(|[byte]| byte)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.chunk().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.chunk().map(u64::from_le_bytes)
    }

    pub fn i64(&mut self) -> Option<i64> {
        self.chunk().map(i64::from_le_bytes)
    }

    pub fn f32(&mut self) -> Option<f32> {
        self.chunk().map(f32::from_le_bytes)
    }

    pub fn f64(&mut self) -> Option<f64> {
        self.chunk().map(f64::from_le_bytes)
    }

    /// A number of things that take at least `each` bytes: one that cannot follow any more is refused.
    pub fn len(&mut self, each: usize) -> Option<usize> {
        let length = self.u32()? as usize;
        (length.checked_mul(each.max(1))? <= self.rest.len()).then_some(length)
    }

    pub fn text(&mut self) -> Option<&'a str> {
        let length = self.len(1)?;
        std::str::from_utf8(self.bytes(length)?).ok()
    }

    /// `count` things, each read by `one`.
    pub fn many<T>(&mut self, count: usize, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        // Not `with_capacity(count)`: the count is only a claim until its things have come.
        (0..count).map(|_| one(self)).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_every_altered_byte_is_noticed() {
        let mut encoder = Encoder::new(Vec::new());
        encoder.text("büro");
        encoder.u8(3);
        encoder.i64(-5);
        encoder.f64(0.1);
        encoder.f32(0.5);
        encoder.u64(u64::MAX);
        let (bytes, written) = encoder.finish().unwrap();
        assert_eq!(written as usize, bytes.len());
        let mut decoder = Decoder::new(checked(&bytes).unwrap());
        assert_eq!((decoder.text(), decoder.u8(), decoder.i64()), (Some("büro"), Some(3), Some(-5)));
        assert_eq!((decoder.f64(), decoder.f32(), decoder.u64()), (Some(0.1), Some(0.5), Some(u64::MAX)));
        assert!(decoder.is_empty() && decoder.u8().is_none());
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 4;
            assert!(checked(&altered).is_none(), "byte {at}");
        }
    }

    #[test]
    fn a_length_that_lies_is_refused_before_anything_is_made() {
        let bytes = u32::MAX.to_le_bytes();
        assert_eq!(Decoder::new(&bytes).len(8), None);
        assert_eq!(Decoder::new(&bytes).text(), None);
        assert_eq!(Decoder::new(&[1, 0]).u32(), None);
    }
}
