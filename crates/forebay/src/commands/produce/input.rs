//! What is written: the lines of a file or of stdin, or all of it at once.
//!
//! What must stay true: bytes go through as they are, since a record may be anything, also not UTF-8; only the line
//! break is no part of it. And no input, however long its line, takes more memory than [`MOST`] says.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use tokio::sync::mpsc;

/// Most bytes of one record: more than a broker takes, unless it was told to, and less than a machine has.
const MOST: usize = 64 << 20;

/// Records that wait between the reader of the input and the producer.
const QUEUE: usize = 1_000;

/// One record, and the line of the input at which it begins, from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    pub line: u64,
    pub bytes: Vec<u8>,
}

/// How the input becomes records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Each line is one.
    Lines,
    /// All of it is one; nothing is none.
    Whole,
}

/// Where records come from.
pub struct Input {
    name: String,
    is_stdin: bool,
    reader: Box<dyn BufRead + Send>,
}

impl Input {
    /// Opens a file; stdin if there is none, or if it is `-`.
    ///
    /// # Errors
    /// `WRONG_USE` for a file that cannot be opened.
    pub fn open(file: Option<&Path>) -> Result<Self> {
        let Some(path) = file.filter(|path| *path != Path::new("-")) else {
            let reader = Box::new(BufReader::new(io::stdin()));
            return Ok(Self { name: "stdin".to_owned(), is_stdin: true, reader });
        };
        let file = File::open(path).map_err(|error| {
            Error::new(&codes::WRONG_USE, "the file with the events cannot be opened")
                .at(path.display())
                .caused_by(error)
                .with_hint("Check the path after `--file`.")
        })?;
        Ok(Self { name: path.display().to_string(), is_stdin: false, reader: Box::new(BufReader::new(file)) })
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True if a person may be typing: it ends when they say so.
    pub fn is_stdin(&self) -> bool {
        self.is_stdin
    }

    /// Reads on a thread of its own: a read from a terminal never ends by itself, and must not keep the process.
    pub fn read(self, cut: Cut) -> mpsc::Receiver<Result<Taken>> {
        let (out, taken) = mpsc::channel(QUEUE);
        std::thread::spawn(move || {
            let Self { name, mut reader, .. } = self;
            let mut line = 0;
            loop {
                line += 1;
                let next = match cut {
                    Cut::Lines => next_line(&mut reader),
                    Cut::Whole if line == 1 => all(&mut reader),
                    Cut::Whole => return,
                };
                let next = match next {
                    Ok(None) => return,
                    Ok(Some(bytes)) => Ok(Taken { line, bytes }),
                    Err(error) => Err(unreadable(&name, line, error)),
                };
                let is_last = next.is_err();
                if out.blocking_send(next).is_err() || is_last {
                    return;
                }
            }
        });
        taken
    }
}

/// The next line without its break; `None` at the end.
fn next_line(reader: &mut (impl BufRead + ?Sized)) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    // A break of two bytes may follow.
    let read = Read::take(&mut *reader, MOST as u64 + 2).read_until(b'\n', &mut bytes)?;
    if read == 0 { Ok(None) } else { bounded(bytes).map(Some) }
}

/// All that is left, without a line break at its end; `None` if that is nothing.
fn all(reader: &mut (impl BufRead + ?Sized)) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let read = Read::take(&mut *reader, MOST as u64 + 3).read_to_end(&mut bytes)?;
    if read == 0 { Ok(None) } else { bounded(bytes).map(Some) }
}

fn bounded(mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    if bytes.len() > MOST {
        let told = format!("a record of more than {} MiB", MOST >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, told));
    }
    Ok(bytes)
}

fn unreadable(name: &str, line: u64, error: io::Error) -> Error {
    Error::new(&codes::FILE_UNREADABLE, "the events cannot be read")
        .at(format_args!("{name}:{line}"))
        .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bytes: &'static [u8], cut: Cut) -> Vec<(u64, Vec<u8>)> {
        let input = Input { name: "test".to_owned(), is_stdin: false, reader: Box::new(bytes) };
        let mut taken = input.read(cut);
        std::iter::from_fn(|| taken.blocking_recv())
            .map(|taken| taken.unwrap())
            .map(|taken| (taken.line, taken.bytes))
            .collect()
    }

    #[test]
    fn lines_are_records_whatever_is_in_them() {
        assert_eq!(taken(b"", Cut::Lines), []);
        let lines = taken(b"a\r\n\n\xff\x00\rb\nlast", Cut::Lines);
        let expected = [(1, b"a".to_vec()), (2, vec![]), (3, b"\xff\x00\rb".to_vec()), (4, b"last".to_vec())];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_document_of_several_lines_is_one_record() {
        assert_eq!(taken(b"", Cut::Whole), []);
        assert_eq!(taken(b"{\n  \"a\": 1\n}\n", Cut::Whole), [(1, b"{\n  \"a\": 1\n}".to_vec())]);
        assert_eq!(taken(b"\n", Cut::Whole), [(1, vec![])]);
    }

    #[test]
    fn a_line_without_end_does_not_take_all_memory() {
        let endless = || BufReader::new(io::repeat(b'x'));
        for read in [next_line(&mut endless()), all(&mut endless())] {
            assert!(read.unwrap_err().to_string().contains("64 MiB"));
        }
        let longest = |end: &'static [u8]| BufReader::new(io::repeat(b'x').take(MOST as u64).chain(end));
        for end in [&b""[..], b"\n", b"\r\n"] {
            assert_eq!(next_line(&mut longest(end)).unwrap().map(|line| line.len()), Some(MOST));
            assert_eq!(all(&mut longest(end)).unwrap().map(|line| line.len()), Some(MOST));
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_wrong_use() {
        let refused = Input::open(Some(Path::new("/nothing/here"))).map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), &codes::WRONG_USE);
        assert!(Input::open(Some(Path::new("-"))).unwrap().is_stdin());
    }
}
