//! The parts of a message's body, one after the other: no more is taken than is there.

use super::{Bad, broken};

/// What is left of a body.
pub(in crate::postgres) struct Rest<'a>(pub &'a [u8]);

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

    pub fn count(&mut self) -> Result<u16, Bad> {
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
