//! A text of the wire, cut into statements and parsed within the limits of [`crate::plan::parse`].
//!
//! What must stay true: whatever is sent costs a bounded amount of stack and memory. The tree is bounded before it is
//! built ([`scan`](crate::plan::parse::bounded)), and what is no SELECT is never parsed: who asks for more looks at its
//! first words ([`Text::pieces`]).

use std::any::TypeId;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{Expr, Statement, UnaryOperator};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::numbers;
use crate::plan::SqlError;
use crate::plan::parse;

/// Most parameters of a statement; the protocol counts them in two bytes.
pub(super) const MOST: usize = 65_535;

/// One statement of a text.
#[derive(Clone, Debug)]
pub struct Text {
    whole: Arc<str>,
    /// Its words, without the `;` that ends it.
    pub(super) tokens: Vec<TokenWithSpan>,
}

/// A word of a statement, as session commands are read by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A word without quotes, in upper case.
    Word(String),
    /// A text in quotes of either kind, without them.
    Quoted(String),
    /// A number.
    Number(String),
    /// Anything else.
    Mark(String),
}

impl Piece {
    /// True for this word, which is in upper case.
    pub fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(own) if own == word)
    }

    /// What it says, without quotes; a word in lower case.
    pub fn text(&self) -> String {
        match self {
            Self::Word(word) => word.to_lowercase(),
            Self::Quoted(text) | Self::Number(text) | Self::Mark(text) => text.clone(),
        }
    }
}

/// The statements of a text; none if there are only blanks and remarks.
///
/// # Errors
/// `SQL_SYNTAX` for a text that is too long, or whose words cannot be told.
pub fn split(sql: &str) -> Result<Vec<Text>, SqlError> {
    let mut tokens = parse::words_of(&Postgres::default(), sql)?;
    numbers::plain(sql, &mut tokens)?;
    let whole: Arc<str> = sql.into();
    let is_blank = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_) | Token::EOF);
    let parts = tokens.split(|token| token.token == Token::SemiColon);
    let parts = parts.filter(|part| !part.iter().all(is_blank));
    Ok(parts.map(|part| Text { whole: Arc::clone(&whole), tokens: part.to_vec() }).collect())
}

impl Text {
    /// Its words, blanks and remarks left out.
    pub fn pieces(&self) -> Vec<Piece> {
        let piece = |token: &Token| match token {
            Token::Whitespace(_) | Token::EOF => None,
            Token::Word(word) if word.quote_style.is_none() => Some(Piece::Word(word.value.to_uppercase())),
            Token::Word(word) => Some(Piece::Quoted(word.value.clone())),
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => {
                Some(Piece::Quoted(text.clone()))
            }
            Token::Number(number, _) => Some(Piece::Number(number.clone())),
            other => Some(Piece::Mark(other.to_string())),
        };
        self.tokens.iter().filter_map(|token| piece(&token.token)).collect()
    }

    /// The statement as it was sent.
    pub fn sql(&self) -> &str {
        let is_word = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::EOF);
        let mut words = self.tokens.iter().filter(is_word);
        let Some(first) = words.next() else { return "" };
        let last = words.next_back().unwrap_or(first);
        let (start, end) = (offset(&self.whole, first.span.start), offset(&self.whole, last.span.end));
        self.whole.get(start..end).unwrap_or(&self.whole)
    }

    /// What stands behind its first words, so many of [its pieces](Self::pieces).
    pub fn after(&self, pieces: usize) -> Self {
        let is_word = |token: &TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::EOF);
        let words = self.tokens.iter().enumerate().filter(|(_, token)| is_word(token));
        let start = words.map(|(at, _)| at).nth(pieces).unwrap_or(self.tokens.len());
        let tokens = self.tokens.get(start..).unwrap_or_default().to_vec();
        Self { whole: Arc::clone(&self.whole), tokens }
    }

    /// The greatest number of a parameter in it.
    pub(super) fn parameters(&self) -> usize {
        let number = |token: &TokenWithSpan| match &token.token {
            Token::Placeholder(name) => name.strip_prefix('$')?.parse().ok().filter(|number| *number <= MOST),
            _ => None,
        };
        self.tokens.iter().filter_map(number).max().unwrap_or(0)
    }

    /// Its tree.
    pub(super) fn parse(&self) -> Result<Statement, SqlError> {
        parse_tokens(self.tokens.clone())
    }
}

