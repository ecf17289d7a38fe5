//! Problems as a good compiler prints them: what, where, the line itself with a mark below the place, how to mend.
//!
//! ```text
//! error[FB-1003]: unknown key `formt` in source `iot`
//!   --> plant.yaml:4:5
//!    |
//!  4 |     formt: kafka
//!    |     ^^^^^
//!    = help: Did you mean `format`? Known: format, options, value, schema, mode.
//! ```
//!
//! Values of secret-looking keys print as `***`, control characters as `·` (a file must not steer the terminal), and
//! of a long line only the part around the place.

use super::lines::{Lines, Span};
use super::problems::Problem;
use super::secrets::secret_spans;
use crate::error::Error;

/// Most characters of a line that are shown.
const WIDEST: usize = 120;
/// How much of a long line is shown before the place.
const BEFORE: usize = 40;
/// How many characters on each side of the place are looked at: a line may be as long as the file.
const NEAR: usize = 400;

/// How bad it is, in a word, and what the last line counts.
type Weight = (&'static str, &'static str);

const ERROR: Weight = ("error", "problem");
const WARNING: Weight = ("warning", "warning");

/// Prints problems of the file whose text this is, with a last line that counts them. With `color`, in ANSI colours.
pub fn render(problems: &[Problem], text: &str, file: &str, color: bool) -> String {
    render_as(ERROR, problems, text, file, color)
}

/// The same for what does not keep the file from being valid.
pub fn warn(problems: &[Problem], text: &str, file: &str, color: bool) -> String {
    render_as(WARNING, problems, text, file, color)
}

fn render_as((word, counted): Weight, problems: &[Problem], text: &str, file: &str, color: bool) -> String {
    let lines = Lines::new(text);
    let secrets = secret_spans(&lines);
    let paint = Paint { color };
    let mut out = String::new();
    for problem in problems {
        out.push_str(&headline(word, &problem.error, paint));
        out.push_str(&render_one(problem, &lines, &secrets, file, paint));
        out.push('\n');
    }
    let count = match problems.len() {
        1 => format!("1 {counted}"),
        count => format!("{count} {counted}s"),
    };
    format!("{out}{} in {}\n", paint.strong(&count), printable(file))
}

/// Prints a failure that is no problem of a file, in the same form; its place, if it has one, stands on the arrow.
pub fn explain(error: &Error, color: bool) -> String {
    let paint = Paint { color };
    let mut out = headline(ERROR.0, error, paint);
    if let Some(place) = error.place() {
        out.push_str(&format!("  {} {}\n", paint.frame("-->"), printable(place)));
    }
    out + &advice(error, "", paint)
}

/// Prints one problem of a text that was typed on the command line: nothing in it is hidden.
pub fn explain_in(problem: &Problem, text: &str, name: &str, color: bool) -> String {
    let paint = Paint { color };
    headline(ERROR.0, &problem.error, paint) + &render_one(problem, &Lines::new(text), &[], name, paint)
}

/// A problem below its headline.
fn render_one(problem: &Problem, lines: &Lines<'_>, secrets: &[Span], file: &str, paint: Paint) -> String {
    let number = problem.line.to_string();
    let margin = " ".repeat(number.len());
    let (bar, arrow) = (paint.frame("|"), paint.frame("-->"));
    let mut out = format!("{margin} {arrow} {}:{}:{}\n", printable(file), problem.line, problem.column);
    let shown = Shown::new(problem, lines, secrets);
    if !shown.line.trim().is_empty() {
        let marks = paint.alarm(&"^".repeat(shown.length));
        out.push_str(&format!("{margin}  {bar}\n"));
        out.push_str(&format!("{} {bar} {}\n", paint.frame(&format!(" {number}")), shown.line));
        out.push_str(&format!("{margin}  {bar} {}{marks}\n", " ".repeat(shown.before)));
    }
    out + &advice(&problem.error, &margin, paint)
}

