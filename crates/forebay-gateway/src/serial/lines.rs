//! Bytes into lines, of which each is whole.

/// A piece of what came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'l> {
    /// A line without its end.
    Line(&'l [u8]),
    /// The end of one whose beginning was not seen.
    Torn,
    /// One that was longer than allowed.
    TooLong,
}

/// Puts lines together.
#[derive(Debug)]
pub(super) struct Lines {
    line: Vec<u8>,
    most: usize,
    /// What is left out until the next end of a line, and why.
    skips: Option<Skip>,
}

#[derive(Clone, Copy, Debug)]
enum Skip {
    Torn,
    TooLong,
}

impl Lines {
    /// Of a port that was just opened: its first line may have begun before.
    pub fn new(most: usize) -> Self {
        Self { line: Vec::new(), most, skips: Some(Skip::Torn) }
    }

    /// Takes bytes and tells what is whole by them.
    pub fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(Found<'_>)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.add(&bytes[..end]);
            bytes = &bytes[end + 1..];
            take(match self.skips.take() {
                Some(Skip::Torn) => Found::Torn,
                Some(Skip::TooLong) => Found::TooLong,
                None => Found::Line(self.line.strip_suffix(b"\r").unwrap_or(&self.line)),
            });
            self.line.clear();
        }
        self.add(bytes);
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.skips.is_some() {
            return;
        }
        if self.line.len() + bytes.len() > self.most {
            self.skips = Some(Skip::TooLong);
            self.line.clear();
            return;
        }
        self.line.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(pieces: &[&[u8]], most: usize) -> Vec<String> {
        let (mut lines, mut all) = (Lines::new(most), Vec::new());
        for piece in pieces {
            lines.push(piece, |found| {
                all.push(match found {
                    Found::Line(line) => String::from_utf8_lossy(line).into_owned(),
                    other => format!("{other:?}"),
                });
            });
        }
        all
    }

    #[test]
    fn only_lines_with_beginning_and_end_count() {
        assert_eq!(found(&[b"n\na\r\n", b"b", b"", b"c\n\nd"], 10), ["Torn", "a", "bc", ""]);
        assert_eq!(found(&[b"\n12345\n123456\n1\n"], 5), ["Torn", "12345", "TooLong", "1"]);
        assert_eq!(found(&[b"\n", &[b'x'; 100], b"y\nz\n"], 5), ["Torn", "TooLong", "z"]);
        assert_eq!(found(&[&[b'x'; 100]], 5), [""; 0]);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_bytes_arrive(text in "[ab\r\n]{0,60}", cuts in proptest::collection::vec(0..60usize, 0..8)) {
            let whole = found(&[text.as_bytes()], 4);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &text.as_bytes()[cut[0]..cut[1]]).collect();
            prop_assert_eq!(found(&pieces, 4), whole);
        }
    }
}
