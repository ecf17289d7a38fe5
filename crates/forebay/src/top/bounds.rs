//! What is kept of what a server says, however much it says: it may be broken, or be another program altogether.
//!
//! What must stay true: texts, lists and names have a bound each, which holds while they are read, so that no answer costs
//! much more memory than its bytes and no stream of answers costs more and more; what is left out is counted, so that the
//! screen can say so. Every bound is far above what our own server sends.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Longest text in bytes, without its quotes.
const LONGEST: usize = 1_000;
/// Most values of a device: more are never asked for.
const CELLS: usize = 32;

/// JSON with the rest of long texts left out, an ellipsis in its place.
pub fn shortened(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some(quote) = rest.iter().position(|byte| *byte == b'"') {
        let (before, text) = rest.split_at(quote + 1);
        out.extend_from_slice(before);
        let (text, behind) = text.split_at(length(text));
        let kept = kept(text);
        out.extend_from_slice(&text[..kept]);
        if kept < text.len() {
            out.extend_from_slice("…".as_bytes());
        }
        let (end, behind) = behind.split_at(behind.len().min(1));
        out.extend_from_slice(end);
        rest = behind;
    }
    out.extend_from_slice(rest);
    out
}

/// The bytes of a text up to its closing quote.
fn length(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = text.get(at).filter(|byte| **byte != b'"') {
        at += if *byte == b'\\' { 2 } else { 1 };
    }
    at.min(text.len())
}

/// The bytes of a text that are kept: whole characters, and whole escapes.
fn kept(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(first) = text.get(at) {
        let next = at + unit(*first, &text[at..]);
        if next > LONGEST && text.len() > LONGEST {
            return at;
        }
        at = next;
    }
    text.len()
}

/// The bytes of the first character; an escape for the first half of one has the second half behind it.
fn unit(first: u8, text: &[u8]) -> usize {
    match (first, text) {
        (b'\\', [_, b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'A' | b'b' | b'B', ..]) => 12,
        (b'\\', [_, b'u', ..]) => 6,
        (b'\\', _) => 2,
        (0xf0.., _) => 4,
        (0xe0.., _) => 3,
        (0xc0.., _) => 2,
        _ => 1,
    }
}

/// The first items of a list, `MOST` of them, and how many more there were.
#[derive(Clone, Debug, PartialEq)]
pub struct Few<T, const MOST: usize> {
    items: Vec<T>,
    left_out: u64,
}

impl<T, const MOST: usize> Few<T, MOST> {
    /// Whether there were more.
    pub fn is_part(&self) -> bool {
        self.left_out > 0
    }
}

impl<T, const MOST: usize> Default for Few<T, MOST> {
    fn default() -> Self {
        Self { items: Vec::new(), left_out: 0 }
    }
}

impl<T, const MOST: usize> From<Vec<T>> for Few<T, MOST> {
    fn from(items: Vec<T>) -> Self {
        Self { items, left_out: 0 }
    }
}

impl<T, const MOST: usize> Deref for Few<T, MOST> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.items
    }
}

impl<T, const MOST: usize> DerefMut for Few<T, MOST> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.items
    }
}

impl<'a, T, const MOST: usize> IntoIterator for &'a Few<T, MOST> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Few<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read<T, const MOST: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Read<T, MOST> {
            type Value = Few<T, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut few = Few::default();
                while few.items.len() < MOST {
                    match list.next_element()? {
                        Some(item) => few.items.push(item),
                        None => return Ok(few),
                    }
                }
                while list.next_element::<IgnoredAny>()?.is_some() {
                    few.left_out += 1;
                }
                Ok(few)
            }
        }

        from.deserialize_seq(Read(PhantomData))
    }
}

/// Values by name: of a device's fields, of the ledger's counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cells {
    values: BTreeMap<String, Value>,
    is_part: bool,
}

impl Cells {
    /// Whether there were more names.
    pub fn is_part(&self) -> bool {
        self.is_part
    }

    /// Takes newer values; new names only while there is room for them.
    pub fn merge(&mut self, newer: Self) {
        self.is_part |= newer.is_part;
        newer.values.into_iter().for_each(|(name, value)| self.put(name, value));
    }

    /// The values of the names that pass.
    pub fn retain(&mut self, passes: impl Fn(&str) -> bool) {
        self.values.retain(|name, _| passes(name));
    }

