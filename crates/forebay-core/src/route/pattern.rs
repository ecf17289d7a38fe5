//! Patterns of topics: MQTT's filters, with names for levels.
//!
//! `plant/+/dht11` takes any one level in the middle, `plant/{station}/dht11` too and names it, and `#` at the end takes
//! all that follows, nothing included. As in MQTT, a pattern that begins with a wildcard takes no topic that begins with `$`.

use crate::error::{Error, codes};
use crate::options::unknown_name;

/// Most levels of a pattern; also bounds what [`Captures`] holds.
pub const MOST_LEVELS: usize = 32;

/// Longest pattern in bytes: far beyond what people write, below MQTT's bound of a topic.
const LONGEST: usize = 1_024;

/// Which topics a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    levels: Vec<Level>,
    /// It ends in `#`.
    is_open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Word(String),
    /// Any one level, with its name if it has one.
    Any(Option<String>),
}

/// What the wildcards of a pattern stand for in one topic, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Captures<'t> {
    found: [&'t str; MOST_LEVELS],
    count: usize,
}

impl<'t> Captures<'t> {
    fn push(&mut self, text: &'t str) {
        if let Some(place) = self.found.get_mut(self.count) {
            *place = text;
            self.count += 1;
        }
    }

    /// What the wildcard of this number stands for, counted from 0.
    pub fn get(&self, index: usize) -> Option<&'t str> {
        self.found[..self.count].get(index).copied()
    }
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// `BAD_VALUE` for what is none: empty, too long or deep, a `+` or `#` that does not stand alone in its level, a `#`
    /// that is not last, a name that stands twice or is no name.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |what: String| {
            Error::new(&codes::BAD_VALUE, what).with_hint(
                "A pattern has levels with `/` between them: words, `+` or `{name}` for any one level, and `#` at the end for all that follows, as in `plant/{station}/dht11`.",
            )
        };
        if text.is_empty() || text.len() > LONGEST || text.contains('\0') {
            return Err(bad(format!("a pattern has from 1 to {LONGEST} bytes, and no NUL")));
        }
        let mut levels: Vec<Level> = Vec::new();
        let mut is_open = false;
        for word in text.split('/') {
            if is_open {
                return Err(bad("`#` is not the last level of the pattern".to_owned()));
            }
            if levels.len() >= MOST_LEVELS - 1 {
                return Err(bad(format!("the pattern has {MOST_LEVELS} levels or more")));
            }
            let name = word.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            match (word, name) {
                ("#", _) => is_open = true,
                ("+", _) => levels.push(Level::Any(None)),
                (_, Some(name)) => {
                    if !is_name(name) {
                        return Err(bad(format!(
                            "`{word}` does not name a level: names begin with a letter"
                        )));
                    }
                    let is_taken = |level: &Level| matches!(level, Level::Any(Some(known)) if known == name);
                    if matches!(name, "topic" | "from") || levels.iter().any(is_taken) {
                        return Err(bad(format!("the name `{name}` is taken")));
                    }
                    levels.push(Level::Any(Some(name.to_owned())));
                }
                _ if word.contains(['+', '#', '{', '}']) => {
                    return Err(bad(format!("the level `{word}` is neither a word nor a wildcard")));
                }
                _ => levels.push(Level::Word(word.to_owned())),
            }
        }
        Ok(Self { text: text.to_owned(), levels, is_open })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What its wildcards stand for in this topic; `None` if it does not take it.
    pub fn matches<'t>(&self, topic: &'t str) -> Option<Captures<'t>> {
        let mut captures = Captures { found: [""; MOST_LEVELS], count: 0 };
        if topic.starts_with('$') && self.begins_with_wildcard() {
            return None;
        }
        let mut rest = Some(topic);
        for level in &self.levels {
            let (word, after) = match rest?.split_once('/') {
                Some((word, after)) => (word, Some(after)),
                None => (rest?, None),
            };
            rest = after;
            match level {
                Level::Word(expected) if expected == word => {}
                Level::Word(_) => return None,
                Level::Any(_) => captures.push(word),
            }
        }
        match (self.is_open, rest) {
            (true, rest) => captures.push(rest.unwrap_or_default()),
            (false, None) => {}
            (false, Some(_)) => return None,
        }
        Some(captures)
    }

    /// True if it takes every topic that the other takes.
    pub fn covers(&self, other: &Self) -> bool {
        let starts_with_dollar =
            matches!(other.levels.first(), Some(Level::Word(word)) if word.starts_with('$'));
        if starts_with_dollar && self.begins_with_wildcard() {
            return false;
        }
        let mut others = other.levels.iter();
        for own in &self.levels {
            match (own, others.next()) {
                (Level::Word(own), Some(Level::Word(theirs))) if own == theirs => {}
                (Level::Any(_), Some(_)) => {}
                _ => return false,
            }
        }
        self.is_open || (others.next().is_none() && !other.is_open)
    }

    /// The number of the wildcard that a template calls so: its name, its number from 1, or `#`.
    pub(super) fn capture(&self, name: &str) -> Result<usize, Error> {
        let wildcards = || self.levels.iter().filter(|level| matches!(level, Level::Any(_)));
        let count = wildcards().count() + usize::from(self.is_open);
        if let Ok(number) = name.parse::<usize>() {
            return number.checked_sub(1).filter(|index| *index < count).ok_or_else(|| {
                Error::new(
                    &codes::BAD_VALUE,
                    format!("`{{{name}}}` is not there: the pattern has {count} wildcard(s)"),
                )
                .with_hint("Wildcards are counted from 1, in the order of the pattern.")
            });
        }
        if name == "#" && self.is_open {
            return Ok(count - 1);
        }
        let named = wildcards().position(|level| matches!(level, Level::Any(Some(known)) if known == name));
        named.ok_or_else(|| {
            let known = wildcards().filter_map(|level| match level {
                Level::Any(Some(name)) => Some(name.as_str()),
                _ => None,
            });
            unknown_name("place", name, known.chain(["topic", "from", "$.FIELD"]))
        })
    }

    fn begins_with_wildcard(&self) -> bool {
        match self.levels.first() {
            Some(level) => matches!(level, Level::Any(_)),
            None => self.is_open,
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, topic: &str) -> Option<Vec<String>> {
        let captures = Pattern::parse(pattern).unwrap().matches(topic)?;
        Some((0..).map_while(|index| captures.get(index)).map(str::to_owned).collect())
    }

    #[test]
    fn a_pattern_takes_what_mqtt_says_it_takes() {
        for (pattern, topic, captures) in [
            ("plant/+/dht11", "plant/a/dht11", Some(vec!["a"])),
            ("plant/{station}/{sensor}", "plant/a/dht11", Some(vec!["a", "dht11"])),
            ("plant/+/dht11", "plant//dht11", Some(vec![""])),
            ("plant/+", "plant", None),
            ("plant/+", "plant/a/b", None),
            ("plant/#", "plant", Some(vec![""])),
            ("plant/#", "plant/a/b", Some(vec!["a/b"])),
            ("plant/#", "plants/a", None),
            ("#", "a/b", Some(vec!["a/b"])),
            ("#", "$SYS/x", None),
            ("+/x", "$SYS/x", None),
            ("$SYS/+", "$SYS/x", Some(vec!["x"])),
            ("/a", "/a", Some(vec![])),
            ("/a", "a", None),
            ("+/+", "/", Some(vec!["", ""])),
        ] {
            let captures = captures.map(|them| them.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(found(pattern, topic), captures, "{pattern} {topic}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in
            ["", "a/#/b", "a+/b", "a/b#", "{}", "{1}", "{a}/{a}", "{topic}", "a{b}", "a\0b", &"x/".repeat(40)]
        {
            assert_eq!(Pattern::parse(bad).unwrap_err().code(), &codes::BAD_VALUE, "{bad}");
        }
    }

    #[test]
    fn a_pattern_that_covers_another_takes_all_that_it_takes() {
        let topics = ["a", "a/b", "a/b/c", "$a", "$a/b", "", "/", "b/b", "b"];
        let patterns = ["#", "+", "a/#", "a/+", "a/b", "+/b", "+/#", "$a/#", "a", "+/+", "{x}/b/#", "$a/+"];
        let parse = |text: &str| Pattern::parse(text).unwrap();
        let mut covering = 0;
        for one in patterns {
            for other in patterns {
                if parse(one).covers(&parse(other)) {
                    covering += 1;
                    for topic in topics.iter().filter(|topic| found(other, topic).is_some()) {
                        assert!(found(one, topic).is_some(), "{one} covers {other}, not at {topic}");
                    }
                }
            }
        }
        assert!(
            covering > patterns.len()
                && parse("a/#").covers(&parse("a"))
                && !parse("a/+").covers(&parse("a/#"))
        );
        assert!(!parse("#").covers(&parse("$a/#")));
    }
}
