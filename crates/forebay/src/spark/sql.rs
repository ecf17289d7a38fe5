//! What of a SELECT must be written otherwise for Spark.
//!
//! The dialect is Spark's, so a text goes over as it stands, with one exception: columns that are there in Forebay and not
//! part of `*` (Kafka's own under `_kafka`, an event time that is an expression) are ordinary columns of a Spark view.
//! So `*` leaves them out by `EXCEPT`, a view that others read carries them on, and the expression of the event time gives
//! way to the column that has the watermark: Spark does not see that both are the same. Each part of a UNION is a SELECT by itself.
//!
//! This works on tokens, not on a plan: [`select`](super::select) finds the parts of a SELECT among them. What must stay true: a SELECT
//! that is not understood is left as it is.

use std::collections::HashMap;
use std::ops::Range;

use super::select::{Select, closing, parts, select};
use super::tokens::{Kind, Token, edited, tokens};

/// The column that holds an event time that is an expression.
pub(super) const EVENT_TIME: &str = "_event_time";
/// The column that holds Kafka's own columns.
pub(super) const KAFKA: &str = "_kafka";

/// A function that no Spark has.
pub(super) const CALENDAR_WINDOW: &str = "calendar_window";

/// The hidden columns of every source and view that has some, by name in lower case.
pub(super) type Hidden = HashMap<String, Vec<&'static str>>;

/// True if a SELECT names a column or function.
pub(super) fn mentions(sql: &str, name: &str) -> bool {
    tokens(sql).iter().any(|token| token.kind == Kind::Word && token.name() == name)
}

/// True if a SELECT calls a function of this name.
pub(super) fn calls(sql: &str, name: &str) -> bool {
    let tokens = tokens(sql);
    tokens.windows(2).any(|pair| pair[0].kind == Kind::Word && pair[0].name() == name && pair[1].text == "(")
}

