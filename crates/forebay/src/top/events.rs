//! Server-sent events from bytes as they come.

use forebay_core::error::codes;
use forebay_core::{Error, Result};

/// Longest event, and longest line: our server gives a reader up for whom more than this waits.
const MOST_BYTES: usize = 4 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its name; empty if it has none.
    pub name: String,
    /// Its data.
    pub data: String,
}

/// What came and is no whole event yet.
#[derive(Debug, Default)]
pub struct Events {
    bytes: Vec<u8>,
    /// Up to here there is no end of a line: what came is looked through once, however it comes.
    looked: usize,
    event: Event,
}

impl Events {
    /// The events that these bytes complete. Comments are none.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        self.bytes.extend_from_slice(bytes);
        let mut begin = 0;
        while let Some(length) = self.bytes[self.looked..].iter().position(|byte| *byte == b'\n') {
            let end = self.looked + length;
            let line = String::from_utf8_lossy(&self.bytes[begin..end]).into_owned();
            (begin, self.looked) = (end + 1, end + 1);
            events.extend(self.read(line.trim_end_matches('\r')));
        }
        self.bytes.drain(..begin);
        self.looked = self.bytes.len();
        if self.bytes.len() + self.event.name.len() + self.event.data.len() > MOST_BYTES {
            return Err(Error::new(&codes::HTTP, format!("an event is longer than {MOST_BYTES} bytes")));
        }
        Ok(events)
    }

    fn read(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return (event != Event::default()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let text = ": still here\n\nevent: hello\ndata: {\"a\": \"ö\"}\n\nevent: x\r\ndata: 1\r\ndata: 2\r\n\r\ndata:3\n\nevent: open\n";
        let expected = [event("hello", "{\"a\": \"ö\"}"), event("x", "1\n2"), event("", "3")];
        for size in 1..text.len() {
            let mut events = Events::default();
            let found: Vec<Event> =
                text.as_bytes().chunks(size).flat_map(|chunk| events.push(chunk).unwrap()).collect();
            assert_eq!(found, expected, "{size} bytes at once");
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut events = Events::default();
        let chunk = vec![b'x'; 1 << 20];
        for n in 1..=4 {
            assert!(events.push(&chunk).unwrap().is_empty());
            assert_eq!(events.looked, n << 20, "what was looked through is not looked through again");
        }
        let refused = events.push(b"x").unwrap_err();
        assert!(refused.message().contains("longer"), "{refused}");
        let mut events = Events::default();
        let line = [&b"data: "[..], &chunk, b"\n"].concat();
        assert!((0..20).any(|_| events.push(&line).is_err()), "in many lines too");
    }
}
