//! What stands between two separators.
//!
//! A value is quoted if it begins with the quote (or, in the first column, with the comment character), holds a separator or
//! a line break, or holds a quote where `escapeQuotes` says so. Blanks, which are all characters up to the space, are
//! left out at its ends before and after that is decided: a value that is nothing else is an empty one.

/// How lines are written. Characters are ASCII; 0 stands for none, as in Spark.
#[derive(Clone, Debug)]
pub(crate) struct Dialect {
    pub separator: u8,
    pub quote: u8,
    pub escape: u8,
    /// Before an `escape` inside of quotes.
    pub escape_of_escape: Option<u8>,
    pub comment: u8,
    pub quote_all: bool,
    /// A value that holds a quote is quoted.
    pub quotes_quotes: bool,
    pub null: String,
    pub empty: String,
    pub trims_start: bool,
    pub trims_end: bool,
    pub line_end: String,
    /// Texts that a spreadsheet would compute get a `'`.
    pub neutralizes: bool,
}

impl Dialect {
    /// Appends a value; `None` is NULL. `is_first` in the first column.
    pub fn value(&self, out: &mut Vec<u8>, text: Option<&str>, is_first: bool) {
        let start = out.len();
        let is_null = text.is_none();
        let is_quoted = self.append(out, text.unwrap_or(&self.null), is_first, self.quote_all, is_null);
        if out.len() > start + usize::from(is_quoted) {
            if is_quoted {
                out.push(self.quote);
            }
            return;
        }
        // Nothing was left of it.
        out.truncate(start);
        let (instead, quoted) = if is_null { (&self.null, is_quoted) } else { (&self.empty, is_quoted) };
        if self.append(out, instead, is_first, quoted, true) {
            out.push(self.quote);
        }
    }

    /// True if no text of digits, letters and `+-.:` can need quotes, and none is quoted by rule.
    pub fn leaves_plain(&self) -> bool {
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.' | b':');
        let special = [self.separator, self.quote, self.escape, self.comment];
        !self.quote_all && !special.into_iter().any(is_plain)
    }

    /// Appends the text, with the opening quote if it is quoted: true then, and the closing one is missing. `is_word` if
    /// the text is that of an option, which may bring its quotes along.
    fn append(&self, out: &mut Vec<u8>, text: &str, is_first: bool, quoted: bool, is_word: bool) -> bool {
        let bytes = text.as_bytes();
        let start = if self.trims_start { blanks(bytes) } else { 0 };
        let rest = bytes.get(start..).unwrap_or_default();
        let begins = rest.first() == Some(&self.quote) && !rest.is_empty();
        let is_comment = self.comment != 0 && is_first && bytes.first() == Some(&self.comment);
        if quoted || begins || (is_comment && !rest.is_empty()) {
            let brings_quotes = bytes.len() >= 2 && begins && start == 0 && bytes.last() == Some(&self.quote);
            if is_word && brings_quotes {
                out.extend_from_slice(bytes);
                return false;
            }
            self.quoted(out, rest);
            return true;
        }
        let needs = |c: &u8| {
            *c == self.separator || *c == b'\n' || *c == b'\r' || (*c == self.quote && self.quotes_quotes)
        };
        if rest.iter().any(needs) {
            self.quoted(out, rest);
            return true;
        }
        out.extend_from_slice(self.without_end(rest));
        false
    }

    fn quoted(&self, out: &mut Vec<u8>, rest: &[u8]) {
        out.push(self.quote);
        for c in self.without_end(rest) {
            if *c == self.quote {
                out.push(self.escape);
            } else if *c == self.escape
                && let Some(escape) = self.escape_of_escape
            {
                out.push(escape);
            }
            out.push(*c);
        }
    }

    fn without_end<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        if !self.trims_end {
            return text;
        }
        let end = text.iter().rposition(|c| *c > b' ').map_or(0, |last| last + 1);
        text.get(..end).unwrap_or_default()
    }
}

/// How many bytes of blanks a text begins with.
fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|c| **c <= b' ').count()
}

/// True if a spreadsheet takes the text for a formula.
pub(super) fn is_formula(text: &str) -> bool {
    let begins = |text: &str| text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
    begins(text) || begins(text.trim_start_matches(|c: char| c <= ' '))
}
