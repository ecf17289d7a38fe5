//! How deep a syntax tree can become, told from its words before there is a tree.
//!
//! Whatever handles a tree (the parser, the planner, even giving its memory back) recurses as deep as the tree is,
//! and a stack that overflows ends the process. The bound needs no grammar: each level of a tree has a word of its
//! own, and what commas separate lies side by side. So no way from the root to a leaf is longer than a run of words
//! without a comma, where a bracket counts with the longest run inside of it. Only set operations
//! (`SELECT a, b … UNION SELECT a, b …`) chain across commas; they are counted by themselves.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use forebay_core::Error;
use forebay_core::error::codes;

use super::sql_error::SqlError;

/// Deepest nesting of brackets and subqueries; `DataFusion`'s own default.
pub(super) const MAX_NESTING: usize = 50;
/// Longest run of words without a comma: a CASE of some hundred branches fits.
const MAX_RUN: usize = 4_000;
/// Deepest nesting of what [`is_tried_twice`]: the parser takes twice as long for each level of it.
const MAX_TRIED_TWICE: usize = 14;
/// Most UNION, EXCEPT and INTERSECT of a statement.
const MAX_SET_OPERATIONS: usize = 400;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    Round,
    Square,
    Curly,
    /// `ARRAY<…>`, CASE … END. If the words were used as names, the level ends with the bracket around it, which
    /// counts too much and never too little.
    Angle,
    Case,
}

/// What is known of one open bracket.
#[derive(Default)]
struct Level {
    bracket: Option<Bracket>,
    /// The parser may read it twice.
    is_twice: bool,
    /// Words since the bracket or its last comma.
    run: usize,
    /// The longest run of the brackets closed since then.
    inner: usize,
    /// The longest run that a comma has ended.
    ended: usize,
}

impl Level {
    fn open(bracket: Bracket) -> Self {
        Self { bracket: Some(bracket), ..Self::default() }
    }

    fn now(&self) -> usize {
        self.run + self.inner
    }

    fn comma(&mut self) {
        let (bracket, is_twice) = (self.bracket, self.is_twice);
        *self = Self { bracket, is_twice, ended: self.ended.max(self.now()), ..Self::default() };
    }
}

/// Refuses text whose tree could be deeper than the stack allows, at the word with which it becomes so.
pub(super) fn bound(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let mut outer: Vec<Level> = Vec::new();
    let mut level = Level::default();
    let mut set_operations = 0;
    let (mut type_before, mut twice_before, mut intervals) = (false, false, 0);
    for token in tokens {
        if matches!(token.token, Token::Whitespace(_)) {
            continue;
        }
        level.run += 1;
        let opened = match &token.token {
            Token::LParen => Some(Bracket::Round),
            Token::LBracket => Some(Bracket::Square),
            Token::LBrace => Some(Bracket::Curly),
            Token::Lt if type_before => Some(Bracket::Angle),
            Token::Word(word) if word.keyword == Keyword::CASE => Some(Bracket::Case),
            _ => None,
        };
        match &token.token {
            Token::Comma => level.comma(),
            Token::RParen => close(&mut outer, &mut level, Bracket::Round),
            Token::RBracket => close(&mut outer, &mut level, Bracket::Square),
            Token::RBrace => close(&mut outer, &mut level, Bracket::Curly),
            Token::Gt => close(&mut outer, &mut level, Bracket::Angle),
            Token::ShiftRight => {
                close(&mut outer, &mut level, Bracket::Angle);
                close(&mut outer, &mut level, Bracket::Angle);
            }
            Token::Word(word) if word.keyword == Keyword::END => close(&mut outer, &mut level, Bracket::Case),
            Token::Word(word) => {
                set_operations += usize::from(matches!(
                    word.keyword,
                    Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS
                ));
            }
            _ => {}
        }
        if let Some(bracket) = opened {
            let is_twice = twice_before && bracket == Bracket::Round;
            outer.push(std::mem::replace(&mut level, Level { is_twice, ..Level::open(bracket) }));
        }
        let is_interval =
            |token: &Token| matches!(token, Token::Word(word) if word.keyword == Keyword::INTERVAL);
        intervals = if is_interval(&token.token) { intervals + 1 } else { 0 };
        twice_before = is_tried_twice(&token.token);
        type_before = matches!(&token.token, Token::Word(word)
            if matches!(word.keyword, Keyword::ARRAY | Keyword::MAP | Keyword::STRUCT));
        let twice = intervals + outer.iter().chain([&level]).filter(|level| level.is_twice).count();
        if twice > MAX_TRIED_TWICE {
            let error = Error::new(
                &codes::SQL_SYNTAX,
                format!(
                    "functions with a syntax of their own are nested deeper than {MAX_TRIED_TWICE} levels"
                ),
            );
            let error = error.with_hint("Split the query with WITH or views.");
            return Err(SqlError::spanned(error, token.span));
        }
        refuse(outer.len(), &level, set_operations).map_err(|error| SqlError::spanned(error, token.span))?;
    }
    // What is still open is wrong, or was words used as names.
    while !outer.is_empty() {
        leave(&mut outer, &mut level);
    }
    Ok(refuse(0, &level, set_operations)?)
}

/// True for a word behind which the parser expects a syntax of its own, and which it takes for the name of a function if that
/// is not there.
fn is_tried_twice(token: &Token) -> bool {
    let Token::Word(word) = token else { return false };
    matches!(
        word.keyword,
        Keyword::SAFE_CAST
            | Keyword::CONVERT
            | Keyword::TRY_CONVERT
            | Keyword::EXTRACT
            | Keyword::CEIL
            | Keyword::FLOOR
            | Keyword::POSITION
            | Keyword::SUBSTR
            | Keyword::SUBSTRING
            | Keyword::OVERLAY
            | Keyword::INTERVAL
            | Keyword::ARRAY
            | Keyword::MATCH
            | Keyword::MAP
    )
}

fn refuse(nesting: usize, level: &Level, set_operations: usize) -> Result<(), Error> {
    let (what, hint) = if nesting > MAX_NESTING {
        (
            format!("the SQL text is nested deeper than {MAX_NESTING} levels"),
            "Take out parentheses, or split the query with WITH or views.",
        )
    } else if level.now() > MAX_RUN {
        (
            format!("an expression is more than {MAX_RUN} words long"),
            "Use IN (…) for long lists, or compute parts of it in a subquery.",
        )
    } else if set_operations > MAX_SET_OPERATIONS {
        (
            format!("the statement has more than {MAX_SET_OPERATIONS} UNION, EXCEPT and INTERSECT"),
            "Make several queries of it.",
        )
    } else {
        return Ok(());
    };
    Err(Error::new(&codes::SQL_SYNTAX, what).with_hint(hint))
}

/// Closes the innermost bracket if it is of this kind. Words that only looked like one end with the bracket around.
fn close(outer: &mut Vec<Level>, level: &mut Level, bracket: Bracket) {
    let words = [Bracket::Angle, Bracket::Case];
    while !words.contains(&bracket) && level.bracket.is_some_and(|open| words.contains(&open)) {
        leave(outer, level);
    }
    if level.bracket == Some(bracket) {
        leave(outer, level);
    }
}

/// Ends the innermost level, which counts in the one around it with its longest run.
fn leave(outer: &mut Vec<Level>, level: &mut Level) {
    if let Some(around) = outer.pop() {
        let inside = std::mem::replace(level, around);
        level.inner = level.inner.max(inside.ended.max(inside.now()));
    }
}
