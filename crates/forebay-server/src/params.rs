//! Parameters in a URL: declared once per route, read here, documented from the same table.
//!
//! What must stay true: nothing that was sent is silently ignored. An unknown name, a second value where one is taken
//! and a value of the wrong kind are refused in plain words; an empty value is the same as none.

use forebay_core::options::unknown_name;

use crate::problem::Problem;

/// A parameter of a route.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub name: &'static str,
    /// What it is for, in a sentence.
    pub doc: &'static str,
    pub kind: Kind,
    /// True if it must be given.
    pub required: bool,
    /// How many times it may be given.
    pub most: usize,
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Text of at most so many characters.
    Text(usize),
    /// Where a list goes on.
    Cursor,
    /// A whole number: the least, the most, and the one that none stands for.
    Integer(u64, u64, u64),
    /// One of these words; the first one if none is given.
    OneOf(&'static [&'static str]),
}

/// Longest name, in characters: of a source, a field, a device.
pub(crate) const NAME: usize = 500;

/// A text that may be left out.
pub(crate) const fn text(name: &'static str, doc: &'static str) -> Parameter {
    Parameter { name, doc, kind: Kind::Text(NAME), required: false, most: 1 }
}

/// Where a list goes on.
pub(crate) const fn cursor(name: &'static str, doc: &'static str) -> Parameter {
    Parameter { name, doc, kind: Kind::Cursor, required: false, most: 1 }
}

/// Texts of so many characters each, at most so many of them.
pub(crate) const fn texts(name: &'static str, longest: usize, most: usize, doc: &'static str) -> Parameter {
    Parameter { name, doc, kind: Kind::Text(longest), required: false, most }
}

/// A text that must be there.
pub(crate) const fn required(name: &'static str, most: usize, doc: &'static str) -> Parameter {
    Parameter { name, doc, kind: Kind::Text(most), required: true, most: 1 }
}

/// A number that may be left out.
pub(crate) const fn integer(
    name: &'static str,
    least: u64,
    most: u64,
    default: u64,
    doc: &'static str,
) -> Parameter {
    Parameter { name, doc, kind: Kind::Integer(least, most, default), required: false, most: 1 }
}

/// A word that may be left out.
pub(crate) const fn one_of(
    name: &'static str,
    words: &'static [&'static str],
    doc: &'static str,
) -> Parameter {
    Parameter { name, doc, kind: Kind::OneOf(words), required: false, most: 1 }
}

/// The parameters of a request, checked against those of its route.
#[derive(Debug, Default)]
pub(crate) struct Given {
    parameters: &'static [Parameter],
    values: Vec<(&'static str, String)>,
}

impl Given {
    /// Checks what was sent.
    pub fn check(parameters: &'static [Parameter], sent: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut values: Vec<(&'static str, String)> = Vec::new();
        for (name, value) in sent {
            let Some(parameter) = parameters.iter().find(|parameter| parameter.name == name) else {
                if parameters.is_empty() {
                    return Err(Problem::bad("this path takes no parameters"));
                }
                let known = unknown_name("parameter", &name, parameters.iter().map(|known| known.name));
                return Err(Problem::bad(known.message()).hint(known.hint()));
            };
            if value.is_empty() {
                continue;
            }
            if values.iter().filter(|(known, _)| *known == parameter.name).count() == parameter.most {
                return Err(Problem::bad(match parameter.most {
                    1 => format!("the parameter `{name}` is given twice"),
                    most => format!("the parameter `{name}` is given more than {most} times"),
                }));
            }
            parameter.kind.check(&name, &value)?;
            values.push((parameter.name, value));
        }
        let is_missing = |parameter: &&Parameter| {
            parameter.required && !values.iter().any(|(known, _)| *known == parameter.name)
        };
        match parameters.iter().find(is_missing) {
            Some(missing) => {
                Err(Problem::bad(format!("the parameter `{}` is missing", missing.name)).hint(missing.doc))
            }
            None => Ok(Self { parameters, values }),
        }
    }

    /// A text; empty if none was given.
    pub fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// Every text of a name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// A number, or the one that none stands for.
    pub fn integer(&self, name: &str) -> usize {
        let default = self.parameters.iter().find(|parameter| parameter.name == name).map(|it| it.kind);
        let default = if let Some(Kind::Integer(_, _, default)) = default { default } else { 0 };
        let number = self.all(name).next().and_then(|text| text.parse().ok()).unwrap_or(default);
        usize::try_from(number).unwrap_or(usize::MAX)
    }

    /// A word, or the first of those that the parameter takes.
    pub fn word(&self, name: &str) -> &str {
        let first = self.parameters.iter().find(|parameter| parameter.name == name).map(|it| it.kind);
        let first = if let Some(Kind::OneOf([first, ..])) = first { first } else { "" };
        self.all(name).next().unwrap_or(first)
    }
}

impl Kind {
    fn check(self, name: &str, value: &str) -> Result<(), Problem> {
        match self {
            Self::Text(most) if value.chars().count() > most => {
                Err(Problem::bad(format!("the parameter `{name}` is longer than {most} characters")))
            }
            // What is no cursor is told by the list, which knows its own.
            Self::Text(_) | Self::Cursor => Ok(()),
            Self::Integer(least, most, _) => {
                let is_plain = value.bytes().all(|byte| byte.is_ascii_digit());
                match value.parse::<u64>() {
                    Ok(number) if is_plain && (least..=most).contains(&number) => Ok(()),
                    _ => Err(Problem::bad(format!(
                        "the parameter `{name}` takes a whole number from {least} to {most}"
                    ))),
                }
            }
            Self::OneOf(words) if words.contains(&value) => Ok(()),
            Self::OneOf(words) => {
                Err(Problem::bad(format!("the parameter `{name}` takes one of: {}", words.join(", "))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static TAKEN: &[Parameter] = &[
        text("search", "what to look for"),
        texts("key", 10, 2, "which devices"),
        integer("limit", 1, 100, 50, "how many"),
        one_of("state", &["all", "open"], "which"),
    ];

    fn given(sent: &[(&str, &str)]) -> Result<Given, Problem> {
        Given::check(
            TAKEN,
            sent.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        )
    }

    #[test]
    fn what_is_not_given_has_its_default_and_an_empty_value_is_none() {
        for sent in [&[][..], &[("limit", ""), ("state", ""), ("search", ""), ("key", "")]] {
            let given = given(sent).unwrap();
            assert_eq!((given.integer("limit"), given.word("state"), given.text("search")), (50, "all", ""));
            assert_eq!(given.all("key").count(), 0);
        }
        let given = given(&[("key", "a"), ("limit", "7"), ("key", "b")]).unwrap();
        assert_eq!((given.integer("limit"), given.all("key").collect::<Vec<_>>()), (7, vec!["a", "b"]));
    }

    #[test]
    fn what_the_route_does_not_take_is_refused() {
        for sent in [
            ("serach", "x"),
            ("limit", "0"),
            ("limit", "101"),
            ("limit", "+5"),
            ("limit", "1e2"),
            ("limit", "99999999999999999999999"),
            ("state", "closed"),
        ] {
            given(&[sent]).unwrap_err();
        }
        given(&[("limit", "1"), ("limit", "2")]).unwrap_err();
        given(&[("key", "a"), ("key", "a"), ("key", "a")]).unwrap_err();
        given(&[("search", &"é".repeat(501))]).unwrap_err();
        given(&[("search", &"é".repeat(500))]).unwrap();
    }
}