/// The tree of these words.
pub(super) fn parse_tokens(tokens: Vec<TokenWithSpan>) -> Result<Statement, SqlError> {
    parse::with_room(|| parse::bounded(&Postgres::default(), tokens))
}

/// Where a place is in its text, in bytes.
fn offset(text: &str, place: Location) -> usize {
    let (line, column) = (place.line.saturating_sub(1) as usize, place.column.saturating_sub(1) as usize);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.chars().take(column).map(char::len_utf8).sum::<usize>()
}

/// sqlparser's dialect, in which the words CASE, CAST and TRY_CAST are no names: see the Spark dialect's.
#[derive(Debug, Default)]
struct Postgres(PostgreSqlDialect);

impl Dialect for Postgres {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn is_reserved_for_identifier(&self, word: Keyword) -> bool {
        let own = [Keyword::CASE, Keyword::CAST, Keyword::TRY_CAST];
        own.contains(&word) || self.0.is_reserved_for_identifier(word)
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.0.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.0.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.0.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.0.is_identifier_part(ch)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        self.0.is_custom_operator_part(ch)
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        self.0.get_next_precedence(parser)
    }

    fn prec_value(&self, prec: Precedence) -> u8 {
        self.0.prec_value(prec)
    }

    /// A minus before a value binds tighter than every operator between two: `-2 ^ 2` is 4.
    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        if parser.peek_token_ref().token != Token::Minus {
            return None;
        }
        parser.advance_token();
        let expr = parser.parse_subexpr(self.prec_value(Precedence::Caret));
        Some(expr.map(|expr| Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(expr) }))
    }

    /// The right side of IS DISTINCT FROM ends at an AND, as that of every other comparison.
    fn parse_infix(&self, parser: &mut Parser<'_>, expr: &Expr, _: u8) -> Option<Result<Expr, ParserError>> {
        let is_not = if parser.parse_keywords(&[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]) {
            false
        } else if parser.parse_keywords(&[Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM]) {
            true
        } else {
            return None;
        };
        let left = Box::new(expr.clone());
        let right = parser.parse_subexpr(self.prec_value(Precedence::Is)).map(Box::new);
        Some(right.map(|right| match is_not {
            false => Expr::IsDistinctFrom(left, right),
            true => Expr::IsNotDistinctFrom(left, right),
        }))
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        true
    }

    fn supports_unicode_string_literal(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    fn supports_explain_with_utility_options(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_array_typedef_with_brackets(&self) -> bool {
        true
    }

    fn supports_notnull_operator(&self) -> bool {
        true
    }

    fn supports_interval_options(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_its_semicolons_and_not_inside_of_quotes() {
        let sql = " SELECT ';' AS \"a;b\" -- ;\n; /* ; */ ; DISCARD ALL;\n select 'ä''b' , 1 ";
        let texts = split(sql).unwrap();
        let said: Vec<&str> = texts.iter().map(Text::sql).collect();
        assert_eq!(said, ["SELECT ';' AS \"a;b\"", "DISCARD ALL", "select 'ä''b' , 1"]);
        let pieces = texts[1].pieces();
        assert!(pieces[0].is("DISCARD") && pieces[1].is("ALL"), "{pieces:?}");
        assert!(split(" -- nothing\n ; ").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_text_of_sql_is_refused_in_words() {
        for sql in ["SELECT 'open", "SELECT \"open", &"x".repeat(2 << 20)] {
            assert!(split(sql).is_err());
        }
        let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
        assert!(split(&deep).unwrap()[0].parse().is_err());
    }
}
