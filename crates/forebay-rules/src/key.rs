//! Keys as the state holds them: NULL and texts as one kind of text.
//!
//! NULL is the sign `␀`; a text that begins with this sign has another one in front. What a rule watches of a key beside its
//! condition is a subject of its own: `␀noData/` before the key stands for its silence, `␀noData:field/` for that of a
//! field, which no key's text begins with. What must stay true: two keys that differ are two texts, so are two
//! subjects, and a key comes back from its text as it was.

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
}
