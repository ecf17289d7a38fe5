//! Templates: a text with places for levels of the topic and fields of the payload, as `{station}` or `{$.device.id}`.

use super::pattern::{Captures, Pattern};
use crate::error::{Error, codes};

/// A text with places in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it stands.
    Text(String),
    /// What a wildcard of the pattern stands for, counted from 0.
    Level(usize),
    /// The whole topic.
    Topic,
    /// Who sent it.
    From,
    /// A field of the payload, nested ones with dots.
    Field(Vec<String>),
}

impl Template {
    /// Reads a template for topics that `pattern` takes: `{name}`, `{1}` and `{#}` are what its wildcards stand for, `{topic}`
    /// is the whole topic, `{from}` who sent it, `{$.a.b}` a field of a JSON payload; `{{` stands for a `{`, `}}` for a `}`.
    ///
    /// # Errors
    /// `BAD_VALUE` or `UNKNOWN_KEY` for a place that is not closed, or names nothing that is there.
    pub fn parse(text: &str, pattern: &Pattern) -> Result<Self, Error> {
        let bad = |what: String| {
            Error::new(&codes::BAD_VALUE, what)
                .with_hint("A place is `{name}` or `{1}` for a level, `{topic}`, `{from}`, or `{$.FIELD}`; a brace of the text itself is written twice.")
        };
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let here = &rest[at..];
            if here.starts_with("{{") || here.starts_with("}}") {
                plain.push_str(&here[..1]);
                rest = &here[2..];
                continue;
            }
            let end = here.find('}').filter(|end| *end > 1 && here.starts_with('{'));
            let Some(end) = end else { return Err(bad(format!("a brace in `{text}` has no other"))) };
            let name = &here[1..end];
            rest = &here[end + 1..];
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(match (name, name.strip_prefix("$.")) {
                ("topic", _) => Piece::Topic,
                ("from", _) => Piece::From,
                (_, Some(path)) => {
                    let parts: Vec<String> = path.split('.').map(str::to_owned).collect();
                    if parts.iter().any(String::is_empty) {
                        return Err(bad(format!("`{{{name}}}` names no field")));
                    }
                    Piece::Field(parts)
                }
                _ => Piece::Level(pattern.capture(name)?),
            });
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self { text: text.to_owned(), pieces })
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The fields of the payload that it names.
    pub fn fields(&self) -> impl Iterator<Item = &[String]> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Field(path) => Some(path.as_slice()),
            _ => None,
        })
    }

    /// The text for one message; `None` if `field` has nothing for a field that it names.
    pub fn render(
        &self,
        captures: &Captures<'_>,
        topic: &str,
        from: &str,
        mut field: impl FnMut(&[String]) -> Option<String>,
    ) -> Option<String> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Level(index) => out.push_str(captures.get(*index).unwrap_or_default()),
                Piece::Topic => out.push_str(topic),
                Piece::From => out.push_str(from),
                Piece::Field(path) => out.push_str(&field(path)?),
            }
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(template: &str, pattern: &str, topic: &str) -> Option<String> {
        let pattern = Pattern::parse(pattern).unwrap();
        let template = Template::parse(template, &pattern).unwrap();
        let field = |path: &[String]| (path == ["a", "b"]).then(|| "f".to_owned());
        template.render(&pattern.matches(topic).unwrap(), topic, "dev", field)
    }

    #[test]
    fn places_are_levels_by_name_and_number_topic_sender_and_fields() {
        let said = rendered("{station}-{1}.{2}/{topic} {from} {{x}} {$.a.b}", "p/{station}/#", "p/s1/d/e");
        assert_eq!(said.as_deref(), Some("s1-s1.d/e/p/s1/d/e dev {x} f"));
        assert_eq!(rendered("{$.a}", "#", "t"), None, "a field that is not there");
        assert_eq!(rendered("{#}", "p/#", "p").as_deref(), Some(""));
        assert_eq!(rendered("", "p", "p").as_deref(), Some(""));
    }

    #[test]
    fn a_place_that_is_not_there_is_refused() {
        let pattern = Pattern::parse("p/{station}/+").unwrap();
        for bad in ["{", "}", "{}", "{staton}", "{3}", "{0}", "{#}", "{$.}", "{$.a..b}", "a{1"] {
            assert!(Template::parse(bad, &pattern).is_err(), "{bad}");
        }
        let error = Template::parse("{staton}", &pattern).unwrap_err();
        assert!(error.hint().contains("`station`"), "{error:?}");
    }
}
