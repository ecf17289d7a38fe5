//! Eight bytes at a time: digits and ends of strings found by arithmetic on a 64-bit word instead of byte by byte.
//!
//! Records are short and their numbers of uneven length, so a loop over bytes is mostly mispredicted branches. A word
//! is always loaded little-endian: its lowest byte is the first in the text. What must stay true: only the *first*
//! marked byte of a mask counts; marks after it may be wrong, because carries run upwards.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The eight bytes at `at`; past the end of `bytes` they are zero, which is neither digit nor letter.
#[inline]
pub(super) fn load(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => load_end(bytes, at),
    }
}

/// Fewer than eight bytes are left: the last whole word, moved down.
fn load_end(bytes: &[u8], at: usize) -> u64 {
    let left = bytes.len().saturating_sub(at);
    if left == 0 {
        return 0;
    }
    match bytes.last_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk) >> (64 - 8 * left),
        None => {
            let mut word = 0;
            for (index, byte) in bytes.iter().skip(at).take(8).enumerate() {
                word |= u64::from(*byte) << (8 * index);
            }
            word
        }
    }
}

/// How many digits a word starts with, and their value.
#[inline]
pub(super) fn leading_digits(word: u64) -> (u64, usize) {
    let values = word ^ (LOW * 0x30);
    let others = (values.wrapping_add(LOW * 0x76) | values) & HIGH;
    let count = (others.trailing_zeros() / 8) as usize;
    if count == 0 {
        return (0, 0);
    }
    // Leading zeros take the place of the digits that are not there.
    let padded = values << (64 - 8 * count);
    let pairs = padded.wrapping_mul(10).wrapping_add(padded >> 8);
    let low = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let high = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    (low.wrapping_add(high) >> 32, count)
}

/// Marks bytes that end the plain part of a string: a quote, a backslash or a control character.
#[inline]
pub(super) fn string_stops(word: u64) -> u64 {
    let quote = word ^ (LOW * u64::from(b'"'));
    let backslash = word ^ (LOW * u64::from(b'\\'));
    let is_quote = quote.wrapping_sub(LOW) & !quote;
    let is_backslash = backslash.wrapping_sub(LOW) & !backslash;
    let is_control = word.wrapping_sub(LOW * 0x20) & !word;
    (is_quote | is_backslash | is_control) & HIGH
}

/// The index of the first marked byte; the mask is not zero.
#[inline]
pub(super) fn first(mask: u64) -> usize {
    (mask.trailing_zeros() / 8) as usize
}

/// True if a byte of the word is beyond ASCII.
#[inline]
pub(super) fn beyond_ascii(word: u64) -> bool {
    word & HIGH != 0
}

/// True if `bytes` has `pattern` at `at`. Both ends are compared as whole words, which may overlap.
#[inline]
pub(super) fn matches_at(bytes: &[u8], at: usize, pattern: &[u8]) -> bool {
    let length = pattern.len();
    let Some(window) = bytes.get(at..at + length) else { return false };
    match length {
        8..=16 => {
            load(window, 0) == load(pattern, 0) && load(window, length - 8) == load(pattern, length - 8)
        }
        17..=32 => {
            load(window, 0) == load(pattern, 0)
                && load(window, 8) == load(pattern, 8)
                && load(window, length - 16) == load(pattern, length - 16)
                && load(window, length - 8) == load(pattern, length - 8)
        }
        _ => window == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_counted_and_valued_at_any_length() {
        let text = b"12345678";
        for count in 0..=8 {
            let mut bytes = text[..count].to_vec();
            for tail in
                [&b""[..], b".5", b"}", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"/:;<=>?@", b"          "]
            {
                bytes.truncate(count);
                bytes.extend_from_slice(tail);
                let expected = if count == 0 { 0 } else { 12_345_678 / 10_u64.pow(8 - count as u32) };
                assert_eq!(leading_digits(load(&bytes, 0)), (expected, count), "{bytes:?}");
            }
        }
    }

    #[test]
    fn every_byte_is_known_as_stop_or_not() {
        for byte in 0..=255_u8 {
            for place in 0..8 {
                let mut bytes = [b'a'; 8];
                bytes[place] = byte;
                let mask = string_stops(u64::from_le_bytes(bytes));
                let stops = byte < 0x20 || byte == b'"' || byte == b'\\';
                assert_eq!(mask != 0, stops, "{byte:#x}");
                if stops {
                    assert_eq!(first(mask), place);
                }
            }
        }
    }

    #[test]
    fn words_at_the_end_are_filled_with_zeros() {
        let bytes: Vec<u8> = (1..=20).collect();
        for length in 0..=20 {
            for at in 0..=22 {
                let mut expected = [0; 8];
                for (slot, byte) in expected.iter_mut().zip(bytes[..length].iter().skip(at)) {
                    *slot = *byte;
                }
                assert_eq!(load(&bytes[..length], at), u64::from_le_bytes(expected));
            }
        }
    }

    #[test]
    fn patterns_of_any_length_match_only_themselves() {
        let text: Vec<u8> = (0..80).collect();
        for length in 0..50 {
            for at in 0..40 {
                let mut pattern = text[at..(at + length).min(80)].to_vec();
                assert!(matches_at(&text, at, &pattern));
                for place in 0..pattern.len() {
                    pattern[place] ^= 1;
                    assert!(!matches_at(&text, at, &pattern), "{length} {place}");
                    pattern[place] ^= 1;
                }
            }
        }
        assert!(!matches_at(b"abc", 2, b"cd"));
        assert!(!matches_at(b"abc", 9, b"c"));
    }
}
