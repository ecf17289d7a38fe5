//! LIKE and ILIKE without regular expressions: a pattern costs nothing to read, so that it may stand in a column.

use std::str::Chars;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::expr::Like as Operator;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::failed;

/// A text and a pattern in, true where all of the text fits.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Like {
    /// True for ILIKE, which lets case be.
    folds: bool,
    /// Whether it was written as an operator, and as `NOT LIKE`.
    negated: Option<bool>,
    signature: Signature,
}

impl Like {
    /// The function of this name: `like` or `ilike`.
    pub fn function(folds: bool) -> Self {
        Self { folds, negated: None, signature: Signature::string(2, Volatility::Immutable) }
    }

    /// What stands for an operator.
    pub fn operator(like: &Operator) -> Self {
        Self { negated: Some(like.negated), ..Self::function(like.case_insensitive) }
    }
}

impl ScalarUDFImpl for Like {
    fn name(&self) -> &str {
        if self.folds { "ilike" } else { "like" }
    }

    /// A column that is called after an operator keeps its name.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [text, pattern] = args else { return failed("LIKE compares a text with a pattern") };
        let Some(negated) = self.negated else {
            return Ok(format!("{}({},{})", self.name(), text.schema_name(), pattern.schema_name()));
        };
        let (text, pattern) = (Box::new(text.clone()), Box::new(pattern.clone()));
        let like = Expr::Like(Operator::new(negated, text, pattern, None, self.folds));
        Ok(like.schema_name().to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, pattern] = args.args.as_slice() else {
            return failed("LIKE compares a text with a pattern");
        };
        let views = |value: &ColumnarValue| -> Result<ArrayRef> {
            Ok(cast(&value.to_array(args.number_rows)?, &DataType::Utf8View)?)
        };
        let (texts, patterns) = (views(text)?, views(pattern)?);
        let (mut last, mut read) = (None, Vec::new());
        let rows = texts.as_string_view().iter().zip(patterns.as_string_view());
        let fits: BooleanArray = rows
            .map(|(text, pattern)| {
                let (text, pattern) = (text?, pattern?);
                if last != Some(pattern) {
                    read = if self.folds { tokens(&pattern.to_lowercase()) } else { tokens(pattern) };
                    last = Some(pattern);
                }
                let fits = if self.folds { fits(&text.to_lowercase(), &read) } else { fits(text, &read) };
                Some(fits != self.negated.unwrap_or(false))
            })
            .collect();
        Ok(ColumnarValue::Array(Arc::new(fits)))
    }
}

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token {
    /// `%`
    Some,
    /// `_`
    One,
    Is(char),
}

/// A backslash takes the letter behind it as it is; at the end it is one itself.
fn tokens(pattern: &str) -> Vec<Token> {
    let mut letters = pattern.chars();
    let mut tokens = Vec::new();
    while let Some(letter) = letters.next() {
        tokens.push(match letter {
            '%' => Token::Some,
            '_' => Token::One,
            '\\' => Token::Is(letters.next().unwrap_or('\\')),
            letter => Token::Is(letter),
        });
    }
    tokens
}

/// True if the tokens take all of a text. Where they do not, the last `%` takes a letter more.
fn fits(text: &str, tokens: &[Token]) -> bool {
    let (mut rest, mut at) = (text.chars(), 0);
    let mut last: Option<(Chars<'_>, usize)> = None;
    loop {
        let mut ahead = rest.clone();
        let goes_on = match (tokens.get(at), ahead.next()) {
            (Some(Token::Some), _) => {
                at += 1;
                last = Some((rest.clone(), at));
                continue;
            }
            (Some(Token::One), Some(_)) => true,
            (Some(Token::Is(wanted)), Some(letter)) => *wanted == letter,
            (None, None) => return true,
            _ => false,
        };
        if goes_on {
            (rest, at) = (ahead, at + 1);
            continue;
        }
        let Some((taken, after)) = &mut last else { return false };
        if taken.next().is_none() {
            return false;
        }
        (rest, at) = (taken.clone(), *after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fits_a_pattern_as_in_spark() {
        for (text, pattern, expected) in [
            ("", "", true),
            ("", "%", true),
            ("", "_", false),
            ("a", "", false),
            ("pump", "pump", true),
            ("pump", "p%p", true),
            ("pump", "%m%", true),
            ("pump", "p_m_", true),
            ("pump", "p_m", false),
            ("pump", "%%p", true),
            ("pump", "pump%", true),
            ("pump", "pump_%", false),
            ("äöü", "_ö_", true),
            ("a\nb", "a_b", true),
            ("100%", "100\\%", true),
            ("1000", "100\\%", false),
            ("a_b", "a\\_b", true),
            ("a\\", "a\\", true),
            ("a\\b", "a\\\\b", true),
            ("aaab", "%aab", true),
            ("mississippi", "m%iss%ip%i", true),
            ("mississippi", "m%iss%ip%x", false),
        ] {
            assert_eq!(fits(text, &tokens(pattern)), expected, "{text} LIKE {pattern}");
        }
    }
}
