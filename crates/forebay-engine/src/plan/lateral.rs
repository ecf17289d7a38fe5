//! `LATERAL VIEW explode(tags) t LIMIT 5`: where no names of columns are given, the parser takes some of the words that
//! follow for one.
//!
//! So there it is given a name that is empty; the resolver (`resolve/generators.rs`) takes that for none.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// Words that may follow and that the parser would take for a name.
const FOLLOWING: [Keyword; 12] = [
    Keyword::UNION,
    Keyword::EXCEPT,
    Keyword::INTERSECT,
    Keyword::MINUS,
    Keyword::ORDER,
    Keyword::SORT,
    Keyword::DISTRIBUTE,
    Keyword::LIMIT,
    Keyword::OFFSET,
    Keyword::FETCH,
    Keyword::WINDOW,
    Keyword::QUALIFY,
];

/// The tokens with an empty name wherever one is missing.
pub(super) fn rewrite(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.iter().any(|token| is_word(token, &[Keyword::LATERAL])) {
        return tokens;
    }
    let told: Vec<usize> =
        (0..tokens.len()).filter(|at| !matches!(tokens[*at].token, Token::Whitespace(_))).collect();
    let missing: Vec<usize> = (0..told.len()).filter_map(|at| behind(&tokens, &told[at..])).collect();
    for at in missing.into_iter().rev() {
        let span = tokens[at].span;
        let word = |value: &str, quote_style, keyword| TokenWithSpan {
            token: Token::Word(Word { value: value.to_owned(), quote_style, keyword }),
            span,
        };
        let name = [word("AS", None, Keyword::AS), word("", Some('`'), Keyword::NoKeyword)];
        tokens.splice(at..at, name);
    }
    tokens
}

/// The word that follows a LATERAL VIEW with which these begin, if it would be taken for a name.
fn behind(tokens: &[TokenWithSpan], told: &[usize]) -> Option<usize> {
    let token = |at: usize| told.get(at).and_then(|at| tokens.get(*at));
    let is = |at: usize, words: &[Keyword]| token(at).is_some_and(|token| is_word(token, words));
    if !is(0, &[Keyword::LATERAL]) || !is(1, &[Keyword::VIEW]) {
        return None;
    }
    let open = if is(2, &[Keyword::OUTER]) { 4 } else { 3 };
    let mut depth = 0_usize;
    let close = (open..told.len()).find(|at| {
        match token(*at).map(|token| &token.token) {
            Some(Token::LParen) => depth += 1,
            Some(Token::RParen) => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })?;
    // Behind the call stands the name of the table.
    let next = close + 2;
    is(next, &FOLLOWING).then(|| told.get(next).copied()).flatten()
}

fn is_word(token: &TokenWithSpan, words: &[Keyword]) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && words.contains(&word.keyword))
}
