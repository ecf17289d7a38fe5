//! Numbers to decimals, digit by digit: no detour by doubles, no room for a million zeros.
//!
//! More digits after the point than the scale are rounded half up, away from zero, as Spark does; what is then wider
//! than the precision is refused.

/// Digits that a 128-bit decimal can have.
const WIDEST: i64 = 38;

/// Java's exponents have 32 bits; beyond them Spark refuses a number, even if it would round to zero.
const MOST_EXPONENT: i64 = i32::MAX as i64;

/// The unscaled value of a number's text (checked JSON grammar) at this precision and scale; `None` if it does not
/// fit.
pub(super) fn read(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let (negative, text) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let digits_end = text.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(text.len());
    let (mantissa, exponent) = text.split_at(digits_end);
    let exponent = read_exponent(exponent);
    if exponent.abs() > MOST_EXPONENT {
        return None;
    }
    let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());

    // Digit number i (from 0, without the point) stands for 10^(point - 1 - i + exponent); the last one that is kept
    // stands for 10^-scale.
    let keep = (point as i64).saturating_add(exponent).saturating_add(i64::from(scale));
    let mut value: i128 = 0;
    let mut significant = 0;
    let mut round_up = false;
    let mut index: i64 = 0;
    for byte in mantissa.iter().filter(|byte| **byte != b'.') {
        let digit = i128::from(byte - b'0');
        if index < keep {
            if significant > 0 || digit > 0 {
                significant += 1;
                if significant > WIDEST {
                    return None;
                }
            }
            value = value * 10 + digit;
        } else {
            round_up = index == keep && digit >= 5;
            break;
        }
        index += 1;
    }
    if value != 0 {
        for _ in index..keep {
            significant += 1;
            if significant > WIDEST {
                return None;
            }
            value *= 10;
        }
    }
    value += i128::from(round_up);
    if value >= 10_i128.checked_pow(u32::from(precision))? {
        return None;
    }
    Some(if negative { -value } else { value })
}

/// The same for a text in the grammar of Java's `BigDecimal`, with commas between digits as Spark takes them.
pub(super) fn read_java(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let mut plain: Vec<u8> = text.iter().copied().filter(|byte| *byte != b',').collect();
    if plain.first() == Some(&b'+') {
        plain.remove(0);
    }
    let unsigned = plain.strip_prefix(b"-").unwrap_or(&plain);
    let end = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(unsigned.len());
    let (mantissa, exponent) = unsigned.split_at(end);
    let points = mantissa.iter().filter(|byte| **byte == b'.').count();
    let digits = mantissa.iter().filter(|byte| byte.is_ascii_digit()).count();
    let exponent_digits = match exponent {
        [] => &b"0"[..],
        [_, b'+' | b'-', digits @ ..] | [_, digits @ ..] => digits,
    };
    let well_formed = points <= 1
        && digits > 0
        && digits + points == mantissa.len()
        && !exponent_digits.is_empty()
        && exponent_digits.iter().all(u8::is_ascii_digit);
    if well_formed { read(&plain, precision, scale) } else { None }
}

/// The exponent of `e-12`; beyond any use it stays at a bound.
fn read_exponent(text: &[u8]) -> i64 {
    let digits = text.get(1..).unwrap_or_default();
    let (negative, digits) = match digits.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, digits),
    };
    let mut value: i64 = 0;
    for digit in digits {
        value = value.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
    }
    // Far from the bounds of i64, so that adding to it cannot wrap.
    let value = value.min(1 << 40);
    if negative { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn decimals_are_exact_rounded_half_up_and_bounded() {
        let cases: &[(&str, u8, i8, Option<i128>)] = &[
            ("12.34", 10, 2, Some(1234)),
            ("5", 10, 2, Some(500)),
            ("-0.0", 10, 2, Some(0)),
            ("1.5e3", 10, 2, Some(150_000)),
            ("1.235", 10, 2, Some(124)),
            ("-0.005", 10, 2, Some(-1)),
            ("0.0049999999", 10, 2, Some(0)),
            ("9.995", 3, 2, None),
            ("9.994", 3, 2, Some(999)),
            ("1e-50", 10, 2, Some(0)),
            ("5e-3", 10, 2, Some(1)),
            ("5e-4", 10, 2, Some(0)),
            ("0.5", 1, 0, Some(1)),
            ("1e1000000", 10, 2, None),
            ("0e1000000", 10, 2, Some(0)),
            ("1e-1000000000", 10, 2, Some(0)),
            ("1e-99999999999999999999", 10, 2, None),
            ("1e99999999999999999999", 10, 2, None),
            ("99999999999999999999999999999999999999", 38, 0, Some(10_i128.pow(38) - 1)),
            ("100000000000000000000000000000000000000", 38, 0, None),
            ("99999999999999999999999999999999999999.5", 38, 0, None),
            ("0.00000000000000000000000000000000000000000012", 38, 38, Some(0)),
            ("123456789012345678.9e-5", 20, 6, Some(1_234_567_890_123_456_789)),
        ];
        for (text, precision, scale, expected) in cases {
            assert_eq!(read(text.as_bytes(), *precision, *scale), *expected, "{text}");
        }
    }
}
