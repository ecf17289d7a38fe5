//! Files that people name, read whole.
//!
//! What must stay true: reading ends, and takes no more memory than it was told, whatever stands under the name.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// A whole file of at most `most` bytes. A pipe or a device may never end, and to open one may take for ever, so only a
/// regular file is opened.
pub fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let refused = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    if !fs::metadata(path)?.is_file() {
        return Err(refused("it is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        false => Ok(bytes),
        true => Err(refused(format!("it has more than {most} bytes"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_of_a_sensible_size_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, b"four").unwrap();
        assert_eq!(read_regular(&path, 4).unwrap(), b"four");
        let why = |path: &Path, most| read_regular(path, most).unwrap_err().to_string();
        assert_eq!(why(&path, 3), "it has more than 3 bytes");
        assert_eq!(why(dir.path(), 3), "it is not a regular file");
        assert_eq!(why(Path::new("/dev/zero"), 3), "it is not a regular file");
        assert_eq!(read_regular(&dir.path().join("b"), 3).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
