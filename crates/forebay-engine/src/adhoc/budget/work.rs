//! Functions whose work is a product of their arguments: they are called for few rows at a time, and refused for a row
//! that alone would hold its turn.
//!
//! `levenshtein` and LIKE compare each letter of a text with each of another. A regular expression takes, for each byte
//! of a text, at worst a step for each of its states; how many it has is told by compiling it within a limit. So its
//! pattern must be a constant: nothing tells how large the patterns of a column become, and each is compiled by itself.

use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Expr};
use forebay_core::Error;
use forebay_core::error::codes;
use regex::RegexBuilder;

use super::failure;
use super::growth::{self, Lengths};

/// So many steps are made before it is looked at the time: less than a second at worst.
const STEPS_AT_ONCE: u64 = 64 << 20;
/// Most steps for one row.
const MOST_STEPS: u64 = 2 * STEPS_AT_ONCE;
/// Most bytes of a pattern's text: what it is parsed into takes a hundred times as many.
const MAX_PATTERN: usize = 16 << 10;
/// Compiled sizes of patterns: of the largest nothing larger is taken.
const SIZES: [usize; 4] = [8 << 10, 32 << 10, 128 << 10, 256 << 10];
/// Fewest bytes of a state of a compiled pattern.
const STATE: u64 = 32;

/// Functions of regular expressions, and where their flags stand; the pattern is the second argument of all.
const PATTERNS: [(&str, usize); 5] = [
    ("regexp_count", 3),
    ("regexp_instr", 5),
    ("regexp_like", 2),
    ("regexp_match", 2),
    ("regexp_replace", 3),
];

/// True for a function of a regular expression.
pub(super) fn has_pattern(function: &str) -> bool {
    PATTERNS.iter().any(|(name, _)| *name == function)
}

/// True for a function whose work is a product.
pub(super) fn is_slow(function: &str) -> bool {
    matches!(function, "levenshtein" | "like" | "ilike") || has_pattern(function)
}

/// Refuses a call in a plan whose pattern is no constant, or too large.
pub(in crate::adhoc) fn refuse(function: &str, args: &[Expr]) -> Result<()> {
    let constant = |arg: &Expr| match arg {
        Expr::Literal(value, _) => Some(value.clone()),
        _ => None,
    };
    pattern(function, &args.iter().map(constant).collect::<Vec<_>>()).map(|_| ())
}

/// How many rows a call may be made for, one call after the other.
pub(in crate::adhoc) fn pieces(
    function: &str,
    args: &[ColumnarValue],
    rows: usize,
    known: &mut Option<Pattern>,
) -> Result<Vec<usize>> {
    let [text, by, ..] = args else { return Ok(vec![rows]) };
    let by = if has_pattern(function) {
        let constant = |arg: &ColumnarValue| match arg {
            ColumnarValue::Scalar(value) => Some(value.clone()),
            ColumnarValue::Array(_) => None,
        };
        Lengths::Same(states(function, &args.iter().map(constant).collect::<Vec<_>>(), known)?)
    } else {
        growth::lengths(by)
    };
    let texts = growth::lengths(text);
    let (mut pieces, mut now, mut steps) = (Vec::new(), 0, 0_u64);
    for row in 0..rows {
        let more = texts.at(row).saturating_mul(by.at(row));
        if more > MOST_STEPS {
            return Err(too_long(function, texts.at(row), by.at(row)));
        }
        if now > 0 && steps + more > STEPS_AT_ONCE {
            pieces.push(now);
            (now, steps) = (0, 0);
        }
        (now, steps) = (now + 1, steps + more);
    }
    pieces.push(now);
    Ok(pieces)
}

fn too_long(function: &str, text: u64, by: u64) -> datafusion::common::DataFusionError {
    let longest = MOST_STEPS / by.max(1);
    let (message, hint) = if has_pattern(function) {
        (
            format!("a text of {text} bytes is too long for the pattern of {function}"),
            format!(
                "It takes at most {longest}: cut the text with substring(…), or write a shorter pattern."
            ),
        )
    } else {
        (
            format!("{function} would compare texts of {text} and {by} bytes"),
            format!("Multiplied they may be {MOST_STEPS}: cut them with substring(…)."),
        )
    };
    failure(Error::new(&codes::QUERY_LIMIT, message).with_hint(hint))
}

/// A pattern that was compiled once, and how many states it has, or more.
#[derive(Debug)]
pub(in crate::adhoc) struct Pattern {
    text: String,
    states: u64,
}

fn states(function: &str, args: &[Option<ScalarValue>], known: &mut Option<Pattern>) -> Result<u64> {
    let Some(text) = pattern(function, args)? else { return Ok(0) };
    if let Some(known) = known
        && known.text == text
    {
        return Ok(known.states);
    }
    let states = compiled(&text)?;
    *known = Some(Pattern { text, states });
    Ok(states)
}

/// The pattern of a call with its flags; `None` where it is NULL, or no text.
fn pattern(function: &str, args: &[Option<ScalarValue>]) -> Result<Option<String>> {
    let Some((_, flags_at)) = PATTERNS.iter().find(|(name, _)| *name == function) else { return Ok(None) };
    let text = |at: usize| match args.get(at) {
        None => Ok(Some("")),
        Some(None) => Err(not_constant(function)),
        Some(Some(value)) => Ok(value.try_as_str().flatten()),
    };
    let (Some(pattern), Some(flags)) = (text(1)?, text(*flags_at)?) else { return Ok(None) };
    if pattern.len() > MAX_PATTERN {
        return Err(too_large(format!("the pattern of a regular expression has {} bytes", pattern.len())));
    }
    let flags: String = flags.chars().filter(|flag| *flag != 'g').collect();
    Ok(Some(if flags.is_empty() { pattern.to_owned() } else { format!("(?{flags}){pattern}") }))
}

/// How many states a pattern has, or more. What is wrong with it is told by the function itself.
fn compiled(pattern: &str) -> Result<u64> {
    for size in SIZES {
        match RegexBuilder::new(pattern).size_limit(size).build() {
            Err(regex::Error::CompiledTooBig(_)) => {}
            _ => return Ok(size as u64 / STATE),
        }
    }
    Err(too_large(format!("the regular expression `{}` is too large", shown(pattern))))
}

fn shown(pattern: &str) -> String {
    const MOST: usize = 60;
    let start: String = pattern.chars().take(MOST).collect();
    if start.len() < pattern.len() { format!("{start}…") } else { start }
}

fn not_constant(function: &str) -> datafusion::common::DataFusionError {
    let message = format!("the pattern and the flags of {function} must be constants over tables");
    failure(Error::new(&codes::NOT_YET, message).with_hint(
        "Write the pattern out; several stand beside each other with `|`. A pattern in a column is possible with LIKE.",
    ))
}

fn too_large(message: String) -> datafusion::common::DataFusionError {
    failure(Error::new(&codes::QUERY_LIMIT, message).with_hint(
        "Repeat less; `[0-9]` and `[A-Za-z0-9_]` are much smaller than `\\d` and `\\w`, which take the letters of all languages.",
    ))
}
