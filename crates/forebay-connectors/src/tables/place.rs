//! In which line of a CSV file a record begins, so that it can be found in an editor.

use std::io::{BufRead, BufReader, Read};

/// What a CSV file is made of: one byte each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub sep: u8,
    pub quote: u8,
    pub escape: u8,
    pub comment: Option<u8>,
}

/// Where in a record a byte stands, as the reader of rows has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before it: empty lines are no records.
    Before,
    Comment,
    ValueStart,
    Value,
    Quoted,
    /// Behind an escape, inside of quotes.
    Escaped,
    /// Behind a quote inside of quotes: it ends the value, or is doubled.
    QuoteInside,
}

impl Marks {
    /// The line in which a record begins, both counted from 1; a header is a record here. None if there are not so many, or
    /// the file cannot be read.
    pub fn line_of(&self, file: impl Read, record: usize) -> Option<usize> {
        let (mut at, mut line, mut records) = (At::Before, 1, 0);
        let mut file = BufReader::new(file);
        loop {
            let bytes = file.fill_buf().ok()?;
            if bytes.is_empty() {
                return None;
            }
            for byte in bytes {
                let next = self.next(at, *byte);
                let begins = at == At::Before && !matches!(next, At::Before | At::Comment);
                records += usize::from(begins);
                if begins && records == record {
                    return Some(line);
                }
                line += usize::from(*byte == b'\n');
                at = next;
            }
            let read = bytes.len();
            file.consume(read);
        }
    }

    fn next(&self, at: At, byte: u8) -> At {
        let is_end = matches!(byte, b'\n' | b'\r');
        match at {
            At::Comment if byte == b'\n' => At::Before,
            At::Comment => At::Comment,
            At::Before if is_end => At::Before,
            At::Before if self.comment == Some(byte) => At::Comment,
            At::Quoted if byte == self.quote => At::QuoteInside,
            At::Quoted if byte == self.escape => At::Escaped,
            At::Quoted | At::Escaped => At::Quoted,
            At::QuoteInside | At::Before | At::ValueStart if byte == self.quote => At::Quoted,
            _ if is_end => At::Before,
            _ if byte == self.sep => At::ValueStart,
            _ => At::Value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_in_the_line_in_which_it_begins() {
        let marks = Marks { sep: b',', quote: b'"', escape: b'\\', comment: Some(b'#') };
        for (text, lines) in [
            ("a,1\nb,2\nc,3", vec![1, 2, 3]),
            ("\na,1\r\n\r\nb,2\r\n", vec![2, 4]),
            ("a,\"one\ntwo\"\nb,2\n", vec![1, 3]),
            ("a,\"one \"\"\ntwo\"\n# \"no record\nb,2\n", vec![1, 4]),
            ("a,\"one \\\"\ntwo\"\nb,2\n", vec![1, 3]),
            ("a,5\" wide\nb,2\n", vec![1, 2]),
            ("\"a\"b\",\"c\nd\"\ne,2\n", vec![1, 3]),
            ("a,\nb,\"open\nc,3\n", vec![1, 2]),
            ("", vec![]),
        ] {
            let found = (1..).map_while(|record| marks.line_of(text.as_bytes(), record));
            assert_eq!(found.collect::<Vec<_>>(), lines, "{text:?}");
        }
    }
}
