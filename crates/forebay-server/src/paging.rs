//! Cursors: where a list goes on. Opaque to clients; they name the last item, so that what is added meanwhile neither
//! repeats nor hides anything, or an offset where a list has no lasting order.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::problem::Problem;

/// Stands between the parts; no part holds it unescaped, since each is Base64 of its own.
const BETWEEN: char = '.';

/// A cursor of these parts. `list` names the list it belongs to.
pub(crate) fn cursor(list: &str, parts: &[&str]) -> String {
    let mut all = vec![BASE64.encode(list)];
    all.extend(parts.iter().map(|part| BASE64.encode(part)));
    all.join(&BETWEEN.to_string())
}

/// The parts of a cursor of this list; `None` if none was given.
pub(crate) fn parts<const N: usize>(list: &str, cursor: &str) -> Result<Option<[String; N]>, Problem> {
    if cursor.is_empty() {
        return Ok(None);
    }
    let decode = |part: &str| String::from_utf8(BASE64.decode(part).ok()?).ok();
    let read = || {
        let mut all = cursor.split(BETWEEN).map(decode);
        if all.next()?? != list {
            return None;
        }
        all.collect::<Option<Vec<String>>>()?.try_into().ok()
    };
    read().map(Some).ok_or_else(unknown)
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
        let text = cursor("alerts", &["7", "a/b.c\u{1f}"]);
        assert_eq!(parts::<2>("alerts", &text).unwrap().unwrap(), ["7", "a/b.c\u{1f}"]);
        assert!(parts::<2>("alerts", "").unwrap().is_none());
        for wrong in [parts::<2>("devices", &text), parts("alerts", "x"), parts("alerts", "..")] {
            wrong.unwrap_err();
        }
        parts::<1>("alerts", &text).unwrap_err();
    }
}
