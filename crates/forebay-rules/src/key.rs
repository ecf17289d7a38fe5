//! Keys as the state holds them: NULL and texts as one kind of text.
//!
//! NULL is the sign `␀`; a text that begins with this sign has another one in front. What must stay true: two keys that
//! differ are two texts, and a key comes back from its text as it was.

use std::borrow::Cow;

use arrow::array::{Array, StringArray};
use forebay_core::key;

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

/// A column of keys as the state holds them, long ones cut.
pub(crate) fn column(keys: &StringArray) -> StringArray {
    let is_plain = |key: &str| key.len() <= key::LONGEST && !key.starts_with(NULL);
    if keys.null_count() == 0 && keys.iter().flatten().all(is_plain) {
        return keys.clone();
    }
    keys.iter().map(|key| Some(held(key.map(key::kept).as_deref()).into_owned())).collect()
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
    fn long_keys_that_begin_alike_are_two() {
        let long = |end: &str| format!("{}{end}", "x".repeat(300));
        let texts = column(&StringArray::from(vec![long("a"), long("b")]));
        assert!(texts.value(0) != texts.value(1) && texts.value(0).len() <= key::LONGEST);
        assert_eq!(texts.value(0), key::kept(&long("a")), "as the devices beside them are called");
    }
}
