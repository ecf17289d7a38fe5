//! Java's way of reading UTF-8: Spark decodes a record's bytes before it parses them.

use std::borrow::Cow;

/// Bytes as text: each maximal piece that is not UTF-8 becomes one U+FFFD. Java takes an encoded surrogate for one
/// piece, where others see three.
pub(super) fn decode_utf8(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = simdutf8::basic::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    // Continuation bytes that belong to a surrogate that was already written.
    let mut belonging = 0;
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        at += chunk.valid().len();
        if !chunk.valid().is_empty() {
            belonging = 0;
            text.push_str(chunk.valid());
        }
        match chunk.invalid() {
            [] => {}
            [0x80..=0xbf] if belonging > 0 => belonging -= 1,
            invalid => {
                let surrogate = invalid == [0xed]
                    && matches!(bytes.get(at..at + 3), Some([0xed, 0xa0..=0xbf, 0x80..=0xbf]));
                belonging = if surrogate { 2 } else { 0 };
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        at += chunk.invalid().len();
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_are_replaced_as_in_java() {
        for (bytes, expected) in [
            (&b"a\xff"[..], "a\u{fffd}"),
            (b"\xc0\xaf", "\u{fffd}\u{fffd}"),
            (b"x\xed\xa0\x80y", "x\u{fffd}y"),
            (b"\xed\xa0", "\u{fffd}\u{fffd}"),
            (b"\xe2\x82", "\u{fffd}"),
            (b"\xf4\x90\x80\x80", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(decode_utf8(bytes), expected);
        }
    }
}
