//! What a person pressed, from the bytes that a terminal sends for it.

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Key {
    Char(char),
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Tab,
    BackTab,
    Enter,
    Escape,
    Backspace,
    /// Ctrl-C: in raw mode a key like any other.
    Break,
}

/// What the terminal sends behind an escape character.
const SEQUENCES: &[(&[u8], Key)] = &[
    (b"[A", Key::Up),
    (b"OA", Key::Up),
    (b"[B", Key::Down),
    (b"OB", Key::Down),
    (b"[5~", Key::PageUp),
    (b"[6~", Key::PageDown),
    (b"[H", Key::Home),
    (b"OH", Key::Home),
    (b"[1~", Key::Home),
    (b"[F", Key::End),
    (b"OF", Key::End),
    (b"[4~", Key::End),
    (b"[Z", Key::BackTab),
];

/// The keys of what was read at once; sequences that mean nothing here are left out.
pub fn keys(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while let Some((first, rest)) = bytes.split_first() {
        bytes = rest;
        keys.extend(match first {
            0x1b if rest.is_empty() => Some(Key::Escape),
            0x1b => {
                let known = SEQUENCES.iter().find(|(sequence, _)| rest.starts_with(sequence));
                bytes = match known {
                    Some((sequence, _)) => &rest[sequence.len()..],
                    None => behind(rest),
                };
                known.map(|(_, key)| *key)
            }
            0x03 => Some(Key::Break),
            b'\t' => Some(Key::Tab),
            b'\r' | b'\n' => Some(Key::Enter),
            0x7f | 0x08 => Some(Key::Backspace),
            0x00..=0x1f => None,
            _ => {
                let length =
                    [4, 3, 2].into_iter().find(|n| *first >= [0, 0, 0xc0, 0xe0, 0xf0][*n]).unwrap_or(1);
                let whole = [&[*first], rest.get(..length - 1).unwrap_or_default()].concat();
                let c = std::str::from_utf8(&whole).ok().and_then(|text| text.chars().next());
                if c.is_some() {
                    bytes = &rest[length - 1..];
                }
                c.map(Key::Char)
            }
        });
    }
    keys
}

/// What stands behind an unknown sequence: up to its final letter.
fn behind(rest: &[u8]) -> &[u8] {
    if !matches!(rest.first(), Some(b'[' | b'O')) {
        return rest.get(1..).unwrap_or_default();
    }
    let last = rest.iter().skip(1).position(|byte| (0x40..=0x7e).contains(byte));
    last.map_or(&[], |last| &rest[last + 2..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_terminal_are_keys() {
        for (bytes, expected) in [
            (&b"q"[..], vec![Key::Char('q')]),
            (b"\x1b[A\x1bOBj", vec![Key::Up, Key::Down, Key::Char('j')]),
            (b"\x1b[5~\x1b[6~", vec![Key::PageUp, Key::PageDown]),
            (b"\x1b", vec![Key::Escape]),
            (b"\t\x1b[Z\r\x7f\x03", vec![Key::Tab, Key::BackTab, Key::Enter, Key::Backspace, Key::Break]),
            ("/ö水😀".as_bytes(), vec![Key::Char('/'), Key::Char('ö'), Key::Char('水'), Key::Char('😀')]),
            // F5, a mouse report, Alt-x, a torn letter: nothing to us, and what follows counts.
            (b"\x1b[15~q", vec![Key::Char('q')]),
            (b"\x1b[<0;3;4Mq", vec![Key::Char('q')]),
            (b"\x1bxq", vec![Key::Char('q')]),
            (b"\xe6q", vec![Key::Char('q')]),
            (b"\xff", vec![]),
            (b"\x1b[", vec![]),
        ] {
            assert_eq!(keys(bytes), expected, "{bytes:?}");
        }
    }
}
