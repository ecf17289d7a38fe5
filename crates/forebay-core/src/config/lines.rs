//! Places in a text: byte offsets, and lines and columns as editors count them (from 1, in characters).

/// A piece of the file, in bytes: `start` is included, `end` is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
}

/// A text with the beginnings of its lines.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// The byte-order mark that some editors put first is not part of the text.
    pub fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let starts = std::iter::once(0).chain(line_starts(text)).collect();
        Self { text, starts }
    }

    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The line of a byte offset.
    pub fn line_of(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    /// Line and column of a byte offset; an offset inside a character counts as its beginning.
    pub fn place(&self, offset: usize) -> (usize, usize) {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.line_of(offset);
        let start = self.starts[line - 1];
        (line, self.text[start..offset].chars().count() + 1)
    }

    /// The byte offset of a line and column; the end of the line or text if there is no such place.
    pub fn offset(&self, (line, column): (usize, usize)) -> usize {
        let Some(start) = self.starts.get(line.saturating_sub(1)) else {
            return self.text.len();
        };
        let content = self.line(line);
        let in_line =
            content.char_indices().nth(column.saturating_sub(1)).map_or(content.len(), |(at, _)| at);
        start + in_line
    }

    /// The line's content without its break; empty if there is no such line.
    pub fn line(&self, line: usize) -> &'a str {
        let Some(start) = self.starts.get(line.saturating_sub(1)) else {
            return "";
        };
        let end = self.starts.get(line).copied().unwrap_or(self.text.len());
        self.text[*start..end].trim_end_matches(['\n', '\r'])
    }

    /// How many characters of the span lie in its first line; at least 1, so that a caret can be drawn.
    pub fn length(&self, span: Span) -> usize {
        let end = self.text.floor_char_boundary(span.end.max(span.start));
        let start = self.text.floor_char_boundary(span.start);
        let first_line = self.text[start..end].split(['\n', '\r']).next().unwrap_or_default();
        first_line.trim_end().chars().count().max(1)
    }
}

fn line_starts(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_offsets_are_each_others_inverse() {
        let lines = Lines::new("aé\r\n\nxyz");
        for (offset, place) in [(0, (1, 1)), (1, (1, 2)), (3, (1, 3)), (5, (2, 1)), (6, (3, 1)), (9, (3, 4))]
        {
            assert_eq!(lines.place(offset), place);
            assert_eq!(lines.offset(place), offset);
        }
        assert_eq!(lines.place(99), (3, 4));
        assert_eq!(lines.place(2), (1, 2));
        assert_eq!((lines.line(1), lines.line(2), lines.line(9)), ("aé", "", ""));
    }
}