impl Select {
    /// The hidden columns of what this SELECT reads; `None` if that is not understood.
    fn hidden(&self, tokens: &[Token<'_>], known: &Hidden) -> Option<Vec<&'static str>> {
        if !self.is_plain {
            return None;
        }
        let first = tokens.get(self.relation)?;
        if first.text != "(" {
            return Some(known.get(&first.name()).cloned().unwrap_or_default());
        }
        let inner = parts(tokens, self.relation + 1..closing(tokens, self.relation)?);
        let given = |part: &Range<usize>| {
            let part = select(tokens, part.clone())?;
            let hidden = part.hidden(tokens, known)?;
            Some(if part.stars(tokens).is_empty() { Vec::new() } else { hidden })
        };
        same(inner.iter().map(given))
    }
}

/// What all of these are, if they are the same.
fn same<T: PartialEq>(mut all: impl Iterator<Item = Option<T>>) -> Option<T> {
    let first = all.next()??;
    all.all(|other| other.as_ref() == Some(&first)).then_some(first)
}

/// True if a SELECT reads, anywhere in it, a relation with this hidden column.
pub(super) fn reads(sql: &str, known: &Hidden, column: &str) -> bool {
    has_relation(&tokens(sql), known, column)
}

fn has_relation(tokens: &[Token<'_>], known: &Hidden, column: &str) -> bool {
    let has = |name: &String| known.get(name).is_some_and(|columns| columns.contains(&column));
    let relations = tokens.windows(2).filter(|pair| pair[0].is("from") || pair[0].is("join"));
    relations.map(|pair| pair[1].name()).any(|name| has(&name))
}

/// The SELECT with its `*` as Forebay means it: without hidden columns. `None` if there may be some that cannot be left
/// out so.
pub(super) fn without_hidden(sql: &str, known: &Hidden) -> Option<String> {
    let tokens = tokens(sql);
    let mut edits = Vec::new();
    for part in parts(&tokens, 0..tokens.len()) {
        edits.extend(star_edits(&tokens, part, known)?);
    }
    Some(edited(sql, edits))
}

/// What makes the stars of one SELECT leave hidden columns out.
fn star_edits(
    tokens: &[Token<'_>],
    range: Range<usize>,
    known: &Hidden,
) -> Option<Vec<(Range<usize>, String)>> {
    let reads_some =
        [EVENT_TIME, KAFKA].iter().any(|column| has_relation(&tokens[range.clone()], known, column));
    let Some(select) = select(tokens, range).filter(|_| reads_some) else { return Some(Vec::new()) };
    let stars = select.stars(tokens);
    if stars.is_empty() {
        return Some(Vec::new());
    }
    let hidden = select.hidden(tokens, known)?;
    if hidden.is_empty() {
        return Some(Vec::new());
    }
    let names = hidden.join(", ");
    let mut edits = Vec::new();
    for star in stars {
        // A field's own star, `place.*`, has no hidden columns; a relation's has.
        let qualifier = (star >= 2 && tokens[star - 1].text == ".").then(|| tokens[star - 2]);
        if qualifier.is_some_and(|qualifier| !is_alias(tokens, &select, &qualifier)) {
            continue;
        }
        let next = tokens.get(star + 1);
        match tokens.get(star + 2).filter(|_| next.is_some_and(|next| next.is("except"))) {
            Some(open) => edits.push((open.end()..open.end(), format!("{names}, "))),
            None => edits.push((tokens[star].end()..tokens[star].end(), format!(" EXCEPT ({names})"))),
        }
    }
    Some(edits)
}

/// True if a name is that of the relation a plain SELECT reads.
fn is_alias(tokens: &[Token<'_>], select: &Select, name: &Token<'_>) -> bool {
    let behind = match tokens[select.relation].text {
        "(" => closing(tokens, select.relation).unwrap_or(select.relation),
        _ => select.relation,
    };
    let alias = tokens.get(behind + 1).filter(|token| token.is("as")).map_or(behind + 1, |_| behind + 2);
    [Some(&tokens[select.relation]), tokens.get(alias)].into_iter().flatten().any(|token| token.equals(name))
}

/// A view's SELECT that hands on the hidden columns of what it reads, and which they are. Parts of a UNION hand on what all of
/// them have, or nothing.
pub(super) fn carrying(sql: &str, known: &Hidden) -> (String, Vec<&'static str>) {
    let tokens = tokens(sql);
    let parts = parts(&tokens, 0..tokens.len());
    let of_part = |part: &Range<usize>| select(&tokens, part.clone())?.hidden(&tokens, known);
    let Some(hidden) = same(parts.iter().map(of_part)) else {
        let without = if parts.len() > 1 { without_hidden(sql, known) } else { None };
        return (without.unwrap_or_else(|| sql.to_owned()), Vec::new());
    };
    let mut edits = Vec::new();
    for select in parts.into_iter().filter_map(|part| select(&tokens, part)).filter(|_| !hidden.is_empty()) {
        if select.stars(&tokens).iter().all(|star| tokens[star - 1].text == ".") {
            let at = tokens[select.list.end - 1].end();
            edits.push((at..at, format!(", {}", hidden.join(", "))));
        }
    }
    (edited(sql, edits), hidden)
}

/// The SELECT with the event time's expression replaced by its column; where its columns are qualified, so is that.
pub(super) fn with_event_time(sql: &str, expression: &str) -> String {
    let (all, wanted) = (tokens(sql), tokens(expression));
    let is_call = wanted.last().is_some_and(|last| last.text == ")")
        && wanted.first().is_some_and(|first| first.kind == Kind::Word || first.text == "(");
    let (mut edits, mut index) = (Vec::new(), 0);
    while index < all.len() {
        let Some((end, qualifier)) = matched(&all, index, &wanted) else {
            index += 1;
            continue;
        };
        let before = index.checked_sub(1).map(|before| all[before].text);
        let after = all.get(end).map(|token| token.text);
        // An operator beside it may belong closer to a part of the expression than the expression's own.
        let stands_alone = matches!(before, Some("(" | ",")) && matches!(after, Some(")" | ","));
        if before != Some(".") && (is_call || stands_alone) {
            let qualifier = qualifier.map(|qualifier| format!("{qualifier}.")).unwrap_or_default();
            edits.push((all[index].at..all[end - 1].end(), format!("{qualifier}{EVENT_TIME}")));
            index = end;
        } else {
            index += 1;
        }
    }
    edited(sql, edits)
}

/// Where the tokens of an expression end that stand at `index`, and what qualifies its columns.
fn matched<'t>(all: &[Token<'t>], index: usize, wanted: &[Token<'_>]) -> Option<(usize, Option<&'t str>)> {
    let (mut at, mut qualifier) = (index, None);
    for wanted in wanted {
        let token = all.get(at)?;
        if !token.equals(wanted) {
            let column = all.get(at + 2).filter(|_| token.kind == Kind::Word && all[at + 1].text == ".")?;
            let is_one = qualifier.is_none_or(|other: &str| other.eq_ignore_ascii_case(token.text));
            let is_call = all.get(at + 3).is_some_and(|next| next.text == "(");
            if is_call || !column.equals(wanted) || !is_one {
                return None;
            }
            qualifier.get_or_insert(token.text);
            at += 2;
        }
        at += 1;
    }
    (at > index).then_some((at, qualifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Hidden {
        HashMap::from([("iot".to_owned(), vec![EVENT_TIME]), ("both".to_owned(), vec![KAFKA, EVENT_TIME])])
    }

    #[test]
    fn a_star_gives_what_it_gives_in_forebay() {
        for (sql, expected) in [
            ("SELECT * FROM iot", "SELECT * EXCEPT (_event_time) FROM iot"),
            ("select *, a * b from `IOT` where x", "select * EXCEPT (_event_time), a * b from `IOT` where x"),
            ("SELECT i.*, place.* FROM iot AS i", "SELECT i.* EXCEPT (_event_time), place.* FROM iot AS i"),
            ("SELECT * EXCEPT (a) FROM both", "SELECT * EXCEPT (_kafka, _event_time, a) FROM both"),
            ("SELECT count(*) FROM iot", "SELECT count(*) FROM iot"),
            ("SELECT * FROM other", "SELECT * FROM other"),
            (
                "SELECT * FROM (SELECT * FROM iot -- FROM x\n) s",
                "SELECT * EXCEPT (_event_time) FROM (SELECT * FROM iot -- FROM x\n) s",
            ),
            ("SELECT * FROM (SELECT a FROM iot)", "SELECT * FROM (SELECT a FROM iot)"),
            (
                "SELECT *, explode(tags) AS tag FROM iot",
                "SELECT * EXCEPT (_event_time), explode(tags) AS tag FROM iot",
            ),
            (
                "SELECT * FROM iot i LATERAL VIEW explode(props) p AS k, v WHERE k > 1",
                "SELECT * EXCEPT (_event_time) FROM iot i LATERAL VIEW explode(props) p AS k, v WHERE k > 1",
            ),
            (
                "SELECT i.*, t.* FROM iot i LATERAL VIEW explode(tags) t",
                "SELECT i.* EXCEPT (_event_time), t.* FROM iot i LATERAL VIEW explode(tags) t",
            ),
            (
                "SELECT * FROM iot UNION ALL (SELECT a FROM other) union SELECT * FROM both",
                "SELECT * EXCEPT (_event_time) FROM iot UNION ALL (SELECT a FROM other) union SELECT * EXCEPT (_kafka, _event_time) FROM both",
            ),
            (
                "SELECT * FROM ((SELECT * FROM iot) UNION ALL SELECT * FROM `iot` WHERE x)",
                "SELECT * EXCEPT (_event_time) FROM ((SELECT * FROM iot) UNION ALL SELECT * FROM `iot` WHERE x)",
            ),
            (
                "SELECT a, count(*) FROM other GROUP BY a UNION ALL SELECT * FROM iot",
                "SELECT a, count(*) FROM other GROUP BY a UNION ALL SELECT * EXCEPT (_event_time) FROM iot",
            ),
        ] {
            assert_eq!(without_hidden(sql, &known()).as_deref(), Some(expected), "{sql}");
        }
        for sql in [
            "SELECT * FROM iot JOIN other USING (a)",
            "SELECT * FROM iot, other",
            "SELECT DISTINCT * FROM iot",
            "SELECT * FROM (SELECT * FROM iot UNION ALL SELECT * FROM both)",
        ] {
            assert_eq!(without_hidden(sql, &known()), None, "{sql}");
        }
    }

    #[test]
    fn a_view_hands_hidden_columns_on() {
        for (sql, expected, hidden) in [
            ("SELECT * FROM iot", "SELECT * FROM iot", vec![EVENT_TIME]),
            (
                "SELECT a FROM both WHERE b",
                "SELECT a, _kafka, _event_time FROM both WHERE b",
                vec![KAFKA, EVENT_TIME],
            ),
            ("SELECT place.* FROM iot", "SELECT place.*, _event_time FROM iot", vec![EVENT_TIME]),
            ("SELECT a, count(*) FROM iot GROUP BY a", "SELECT a, count(*) FROM iot GROUP BY a", vec![]),
            ("SELECT a FROM other", "SELECT a FROM other", vec![]),
            (
                "SELECT * FROM iot UNION ALL SELECT a FROM iot WHERE b",
                "SELECT * FROM iot UNION ALL SELECT a, _event_time FROM iot WHERE b",
                vec![EVENT_TIME],
            ),
            (
                "SELECT * FROM iot UNION ALL SELECT * FROM other",
                "SELECT * EXCEPT (_event_time) FROM iot UNION ALL SELECT * FROM other",
                vec![],
            ),
        ] {
            assert_eq!(carrying(sql, &known()), (expected.to_owned(), hidden), "{sql}");
        }
    }

    #[test]
    fn the_event_times_expression_becomes_its_column() {
        for (sql, expression, expected) in [
            ("window(Timestamp_Seconds( t ), '1 s')", "timestamp_seconds(t)", "window(_event_time, '1 s')"),
            (
                "x.timestamp_seconds(t), '(timestamp_seconds(t))'",
                "timestamp_seconds(t)",
                "x.timestamp_seconds(t), '(timestamp_seconds(t))'",
            ),
            ("window(a + b, '1 s'), 2 * a + b", "a + b", "window(_event_time, '1 s'), 2 * a + b"),
            ("date_format(t, 'a')", "date_format(t, 'A')", "date_format(t, 'a')"),
            (
                "timestamp_seconds(x.t) > timestamp_seconds(`y` . t), timestamp_seconds(x.u)",
                "timestamp_seconds(t)",
                "x._event_time > `y`._event_time, timestamp_seconds(x.u)",
            ),
            ("f(x.a, y.b), f(X.a, x.b)", "f(a, b)", "f(x.a, y.b), X._event_time"),
        ] {
            assert_eq!(with_event_time(sql, expression), expected);
        }
    }

    #[test]
    fn no_text_is_too_odd() {
        for sql in [
            "",
            "'",
            "`",
            "SELECT",
            "SELECT FROM",
            "SELECT * FROM",
            "FROM SELECT",
            ")(",
            "SELECT * FROM (",
            "UNION",
            "SELECT 1 UNION ALL",
            "(SELECT * FROM iot UNION",
            "()",
            "é*/*",
        ] {
            let _ = (without_hidden(sql, &known()), carrying(sql, &known()), with_event_time(sql, "f(x)"));
        }
    }
}
