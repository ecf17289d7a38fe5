//! The times Spark reads without a pattern.
//!
//! `[+-]yyyy[y][y][-[m]m[-[d]d[(T| )[h]h[:[m]m[:[s]s[.fraction][ ][zone]]]]]]`, blanks around it ignored. A zone needs
//! seconds before it. Text that has only a time of day is refused in every mode: its meaning depends on the day on
//! which it is read. The common form of nineteen characters is read at fixed places first.

use forebay_core::Zone;

use super::TimeFault;
use super::calendar;

/// Microseconds of a text; see [`super::Times::timestamp`]. `zone` is that of texts that name none, `None` for a time that has
/// none. Lenient is Spark's measure, where a lone number of five
/// or six digits is a year.
pub(super) fn timestamp(text: &[u8], zone: Option<Zone>, lenient: bool) -> Result<i64, TimeFault> {
    // What ends with a `Z` says its zone.
    if (zone.is_none_or(|zone| zone == Zone::UTC) || text.ends_with(b"Z"))
        && let Some(read) = common(text, zone.is_some())
    {
        return read;
    }
    let text = trimmed(text);
    let (moment, rest) = Moment::read(text, 6, lenient)?;
    let zone = match rest {
        [] => zone.unwrap_or_default(),
        // A zone (or whatever stands there) may only follow seconds.
        _ if !moment.has_seconds => return Err(TimeFault::Format),
        said => {
            let said = std::str::from_utf8(said).map_err(|_| TimeFault::Format)?;
            let said = Zone::read(said.trim_matches(|c| c <= ' '))?;
            if zone.is_none() {
                return Err(TimeFault::Format);
            }
            said
        }
    };
    let days = calendar::days(moment.year, moment.month, moment.day)?;
    let local = calendar::seconds(days, moment.hour, moment.minute, moment.second)?;
    calendar::micros(zone.seconds(local).ok_or(TimeFault::Range)?, moment.micros)
}

/// Days of a text. Lenient is Spark's measure: whatever follows the day and a blank or `T` is ignored.
pub(super) fn date(text: &[u8], lenient: bool) -> Result<i32, TimeFault> {
    let text = trimmed(text);
    let end =
        text.iter().position(|byte| matches!(byte, b' ' | b'T')).filter(|_| lenient).unwrap_or(text.len());
    let (day, rest) = text.split_at(end);
    let (moment, unread) = Moment::read(day, 7, lenient)?;
    if !unread.is_empty() || moment.has_time || (!rest.is_empty() && !moment.has_day) {
        return Err(TimeFault::Format);
    }
    i32::try_from(calendar::days(moment.year, moment.month, moment.day)?).map_err(|_| TimeFault::Range)
}

