//! `get_json_object(text, path)`: one value of a JSON text, as text.
//!
//! The text is walked, not parsed: values that the path passes are skipped. A text that is not JSON along the way
//! gives NULL, as in Spark. Strings come without their quotes and escapes, objects and arrays without white space.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::failed;

/// Deepest nesting that is walked.
const MAX_DEPTH: usize = 200;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct GetJsonObject {
    signature: Signature,
}

impl GetJsonObject {
    pub fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Utf8View, DataType::Utf8], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for GetJsonObject {
    fn name(&self) -> &str {
        "get_json_object"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [texts, path] = args.args.as_slice() else {
            return failed("get_json_object needs a text and a path");
        };
        let ColumnarValue::Scalar(path) = path else {
            return failed("get_json_object needs its path as a text in quotes");
        };
        let steps = match path.try_as_str().flatten() {
            Some(path) => match steps(path) {
                Some(steps) => Some(steps),
                None => return failed(format!("get_json_object does not understand the path `{path}`")),
            },
            None => None,
        };
        let texts = texts.to_array(args.number_rows)?;
        let Some(texts) = texts.as_string_view_opt() else { return failed("get_json_object needs a text") };
        let mut out = StringBuilder::with_capacity(texts.len(), texts.len() * 8);
        for row in 0..texts.len() {
            match &steps {
                Some(steps) if texts.is_valid(row) => out.append_option(find(texts.value(row), steps)),
                _ => out.append_null(),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish()) as ArrayRef))
    }
}

enum Step {
    Name(String),
    Index(usize),
}

/// `$.a.b[0]['c']`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.trim().strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let name = after.get(..end).filter(|name| !name.is_empty() && *name != "*")?;
            steps.push(Step::Name(name.to_owned()));
            rest = after.get(end..)?;
        } else {
            let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
            let quoted = inside.strip_prefix('\'').and_then(|name| name.strip_suffix('\''));
            steps.push(match quoted {
                Some(name) => Step::Name(name.to_owned()),
                None => Step::Index(inside.trim().parse().ok()?),
            });
            rest = after;
        }
    }
    Some(steps)
}

fn find(text: &str, steps: &[Step]) -> Option<String> {
    let mut at = Walker { bytes: text.as_bytes(), at: 0 };
    for step in steps {
        at.space();
        match step {
            Step::Name(name) => at.enter_object(name)?,
            Step::Index(index) => at.enter_array(*index)?,
        }
    }
    at.space();
    let from = at.at;
    at.skip(0)?;
    let value = text.get(from..at.at)?;
    match value.as_bytes().first()? {
        b'"' => serde_json::from_str(value).ok(),
        b'{' | b'[' => Some(compact(value)),
        _ if value == "null" => None,
        _ => Some(value.to_owned()),
    }
}

struct Walker<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl Walker<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Stands on the value of this name, or gives up.
    fn enter_object(&mut self, name: &str) -> Option<()> {
        self.take(b'{')?;
        loop {
            self.space();
            let from = self.at;
            self.string()?;
            let key = std::str::from_utf8(self.bytes.get(from..self.at)?).ok()?;
            let inside = key.get(1..key.len() - 1)?;
            let found = if inside.contains('\\') {
                serde_json::from_str::<String>(key).ok()? == name
            } else {
                inside == name
            };
            self.space();
            self.take(b':')?;
            self.space();
            if found {
                return Some(());
            }
            self.skip(0)?;
            self.space();
            self.take(b',')?;
        }
    }

    fn enter_array(&mut self, index: usize) -> Option<()> {
        self.take(b'[')?;
        for _ in 0..index {
            self.space();
            self.skip(0)?;
            self.space();
            self.take(b',')?;
        }
        self.space();
        (self.peek()? != b']').then_some(())
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.at += 2,
                0..=0x1f => return None,
                _ => self.at += 1,
            }
        }
    }

    /// Steps over one value.
    fn skip(&mut self, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.peek()? {
            b'"' => self.string(),
            open @ (b'{' | b'[') => {
                let close = if open == b'{' { b'}' } else { b']' };
                self.at += 1;
                self.space();
                if self.take(close).is_some() {
                    return Some(());
                }
                loop {
                    self.space();
                    if open == b'{' {
                        self.string()?;
                        self.space();
                        self.take(b':')?;
                        self.space();
                    }
                    self.skip(depth + 1)?;
                    self.space();
                    if self.take(close).is_some() {
                        return Some(());
                    }
                    self.take(b',')?;
                }
            }
            _ => {
                let from = self.at;
                while matches!(
                    self.peek(),
                    Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.')
                ) {
                    self.at += 1;
                }
                let word = std::str::from_utf8(self.bytes.get(from..self.at)?).ok()?;
                let valid = matches!(word, "true" | "false" | "null")
                    || serde_json::from_str::<serde_json::Number>(word).is_ok();
                valid.then_some(())
            }
        }
    }
}

/// The text without white space outside of strings.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut inside, mut escaped) = (false, false);
    for c in json.chars() {
        if inside || !matches!(c, ' ' | '\t' | '\n' | '\r') {
            out.push(c);
        }
        if c == '"' && !escaped {
            inside = !inside;
        }
        escaped = inside && c == '\\' && !escaped;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_found_and_nothing_panics() {
        let text = r#" {"a": {"b": [1, {"c\n": "x\"y"}, 1.50]}, "n": null, "t": true, "é": "ü"} "#;
        for (path, expected) in [
            ("$.a.b[0]", Some("1")),
            ("$.a.b[2]", Some("1.50")),
            ("$['t']", Some("true")),
            ("$.é", Some("ü")),
            ("$.a.b", Some(r#"[1,{"c\n":"x\"y"},1.50]"#)),
            ("$.n", None),
            ("$.x", None),
            ("$.a.b[3]", None),
            ("$.a[0]", None),
        ] {
            assert_eq!(find(text, &steps(path).unwrap()).as_deref(), expected, "{path}");
        }
        for bad in ["a", "$.", "$[", "$[x]", "$..a", "$.*"] {
            assert!(steps(bad).is_none(), "{bad}");
        }
        let path = steps("$.a").unwrap();
        for end in 0..text.len() {
            if let Some(cut) = text.get(..end) {
                find(cut, &path);
            }
        }
        for hostile in ["", "{", "{\"", "{\"a\\", "{\"a\":", "{\"a\":\"\\", "[]", "{\"a\":01x}"] {
            assert_eq!(find(hostile, &path), None, "{hostile}");
        }
        assert_eq!(find(&format!("{{\"a\":{}", "[".repeat(100_000)), &path), None);
    }
}
