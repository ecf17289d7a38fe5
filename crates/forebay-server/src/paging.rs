//! Cursors: where a list goes on. Opaque to clients; they name the last item, so that what is added meanwhile neither
//! repeats nor hides anything, or an offset where a list has no lasting order.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest, Sha256};

use crate::problem::Problem;

/// Stands between the parts; no part holds it unescaped, since each is Base64 of its own.
const BETWEEN: char = '.';
/// What every cursor looks like: the mark of its list, and one to three parts.
pub(crate) const PATTERN: &str = r"^([A-Za-z0-9_-]{11}(\.[A-Za-z0-9_-]+){1,3})?$";

/// A list as it was asked for: a cursor of another one would skip at random.
#[derive(Debug)]
pub(crate) struct List {
    mark: String,
}

impl List {
    /// The list of this name and these parameters.
    pub fn of(words: &[&str]) -> Self {
        let mut all = Sha256::new();
        for word in words {
            all.update((word.len() as u64).to_be_bytes());
            all.update(word);
        }
        Self { mark: BASE64.encode(&all.finalize()[..8]) }
    }

    /// A cursor of these parts, none of them empty.
    pub fn cursor(&self, parts: &[&str]) -> String {
        let mut all = vec![self.mark.clone()];
        all.extend(parts.iter().map(|part| BASE64.encode(part)));
        all.join(&BETWEEN.to_string())
    }

    /// The parts of a cursor of this list; `None` if none was given.
    pub fn parts<const N: usize>(&self, cursor: &str) -> Result<Option<[String; N]>, Problem> {
        if cursor.is_empty() {
            return Ok(None);
        }
        let decode = |part: &str| String::from_utf8(BASE64.decode(part).ok()?).ok();
        let read = || {
            let (mark, parts) = cursor.split_once(BETWEEN)?;
            let parts = parts.split(BETWEEN).map(decode).collect::<Option<Vec<String>>>()?;
            parts.try_into().ok().filter(|_| mark == self.mark)
        };
        read().map(Some).ok_or_else(unknown)
    }
}

/// The refusal of what is no cursor of the list.
pub(crate) fn unknown() -> Problem {
    Problem::bad("the cursor is not one that this list gave")
        .hint("Take `next` of the answer before, or none for the first page.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_gives_its_parts_back_to_its_own_list_only() {
        let list = List::of(&["alerts", "x"]);
        let text = list.cursor(&["7", "a/b.c\u{1f}"]);
        assert_eq!(list.parts::<2>(&text).unwrap().unwrap(), ["7", "a/b.c\u{1f}"]);
        assert!(list.parts::<2>("").unwrap().is_none());
        for other in [&["devices", "x"][..], &["alerts"], &["alertsx", ""], &["alerts", "x", ""]] {
            List::of(other).parts::<2>(&text).unwrap_err();
        }
        for wrong in ["x", "..", &text[1..], &text[..text.len() - 3]] {
            list.parts::<2>(wrong).unwrap_err();
        }
        list.parts::<1>(&text).unwrap_err();
    }

    #[test]
    fn a_cursor_is_short_whatever_was_asked_for() {
        assert!(List::of(&["devices", &"x".repeat(1_000)]).cursor(&["50"]).len() < 20);
    }
}
