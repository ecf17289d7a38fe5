//! A value of the file whose kind only others know: records and rows of tests. What was typed, with its place.
//!
//! What must stay true: whether a text stood in quotes is not forgotten, since `5` and `"5"` are two values.

use super::Placed;
use super::problems::Problems;
use super::yaml::{Kind, Node};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What it is.
    pub value: Value,
    /// Line and column of its beginning, from 1.
    pub place: (usize, usize),
    /// How many characters of it stand in its first line.
    pub length: usize,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A word or a number without quotes, as it was typed.
    Plain(String),
    /// A text in quotes, or a block of text.
    Quoted(String),
    /// A list.
    List(Vec<Written>),
    /// A mapping, in its order.
    Fields(Vec<(Placed, Written)>),
}

impl Written {
    pub(super) fn of(node: &Node, problems: &Problems<'_>) -> Self {
        let typed = problems.text().get(node.span.start..).unwrap_or_default();
        let value = match &node.kind {
            Kind::Null => Value::Null,
            Kind::Scalar(text) if typed.starts_with(['\'', '"', '|', '>']) => Value::Quoted(text.clone()),
            Kind::Scalar(text) => Value::Plain(text.clone()),
            Kind::Sequence(items) => Value::List(items.iter().map(|item| Self::of(item, problems)).collect()),
            Kind::Mapping(entries) => Value::Fields(
                entries
                    .iter()
                    .map(|entry| {
                        let key = Placed { text: entry.key.clone(), place: problems.place(entry.key_span) };
                        (key, Self::of(&entry.value, problems))
                    })
                    .collect(),
            ),
        };
        Self { value, place: problems.place(node.span), length: problems.length(node.span) }
    }

    /// Its text, if it is one word or text.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Plain(text) | Value::Quoted(text) => Some(text),
            Value::Null | Value::List(_) | Value::Fields(_) => None,
        }
    }

    /// Its fields, if it is a mapping.
    pub fn fields(&self) -> Option<&[(Placed, Self)]> {
        match &self.value {
            Value::Fields(fields) => Some(fields),
            _ => None,
        }
    }

    /// The same as JSON: a number stays as it was typed, to its last digit.
    pub fn to_json(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Plain(text) if is_json(text) => text.clone(),
            Value::Plain(text) | Value::Quoted(text) => quoted(text),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(Self::to_json).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Fields(fields) => {
                let field =
                    |(key, value): &(Placed, Self)| format!("{}: {}", quoted(&key.text), value.to_json());
                let fields: Vec<String> = fields.iter().map(field).collect();
                format!("{{{}}}", fields.join(", "))
            }
        }
    }
}

/// True of a number or boolean of JSON.
fn is_json(text: &str) -> bool {
    matches!(serde_json::from_str(text), Ok(serde_json::Value::Number(_) | serde_json::Value::Bool(_)))
        && text.trim() == text
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_quotes_make_texts() {
        let text = "a: 1.10\nb: '5'\nc: [true, ~, yes, 12345678901234567890123]\nd: { e: \"x\\ny\", f: 01 }\ng: |\n  5\n";
        let mut problems = Problems::new(text, "t");
        let root = yaml::read(&mut problems).unwrap();
        let expected = r#"{"a": 1.10, "b": "5", "c": [true, null, "yes", 12345678901234567890123], "d": {"e": "x\ny", "f": "01"}, "g": "5\n"}"#;
        let written = Written::of(&root, &problems);
        assert_eq!(written.to_json(), expected);
        assert_eq!(written.fields().unwrap()[1].1.place, (2, 4));
    }
}
