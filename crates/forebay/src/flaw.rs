//! Where a text in JSON is wrong, as the commands that read one tell it: what, in which file, line and column.

use forebay_core::Error;
use forebay_core::error::codes;

/// What is wrong, without the place that the library adds: that stands elsewhere in our errors.
pub fn complaint(error: &serde_json::Error) -> String {
    let told = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    told.strip_suffix(&place).unwrap_or(&told).to_owned()
}

/// The error of a text that begins at a line of a file.
pub fn of(what: &str, file: impl std::fmt::Display, line: u64, error: &serde_json::Error) -> Error {
    let below = (error.line() as u64).saturating_sub(1);
    Error::new(&codes::BAD_VALUE, what)
        .at(format_args!("{file}:{}:{}", line + below, error.column().max(1)))
        .with_detail(complaint(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_once() {
        let wrong = serde_json::from_str::<u8>("\n\n  \"x\"").unwrap_err();
        let told = of("no number", "a.json", 5, &wrong).to_string();
        assert!(told.contains("(a.json:7:5): invalid type") && !told.contains("at line"), "{told}");
    }
}
