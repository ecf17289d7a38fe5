//! In which line a key of the file stands: for those who tell of a part of the file that is not wrong.

use super::lines::Lines;
use super::problems::Problems;
use super::yaml::{self, Kind, Node};

/// A file's keys with their lines.
pub struct KeyLines<'a> {
    lines: Lines<'a>,
    root: Option<Node>,
}

impl<'a> KeyLines<'a> {
    /// Of a text that was parsed before; of one that is no YAML it knows nothing.
    pub fn new(text: &'a str) -> Self {
        Self { lines: Lines::new(text), root: yaml::read(&mut Problems::new(text, "")) }
    }

    /// The line, from 1, of the key at the end of a path from the top: `["alerts", "overheat"]`.
    pub fn of(&self, path: &[&str]) -> Option<usize> {
        let mut node = self.root.as_ref()?;
        let mut line = None;
        for key in path {
            let Kind::Mapping(entries) = &node.kind else { return None };
            let entry = entries.iter().find(|entry| entry.key == *key)?;
            line = Some(self.lines.line_of(entry.key_span.start));
            node = &entry.value;
        }
        line
    }
}

impl std::fmt::Debug for KeyLines<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyLines")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_those_above_it() {
        let keys = KeyLines::new("\u{feff}a:\n  b: 1\n  c:\n    b: x\nd: { b: 2 }\n");
        let line = |path: &[&str]| keys.of(path);
        assert_eq!((line(&["a"]), line(&["a", "b"]), line(&["a", "c", "b"])), (Some(1), Some(2), Some(4)));
        assert_eq!(
            (line(&["d", "b"]), line(&["b"]), line(&["a", "b", "c"]), line(&[])),
            (Some(5), None, None, None)
        );
        assert_eq!(KeyLines::new("a: [").of(&["a"]), None);
    }
}
