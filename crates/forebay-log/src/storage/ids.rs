//! Ids for idempotent producers: never the same twice, also after a crash.

use std::path::PathBuf;

use forebay_storage::Door;
use parking_lot::Mutex;

use super::sealed::{self, Fields, Kind};
use crate::LogError;

const KIND: Kind = Kind { name: b"FBYD", version: 1 };
/// Ids reserved by one write: a crash loses at most these, and none costs an fsync of its own.
const BLOCK: i64 = 1000;

/// Hands out producer ids.
#[derive(Debug)]
pub(super) struct ProducerIds {
    path: PathBuf,
    door: Door,
    next: Mutex<Next>,
}

#[derive(Debug)]
struct Next {
    id: i64,
    /// Ids below are reserved on disk.
    reserved: i64,
}

impl ProducerIds {
    pub fn open(door: &Door, path: PathBuf) -> Result<Self, LogError> {
        let reserved = match sealed::read(&path, KIND)? {
            Some(payload) => match Fields(&payload).take().map(i64::from_be_bytes) {
                Some(id) if id >= 0 => id,
                _ => return Err(LogError::Damaged { path, why: "it holds no id".to_owned() }),
            },
            None => 0,
        };
        Ok(Self { path, door: door.clone(), next: Mutex::new(Next { id: reserved, reserved }) })
    }

    pub fn take(&self) -> Result<i64, LogError> {
        let mut next = self.next.lock();
        if next.id == next.reserved {
            let reserved = next.reserved.saturating_add(BLOCK);
            sealed::write(&self.door, &self.path, KIND, &reserved.to_be_bytes())?;
            next.reserved = reserved;
        }
        let id = next.id;
        next.id += 1;
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_never_repeat_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("producer-ids");
        let first = ProducerIds::open(&Door::new(), path.clone()).unwrap();
        let taken: Vec<i64> = (0..1500).map(|_| first.take().unwrap()).collect();
        assert_eq!(taken, (0..1500).collect::<Vec<_>>());
        let second = ProducerIds::open(&Door::new(), path).unwrap();
        assert!(second.take().unwrap() >= 1500);
    }
}
