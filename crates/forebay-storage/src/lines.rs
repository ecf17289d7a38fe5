//! Files of checked lines: a header that names the format and its version, then one record a line.
//!
//! ```text
//! forebay-checkpoint v1
//! 5d1f0c3a 17 {"epoch":0, … }
//! ```
//!
//! Each line carries the CRC-32C and the length of its text, so a reader knows a whole record from a torn or altered one, and a
//! person can read the file. A damaged *last* line is the torn tail of a crash and may be cut; damage before it is
//! reported and never skipped.

/// What a file of lines holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Lines<'a> {
    /// The texts of the good lines after the header, in order.
    pub texts: Vec<&'a str>,
    /// Bytes from the start of the file to the end of the last good line; what follows is a torn tail.
    pub good_len: u64,
    /// True if something stands after the last good line.
    pub torn: bool,
}

/// Why a file of lines cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub enum LinesError {
    /// The file has no header: it is empty or of another kind.
    NoHeader,
    /// The header names another version than the expected one.
    Version(String),
    /// The line with this number, from 1, is damaged and good ones follow it.
    Damaged(usize),
}

impl std::fmt::Display for LinesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoHeader => f.write_str("the file is empty or of another kind"),
            Self::Version(found) => write!(f, "the file says `{found}`"),
            Self::Damaged(line) => write!(f, "line {line} fails its checksum"),
        }
    }
}

impl std::error::Error for LinesError {}

/// The first line of a file: `kind` and version 1.
pub fn header(kind: &str) -> String {
    header_of(kind, 1)
}

/// The first line of a file of a version.
pub fn header_of(kind: &str, version: u32) -> String {
    format!("{kind} v{version}\n")
}

/// Appends one record to `out`. A line break inside `text` would end the record early, so it must not hold one
/// (JSON text never does).
pub fn push_line(out: &mut Vec<u8>, text: &str) {
    debug_assert!(!text.contains('\n'), "a record is one line");
    out.extend_from_slice(format!("{:08x} {} ", crc32c::crc32c(text.as_bytes()), text.len()).as_bytes());
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
}

/// Reads a whole file of lines of this kind, version 1.
pub fn read<'a>(kind: &str, bytes: &'a [u8]) -> Result<Lines<'a>, LinesError> {
    read_up_to(kind, 1, bytes).map(|(lines, _)| lines)
}

/// Reads a whole file of lines of this kind, of any version up to `newest`; says of which.
pub fn read_up_to<'a>(kind: &str, newest: u32, bytes: &'a [u8]) -> Result<(Lines<'a>, u32), LinesError> {
    let Some(header_end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return Err(LinesError::NoHeader);
    };
    let found = String::from_utf8_lossy(&bytes[..header_end]);
    let version = (1..=newest).find(|version| found == header_of(kind, *version).trim_end());
    let Some(version) = version else {
        return Err(if found.starts_with(kind) {
            LinesError::Version(found.into_owned())
        } else {
            LinesError::NoHeader
        });
    };
    let mut lines = Lines { texts: Vec::new(), good_len: header_end as u64 + 1, torn: false };
    let mut bad_line = None;
    let mut start = header_end + 1;
    let mut number = 1;
    while start < bytes.len() {
        number += 1;
        let end = bytes[start..].iter().position(|byte| *byte == b'\n').map(|found| start + found);
        let line = &bytes[start..end.unwrap_or(bytes.len())];
        match (check_line(line), end, bad_line) {
            (Check::Good(_), Some(_), Some(bad)) => return Err(LinesError::Damaged(bad)),
            (Check::Good(text), Some(end), None) => {
                lines.texts.push(text);
                lines.good_len = end as u64 + 1;
            }
            (Check::GoodWithMore, _, _) => return Err(LinesError::Damaged(number)),
            (Check::Good(_) | Check::Bad, _, _) => {
                bad_line.get_or_insert(number);
            }
        }
        start = end.map_or(bytes.len(), |end| end + 1);
    }
    lines.torn = bad_line.is_some();
    Ok((lines, version))
}

/// The texts of all lines that pass their checksums, wherever others do not: for people who look at a damaged file.
pub fn sound<'a>(kind: &str, bytes: &'a [u8]) -> Vec<&'a str> {
    let Some(lines) = bytes.strip_prefix(header(kind).as_bytes()) else { return Vec::new() };
    let good = |line| match check_line(line) {
        Check::Good(text) => Some(text),
        Check::GoodWithMore | Check::Bad => None,
    };
    lines.split(|byte| *byte == b'\n').filter_map(good).collect()
}

enum Check<'a> {
    Good(&'a str),
    /// A whole record, but the line goes on: its line break was altered, which no torn write does.
    GoodWithMore,
    Bad,
}

fn check_line(line: &[u8]) -> Check<'_> {
    let parse = || {
        let crc = u32::from_str_radix(std::str::from_utf8(line.get(..8)?).ok()?, 16).ok()?;
        let rest = line.get(9..)?;
        let blank = rest.iter().position(|byte| *byte == b' ')?;
        let len: usize = std::str::from_utf8(&rest[..blank]).ok()?.parse().ok()?;
        let text = rest[blank + 1..].get(..len)?;
        if line[8] != b' ' || crc32c::crc32c(text) != crc {
            return None;
        }
        Some((std::str::from_utf8(text).ok()?, rest.len() - blank - 1 == len))
    };
    match parse() {
        Some((text, true)) => Check::Good(text),
        Some((_, false)) => Check::GoodWithMore,
        None => Check::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut bytes = header("forebay-test").into_bytes();
        for text in ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"] {
            push_line(&mut bytes, text);
        }
        bytes
    }

    #[test]
    fn a_tail_cut_anywhere_leaves_the_lines_before_it() {
        let bytes = sample();
        let whole = read("forebay-test", &bytes).unwrap();
        assert_eq!((whole.texts.len(), whole.torn), (3, false));
        for cut in header("forebay-test").len()..bytes.len() {
            let lines = read("forebay-test", &bytes[..cut]).unwrap();
            assert!(lines.texts.len() < 3);
            assert_eq!(lines.torn, lines.good_len != cut as u64);
        }
    }

    #[test]
    fn a_flipped_bit_is_never_taken_for_a_record() {
        let bytes = sample();
        for at in header("forebay-test").len()..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            match read("forebay-test", &altered) {
                Ok(lines) => assert!(lines.torn && lines.texts.len() == 2, "byte {at}"),
                Err(error) => assert!(matches!(error, LinesError::Damaged(_)), "byte {at}: {error}"),
            }
        }
    }

    #[test]
    fn the_lines_around_a_damaged_one_can_be_shown() {
        let mut bytes = sample();
        let at = bytes.windows(3).position(|window| window == b"\"b\"").unwrap();
        bytes[at + 1] ^= 1;
        assert_eq!(read("forebay-test", &bytes), Err(LinesError::Damaged(3)));
        assert_eq!(sound("forebay-test", &bytes), ["{\"a\":1}", "{\"c\":3}"]);
        assert!(sound("forebay-other", &bytes).is_empty());
    }

    #[test]
    fn an_empty_file_and_another_version_are_told_apart() {
        assert_eq!(read("forebay-test", b""), Err(LinesError::NoHeader));
        assert_eq!(read_up_to("forebay-test", 3, b"forebay-test v2\n").unwrap().1, 2);
        assert_eq!(
            read("forebay-test", b"forebay-test v9\n"),
            Err(LinesError::Version("forebay-test v9".to_owned()))
        );
    }
}
