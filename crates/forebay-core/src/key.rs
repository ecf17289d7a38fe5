//! Keys of devices and alerts: how much of a text is kept.
//!
//! Devices may call themselves anything, and thousands of their names lie in memory and in files. What must stay true:
//! two keys that differ stay two, however long both are, and whoever keeps keys keeps them by this rule, so that the
//! alerts of a device are found beside it.

use std::borrow::Cow;

/// Most bytes of a key.
pub const LONGEST: usize = 256;

/// What stands between the beginning of a long key and its hash.
const GAP: &str = "…";

/// Hexadecimal digits of the hash.
const DIGITS: usize = 16;

/// The key as it is kept: itself, or of a long one its beginning and a hash of the whole.
pub fn kept(key: &str) -> Cow<'_, str> {
    if key.len() <= LONGEST {
        return Cow::Borrowed(key);
    }
    let beginning = &key[..key.floor_char_boundary(LONGEST - GAP.len() - DIGITS)];
    Cow::Owned(format!("{beginning}{GAP}{:0DIGITS$x}", hash(key)))
}

/// FNV-1a: the number is kept in files, so it must be the same in every build.
fn hash(text: &str) -> u64 {
    let start: u64 = 0xcbf2_9ce4_8422_2325;
    text.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_are_cut_and_stay_different() {
        let (short, long) = ("é".repeat(128), "é".repeat(129));
        assert_eq!(kept(&short), short);
        let other = format!("{}e", "é".repeat(128));
        let all = [kept(&long), kept(&other)];
        assert!(all[0] != all[1] && all.iter().all(|key| key.len() <= LONGEST && key.starts_with("éé")));
        assert_eq!(kept(&all[0]), all[0], "what is kept is not cut again");
        assert_eq!(kept(&"x".repeat(300)), format!("{}…e78ddf9f1ba85555", "x".repeat(237)));
    }
}
