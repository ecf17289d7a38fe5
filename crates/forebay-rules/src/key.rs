//! Keys as the state holds them: NULL and texts as one kind of text.
//!
//! NULL is the sign `␀`; a text that begins with this sign has another one in front. What a rule watches of a key beside its
//! condition is a subject of its own: `␀noData/` before the key stands for its silence, `␀noData:field/` for that of a
//! field, which no key's text begins with. What must stay true: two keys that differ are two texts, so are two
//! subjects, and a key comes back from its text as it was.

use std::borrow::Cow;
use std::hash::BuildHasher;

use arrow::array::{Array, StringArray};
use foldhash::fast::RandomState;
use forebay_core::key;
use hashbrown::HashTable;

/// Stands for NULL.
const NULL: &str = "␀";

/// The key as the state holds it.
pub(crate) fn held(key: Option<&str>) -> Cow<'_, str> {
    match key {
        None => Cow::Borrowed(NULL),
        Some(text) if text.starts_with(NULL) => Cow::Owned(format!("{NULL}{text}")),
        Some(text) => Cow::Borrowed(text),
    }
}

/// The key of a text that [`held`] made.
pub(crate) fn shown(held: &str) -> Option<String> {
    match held.strip_prefix(NULL) {
        Some("") => None,
        Some(text) => Some(text.to_owned()),
        None => Some(held.to_owned()),
    }
}

/// What begins the subjects of silence.
const NO_DATA: &str = "␀noData";

/// The subject that the silence of a key is, or of a field of it; `held` is the key as the state holds it.
pub(crate) fn silence(held: &str, field: Option<&str>) -> String {
    match field {
        None => format!("{NO_DATA}/{held}"),
        Some(field) => format!("{NO_DATA}:{field}/{held}"),
    }
}

/// True if a subject is a silence of whatever.
pub(crate) fn is_silence(subject: &str) -> bool {
    subject.starts_with(NO_DATA)
}

/// The key, as the state holds it, whose silence a subject is, of a field or not. A field's name with a slash is told from a key
/// by `fields`, the names that there are.
pub(crate) fn silent<'a>(subject: &'a str, fields: &[String]) -> Option<(&'a str, Option<usize>)> {
    let rest = subject.strip_prefix(NO_DATA)?;
    if let Some(held) = rest.strip_prefix('/') {
        return Some((held, None));
    }
    let rest = rest.strip_prefix(':')?;
    let of = |field: &String| rest.strip_prefix(field.as_str())?.strip_prefix('/');
    fields.iter().enumerate().find_map(|(index, field)| Some((of(field)?, Some(index))))
}

/// A column of keys as the state holds them, long ones cut.
pub(crate) fn column(keys: &StringArray) -> StringArray {
    let is_plain = |key: &str| key.len() <= key::LONGEST && !key.starts_with(NULL);
    if keys.null_count() == 0 && keys.iter().flatten().all(is_plain) {
        return keys.clone();
    }
    keys.iter().map(|key| Some(held(key.map(key::kept).as_deref()).into_owned())).collect()
}

/// Keys with numbers, in the order in which they came; all in one text.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    numbers: HashTable<u32>,
    hasher: RandomState,
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Keys {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn text(&self, number: u32) -> &str {
        text_of(&self.text, &self.ends, number)
    }

    /// All of them, in their order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len() as u32).map(|number| self.text(number))
    }

    pub fn find(&self, key: &str) -> Option<u32> {
        if self.ends.is_empty() {
            return None;
        }
        self.numbers.find(self.hasher.hash_one(key), |number| self.text(*number) == key).copied()
    }

    /// The number of a key, which gets one if it has none.
    pub fn number(&mut self, key: &str) -> u32 {
        let Self { numbers, hasher, text, ends } = self;
        let hash = hasher.hash_one(key);
        if let Some(number) = numbers.find(hash, |number| text_of(text, ends, *number) == key) {
            return *number;
        }
        let number = ends.len() as u32;
        text.push_str(key);
        ends.push(text.len());
        numbers.insert_unique(hash, number, |number| hasher.hash_one(text_of(text, ends, *number)));
        number
    }
}

fn text_of<'a>(text: &'a str, ends: &[usize], number: u32) -> &'a str {
    let number = number as usize;
    let from = number.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    ends.get(number).and_then(|end| text.get(from..*end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_every_text_are_keys_of_their_own() {
        let keys = [None, Some(""), Some("␀"), Some("␀␀"), Some("NULL"), Some("a")];
        let texts = column(&StringArray::from(keys.to_vec()));
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(shown(texts.value(index)).as_deref(), *key);
            assert_eq!(held(*key), texts.value(index));
        }
        let different: std::collections::HashSet<_> = texts.iter().collect();
        assert_eq!(different.len(), keys.len());
    }

    #[test]
    fn the_silence_of_a_key_is_no_key() {
        let fields = ["rpm".to_owned(), "a/b".to_owned()];
        for key in [None, Some(""), Some("␀noData/x"), Some("/"), Some("a")] {
            let key = held(key);
            assert_eq!(silent(&key, &fields), None);
            assert_eq!(silent(&silence(&key, None), &fields), Some((&*key, None)));
            assert_eq!(silent(&silence(&key, Some("a/b")), &fields), Some((&*key, Some(1))));
            assert_eq!(silent(&silence(&key, Some("gone")), &fields), None);
        }
    }

    #[test]
    fn long_keys_that_begin_alike_are_two() {
        let long = |end: &str| format!("{}{end}", "x".repeat(300));
        let texts = column(&StringArray::from(vec![long("a"), long("b")]));
        assert!(texts.value(0) != texts.value(1) && texts.value(0).len() <= key::LONGEST);
        assert_eq!(texts.value(0), key::kept(&long("a")), "as the devices beside them are called");
    }

    #[test]
    fn keys_that_are_alike_are_several() {
        let mut keys = Keys::default();
        let texts = ["", "a", "aa", "ab", "b", "ä", "aä"];
        for (number, text) in texts.iter().enumerate() {
            assert_eq!(keys.find(text), None);
            assert_eq!(keys.number(text), number as u32);
        }
        for (number, text) in texts.iter().enumerate() {
            assert_eq!((keys.find(text), keys.number(text)), (Some(number as u32), number as u32));
            assert_eq!(keys.text(number as u32), *text);
        }
        assert_eq!(keys.texts().collect::<Vec<_>>(), texts);
    }
}
