//! What differs between what state means and what a query would take it for, in words.
//!
//! What operators mean by their tables ([`MEANING`](super::MEANING)) is kept in files and compared letter by letter, so those texts stay
//! as they ever were. Told is only what differs, written as in SQL, and once for an operator, however many tables it has:
//!
//! ```text
//! sum(a) by device, window(at, 10000000 µs, …)  ─▶  parts  ─▶  window(at, '10 seconds') → window(at, '30 seconds')
//! ```

use forebay_core::window::interval::{Interval, words};

/// The operator of a table: `join-0` of `join-0.3`.
pub(super) fn operator(table: &str) -> &str {
    table.rsplit_once('.').map_or(table, |(operator, _)| operator)
}

/// What differs between two meanings that are not the same.
pub(super) fn told(was: &str, is: &str) -> String {
    let (was_parts, is_parts) = (parts(was), parts(is));
    let (gone, new) = (without(&was_parts, &is_parts), without(&is_parts, &was_parts));
    // When rows are forgotten follows from what they are compared by.
    let is_said_by_others = gone.iter().chain(&new).any(|part| !part.starts_with(FORGOTTEN));
    let said = |parts: Vec<&str>| -> Vec<String> {
        parts
            .into_iter()
            .filter(|part| !(is_said_by_others && part.starts_with(FORGOTTEN)))
            .map(readable)
            .collect()
    };
    let (gone, new) = (said(gone), said(new));
    let changed = |(was, is): (&String, &String)| format!("{was} → {is}");
    match (gone.as_slice(), new.as_slice()) {
        ([], []) => format!("{} → {}", readable(was), readable(is)),
        ([], new) => format!("{} is new", new.join(", ")),
        (gone, []) => format!("{} is gone", gone.join(", ")),
        (gone, new) if gone.len() == new.len() => {
            gone.iter().zip(new).map(changed).collect::<Vec<_>>().join(", ")
        }
        (gone, new) => format!("{} → {}", gone.join(", "), new.join(", ")),
    }
}

const FORGOTTEN: &str = "forgotten by ";

/// How parts begin in which `by` parts nothing.
const WHOLE: [&str; 4] = [FORGOTTEN, "ending by ", "session by ", "session of each row by "];

/// The parts of a meaning: aggregates, keys, windows, columns, conditions.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let may_be_by = !WHOLE.iter().any(|whole| rest.starts_with(whole));
        let (part, after) = first_part(rest, may_be_by);
        parts.extend((!part.is_empty()).then_some(part));
        rest = after;
    }
    parts
}

/// The first part, and what follows it.
fn first_part(text: &str, may_be_by: bool) -> (&str, &str) {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let separators = [", ", " AND ", " of a ", " join on ", " by "];
        let separators = &separators[..separators.len() - usize::from(!may_be_by)];
        let found = separators.iter().find(|separator| depth == 0 && text[at..].starts_with(**separator));
        if let Some(separator) = found {
            return (&text[..at], &text[at + separator.len()..]);
        }
    }
    (text, "")
}

/// Those that the others have not, as often as they have them.
fn without<'a>(parts: &[&'a str], others: &[&str]) -> Vec<&'a str> {
    let mut others = others.to_vec();
    let mut left = Vec::new();
    for part in parts {
        match others.iter().position(|other| other == part) {
            Some(at) => drop(others.swap_remove(at)),
            None => left.push(*part),
        }
    }
    left
}

/// A part as it would be written in SQL.
fn readable(part: &str) -> String {
    let kinds = ["Inner", "Left", "Right", "Full", "LeftSemi"];
    let words = ["INNER JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "LEFT SEMI JOIN"];
    if let Some(kind) = kinds.iter().position(|kind| *kind == part) {
        return words[kind].to_owned();
    }
    for side in ["left", "right"] {
        if let Some(columns) = part.strip_prefix(side).and_then(|columns| columns.strip_prefix(" (")) {
            return format!("the columns of its {side} side ({columns}");
        }
    }
    windows(&intervals(part))
}

/// With the intervals that are written as Rust writes them in words.
fn intervals(text: &str) -> String {
    const BEGIN: &str = "IntervalMonthDayNano { ";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        out.push_str(before);
        let found = after.split_once(" }").and_then(|(fields, after)| Some((interval(fields)?, after)));
        let Some((interval, after)) = found else {
            out.push_str(BEGIN);
            rest = after;
            continue;
        };
        out.push_str(&format!("INTERVAL {interval}"));
        rest = after;
    }
    out + rest
}

