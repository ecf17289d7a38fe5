//! `FROM iot WATERMARK at DELAY OF INTERVAL 10 SECONDS`: Spark 4.1 reads it, 4.0 does not. So the job makes a view of it,
//! and the SELECT reads that.

use super::tokens::{Kind, Token, edited, tokens};

/// A clause, and the view that takes its place.
#[derive(Debug, PartialEq)]
pub(super) struct Clause {
    /// What is read.
    pub relation: String,
    /// The name of the view.
    pub view: String,
    /// The event time.
    pub expression: String,
    /// The delay as Spark reads intervals.
    pub delay: String,
}

/// What may stand behind a relation that has no alias.
const NO_ALIAS: &[&str] = &[
    "where",
    "group",
    "having",
    "order",
    "limit",
    "join",
    "inner",
    "left",
    "right",
    "full",
    "cross",
    "on",
    "using",
    "union",
    "intersect",
    "except",
    "lateral",
    "window",
];

/// A SELECT without its clauses, and the clauses; views are numbered from `first` on.
pub(super) fn without_clauses(sql: &str, first: usize) -> (String, Vec<Clause>) {
    let all = tokens(sql);
    let (mut clauses, mut edits) = (Vec::new(), Vec::new());
    for at in 2..all.len() {
        let Some((end, expression, delay)) = read(sql, &all, at) else { continue };
        let relation = all[at - 1].name();
        let view = format!("{relation}_timed_{}", first + clauses.len());
        let has_alias = all
            .get(end)
            .is_some_and(|next| next.kind == Kind::Word && !NO_ALIAS.iter().any(|word| next.is(word)));
        let alias = if has_alias { String::new() } else { format!(" AS {}", all[at - 1].text) };
        edits.push((all[at - 1].at..all[end - 1].end(), format!("`{view}`{alias}")));
        clauses.push(Clause { relation, view, expression, delay });
    }
    (edited(sql, edits), clauses)
}

/// The clause at a word: the token behind it, the expression, the delay.
fn read(sql: &str, all: &[Token<'_>], at: usize) -> Option<(usize, String, String)> {
    let is = |index: usize, word: &str| all.get(index).is_some_and(|token| token.is(word));
    let is_relation =
        all[at - 1].kind == Kind::Word && (is(at - 2, "from") || is(at - 2, "join") || is(at - 2, ","));
    if !is(at, "watermark") || !is_relation {
        return None;
    }
    let mut depth = 0i32;
    let delay = (at + 1..all.len()).find(|index| {
        depth += i32::from(all[*index].text == "(") - i32::from(all[*index].text == ")");
        depth == 0 && is(*index, "delay") && is(index + 1, "of") && is(index + 2, "interval")
    })?;
    let value = delay + 3;
    let mut end = value + 1;
    while all
        .get(end)
        .is_some_and(|token| is_unit(token.text) || token.text.bytes().all(|b| b.is_ascii_digit()))
    {
        end += 1;
    }
    let last = all.get(end - 1)?;
    let text = sql.get(all.get(value)?.at..last.end())?;
    let text: String = text.chars().filter(|c| !matches!(c, '\'' | '"')).collect();
    let expression = sql.get(all[at + 1].at..all[delay - 1].end()).filter(|_| delay > at + 1)?;
    Some((end, expression.to_owned(), text))
}

fn is_unit(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let units = ["microsecond", "millisecond", "second", "minute", "hour", "day", "week"];
    units.contains(&word.strip_suffix('s').unwrap_or(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clause_becomes_a_view() {
        for (sql, expected, expression, delay) in [
            (
                "SELECT * FROM iot WATERMARK at DELAY OF INTERVAL 10 SECONDS WHERE x",
                "SELECT * FROM `iot_timed_1` AS iot WHERE x",
                "at",
                "10 SECONDS",
            ),
            (
                "SELECT i.a FROM Iot WATERMARK timestamp_seconds(s) DELAY OF INTERVAL '1' MINUTE i GROUP BY a",
                "SELECT i.a FROM `iot_timed_1` i GROUP BY a",
                "timestamp_seconds(s)",
                "1 MINUTE",
            ),
        ] {
            let clause = |relation: &str| Clause {
                relation: relation.to_owned(),
                view: "iot_timed_1".to_owned(),
                expression: expression.to_owned(),
                delay: delay.to_owned(),
            };
            assert_eq!(without_clauses(sql, 1), (expected.to_owned(), vec![clause("iot")]), "{sql}");
        }
        for sql in [
            "SELECT watermark FROM t",
            "SELECT 1 FROM t watermark",
            "FROM t WATERMARK DELAY OF INTERVAL",
            "",
            "watermark",
        ] {
            assert_eq!(without_clauses(sql, 1), (sql.to_owned(), vec![]));
        }
    }
}
