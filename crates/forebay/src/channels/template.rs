//! `forebay/{pipeline}/{rule}/{key}`: a topic with places for what a transition says.
//!
//! What must stay true: whatever a key holds, it is one level of the topic, and no wildcard.

use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_core::{Error, Result};
use forebay_rules::Line;

/// What can stand in braces.
const NAMES: [&str; 6] = ["pipeline", "channel", "rule", "key", "event", "severity"];

/// Longest topic of MQTT, in bytes.
const LONGEST: usize = 65_535;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(&'static str),
}

impl Template {
    /// Reads the option `topic`.
    ///
    /// # Errors
    /// `BAD_VALUE` for a place that is none, and for what no topic is.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |why: String, hint: &str| {
            Err(Error::new(&codes::BAD_VALUE, format!("option `topic` {why}")).with_hint(hint))
        };
        let mut pieces = Vec::new();
        let mut rest = text.trim();
        if rest.is_empty() || rest.len() > LONGEST {
            return bad("is empty, or too long".to_owned(), "Write `forebay/alerts/{rule}/{key}`.");
        }
        while let Some((before, behind)) = rest.split_once('{') {
            pieces.push(Piece::Text(before.to_owned()));
            let Some((name, after)) = behind.split_once('}') else {
                return bad("has a `{` without a `}`".to_owned(), "Write `forebay/alerts/{rule}/{key}`.");
            };
            let Some(name) = NAMES.into_iter().find(|known| *known == name.trim()) else {
                let unknown = unknown_name("place", name.trim(), NAMES.into_iter());
                return bad(format!("has an {}", unknown.message()), unknown.hint());
            };
            pieces.push(Piece::Name(name));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        let has_wildcard =
            |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains(['+', '#', '\0', '}']));
        if pieces.iter().any(has_wildcard) || text.trim().starts_with('$') {
            return bad(
                "has a `+`, a `#`, a `}` alone, or begins with `$`".to_owned(),
                "Those are for who subscribes; a topic to write to has none of them.",
            );
        }
        Ok(Self(pieces))
    }

    /// The topic of a transition.
    pub fn render(&self, pipeline: &str, channel: &str, line: &Line) -> String {
        let mut topic = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => topic.push_str(text),
                Piece::Name("pipeline") => level(pipeline, &mut topic),
                Piece::Name("channel") => level(channel, &mut topic),
                Piece::Name("rule") => level(&line.rule, &mut topic),
                Piece::Name("key") => level(line.key.as_deref().unwrap_or("_"), &mut topic),
                Piece::Name("event") => topic.push_str(line.event.word()),
                Piece::Name(_) => topic.push_str(line.severity.word()),
            }
        }
        // Topics that begin so are the broker's own.
        if topic.starts_with('$') {
            topic.replace_range(..1, "_");
        }
        topic
    }
}

/// Adds a text as one level: what means something in topics becomes `_`.
fn level(text: &str, topic: &mut String) {
    let text = if text.is_empty() { "_" } else { text };
    topic.extend(text.chars().map(|c| if matches!(c, '/' | '+' | '#') || c.is_control() { '_' } else { c }));
}

#[cfg(test)]
mod tests {
    use forebay_rules::Event;

    use super::*;
    use crate::channels::record::tests::line;

    #[test]
    fn a_topic_has_the_places_of_its_template_and_no_key_breaks_out_of_its_level() {
        let topic = |text: &str, key| {
            Template::parse(text).unwrap().render("plant", "hall", &line(key, Event::Raised))
        };
        assert_eq!(topic("forebay/{pipeline}/{rule}/{key}", Some("press-1")), "forebay/plant/hot/press-1");
        assert_eq!(topic("{key}/x", Some("$SYS")), "_SYS/x");
        assert_eq!(topic("{key}", Some("")), "_");
        assert_eq!(topic("a/{key}/{ event }/{severity}", Some("x/+/#\0")), "a/x_____/raised/critical");
        assert_eq!(topic("{channel}{key}", None), "hall_");
        assert_eq!(topic("plain", None), "plain");
    }

    #[test]
    fn a_template_that_is_none_is_refused_in_words() {
        for (text, part) in [
            ("", "is empty"),
            ("a/{rul}", "unknown place `rul`"),
            ("a/{rule", "without a `}`"),
            ("a/#", "has a `+`"),
            ("a/b}", "a `}` alone"),
            ("$SYS/x", "begins with `$`"),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.message().contains(part), "{text}: {error}");
        }
        assert!(Template::parse("a/{rul}").unwrap_err().hint().contains("`rule`"));
    }
}
