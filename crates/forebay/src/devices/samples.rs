//! Events that are played from files: samples in their order, and after them those that come late.
//!
//! A file is text with one event in JSON a line; blank lines are none. What must stay true: both files are read and
//! looked at before the first event is sent, so that a wrong line is told with its number and nothing is half sent; and
//! an event is sent byte by byte as it stands, but for its time where that is to be moved.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use serde::Deserialize;

use super::stamp::Stamp;
use crate::flaw;

/// Most bytes of a file: what comfortably lies in memory. `forebay produce` sends files of any size.
const MOST_BYTES: u64 = 256 << 20;

/// The events of one file.
#[derive(Debug)]
pub struct Lines {
    lines: Vec<Line>,
    next: usize,
}

#[derive(Debug)]
struct Line {
    text: String,
    customer: Option<String>,
    stamp: Stamp,
    /// Where the time stands in the text.
    stamp_at: Range<usize>,
}

/// What a line must be at least; the rest may be anything.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "eventTime", borrow)]
    time: Cow<'a, str>,
    #[serde(rename = "customerId", default)]
    customer: Option<String>,
    #[serde(default)]
    #[allow(dead_code, reason = "that it can be read is what is asked for")]
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    #[allow(dead_code, reason = "that it can be read is what is asked for")]
    devices: Option<Vec<Option<serde_json::Map<String, serde_json::Value>>>>,
}

impl Lines {
    /// Reads a file and looks at each of its lines.
    ///
    /// # Errors
    /// `FILE_UNREADABLE`, or `BAD_VALUE` with file and line.
    pub fn read(path: &Path) -> Result<Self> {
        let unreadable = |error: std::io::Error| {
            Error::new(&codes::FILE_UNREADABLE, "the samples cannot be read")
                .at(path.display())
                .caused_by(error)
        };
        let mut text = String::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MOST_BYTES {
            let error = Error::new(&codes::BAD_VALUE, "a file of samples is larger than 256 MiB");
            return Err(error
                .at(path.display())
                .with_hint("`forebay produce --file` sends files of any size."));
        }
        Self::of(&text, &path.display().to_string())
    }

    /// The events of a text.
    fn of(text: &str, file: &str) -> Result<Self> {
        let mut lines = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim();
            if !line.is_empty() {
                lines.push(Line::of(line, file, number)?);
            }
        }
        if lines.is_empty() {
            return Err(Error::new(&codes::BAD_VALUE, "the file holds no event").at(file).with_hint(HINT));
        }
        Ok(Self { lines, next: 0 })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// The time of the first, in microseconds since 1970.
    pub fn first(&self) -> i64 {
        self.lines.first().map_or(0, |line| line.stamp.micros())
    }

    /// Writes the next event, its time moved by so many microseconds, and the customer that it is of; false if there
    /// are no more.
    pub fn next(&mut self, moved: i64, out: &mut Vec<u8>, customer: &mut Vec<u8>) -> bool {
        let Some(line) = self.lines.get(self.next) else { return false };
        self.next += 1;
        if moved == 0 {
            out.extend_from_slice(line.text.as_bytes());
        } else {
            out.extend_from_slice(&line.text.as_bytes()[..line.stamp_at.start]);
            out.extend_from_slice(line.stamp.later(moved).as_bytes());
            out.extend_from_slice(&line.text.as_bytes()[line.stamp_at.end..]);
        }
        customer.extend_from_slice(line.customer.as_deref().unwrap_or_default().as_bytes());
        true
    }
}

const HINT: &str = "A line is an event with an eventTime such as \"2023-01-05 11:13:53.643364\" and, if it has any, devices in data.devices. `forebay produce --file` sends lines of any kind.";

