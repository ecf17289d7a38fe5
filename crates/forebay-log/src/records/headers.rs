//! A record's headers, read when somebody asks for them.

use std::ops::Range;

use super::varint::read_i32;

/// Iterates over the headers that lie in `range` of a batch's data, as a [`RecordRef`](super::RecordRef) tells them:
/// `headers(&records.data, record.headers, record.header_count)`. A key that is not UTF-8 reads as "".
///
/// The walk that made the record has checked every length, so the iterator yields `count` headers; given other
/// bytes, it ends early.
pub fn headers(data: &[u8], range: Range<u32>, count: u32) -> Headers<'_> {
    let range = range.start as usize..range.end as usize;
    Headers { rest: data.get(range).unwrap_or_default(), left: count }
}

/// See [`headers`].
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    rest: &'a [u8],
    left: u32,
}

impl<'a> Headers<'a> {
    fn field(&mut self) -> Option<Option<&'a [u8]>> {
        let mut at = 0;
        let length = read_i32(self.rest, &mut at)?;
        let Ok(length) = usize::try_from(length) else {
            self.rest = &self.rest[at..];
            return Some(None);
        };
        let (field, rest) = self.rest[at..].split_at_checked(length)?;
        self.rest = rest;
        Some(Some(field))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let key = self.field()??;
        let value = self.field()?;
        Some((std::str::from_utf8(key).unwrap_or_default(), value))
    }
}
