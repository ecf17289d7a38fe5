//! Numbers and texts as Spark writes them in JSON: as Java makes texts of them, and as Jackson quotes those.
//!
//! Each appends to what is there; what is appended is UTF-8 if the text is.

use std::fmt::{LowerExp, Write as _};

/// A double as `Double.toString` writes it: `1.5`, `100000.0`, `1.0E10`. What is no JSON number is a text: `"NaN"`.
pub fn write_double(value: f64, out: &mut Vec<u8>) {
    let magnitude = value.abs();
    let is_plain = magnitude == 0.0 || (1e-3..1e7).contains(&magnitude);
    if is_plain { write_plain(&value, out) } else { write_long(&value, value.is_finite(), out) }
}

/// A float as `Float.toString` writes it.
pub fn write_float(value: f32, out: &mut Vec<u8>) {
    let magnitude = value.abs();
    let is_plain = magnitude == 0.0 || (1e-3..1e7).contains(&magnitude);
    if is_plain { write_plain(&value, out) } else { write_long(&value, value.is_finite(), out) }
}

fn write_plain(value: &impl std::fmt::Debug, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{value:?}").as_bytes());
}

fn write_long(value: &impl LowerExp, is_finite: bool, out: &mut Vec<u8>) {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(text, "{value:e}");
    if !is_finite {
        let name = match text.as_str() {
            "inf" => "\"Infinity\"",
            "-inf" => "\"-Infinity\"",
            _ => "\"NaN\"",
        };
        return out.extend_from_slice(name.as_bytes());
    }
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    out.extend_from_slice(format!("{mantissa}{point}E{exponent}").as_bytes());
}

/// A decimal of so many digits behind the point as `BigDecimal.toString` writes it: `0.10`, `1E-7`, `0E-10`.
pub fn write_decimal(unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    let digits = unscaled.unsigned_abs().to_string();
    if unscaled < 0 {
        out.push(b'-');
    }
    // The exponent of its first digit.
    let exponent = digits.len() as i64 - 1 - i64::from(scale);
    let digits = digits.as_bytes();
    if scale == 0 {
        return out.extend_from_slice(digits);
    }
    if scale > 0 && exponent >= -6 {
        let scale = scale.unsigned_abs() as usize;
        let zeros = (scale + 1).saturating_sub(digits.len());
        let point = (digits.len() + zeros) - scale;
        let all: Vec<u8> = std::iter::repeat_n(b'0', zeros).chain(digits.iter().copied()).collect();
        out.extend_from_slice(&all[..point]);
        out.push(b'.');
        return out.extend_from_slice(&all[point..]);
    }
    let (first, others) = digits.split_at(1);
    out.extend_from_slice(first);
    if !others.is_empty() {
        out.push(b'.');
        out.extend_from_slice(others);
    }
    if exponent != 0 {
        let sign = if exponent > 0 { "+" } else { "" };
        out.extend_from_slice(format!("E{sign}{exponent}").as_bytes());
    }
}

/// Text as a JSON string.
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut plain = 0;
    for (at, byte) in text.iter().enumerate() {
        let control;
        let escaped: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            0x08 => b"\\b",
            0x0c => b"\\f",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=0x1f => {
                control = format!("\\u{byte:04X}");
                control.as_bytes()
            }
            _ => continue,
        };
        out.extend_from_slice(&text[plain..at]);
        out.extend_from_slice(escaped);
        plain = at + 1;
    }
    out.extend_from_slice(&text[plain..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
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
            (f64::INFINITY, "\"Infinity\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
        ] {
            assert_eq!(told(|out| write_double(value, out)), expected);
        }
        for (value, expected) in
            [(1.1_f32, "1.1"), (1e10, "1.0E10"), (1.0e-5, "1.0E-5"), (f32::NAN, "\"NaN\"")]
        {
            assert_eq!(told(|out| write_float(value, out)), expected);
        }
    }

    #[test]
    fn decimals_look_as_in_java() {
        for (unscaled, scale, expected) in [
            (0, 0, "0"),
            (-7, 0, "-7"),
            (10, 2, "0.10"),
            (-12_345, 2, "-123.45"),
            (1, 6, "0.000001"),
            (1, 7, "1E-7"),
            (-123, 9, "-1.23E-7"),
            (0, 10, "0E-10"),
            (0, 6, "0.000000"),
            (5, -3, "5E+3"),
            (i128::MIN, 38, "-1.70141183460469231731687303715884105728"),
        ] {
            assert_eq!(told(|out| write_decimal(unscaled, scale, out)), expected, "{unscaled} {scale}");
        }
    }

    #[test]
    fn texts_are_quoted_as_jackson_does() {
        for (text, expected) in [
            ("", r#""""#),
            ("größe/🙈\u{7f}\u{2028}", "\"größe/🙈\u{7f}\u{2028}\""),
            ("a\"b\\c\n\r\t\u{8}\u{c}\u{1f}\0", r#""a\"b\\c\n\r\t\b\f\u001F\u0000""#),
        ] {
            assert_eq!(told(|out| write_string(text.as_bytes(), out)), expected);
        }
    }
}
