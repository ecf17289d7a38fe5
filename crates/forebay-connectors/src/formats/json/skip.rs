//! Values that nobody reads: unknown fields, and values of the wrong type. They are checked all the same.
//!
//! Skipping is a loop, not a recursion: a record may nest as deep as it likes, and all it costs is one bit for each
//! level up to the limit.

use super::fault::{Parse, code};
use super::reader::Reader;

/// The deepest limit that can be set.
pub(super) const DEEPEST: usize = 1024;

/// Which of the open levels are objects, one bit each.
struct Levels {
    bits: [u64; DEEPEST / 64],
    open: usize,
}

impl Levels {
    fn push(&mut self, object: bool) -> bool {
        let Some(word) = self.bits.get_mut(self.open / 64) else { return false };
        let bit = 1 << (self.open % 64);
        if object {
            *word |= bit;
        } else {
            *word &= !bit;
        }
        self.open += 1;
        true
    }

    fn in_object(&self) -> bool {
        let top = self.open - 1;
        self.bits.get(top / 64).is_some_and(|word| word & (1 << (top % 64)) != 0)
    }
}

impl Reader<'_> {
    /// Skips one value of any kind and checks it.
    #[inline]
    pub(super) fn skip_value(&mut self) -> Parse {
        match self.peek() {
            Some(b'{' | b'[') => self.skip_nested(),
            _ => self.skip_scalar(),
        }
    }

    fn skip_scalar(&mut self) -> Parse {
        match self.peek() {
            Some(b'"') => self.skip_string(),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn skip_nested(&mut self) -> Parse {
        let mut levels = Levels { bits: [0; DEEPEST / 64], open: 0 };
        loop {
            // Here a value starts.
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    let object = bracket == b'{';
                    self.open()?;
                    if !levels.push(object) {
                        return Err(self.too_deep());
                    }
                    self.blanks();
                    let closing = if object { b'}' } else { b']' };
                    if self.peek() != Some(closing) {
                        if object {
                            self.skip_key()?;
                        }
                        continue;
                    }
                }
                _ => self.skip_scalar()?,
            }
            // Here a value has ended, or an empty object or array is about to.
            loop {
                self.blanks();
                let in_object = levels.in_object();
                match (self.peek(), in_object) {
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.pos += 1;
                        self.depth -= 1;
                        levels.open -= 1;
                        if levels.open == 0 {
                            return Ok(());
                        }
                    }
                    (Some(b','), _) => {
                        self.pos += 1;
                        self.blanks();
                        if in_object {
                            self.skip_key()?;
                        }
                        break;
                    }
                    (_, true) => return Err(self.unexpected("`,` or `}`")),
                    (_, false) => return Err(self.unexpected("`,` or `]`")),
                }
            }
        }
    }

    /// Skips a key and its colon, up to the value.
    fn skip_key(&mut self) -> Parse {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in double quotes"));
        }
        let start = self.pos;
        self.skip_string()?;
        self.check_name(self.pos - start)?;
        self.colon()
    }

    /// Skips the colon after a key, and blanks around it.
    pub(super) fn colon(&mut self) -> Parse {
        self.blanks();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("`:` after a key"));
        }
        self.pos += 1;
        self.blanks();
        Ok(())
    }

    /// The fault for a value of the wrong type; but what is wrong with the value itself comes first.
    #[cold]
    pub(super) fn mismatch(&mut self, expected: &str) -> Box<super::fault::Fault> {
        let found = match self.peek() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b'-' | b'0'..=b'9') => "a number",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "something else",
        };
        match self.skip_value() {
            Err(fault) => fault,
            Ok(()) => super::fault::Fault::new(code::TYPE, format!("expected {expected}, found {found}")),
        }
    }
}
