//! Small durable files that are written whole: index, producers, log start, producer ids.
//!
//! ```text
//!  kind 4 bytes | version u16 | payload | crc-32c u32 of all before it
//! ```
//! Numbers are big endian, as in the batches beside them.

use std::path::Path;

use forebay_storage::Door;

use crate::LogError;

/// Which file it is, and the version of its payload that this code reads and writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub name: &'static [u8; 4],
    pub version: u16,
}

const FRAME: usize = 10;

/// Writes the file, replacing the one before; durable on return.
pub(super) fn write(door: &Door, path: &Path, kind: Kind, payload: &[u8]) -> Result<(), LogError> {
    let mut bytes = Vec::with_capacity(payload.len() + FRAME);
    bytes.extend_from_slice(kind.name);
    bytes.extend_from_slice(&kind.version.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
    door.write_atomic(path, &bytes).map_err(|e| LogError::io("write", path, &e))
}

/// Reads the payload; `None` when there is no such file.
///
/// # Errors
/// [`LogError::Damaged`] and [`LogError::UnknownFormat`].
pub(super) fn read(path: &Path, kind: Kind) -> Result<Option<Vec<u8>>, LogError> {
    let mut bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(LogError::io("read", path, &e)),
    };
    let damaged = |why: &str| LogError::Damaged { path: path.to_path_buf(), why: why.to_owned() };
    let Some((body, crc)) = bytes.split_last_chunk::<4>() else { return Err(damaged("it is too short")) };
    if crc32c::crc32c(body) != u32::from_be_bytes(*crc) {
        return Err(damaged("its checksum is wrong"));
    }
    let mut fields = Fields(body);
    if fields.take::<4>() != Some(*kind.name) {
        return Err(damaged("it is another kind of file"));
    }
    match fields.take().map(u16::from_be_bytes) {
        Some(version) if version == kind.version => {}
        Some(version) => {
            let (found, known) = (version.into(), kind.version.into());
            return Err(LogError::UnknownFormat { path: path.to_path_buf(), found, known });
        }
        None => return Err(damaged("it is too short")),
    }
    bytes.truncate(bytes.len() - 4);
    bytes.drain(..6);
    Ok(Some(bytes))
}

/// Takes fields of fixed width from the front of a payload.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    pub fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests damage files on purpose")]
mod tests {
    use super::*;

    const KIND: Kind = Kind { name: b"TEST", version: 3 };

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert_eq!(read(&path, KIND).unwrap(), None);
        write(&Door::new(), &path, KIND, b"payload").unwrap();
        assert_eq!(read(&path, KIND).unwrap().as_deref(), Some(&b"payload"[..]));
        let sound = std::fs::read(&path).unwrap();
        for bit in 0..sound.len() * 8 {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bytes).unwrap();
            assert!(matches!(read(&path, KIND), Err(LogError::Damaged { .. })), "bit {bit}");
        }
        for cut in 0..sound.len() {
            std::fs::write(&path, &sound[..cut]).unwrap();
            assert!(matches!(read(&path, KIND), Err(LogError::Damaged { .. })), "cut at {cut}");
        }
    }

    #[test]
    fn a_newer_version_is_refused_by_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&Door::new(), &path, Kind { version: 4, ..KIND }, b"").unwrap();
        assert!(matches!(read(&path, KIND), Err(LogError::UnknownFormat { found: 4, known: 3, .. })));
    }
}