/// Without the blanks and control characters around it.
fn trimmed(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| *byte <= b' ' || *byte == 0x7f;
    let start = text.iter().position(|byte| !blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// `yyyy-mm-ddThh:mm:ss[.fraction][Z]`; `None` for anything else.
#[inline]
fn common(text: &[u8], zoned: bool) -> Option<Result<i64, TimeFault>> {
    let (head, mut rest) = text.split_first_chunk::<19>()?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T' | b' ', h0, h1, b':', n0, n1, b':', s0, s1] = *head
    else {
        return None;
    };
    let mut micros = 0;
    if let [b'.', digits @ ..] = rest {
        let length = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
        let (digits, after) = digits.split_at(length);
        micros = fraction(digits);
        rest = after;
    }
    // Without a zone the local time is UTC's, so `Z` changes nothing.
    if !(rest.is_empty() || rest == b"Z" && zoned) {
        return None;
    }
    let pair = |a: u8, b: u8| {
        let (a, b) = (a.wrapping_sub(b'0'), b.wrapping_sub(b'0'));
        (a < 10 && b < 10).then(|| i64::from(a * 10 + b))
    };
    let year = pair(y0, y1)? * 100 + pair(y2, y3)?;
    let (month, day) = (pair(m0, m1)?, pair(d0, d1)?);
    let (hour, minute, second) = (pair(h0, h1)?, pair(n0, n1)?, pair(s0, s1)?);
    let days = calendar::days(year, month, day);
    let seconds = days.and_then(|days| calendar::seconds(days, hour, minute, second));
    Some(seconds.and_then(|seconds| calendar::micros(seconds, micros)))
}

/// Microseconds of the digits after the point; what is finer is cut.
fn fraction(digits: &[u8]) -> i64 {
    let mut micros = 0;
    for place in 0..6 {
        micros = micros * 10 + digits.get(place).map_or(0, |digit| i64::from(digit - b'0'));
    }
    micros
}

/// What a text says, before it is asked whether there is such a time.
struct Moment {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    has_day: bool,
    has_time: bool,
    has_seconds: bool,
}

impl Moment {
    /// Reads as many parts as there are, in their order, and what is left.
    fn read(text: &[u8], year_digits: usize, lenient: bool) -> Result<(Self, &[u8]), TimeFault> {
        let (sign, mut rest) = match text {
            [b'-', rest @ ..] => (-1, rest),
            [b'+', rest @ ..] => (1, rest),
            _ => (1, text),
        };
        let mut moment = Self {
            year: 0,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            micros: 0,
            has_day: false,
            has_time: false,
            has_seconds: false,
        };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        moment.year = sign * number(&mut rest, 4, year_digits)?;
        if !follows(&mut rest, b"-") {
            // A number alone is a year only if it looks like one: `17000` is more likely a count of something.
            let plain_year = digits == 4 && text.len() == 4;
            return if lenient || plain_year { Ok((moment, rest)) } else { Err(TimeFault::Format) };
        }
        moment.month = number(&mut rest, 1, 2)?;
        if !follows(&mut rest, b"-") {
            return Ok((moment, rest));
        }
        moment.day = number(&mut rest, 1, 2)?;
        moment.has_day = true;
        if !follows(&mut rest, b"T ") {
            return Ok((moment, rest));
        }
        moment.hour = number(&mut rest, 1, 2)?;
        moment.has_time = true;
        if !follows(&mut rest, b":") {
            return Ok((moment, rest));
        }
        moment.minute = number(&mut rest, 1, 2)?;
        if !follows(&mut rest, b":") {
            return Ok((moment, rest));
        }
        moment.second = number(&mut rest, 1, 2)?;
        moment.has_seconds = true;
        if follows(&mut rest, b".") {
            let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (digits, after) = rest.split_at(length);
            moment.micros = fraction(digits);
            rest = after;
        }
        Ok((moment, rest))
    }
}

/// Skips one of these bytes, if one stands there.
fn follows(rest: &mut &[u8], any: &[u8]) -> bool {
    match rest.split_first() {
        Some((byte, after)) if any.contains(byte) => {
            *rest = after;
            true
        }
        _ => false,
    }
}

/// All digits that stand here, at least `least` and at most `most` of them.
fn number(rest: &mut &[u8], least: usize, most: usize) -> Result<i64, TimeFault> {
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(least..=most).contains(&length) {
        return Err(TimeFault::Format);
    }
    let (digits, after) = rest.split_at(length);
    *rest = after;
    Ok(digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_form_and_the_general_one_agree() {
        for text in [
            "2024-02-29T12:34:56",
            "2024-02-29 12:34:56.5",
            "1969-12-31T23:59:59.999999Z",
            "2024-02-29T12:34:56.123456789Z",
            "2023-02-29T00:00:00",
            "2024-01-01T24:00:00",
            "9999-12-31T23:59:59.",
        ] {
            let padded = format!(" {text} ");
            assert!(common(text.as_bytes(), true).is_some(), "{text}");
            assert_eq!(
                timestamp(text.as_bytes(), Some(Zone::UTC), false),
                timestamp(padded.as_bytes(), Some(Zone::UTC), false),
                "{text}"
            );
        }
    }

    #[test]
    fn texts_without_a_zone_are_read_in_the_one_that_is_given() {
        let read = |text: &[u8]| timestamp(text, Some(Zone::read("Europe/Berlin").unwrap()), false);
        let utc = |text: &[u8]| timestamp(text, Some(Zone::UTC), false);
        for (text, instant) in [
            ("2024-02-29T12:34:56", "2024-02-29T11:34:56Z"),
            ("2024-02-29", "2024-02-28T23:00:00Z"),
            ("2024-03-31T02:30:00.25", "2024-03-31T01:30:00.25Z"),
            ("2024-10-27 02:30:00", "2024-10-27T00:30:00Z"),
            ("2024-10-27T02:30:00+01:00", "2024-10-27T01:30:00Z"),
            ("2024-10-27T02:30:00Z", "2024-10-27T02:30:00Z"),
        ] {
            assert_eq!(read(text.as_bytes()), utc(instant.as_bytes()), "{text}");
        }
        assert_eq!(timestamp(b"2024-02-29T12:34:56", None, false), utc(b"2024-02-29T12:34:56Z"));
    }

    #[test]
    fn a_zone_needs_seconds_and_no_time_without_zone() {
        assert_eq!(timestamp(b"2024-02-29T12:34Z", Some(Zone::UTC), true), Err(TimeFault::Format));
        assert_eq!(timestamp(b"2024-02-29T12:34:56Z", None, true), Err(TimeFault::Format));
        assert_eq!(timestamp(b"12:34:56", Some(Zone::UTC), true), Err(TimeFault::Format));
        assert_eq!(timestamp(b"17000", Some(Zone::UTC), false), Err(TimeFault::Format));
        assert_eq!(date(b"2024-02-29 12:00", false), Err(TimeFault::Format));
        assert_eq!(date(b"2024-02-29 12:00", true), Ok(19_782));
    }
}
