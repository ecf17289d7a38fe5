//! What a line is: JSON, `key=value,…`, values with commas between them.
//!
//! A value that is a number in JSON's grammar goes on as one, letter by letter; `true` and `false` as what they are; anything else as a
//! string. A line that has not its form goes on as it came: two halves of lines that a reset has joined are such a line.

use bytes::Bytes;
use serde_json::value::RawValue;

/// The form of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they come: JSON, or what the route says.
    AsIs,
    /// `key=value,key=value`, with a word and a blank before it if there is one.
    KeyValue,
    /// Values with commas between them, by these names.
    Csv(Vec<String>),
}

impl Form {
    /// By the word of the file, and the names of `columns`.
    pub fn of(word: &str, columns: &str) -> Self {
        match word {
            "keyValue" => Self::KeyValue,
            "csv" => Self::Csv(columns.split(',').map(|name| name.trim().to_owned()).collect()),
            _ => Self::AsIs,
        }
    }

    /// The word of a line, if it has one, and the payload that it is.
    pub(super) fn read<'l>(&self, line: &'l [u8]) -> (Option<&'l str>, Bytes) {
        let as_it_came = || (None, Bytes::copy_from_slice(line));
        let Ok(text) = std::str::from_utf8(line) else { return as_it_came() };
        match self {
            Self::AsIs => as_it_came(),
            Self::KeyValue => {
                let text = text.trim();
                let (word, pairs) = match text.split_once([' ', '\t']) {
                    Some((word, rest)) if !word.contains(['=', ',']) => (Some(word), rest.trim_start()),
                    _ => (None, text),
                };
                let members: Option<Vec<(&str, &str)>> =
                    pairs.split(',').map(|pair| pair.split_once('=')).collect();
                match members.and_then(|members| object(&members)).filter(|_| word.is_none_or(is_word)) {
                    Some(json) => (word, json),
                    None => as_it_came(),
                }
            }
            Self::Csv(names) => {
                let values: Vec<&str> = text.split(',').collect();
                if values.len() != names.len() {
                    return as_it_came();
                }
                let members: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(values).collect();
                object(&members).map_or_else(as_it_came, |json| (None, json))
            }
        }
    }
}

/// A word that can be a level of a topic.
fn is_word(word: &str) -> bool {
    word.len() <= 64 && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// A JSON object of these members; `None` where a name is no name or stands twice, or a value cannot be one.
fn object(members: &[(&str, &str)]) -> Option<Bytes> {
    let mut out = String::from("{");
    for (index, (name, value)) in members.iter().enumerate() {
        let (name, value) = (name.trim(), value.trim());
        let is_doubled = members[..index].iter().any(|(other, _)| other.trim() == name);
        if name.is_empty() || is_doubled || name.contains(char::is_whitespace) || value.contains('=') {
            return None;
        }
        if index > 0 {
            out.push(',');
        }
        out.push_str(&serde_json::Value::from(name).to_string());
        out.push(':');
        let is_number = value.starts_with(|c: char| c.is_ascii_digit() || c == '-')
            && serde_json::from_str::<&RawValue>(value).is_ok_and(|raw| raw.get() == value);
        match value {
            "" => out.push_str("null"),
            "true" | "false" => out.push_str(value),
            number if is_number => out.push_str(number),
            text => out.push_str(&serde_json::Value::from(text).to_string()),
        }
    }
    out.push('}');
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &Form, line: &str) -> (Option<String>, String) {
        let (word, payload) = form.read(line.as_bytes());
        (word.map(str::to_owned), String::from_utf8(payload.to_vec()).unwrap())
    }

    #[test]
    fn pairs_become_an_object_letter_by_letter() {
        let form = Form::of("keyValue", "");
        for (line, word, json) in [
            ("dht11 temperature=23.10,humidity=40", Some("dht11"), r#"{"temperature":23.10,"humidity":40}"#),
            ("distance=12", None, r#"{"distance":12}"#),
            (" pir  motion=true , at = ", Some("pir"), r#"{"motion":true,"at":null}"#),
            ("a=nan,b=1e3,c=x\"y", None, r#"{"a":"nan","b":1e3,"c":"x\"y"}"#),
        ] {
            assert_eq!(read(&form, line), (word.map(str::to_owned), json.to_owned()), "{line}");
        }
        for odd in
            ["", "x", "a=1,a=2", "=1", "a=1,", "temp=2dht11 temp=23", "dht/11 a=1", "{\"a\":1}", "dht11 "]
        {
            assert_eq!(read(&form, odd), (None, odd.to_owned()), "{odd}");
        }
    }

    #[test]
    fn values_take_the_names_of_their_columns() {
        let form = Form::of("csv", "t, h");
        assert_eq!(read(&form, "21.50,x").1, r#"{"t":21.50,"h":"x"}"#);
        assert_eq!(read(&form, ",1").1, r#"{"t":null,"h":1}"#);
        for odd in ["21.5", "1,2,3", ""] {
            assert_eq!(read(&form, odd).1, odd);
        }
        assert_eq!(&Form::AsIs.read(b"\xff").1[..], b"\xff");
        assert_eq!(&form.read(b"\xff,1").1[..], b"\xff,1");
    }
}
