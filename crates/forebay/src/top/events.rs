//! Server-sent events from bytes as they come.

use forebay_core::error::codes;
use forebay_core::{Error, Result};

/// Longest event: two hundred devices with all that they say are far below.
const MOST_BYTES: usize = 16 << 20;

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
    /// The line that is looked at begins here.
    line: usize,
    event: Event,
}

impl Events {
    /// The events that these bytes complete. Comments are none.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        self.bytes.extend_from_slice(bytes);
        while let Some(length) = self.bytes[self.line..].iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&self.bytes[self.line..self.line + length]).into_owned();
            self.line += length + 1;
            events.extend(self.read(line.trim_end_matches('\r')));
        }
        self.bytes.drain(..self.line);
        self.line = 0;
        if self.bytes.len() + self.event.data.len() > MOST_BYTES {
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
        let refused = (0..20).find_map(|_| events.push(&chunk).err()).unwrap();
        assert!(refused.message().contains("longer"), "{refused}");
        let mut events = Events::default();
        let line = [&b"data: "[..], &chunk, b"\n"].concat();
        assert!((0..20).any(|_| events.push(&line).is_err()), "in many lines too");
    }
}
