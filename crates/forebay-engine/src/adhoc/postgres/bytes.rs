//! `bytea` out of a text: `\x` and two digits for each byte, or letters with `\\` and `\000` among them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};

use super::call::{Call, failed};

/// A cast to `bytea`.
pub(super) const BYTEA: Call = Call {
    name: "__bytea",
    takes: |types| match types {
        [DataType::Utf8] => Ok(types.to_vec()),
        [DataType::Null] => Ok(vec![DataType::Utf8]),
        [DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)] => {
            Ok(vec![DataType::Binary])
        }
        [of] => plan_err!("cannot cast type {of} to bytea"),
        _ => plan_err!("a cast takes one value"),
    },
    gives: |_, _| Ok(DataType::Binary),
    work: |args, to| match args {
        [of] if of.data_type() == &DataType::Utf8 => {
            let read =
                |text: &str| read(text).map_err(|words| failed(words, "invalid input syntax for type bytea"));
            let values = of.as_string::<i32>().iter().map(|text| text.map(read).transpose());
            let values = values.collect::<Result<Vec<Option<Vec<u8>>>>>()?;
            let made: ArrayRef = Arc::new(values.iter().map(Option::as_deref).collect::<BinaryArray>());
            Ok(made)
        }
        [of] => Ok(cast(of, to)?),
        _ => plan_err!("a cast takes one value"),
    },
};

/// The bytes of a text, or what is wrong with it.
pub(super) fn read(text: &str) -> std::result::Result<Vec<u8>, String> {
    match text.strip_prefix("\\x") {
        Some(digits) => hex(digits),
        None => escaped(text.as_bytes()).ok_or_else(|| "invalid input syntax for type bytea".to_owned()),
    }
}

fn hex(digits: &str) -> std::result::Result<Vec<u8>, String> {
    let digits = digits.chars().filter(|digit| !digit.is_ascii_whitespace());
    let one = |digit: char| {
        let value = digit.to_digit(16).and_then(|value| u8::try_from(value).ok());
        value.ok_or_else(|| format!("invalid hexadecimal digit: \"{digit}\""))
    };
    let digits = digits.map(one).collect::<std::result::Result<Vec<u8>, String>>()?;
    if !digits.len().is_multiple_of(2) {
        return Err("invalid hexadecimal data: odd number of digits".to_owned());
    }
    Ok(digits.chunks(2).map(|two| two.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

fn escaped(text: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((first, behind)) = rest.split_first() {
        rest = match (first, behind) {
            (b'\\', [b'\\', behind @ ..]) => {
                out.push(b'\\');
                behind
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                behind
            }
            (b'\\', _) => return None,
            (letter, behind) => {
                out.push(*letter);
                behind
            }
        };
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_in_both_forms() {
        assert_eq!(read("\\x00Ff 10"), Ok(vec![0, 255, 16]));
        assert_eq!(read("a\\\\b\\001"), Ok(vec![b'a', b'\\', b'b', 1]));
        for text in ["\\x0", "\\xzz", "\\", "\\9", "\\400"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
