//! Where the parts of a SELECT stand among its tokens.
//!
//! What must stay true: what is not understood is no [`Select`].

use std::ops::Range;

use super::tokens::Token;

/// The places of one SELECT among its tokens: `SELECT list FROM relation …`.
pub(super) struct Select {
    pub list: Range<usize>,
    /// The first token behind `FROM`.
    pub relation: usize,
    /// One relation, and no more than projections, filters and generators over it.
    pub is_plain: bool,
}

pub(super) fn select(tokens: &[Token<'_>], range: Range<usize>) -> Option<Select> {
    const NOT_PLAIN: &[&str] = &["group", "having", "join", "union", "intersect", "distinct", "with"];
    let mut depth = 0usize;
    let mut outer = Vec::new();
    for index in range.clone() {
        match tokens[index].text {
            ")" => depth = depth.saturating_sub(1),
            _ if depth == 0 => outer.push(index),
            _ => {}
        }
        depth += usize::from(tokens[index].text == "(");
    }
    let find = |word: &str| outer.iter().copied().find(|index| tokens[*index].is(word));
    let (first, from) = (find("select")?, find("from")?);
    let relation = from + 1;
    let has_comma = {
        let end = find("lateral").or(find("where")).unwrap_or(range.end);
        outer.iter().any(|index| (relation..end).contains(index) && tokens[*index].text == ",")
    };
    let is_plain = first == range.start
        && relation < range.end
        && !has_comma
        && !outer.iter().any(|index| NOT_PLAIN.iter().any(|word| tokens[*index].is(word)));
    Some(Select { list: first + 1..from, relation, is_plain })
}

impl Select {
    /// The stars that stand for all columns, as indices of tokens.
    pub fn stars(&self, tokens: &[Token<'_>]) -> Vec<usize> {
        let mut depth = 0usize;
        let mut stars = Vec::new();
        for index in self.list.clone() {
            match tokens[index].text {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                "*" if depth == 0
                    && (index == self.list.start
                        || matches!(tokens[index - 1].text, "," | ".")
                        || tokens[index - 1].is("distinct")) =>
                {
                    stars.push(index);
                }
                _ => {}
            }
        }
        stars
    }
}

/// The SELECTs of a UNION; one of any other statement.
pub(super) fn parts(tokens: &[Token<'_>], range: Range<usize>) -> Vec<Range<usize>> {
    let range = bare(tokens, range);
    let (mut depth, mut start, mut found) = (0usize, range.start, Vec::new());
    for index in range.clone() {
        match tokens[index].text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ if depth == 0 && tokens[index].is("union") => {
                found.push(start..index);
                let is_quantified = tokens.get(index + 1).is_some_and(|it| it.is("all") || it.is("distinct"));
                start = index + 1 + usize::from(is_quantified);
            }
            _ => {}
        }
    }
    if found.is_empty() {
        return vec![range];
    }
    found.push(start.min(range.end)..range.end);
    found.into_iter().flat_map(|part| parts(tokens, part)).collect()
}

/// A range without the parentheses around all of it.
fn bare(tokens: &[Token<'_>], mut range: Range<usize>) -> Range<usize> {
    while range.len() > 2
        && tokens[range.start].text == "("
        && closing(tokens, range.start) == Some(range.end - 1)
    {
        range = range.start + 1..range.end - 1;
    }
    range
}

/// The parenthesis that closes the one at `open`.
pub(super) fn closing(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(index);
        }
    }
    None
}
