//! Numbers as PostgreSQL writes them that the tokenizer does not know: `1_000`, `0x1F`, `0o17`, `0b11`. A letter right
//! behind a number is an error, where it would be the name of the column else.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use forebay_core::Error;
use forebay_core::error::codes;

use crate::plan::SqlError;

/// The tokens with such numbers in their plain form.
pub(super) fn plain(sql: &str, tokens: &mut Vec<TokenWithSpan>) -> Result<(), SqlError> {
    let lines: Vec<&str> = sql.split('\n').collect();
    let mut at = 0;
    while at < tokens.len() {
        let Some(token) = tokens.get(at) else { break };
        let start = token.span.start;
        let line = lines.get((start.line as usize).saturating_sub(1)).copied().unwrap_or_default();
        let column = (start.column as usize).saturating_sub(1);
        let begins = || line.chars().skip(column).take(2).collect::<String>().to_lowercase();
        let made = match &token.token {
            Token::HexStringLiteral(digits) if begins() == "0x" => Some((whole(digits, 16), 1)),
            Token::Number(digits, _) => match tokens.get(at + 1).map(|next| (&next.token, next.span.start)) {
                Some((Token::Word(word), next)) if next == token.span.end && word.quote_style.is_none() => {
                    let radix = word.value.chars().next().map(|letter| letter.to_ascii_lowercase());
                    let behind = word.value.get(1..).unwrap_or_default();
                    match (digits.as_str(), radix) {
                        ("0", Some('o')) => Some((whole(behind, 8), 2)),
                        ("0", Some('b')) => Some((whole(behind, 2), 2)),
                        _ => Some((None, 2)),
                    }
                }
                _ if digits.contains('_') => Some((Some(digits.replace('_', "")), 1)),
                _ => None,
            },
            _ => None,
        };
        match made {
            None => {}
            Some((Some(digits), count)) => {
                let end = tokens.get(at + count - 1).map(|last| last.span.end);
                if let Some(token) = tokens.get_mut(at) {
                    token.token = Token::Number(digits, false);
                    token.span.end = end.unwrap_or(token.span.end);
                }
                tokens.drain(at + 1..at + count);
            }
            Some((None, _)) => {
                let error = Error::new(&codes::SQL_SYNTAX, "trailing junk after numeric literal");
                return Err(SqlError::new(error, Some((start.line as usize, start.column as usize))));
            }
        }
        at += 1;
    }
    Ok(())
}

/// The decimal digits of a whole number; `None` for what is none.
fn whole(digits: &str, radix: u32) -> Option<String> {
    let digits = digits.replace('_', "");
    i128::from_str_radix(&digits, radix)
        .ok()
        .filter(|_| !digits.starts_with(['-', '+']))
        .map(|it| it.to_string())
}
