//! A request is measured before it is decoded.
//!
//! The decoder of the wire types reserves room for as many elements as an array *says* it has: four hostile bytes
//! would ask for two thousand million elements and take the process down. So each request has a [`Shape`] here, and
//! [`measure`] walks the bytes along it without allocating anything: every length must lie inside the message, and
//! all arrays together may hold no more elements than the caller allows. Only what passed is decoded.
//!
//! What must stay true: no message from the network reaches a decoder without having been measured by the shape of
//! exactly its version. The shapes are those of `protocol.rs`'s table.

/// The layout of one field on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Numbers and booleans: so many bytes, whatever they hold. Neighbours may be written as one.
    Fixed(usize),
    /// A 16-bit length and text; -1 is null.
    Text,
    /// A 32-bit length and bytes; -1 is null.
    Blob,
    /// A 32-bit count and as many elements; -1 is null.
    Array(&'static [Shape]),
    /// The length plus one as a varint, and text; 0 is null.
    CompactText,
    /// The count plus one as a varint, and as many elements; 0 is null.
    CompactArray(&'static [Shape]),
    /// A count as a varint, and as many fields that newer versions added: number, length, bytes.
    Tags,
}

/// Why a message may not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ShapeError {
    /// A length points past the end of the message.
    #[error("a length reaches past the end of the message")]
    Truncated,
    /// A length is negative, and not the -1 that means null.
    #[error("a length is negative")]
    Negative,
    /// A varint has more bits than its field.
    #[error("a length has too many bits")]
    TooLarge,
    /// More array elements than allowed.
    #[error("too many elements")]
    TooManyItems,
}

/// Walks `message` along `shape` and returns how many bytes it covers. Bytes beyond are the caller's to judge.
pub(super) fn measure(shape: &[Shape], message: &[u8], max_items: usize) -> Result<usize, ShapeError> {
    let mut walk = Walk { rest: message, items_left: max_items };
    walk.fields(shape)?;
    Ok(message.len() - walk.rest.len())
}

struct Walk<'a> {
    rest: &'a [u8],
    items_left: usize,
}

impl Walk<'_> {
    /// The depth of this recursion is the depth of a `&'static` shape, not of the message.
    fn fields(&mut self, shape: &[Shape]) -> Result<(), ShapeError> {
        for field in shape {
            match field {
                Shape::Fixed(len) => self.skip(*len)?,
                Shape::Text => {
                    let len = i64::from(i16::from_be_bytes(self.take()?));
                    self.skip_len(len)?;
                }
                Shape::Blob => {
                    let len = i64::from(i32::from_be_bytes(self.take()?));
                    self.skip_len(len)?;
                }
                Shape::Array(element) => {
                    let count = match i32::from_be_bytes(self.take()?) {
                        -1 => 0,
                        count => usize::try_from(count).map_err(|_| ShapeError::Negative)?,
                    };
                    self.elements(count, element)?;
                }
                Shape::CompactText => {
                    let len = self.varint()?.saturating_sub(1);
                    self.skip(len)?;
                }
                Shape::CompactArray(element) => {
                    let count = self.varint()?.saturating_sub(1);
                    self.elements(count, element)?;
                }
                Shape::Tags => {
                    let count = self.varint()?;
                    self.take_items(count)?;
                    for _ in 0..count {
                        self.varint()?;
                        let len = self.varint()?;
                        self.skip(len)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn elements(&mut self, count: usize, element: &'static [Shape]) -> Result<(), ShapeError> {
        self.take_items(count)?;
        for _ in 0..count {
            self.fields(element)?;
        }
        Ok(())
    }

    fn take_items(&mut self, count: usize) -> Result<(), ShapeError> {
        self.items_left = self.items_left.checked_sub(count).ok_or(ShapeError::TooManyItems)?;
        Ok(())
    }

    /// Unsigned, 32 bits, seven of them in each byte, the least first.
    fn varint(&mut self) -> Result<usize, ShapeError> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let value = u32::try_from(value).map_err(|_| ShapeError::TooLarge)?;
                return usize::try_from(value).map_err(|_| ShapeError::TooLarge);
            }
        }
        Err(ShapeError::TooLarge)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], ShapeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(ShapeError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    fn skip_len(&mut self, len: i64) -> Result<(), ShapeError> {
        match len {
            -1 => Ok(()),
            len => self.skip(usize::try_from(len).map_err(|_| ShapeError::Negative)?),
        }
    }

    fn skip(&mut self, len: usize) -> Result<(), ShapeError> {
        self.rest = self.rest.get(len..).ok_or(ShapeError::Truncated)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[Shape] = &[Shape::Array(&[Shape::Text]), Shape::Fixed(1)];

    #[test]
    fn covers_exactly_the_message() {
        let message = [0, 0, 0, 2, 0, 1, b'a', 0xff, 0xff, 1, 9, 9];
        assert_eq!(measure(NAMES, &message, 10), Ok(10));
    }

    #[test]
    fn refuses_a_count_that_the_bytes_cannot_hold() {
        assert_eq!(measure(NAMES, &[0x7f, 0xff, 0xff, 0xff, 0, 0], usize::MAX), Err(ShapeError::Truncated));
        assert_eq!(measure(NAMES, &[0x7f, 0xff, 0xff, 0xff, 0, 0], 1000), Err(ShapeError::TooManyItems));
    }

    #[test]
    fn refuses_negative_lengths_other_than_null() {
        assert_eq!(measure(NAMES, &[0xff, 0xff, 0xff, 0xfe, 0], 10), Err(ShapeError::Negative));
        assert_eq!(measure(&[Shape::Text], &[0xff, 0xfe], 10), Err(ShapeError::Negative));
        assert_eq!(measure(&[Shape::Blob], &[0xff, 0xff, 0xff, 0xff], 10), Ok(4));
    }

    #[test]
    fn compact_fields_are_covered_and_their_lies_refused() {
        const COMPACT: &[Shape] = &[Shape::CompactArray(&[Shape::CompactText, Shape::Tags]), Shape::Tags];
        let message = [3, 2, b'a', 0, 0, 1, 5, 2, 9, 9, 0, 7];
        assert_eq!(measure(COMPACT, &message, 10), Ok(11));
        assert_eq!(measure(COMPACT, &[0, 0], 10), Ok(2), "null");
        assert_eq!(measure(COMPACT, &message, 2), Err(ShapeError::TooManyItems), "tags count as well");
        assert_eq!(measure(COMPACT, &[0xff, 0xff, 0xff, 0xff, 0x0f], 10), Err(ShapeError::TooManyItems));
        assert_eq!(measure(COMPACT, &[0xff, 0xff, 0xff, 0xff, 0x1f], 10), Err(ShapeError::TooLarge));
        assert_eq!(measure(COMPACT, &[0xff; 6], 10), Err(ShapeError::TooLarge));
        assert_eq!(measure(&[Shape::CompactText], &[5, b'a'], 10), Err(ShapeError::Truncated));
    }

    #[test]
    fn an_array_of_nothing_cannot_spin() {
        // An element of no bytes would let a count of 2^31 pass; no shape has one, and the item limit holds anyway.
        assert_eq!(
            measure(&[Shape::Array(&[])], &[0x7f, 0xff, 0xff, 0xff], 5),
            Err(ShapeError::TooManyItems)
        );
    }
}
