//! `FROM iot WATERMARK at DELAY OF INTERVAL 10 SECONDS`, as Spark 4.1 spells it: its words, put where the parser takes
//! them.
//!
//! The parser knows no such clause, but it takes hints behind a table's name and alias. So the clause becomes
//! `FROM iot WITH (WATERMARK(at, INTERVAL 10 SECONDS))`; the resolver reads the hint (`resolve/event_time.rs`).

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

/// The function that the clause becomes.
pub(super) const WATERMARK: &str = "WATERMARK";

/// The tokens with every clause rewritten. What only looks like one stays as it is.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.iter().any(|token| is_word(token, WATERMARK)) {
        return tokens;
    }
    let mut tokens: Vec<TokenWithSpan> =
        tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let mut from = 0;
    while let Some(at) = (from..tokens.len()).find(|at| is_word(&tokens[*at], WATERMARK)) {
        from = at + 1;
        if let Some(clause) = Clause::read(&tokens, at) {
            let new = clause.hint(&tokens, at);
            from = at + new.len();
            tokens.splice(at..clause.end, new);
        }
    }
    tokens
}

/// Where the parts of a clause are.
struct Clause {
    /// The word DELAY.
    delay: usize,
    /// Behind the interval: the alias.
    alias: usize,
    /// Behind the alias.
    end: usize,
}

impl Clause {
    fn read(tokens: &[TokenWithSpan], at: usize) -> Option<Self> {
        let before = at.checked_sub(1).and_then(|before| tokens.get(before))?;
        matches!(&before.token, Token::Word(_)).then_some(())?;
        let mut depth = 0_usize;
        let delay = (at + 1..tokens.len()).find(|index| {
            match tokens[*index].token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && is_word(&tokens[*index], "DELAY")
        })?;
        let words = ["OF", "INTERVAL"];
        let follow = words.iter().zip(tokens.get(delay + 1..)?).all(|(word, token)| is_word(token, word));
        let value = tokens.get(delay + 3)?;
        let is_value = matches!(value.token, Token::Number(..) | Token::SingleQuotedString(_));
        let is_unit =
            |token: &&TokenWithSpan| matches!(&token.token, Token::Word(word) if word.quote_style.is_none());
        tokens.get(delay + 4).filter(is_unit)?;
        if !follow || !is_value || delay == at + 1 {
            return None;
        }
        let alias = delay + 5;
        let has_as = tokens.get(alias).is_some_and(|token| is_word(token, "AS"));
        let is_name = |token: &TokenWithSpan| matches!(&token.token, Token::Word(word) if has_as || word.keyword == Keyword::NoKeyword);
        let name = alias + usize::from(has_as);
        let end = if tokens.get(name).is_some_and(is_name) { name + 1 } else { alias };
        Some(Self { delay, alias, end })
    }

    fn hint(&self, tokens: &[TokenWithSpan], at: usize) -> Vec<TokenWithSpan> {
        let span = tokens[at].span;
        let sign = |token: Token| TokenWithSpan { token, span };
        let mut out = tokens[self.alias..self.end].to_vec();
        out.push(word("WITH", Keyword::WITH, span));
        out.push(sign(Token::LParen));
        out.push(word(WATERMARK, Keyword::NoKeyword, span));
        out.push(sign(Token::LParen));
        out.extend_from_slice(&tokens[at + 1..self.delay]);
        out.push(sign(Token::Comma));
        out.extend_from_slice(&tokens[self.delay + 2..self.alias]);
        out.push(sign(Token::RParen));
        out.push(sign(Token::RParen));
        out
    }
}

fn word(value: &str, keyword: Keyword, span: Span) -> TokenWithSpan {
    let word = Word { value: value.to_owned(), quote_style: None, keyword };
    TokenWithSpan { token: Token::Word(word), span }
}

fn is_word(token: &TokenWithSpan, is: &str) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(is))
}
