//! Names without quotes: PostgreSQL folds them to lower case, where the columns of a stream keep the case that the
//! events have (`eventId`), and people write `SELECT eventId`.
//!
//! A word without quotes means the name in lower case if there is one; else the only column of the statement's tables
//! that differs from it by case alone. The same word means the same everywhere in a statement, aliases too, so what
//! referred to each other before does so afterwards. What must stay true: names in quotes, texts, types and the words of
//! SQL itself stay as they are.

use std::collections::{HashMap, HashSet};

use datafusion::sql::sqlparser::keywords::{Keyword, RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_TABLE_ALIAS};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// How the names of a statement's tables are spelled.
#[derive(Debug, Default)]
pub(super) struct Spelling {
    /// Names in lower case that are there as such.
    lower: HashSet<String>,
    /// Names that are not, by their lower case; `None` where two differ by case alone.
    others: HashMap<String, Option<String>>,
}

impl Spelling {
    /// Learns a name.
    pub fn add(&mut self, name: &str) {
        let lower = name.to_lowercase();
        if lower == name {
            self.lower.insert(lower);
            return;
        }
        let known = self.others.entry(lower).or_insert_with(|| Some(name.to_owned()));
        if known.as_deref() != Some(name) {
            *known = None;
        }
    }

    /// What a word in lower case means, if that is spelled otherwise.
    fn of(&self, lower: &str) -> Option<&str> {
        if self.lower.contains(lower) {
            return None;
        }
        self.others.get(lower)?.as_deref()
    }
}

/// The words with their names as they are spelled.
pub(super) fn respelled(tokens: &[TokenWithSpan], mut known: Spelling) -> Vec<TokenWithSpan> {
    for token in tokens {
        if let Token::Word(Word { value, quote_style: Some(_), .. }) = &token.token {
            // `"eventid"` beside `eventId`: the word in lower case is that one.
            if value.to_lowercase() == *value {
                known.add(value);
            }
        }
    }
    let words: Vec<usize> = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| !matches!(token.token, Token::Whitespace(_)))
        .map(|(at, _)| at)
        .collect();
    let mut out = tokens.to_vec();
    // For each open bracket whether it is that of a CAST.
    let mut casts = Vec::new();
    for (place, at) in words.iter().enumerate() {
        let beside =
            |place: Option<usize>| place.and_then(|place| words.get(place)).map(|at| &tokens[*at].token);
        let (before, behind) = (beside(place.checked_sub(1)), beside(Some(place + 1)));
        match &tokens[*at].token {
            Token::LParen => casts.push(matches!(before, Some(Token::Word(word)) if is_cast(word))),
            Token::RParen => drop(casts.pop()),
            Token::Word(word) if word.quote_style.is_none() => {
                let lower = word.value.to_lowercase();
                let is_as = matches!(before, Some(Token::Word(word)) if word.keyword == Keyword::AS);
                let is_type = before == Some(&Token::DoubleColon)
                    || (is_as && casts.last() == Some(&true))
                    || matches!(behind, Some(Token::SingleQuotedString(_)));
                let is_call = behind == Some(&Token::LParen);
                let spelled = known.of(&lower).filter(|_| !is_type && !is_call && may_name(word));
                out[*at].token = Token::Word(match spelled {
                    Some(name) => {
                        Word { value: name.to_owned(), quote_style: Some('"'), keyword: Keyword::NoKeyword }
                    }
                    None => Word { value: lower, ..word.clone() },
                });
            }
            _ => {}
        }
    }
    out
}

fn is_cast(word: &Word) -> bool {
    word.quote_style.is_none() && matches!(word.keyword, Keyword::CAST | Keyword::TRY_CAST)
}

/// True for a word that is not only syntax.
fn may_name(word: &Word) -> bool {
    let keyword = word.keyword;
    let syntax = RESERVED_FOR_COLUMN_ALIAS.contains(&keyword)
        || RESERVED_FOR_TABLE_ALIAS.contains(&keyword)
        || SYNTAX.contains(&keyword);
    keyword == Keyword::NoKeyword || !syntax
}

/// What is only syntax beside the words that cannot be an alias.
const SYNTAX: &[Keyword] = &[
    Keyword::SELECT,
    Keyword::AS,
    Keyword::AND,
    Keyword::OR,
    Keyword::NOT,
    Keyword::NULL,
    Keyword::TRUE,
    Keyword::FALSE,
    Keyword::CASE,
    Keyword::WHEN,
    Keyword::THEN,
    Keyword::ELSE,
    Keyword::END,
    Keyword::IN,
    Keyword::IS,
    Keyword::LIKE,
    Keyword::ILIKE,
    Keyword::BETWEEN,
    Keyword::BY,
    Keyword::ASC,
    Keyword::DESC,
    Keyword::DISTINCT,
    Keyword::INTERVAL,
    Keyword::EPOCH,
];

#[cfg(test)]
mod tests {
    use super::super::text::split;
    use super::*;

    fn written(sql: &str, columns: &[&str]) -> String {
        let mut known = Spelling::default();
        columns.iter().for_each(|column| known.add(column));
        let texts = split(sql).unwrap();
        respelled(&texts[0].tokens, known).iter().map(|token| token.token.to_string()).collect()
    }

    #[test]
    fn a_word_finds_the_column_that_differs_by_case_alone() {
        let columns = ["eventId", "deviceId", "Value", "Time", "n"];
        for (sql, expected) in [
            ("SELECT eventId FROM T", "SELECT \"eventId\" FROM t"),
            ("SELECT EVENTID AS EventID", "SELECT \"eventId\" AS \"eventId\""),
            ("SELECT t.value, N FROM T t", "SELECT t.\"Value\", n FROM t t"),
            ("SELECT CAST(n AS time), n::time, time '1:00'", "SELECT cast(n AS time), n::time, time '1:00'"),
            ("SELECT 'eventId', \"eventid\", eventid", "SELECT 'eventId', \"eventid\", eventid"),
            (
                "SELECT Count(*) FROM (SELECT deviceid FROM t) x",
                "SELECT count(*) FROM (SELECT \"deviceId\" FROM t) x",
            ),
        ] {
            assert_eq!(written(sql, &columns).to_lowercase(), expected.to_lowercase());
            let quoted =
                |text: &str| text.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(quoted(&written(sql, &columns)), quoted(expected), "{sql}");
        }
        assert!(written("SELECT ab FROM t", &["aB", "Ab"]).contains("ab"), "which of them is not told");
    }
}
