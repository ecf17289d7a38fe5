//! Java's way of reading UTF-8 and of writing doubles and JSON strings.
//!
//! Spark decodes a record's bytes before it parses them, and writes values back as text where a STRING field is given
//! something else.

use std::borrow::Cow;
use std::fmt::Write as _;

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

/// A double as `Double.toString` writes it: `1.5`, `100000.0`, `1.0E10`.
pub(super) fn write_double(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        // Jackson quotes what is no JSON number.
        let name = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.push(b'"');
        return;
    }
    let magnitude = value.abs();
    let mut text = String::new();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        let _ = write!(text, "{value:?}");
    } else {
        let _ = write!(text, "{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let point = if mantissa.contains('.') { "" } else { ".0" };
        text = format!("{mantissa}{point}E{exponent}");
    }
    out.extend_from_slice(text.as_bytes());
}

/// Text as a JSON string.
pub(super) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f => out.extend_from_slice(format!("\\u{byte:04X}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
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

    #[test]
    fn doubles_look_as_in_java() {
        for (value, expected) in [
            (1.5, "1.5"),
            (100_000.0, "100000.0"),
            (1e7, "1.0E7"),
            (12_345_678.9, "1.23456789E7"),
            (0.001, "0.001"),
            (0.000_999, "9.99E-4"),
            (-0.0, "-0.0"),
            (0.0, "0.0"),
            (1e300, "1.0E300"),
            (f64::NAN, "\"NaN\""),
        ] {
            let mut out = Vec::new();
            write_double(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