fn headline(word: &str, error: &Error, paint: Paint) -> String {
    let code = paint.alarm(&format!("{word}[{}]", error.code().id));
    format!("{code}{}\n", paint.strong(&format!(": {}", printable(error.message()))))
}

fn advice(error: &Error, margin: &str, paint: Paint) -> String {
    let equals = paint.frame("=");
    let detail = error.detail().map(|detail| format!("{margin}  {equals} detail: {}\n", printable(detail)));
    // What is to be copied from a hint stands on lines of its own, below its first.
    let hint: Vec<String> = error.hint().lines().map(printable).collect();
    let hint = hint.join(&format!("\n{margin}    "));
    format!("{}{margin}  {equals} help: {hint}\n", detail.unwrap_or_default())
}

/// A line as it is shown, and where its mark is.
struct Shown {
    line: String,
    before: usize,
    length: usize,
}

impl Shown {
    fn new(problem: &Problem, lines: &Lines<'_>, secrets: &[Span]) -> Self {
        let start = lines.offset((problem.line, 1));
        let place = lines.offset((problem.line, problem.column));
        let mut shown = Self { line: String::new(), before: 0, length: problem.length.max(1) };
        let mut hidden_to = 0;
        let mut width = 0_usize;
        let mut marked = false;
        let line = lines.line(problem.line);
        let (before, behind) = line.split_at((place - start).min(line.len()));
        let from = before.char_indices().rev().nth(NEAR).map_or(0, |(at, _)| at);
        let to = behind.char_indices().nth(NEAR).map_or(line.len(), |(at, _)| before.len() + at);
        for (at, c) in line[from..to].char_indices() {
            let at = start + from + at;
            if at >= place && !marked {
                // Inside a secret the mark stands below its stars.
                shown.before = if at < hidden_to { width.saturating_sub(3) } else { width };
                marked = true;
            }
            if at < hidden_to {
                continue;
            }
            if let Some(secret) = secret_at(secrets, at) {
                hidden_to = secret.end;
                shown.line.push_str("***");
                if at <= place && place < hidden_to {
                    shown.length = shown.length.min(3);
                }
                width += 3;
            } else {
                shown.line.push(printable_char(c));
                width += 1;
            }
        }
        if !marked {
            shown.before = width;
        }
        shown.length = shown.length.min((width + 1).saturating_sub(shown.before)).max(1);
        shown.clip(width, from > 0, to < line.len());
        shown
    }

    /// Keeps the part around the mark of a line that is too wide. `more_before` and `more_behind`: the line goes on.
    fn clip(&mut self, width: usize, more_before: bool, more_behind: bool) {
        if width <= WIDEST && !more_before && !more_behind {
            return;
        }
        let from = self.before.saturating_sub(BEFORE).min(width.saturating_sub(WIDEST));
        let part: String = self.line.chars().skip(from).take(WIDEST).collect();
        let head = if from > 0 || more_before { "…" } else { "" };
        let tail = if from + WIDEST < width || more_behind { "…" } else { "" };
        self.line = format!("{head}{part}{tail}");
        self.before = self.before - from + head.chars().count();
        self.length = self.length.min((WIDEST + 1).saturating_sub(self.before)).max(1);
    }
}

/// The secret that covers a byte of the file; `secrets` are in order and apart.
fn secret_at(secrets: &[Span], at: usize) -> Option<Span> {
    let next = secrets.partition_point(|secret| secret.start <= at);
    secrets[..next].last().filter(|secret| at < secret.end).copied()
}

fn printable(text: &str) -> String {
    text.chars().map(printable_char).collect()
}

/// Control characters and those that turn the direction of writing do not reach the terminal.
fn printable_char(c: char) -> char {
    match c {
        '\t' | '\n' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '·',
        c if c.is_control() => '·',
        c => c,
    }
}

#[derive(Clone, Copy)]
struct Paint {
    color: bool,
}

impl Paint {
    fn alarm(self, text: &str) -> String {
        self.with("1;31", text)
    }

    fn frame(self, text: &str) -> String {
        self.with("1;34", text)
    }

    fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, style: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
