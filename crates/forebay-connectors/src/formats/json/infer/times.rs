//! Values that may be times: texts in the form the decoder reads, and numbers in the range of clocks.

use super::super::time::Times;

/// What a text reads as, besides text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// A date and a time of day.
    Time {
        /// It says its zone.
        zoned: bool,
    },
    /// A date alone.
    Date,
    /// Text.
    Nothing,
}

/// Says what a text reads as. A bare year or a time without a date is text: too many other things look so.
pub(super) fn reads(text: &[u8]) -> Reads {
    let digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    if !(0..4).all(digit) || text.get(4) != Some(&b'-') || !digit(5) {
        return Reads::Nothing;
    }
    let default = Times::default();
    match text.iter().position(|b| matches!(b, b'T' | b' ')) {
        Some(at) if text.len() > at + 1 && default.timestamp(text, true).is_ok() => {
            let zoned = text[at + 1..].iter().any(|b| b.is_ascii_alphabetic() || matches!(b, b'+' | b'-'));
            Reads::Time { zoned }
        }
        // Year, month and day: `2024-02` may be anything.
        None if text.iter().filter(|b| **b == b'-').count() == 2 && default.date(text).is_ok() => Reads::Date,
        _ => Reads::Nothing,
    }
}

/// The clocks that devices send: what a count stands for, the function that makes a TIMESTAMP of it, and how many of
/// them make a second.
const CLOCKS: [(&str, &str, i64); 3] = [
    ("seconds", "timestamp_seconds", 1),
    ("milliseconds", "timestamp_millis", 1_000),
    ("microseconds", "timestamp_micros", 1_000_000),
];

/// September 2001 to 2096, in seconds: what lies outside is hardly a clock.
const ERA: std::ops::Range<i64> = 1_000_000_000..4_000_000_000;

/// What numbers from `least` to `most` count if all of them may be times: the unit and the function of it.
pub(super) fn clock(least: i64, most: i64) -> Option<(&'static str, &'static str)> {
    let within = |per_second: i64| ERA.contains(&(least / per_second)) && ERA.contains(&(most / per_second));
    CLOCKS.iter().find(|(_, _, per_second)| within(*per_second)).map(|(unit, function, _)| (*unit, *function))
}
