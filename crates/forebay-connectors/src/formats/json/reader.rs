//! A place in a record, and the small steps from there: white space, literals, what was expected and what was found.
//!
//! The reader is strict JSON (RFC 8259) and nothing else; leniency lives in [`super::spark`]. It never holds more than
//! a position, so a record that fails leaves nothing behind but rows to take back.

use super::fault::{Fault, Parse, code, describe};
use super::options::Rules;

/// A place in one record.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) pos: usize,
    /// Objects and arrays that are open.
    pub(super) depth: usize,
    /// A byte beyond ASCII was seen in a string: the record must be checked as UTF-8.
    pub(super) beyond_ascii: bool,
    pub(super) rules: &'a Rules,
    /// Text without its escapes, where it does not go into a column directly.
    pub(super) scratch: &'a mut Vec<u8>,
    /// Counts objects, over all records: see [`super::column::FieldColumn::filled`].
    pub(super) instance: u64,
}

impl Reader<'_> {
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    /// Skips JSON's four white-space characters.
    #[inline]
    pub(super) fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.pos += 1;
        }
    }

    /// Opens an object or array: the reader stands on its bracket.
    #[inline]
    pub(super) fn open(&mut self) -> Parse {
        self.pos += 1;
        self.depth += 1;
        if self.depth > self.rules.max_depth { Err(self.too_deep()) } else { Ok(()) }
    }

    #[cold]
    pub(super) fn too_deep(&self) -> Box<Fault> {
        let most = self.rules.max_depth;
        Fault::new(code::DEPTH, format!("expected at most {most} levels of nesting, found more"))
    }

    /// Reads the rest of `true`, `false` or `null`.
    pub(super) fn literal(&mut self, word: &'static str) -> Parse {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                return Err(self.unexpected(&format!("the literal `{word}`")));
            }
            self.pos += 1;
        }
        Ok(())
    }

    /// The fault for what stands here instead of what was expected.
    #[cold]
    pub(super) fn unexpected(&self, expected: &str) -> Box<Fault> {
        match self.peek() {
            None => Fault::new(code::TRUNCATED, format!("expected {expected}, found the end of the record")),
            Some(byte) => {
                let (found, at) = (describe(byte), self.pos);
                Fault::new(code::SYNTAX, format!("expected {expected}, found {found} at byte {at}"))
            }
        }
    }
}