/// `months: 0, days: 0, nanoseconds: 5000000000`
fn interval(fields: &str) -> Option<Interval> {
    let mut numbers = fields.split(", ").map(|field| field.split_once(": ")?.1.parse::<i64>().ok());
    let mut number = || numbers.next().flatten();
    let (months, days, nanos) = (number()?, number()?, number()?);
    Some(Interval {
        months: i32::try_from(months).ok()?,
        days: i32::try_from(days).ok()?,
        micros: nanos / 1_000,
    })
}

/// With the lengths of a window in words: those that are not what they are by themselves.
fn windows(text: &str) -> String {
    let shown = || {
        let inner = text.strip_prefix("window(")?.strip_suffix(" µs)")?;
        let mut lengths = inner.rsplitn(4, ", ");
        let mut length = || lengths.next()?.trim_end_matches(" µs").parse::<i64>().ok();
        let (start, slide, size) = (length()?, length()?, length()?);
        let given = match (size, slide, start) {
            (size, slide, 0) if size == slide => vec![size],
            (size, slide, 0) => vec![size, slide],
            (size, slide, start) => vec![size, slide, start],
        };
        let given: Vec<String> = given.into_iter().map(|micros| format!("'{}'", words(micros))).collect();
        Some(format!("window({}, {})", lengths.next()?, given.join(", ")))
    };
    shown().unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A join's side with this range, in milliseconds, as files keep it.
    fn side(range: u64, kind: &str) -> String {
        let nanos = range * 1_000_000;
        let interval = format!("IntervalMonthDayNano {{ months: 0, days: 0, nanoseconds: {nanos} }}");
        format!(
            "left (id, at) of a {kind} join on id = id AND right.t >= left.at - {interval} AND right.t <= left.at + {interval}, \
             forgotten by at +{} ms",
            range + 1
        )
    }

    #[test]
    fn only_what_differs_is_told_and_as_it_is_written() {
        let counts =
            |window: &str| format!("count(1), avg(t) by id, window(at, {window}), ending by watermark");
        for (was, is, told_so) in [
            (
                counts("10000000 µs, 10000000 µs, 0 µs"),
                counts("30000000 µs, 5000000 µs, 0 µs"),
                "window(at, '10 seconds') → window(at, '30 seconds', '5 seconds')",
            ),
            (
                counts("1500000 µs, 1500000 µs, 0 µs"),
                counts("129600000000 µs, 129600000000 µs, 0 µs"),
                "window(at, '1.5 seconds') → window(at, '1 day 12 hours')",
            ),
            (
                side(5_000, "Left"),
                side(9_000, "Left"),
                "right.t >= left.at - INTERVAL 5 seconds → right.t >= left.at - INTERVAL 9 seconds, \
                 right.t <= left.at + INTERVAL 5 seconds → right.t <= left.at + INTERVAL 9 seconds",
            ),
            (side(5_000, "Left"), side(5_000, "LeftSemi"), "LEFT JOIN → LEFT SEMI JOIN"),
            (
                side(5_000, "Left"),
                side(5_000, "Left").replace("+5001", "+6000"),
                "forgotten by at +5001 ms → forgotten by at +6000 ms",
            ),
            (
                side(5_000, "Left"),
                side(5_000, "Left").replace("(id, at)", "(id, at, x)"),
                "the columns of its left side (id, at) → the columns of its left side (id, at, x)",
            ),
            ("sum(a) by id, never ending".into(), "sum(a) by id, x, never ending".into(), "x is new"),
            (
                "sum(a), min(b) by id, never ending".into(),
                "sum(a) by id, never ending".into(),
                "min(b) is gone",
            ),
            (
                "sum(a) by id, never ending".into(),
                "sum(a) by id, ending by watermark".into(),
                "never ending → ending by watermark",
            ),
            (
                "sum(a), sum(b) by id".into(),
                "sum(b), sum(a) by id".into(),
                "sum(a), sum(b) by id → sum(b), sum(a) by id",
            ),
        ] {
            assert_eq!(told(&was, &is), told_so);
        }
    }

    #[test]
    fn what_cannot_be_read_comes_out_as_it_is() {
        for odd in [
            "window(at, x µs)",
            "IntervalMonthDayNano { months }",
            "IntervalMonthDayNano { ",
            "((a",
            "window(at, 1 µs)",
        ] {
            assert_eq!(readable(odd), odd);
        }
        assert_eq!(told("a", "window(,  µs)"), "a → window(,  µs)");
    }
}