impl Line {
    fn of(text: &str, file: &str, number: u64) -> Result<Self> {
        let wrong = |what: String| {
            Error::new(&codes::BAD_VALUE, what).at(format_args!("{file}:{number}")).with_hint(HINT)
        };
        if !text.starts_with('{') {
            return Err(wrong("the line is no event, which is a JSON object".to_owned()));
        }
        let event: Event<'_> = serde_json::from_str(text).map_err(|error| {
            flaw::of("the line is no event of devices", file, number, &error).with_hint(HINT)
        })?;
        let (Cow::Borrowed(time), Some(stamp)) = (&event.time, Stamp::parse(&event.time)) else {
            return Err(wrong(format!("eventTime `{}` is not a time", crate::talk::one_line(&event.time))));
        };
        let start = time.as_ptr() as usize - text.as_ptr() as usize;
        let stamp_at = start..start + time.len();
        Ok(Self { text: text.to_owned(), customer: event.customer, stamp, stamp_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"eventId": "ba2ea9f4", "customerId": "CI00119", "data": {"devices": []}, "eventTime": "2023-01-05 11:13:53.643364"}"#;
    const BARE: &str =
        r#"{"eventTime":"2023-01-05 11:12:53.643364","data":{"devices":[{"deviceId":null},null]},"x":[1]}"#;

    fn next(lines: &mut Lines, moved: i64) -> Option<(String, String)> {
        let (mut out, mut customer) = (Vec::new(), Vec::new());
        let is_one = lines.next(moved, &mut out, &mut customer);
        is_one.then(|| (String::from_utf8(out).unwrap(), String::from_utf8(customer).unwrap()))
    }

    #[test]
    fn events_are_played_as_they_stand_and_in_their_order() {
        let mut lines = Lines::of(&format!("{EVENT}\r\n\n  {BARE}\n"), "samples.txt").unwrap();
        assert_eq!((lines.len(), lines.first()), (2, 1_672_917_233_643_364));
        assert_eq!(next(&mut lines, 0), Some((EVENT.to_owned(), "CI00119".to_owned())));
        assert_eq!(next(&mut lines, 0), Some((BARE.to_owned(), String::new())));
        assert_eq!(next(&mut lines, 0), None);
    }

    #[test]
    fn of_an_event_that_is_moved_only_the_time_is_another() {
        let mut lines = Lines::of(&format!("{EVENT}\n{BARE}"), "samples.txt").unwrap();
        let moved = [EVENT, BARE].map(|event| event.replace("2023-01-05 11:", "2023-01-05 12:"));
        for event in moved {
            assert_eq!(next(&mut lines, 3_600_000_000).unwrap().0, event);
        }
    }

    #[test]
    fn a_wrong_line_is_told_with_its_number() {
        for (line, place, what) in [
            ("{\"eventTime\": \"2023-01-05 11:13:53\"", ":3:", "EOF"),
            ("{\"eventId\": \"x\"}", ":3:16", "missing field `eventTime`"),
            ("{\"eventTime\": null}", ":3:", "invalid type: null"),
            (
                "{\"eventTime\": \"2023-01-0511:13:53.643364\"}",
                ":3",
                "eventTime `2023-01-0511:13:53.643364` is not a time",
            ),
            ("{\"eventTime\": \"2023-01-05 11:13:5\\u0033\"}", ":3", "is not a time"),
            (
                "{\"eventTime\": \"2023-01-05 11:13:53\", \"data\": {\"devices\": [5]}}",
                ":3:",
                "invalid type: integer",
            ),
            (
                "{\"eventTime\": \"2023-01-05 11:13:53\", \"data\": {\"devices\": {}}}",
                ":3:",
                "expected a sequence",
            ),
            ("[1]", ":3", "no event"),
            ("D001;15;C", ":3", "no event"),
        ] {
            let error = Lines::of(&format!("{EVENT}\n\n{line}\n"), "samples.txt").unwrap_err();
            let said = error.to_string();
            assert!(said.contains(&format!("(samples.txt{place}")) && said.contains(what), "{line}: {said}");
        }
        assert!(Lines::of("\n \n", "samples.txt").unwrap_err().message().contains("no event"));
        assert_eq!(Lines::read(Path::new("/nothing/here")).unwrap_err().code(), &codes::FILE_UNREADABLE);
    }
}
