//! A line of the screen: pieces of text with a tone each.
//!
//! The one door to the terminal: whatever is put into a line loses its control characters here, those that turn the
//! direction of writing and those that show nothing. What must stay true: a `Line` holds no character that a terminal
//! would obey, and is never wider than its [`Line::width`] says.

use unicode_width::UnicodeWidthChar;

use crate::talk;

/// What a piece of text means; its colour follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Tone {
    #[default]
    Plain,
    Dim,
    Strong,
    Good,
    Warn,
    Bad,
    /// The line that is chosen, or a key that can be pressed.
    Turned,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Harmless text.
    pub text: String,
    /// What it means.
    pub tone: Tone,
}

/// Pieces from left to right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pieces: Vec<Piece>,
    width: usize,
}

/// Most characters of no width after one that has one: accents stay, towers of them do not.
const MOST_MARKS: usize = 3;

impl Line {
    /// An empty line.
    pub fn new() -> Self {
        Self::default()
    }

    /// A line of one piece.
    pub fn of(tone: Tone, text: &str) -> Self {
        Self::new().with(tone, text)
    }

    /// Adds a piece.
    pub fn with(mut self, tone: Tone, text: &str) -> Self {
        self.push(tone, text);
        self
    }

    /// Adds a piece.
    pub fn push(&mut self, tone: Tone, text: &str) {
        let text = clean(text);
        self.width += width(&text);
        if !text.is_empty() {
            self.pieces.push(Piece { text, tone });
        }
    }

    /// Adds a piece that fills exactly `columns`, at its left or its right; what is too long is cut.
    pub fn cell(&mut self, tone: Tone, text: &str, columns: usize, is_right: bool) {
        let text = cut(&clean(text), columns);
        let room = " ".repeat(columns.saturating_sub(width(&text)));
        let text = if is_right { room + &text } else { text + &room };
        self.push(tone, &text);
    }

    /// Blanks until the line is `columns` wide.
    pub fn to(&mut self, columns: usize) {
        let room = columns.saturating_sub(self.width);
        self.push(Tone::Plain, &" ".repeat(room));
    }

    /// Adds the pieces of another line.
    pub fn append(&mut self, other: Self) {
        self.width += other.width;
        self.pieces.extend(other.pieces);
    }

    /// At most `columns` of it.
    pub fn cut(mut self, columns: usize) -> Self {
        if self.width <= columns {
            return self;
        }
        let mut left = columns;
        for piece in &mut self.pieces {
            piece.text = cut(&piece.text, left);
            left = left.saturating_sub(width(&piece.text));
        }
        self.pieces.retain(|piece| !piece.text.is_empty());
        self.width = columns - left;
        self
    }

    /// How many columns it takes.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Its pieces.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Its text alone.
    pub fn text(&self) -> String {
        self.pieces.iter().map(|piece| piece.text.as_str()).collect()
    }
}

/// The text without what a terminal obeys, on one line, and without towers of marks.
fn clean(text: &str) -> String {
    let mut marks = 0;
    let mut out = talk::one_line(text);
    out.retain(|c| {
        marks = if c.width() == Some(0) { marks + 1 } else { 0 };
        marks <= MOST_MARKS
    });
    out
}

/// The columns that harmless text takes.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// At most `columns` of a harmless text, an ellipsis instead of the rest.
fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let (mut out, mut left) = (String::new(), columns.saturating_sub(1));
    for c in text.chars() {
        let width = c.width().unwrap_or(0);
        if width > left {
            break;
        }
        left -= width;
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// A text as lines of at most `columns`, broken between words where it can be.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace().map(clean) {
        let last = lines.last_mut().map_or(0, |line| width(line));
        if last > 0 && last + 1 + width(&word) > columns {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_gets_into_a_line() {
        for hostile in [
            "a\x1b[2Jb",
            "a\x1b]0;title\x07b",
            "a\rb",
            "a\nb",
            "a\tb",
            "a\u{9b}31mb",
            "a\u{202e}b",
            "a\u{200b}b",
            "a\u{feff}b",
            "a\x7fb",
            "a\0b",
        ] {
            let mut line = Line::of(Tone::Plain, hostile);
            line.cell(Tone::Bad, hostile, 40, true);
            line.append(Line::of(Tone::Dim, hostile));
            let text = line.text();
            let shown = |c: char| !c.is_control() && c.width() != Some(0);
            assert!(text.chars().all(shown) && text.contains('a') && text.contains('b'), "{text:?}");
        }
        let tower = format!("e{}x", "\u{301}".repeat(1_000));
        assert_eq!(Line::of(Tone::Plain, &tower).text(), "e\u{301}\u{301}\u{301}x");
    }

    #[test]
    fn a_cell_is_as_wide_as_it_was_asked_to_be() {
        for (text, shown) in [("ab", "ab   "), ("abcdef", "abcd…"), ("水水水", "水水…"), ("a水水水", "a水… ")]
        {
            let mut line = Line::new();
            line.cell(Tone::Plain, text, 5, false);
            assert_eq!((line.text().as_str(), line.width()), (shown, 5));
        }
        let mut right = Line::new();
        right.cell(Tone::Plain, "7", 3, true);
        assert_eq!(right.text(), "  7");
        let line = Line::of(Tone::Plain, "one ").with(Tone::Bad, "two three").cut(8);
        assert_eq!((line.text().as_str(), line.width()), ("one two…", 8));
        assert_eq!(Line::of(Tone::Plain, "x").with(Tone::Bad, "yz").cut(2).text(), "x…");
    }

    #[test]
    fn a_text_is_broken_between_words() {
        assert_eq!(wrapped("one two  three\nfour", 9), ["one two", "three", "four"]);
        assert_eq!(wrapped("", 9), [""]);
    }
}