    fn put(&mut self, name: String, value: Value) {
        if self.values.len() < CELLS || self.values.contains_key(&name) {
            self.values.insert(name, value);
        } else {
            self.is_part = true;
        }
    }
}

impl Deref for Cells {
    type Target = BTreeMap<String, Value>;

    fn deref(&self) -> &BTreeMap<String, Value> {
        &self.values
    }
}

impl<'de> Deserialize<'de> for Cells {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Cells;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("values by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cells, A::Error> {
                let mut cells = Cells::default();
                while let Some((name, Plain(value))) = map.next_entry()? {
                    cells.put(name, value);
                }
                Ok(cells)
            }
        }

        from.deserialize_map(Read)
    }
}

/// A value that holds no others; a list or a mapping is only told to be one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plain(pub Value);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Plain;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Plain, E> {
                Ok(Plain(Value::Null))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Plain, E> {
                Ok(Plain(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Plain, E> {
                Ok(Plain(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Plain, E> {
                Ok(Plain(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Plain, E> {
                Ok(Plain(value.into()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Plain, E> {
                Ok(Plain(value.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Plain, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Plain("[…]".into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plain, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Plain("{…}".into()))
            }
        }

        from.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_the_rest_stays_as_it_is() {
        for piece in ["x", "ö", "水", "😀", "\\n", "\\\"", "\\\\", "\\u00f6", "\\ud83d\\ude00"] {
            for shift in 0..12 {
                let long = format!("{}{}", "x".repeat(shift), piece.repeat(2_000));
                let json = format!("{{\"a\\\"b\": [\"{long}\", 1, \"{piece}\"], \"{long}\": \"\"}}");
                let whole: Value = serde_json::from_str(&json).unwrap();
                let cut: Value = serde_json::from_slice(&shortened(json.as_bytes())).unwrap();
                let (text, whole_text) =
                    (cut["a\"b"][0].as_str().unwrap(), whole["a\"b"][0].as_str().unwrap());
                let head = text.strip_suffix('…').unwrap();
                assert!(whole_text.starts_with(head) && head.len() > 150 && head.len() <= LONGEST, "{piece}");
                assert_eq!((&cut["a\"b"][1], &cut["a\"b"][2]), (&1.into(), &whole["a\"b"][2]), "{piece}");
                assert!(cut.as_object().unwrap().keys().all(|key| key.len() <= LONGEST + 3));
            }
        }
        for as_it_is in [r#"{"a": "b\"c", "d": []}"#, "", "\"", r#""\"#, r#"["torn"#, "no json"] {
            assert_eq!(shortened(as_it_is.as_bytes()), as_it_is.as_bytes());
        }
    }

    #[test]
    fn a_list_and_names_end_where_there_is_enough() {
        let few: Few<u8, 3> = serde_json::from_str("[1, 2, 3]").unwrap();
        assert!(*few == [1, 2, 3] && !few.is_part());
        let few: Few<u8, 3> = serde_json::from_str("[1, 2, 3, 4, {\"x\": []}]").unwrap();
        assert!(*few == [1, 2, 3] && few.is_part());
        let names = |from: usize, to: usize| {
            let pairs: Vec<String> = (from..to).map(|n| format!("\"n{n}\": {n}")).collect();
            serde_json::from_str::<Cells>(&format!("{{{}}}", pairs.join(","))).unwrap()
        };
        let mut cells = names(0, CELLS);
        assert!(cells.len() == CELLS && !cells.is_part());
        cells.merge(names(0, 3));
        assert!(cells.len() == CELLS && !cells.is_part(), "known names are no new ones");
        for n in 0..100 {
            cells.merge(names(100 * n, 100 * n + 10));
        }
        assert!(cells.len() == CELLS && cells.is_part());
        assert!(names(0, 1_000).len() == CELLS && names(0, 1_000).is_part());
    }

    #[test]
    fn what_holds_other_values_is_no_value() {
        let cells: Cells = serde_json::from_str(
            r#"{"n": null, "b": true, "i": -1, "u": 18446744073709551615, "f": 1.5, "t": "x", "l": [[0]], "m": {"a": [1]}}"#,
        )
        .unwrap();
        let expected = serde_json::json!({"n": null, "b": true, "i": -1, "u": u64::MAX, "f": 1.5, "t": "x", "l": "[…]", "m": "{…}"});
        assert_eq!(serde_json::json!(*cells), expected);
    }
}
