//! What is wrong with a file, all of it, each with its place.

use super::lines::{Lines, Span};
use super::scalar;
use crate::error::{Error, codes};

/// Problems that are told at once; a file with more has one cause, not many.
const MOST: usize = 100;

/// Something wrong in a pipeline file, and where.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What is wrong; its place reads `file:line:column`.
    pub error: Error,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// How many characters are meant, at least 1.
    pub length: usize,
}

impl Problem {
    /// A problem at a place of the file that is known by line and column, such as
    /// [`QueryConfig::place`](super::QueryConfig::place).
    pub fn at(error: Error, file: &str, (line, column): (usize, usize), length: usize) -> Self {
        Self { error: error.at(format_args!("{file}:{line}:{column}")), line, column, length: length.max(1) }
    }

    /// A problem inside a text of the file, such as a query's SQL: `offset` and `length` are bytes of the text as
    /// the query has it, `place` is where the text stands in the file (`QueryConfig::place`).
    pub fn within(
        error: Error,
        file_text: &str,
        file: &str,
        place: (usize, usize),
        value: &str,
        offset: usize,
        length: usize,
    ) -> Self {
        let start = value.floor_char_boundary(offset);
        let end = value.floor_char_boundary(offset.saturating_add(length)).max(start);
        let characters = value[start..end].split('\n').next().unwrap_or_default().trim_end().chars().count();
        Self::at(error, file, scalar::sql_place(file_text, place, value, start), characters)
    }
}

/// Gathers the problems of one file.
pub(super) struct Problems<'a> {
    file: &'a str,
    lines: Lines<'a>,
    found: Vec<Problem>,
    more: usize,
}

impl<'a> Problems<'a> {
    pub fn new(text: &'a str, file: &'a str) -> Self {
        Self { file, lines: Lines::new(text), found: Vec::new(), more: 0 }
    }

    pub fn text(&self) -> &'a str {
        self.lines.text()
    }

    pub fn line_of(&self, offset: usize) -> usize {
        self.lines.line_of(offset)
    }

    pub fn place(&self, span: Span) -> (usize, usize) {
        self.lines.place(span.start)
    }

    /// How many characters of a piece lie in its first line.
    pub fn length(&self, span: Span) -> usize {
        self.lines.length(span)
    }

    pub fn report(&mut self, span: Span, error: Error) {
        self.push(|problems| {
            let length = problems.lines.length(span);
            Problem::at(error, problems.file, problems.lines.place(span.start), length)
        });
    }

    /// Reports something inside of a scalar's text.
    pub fn report_within(&mut self, span: Span, value: &str, offset: usize, length: usize, error: Error) {
        self.push(|problems| {
            let place = problems.lines.place(span.start);
            Problem::within(error, problems.lines.text(), problems.file, place, value, offset, length)
        });
    }

    /// How many were found so far.
    pub fn count(&self) -> usize {
        self.found.len() + self.more
    }

    /// Takes out what was found while `read` ran, by place.
    pub fn apart<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> (T, Vec<Problem>) {
        let before = self.found.len();
        let read = read(self);
        let mut found = self.found.split_off(before.min(self.found.len()));
        found.sort_by_key(|problem| (problem.line, problem.column));
        (read, found)
    }

    /// Everything that was found, by place.
    pub fn into_found(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| (problem.line, problem.column));
        if self.more > 0 {
            let error = Error::new(&codes::YAML, format!("{} more problems are not shown", self.more))
                .with_hint("Mend these first.");
            let end = self.lines.place(self.lines.text().len());
            self.found.push(Problem::at(error, self.file, end, 1));
        }
        self.found
    }

    fn push(&mut self, make: impl FnOnce(&Self) -> Problem) {
        if self.found.len() < MOST {
            let problem = make(self);
            self.found.push(problem);
        } else {
            self.more += 1;
        }
    }
}
