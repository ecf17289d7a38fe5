//! Test builds only: what was not fsynced, how to take it back, where to die, and which call is to fail.
//!
//! The memory is global, because one process has one page cache. Environment:
//! `FOREBAY_KILL_AT=name[:hit]`, `FOREBAY_KILL_MODE=lose|stop` (`stop`: does not die, but waits for SIGCONT),
//! `FOREBAY_FAULT=enospc|eio:PATH-PART[:nth]` (fails the nth and all later writes, or fsyncs, whose path holds PATH-PART; `FOREBAY_FAULT_UNTIL=FILE` lifts it when FILE
//! exists), `FOREBAY_SKIP_SYNC=PATH-PART` (fsyncs of such paths do nothing: the mutation by which the crash tests
//! show that they would notice a missing fsync; `PATH-END$` means paths that end so).
#![allow(clippy::disallowed_methods, reason = "taking back what was not synced goes around the door")]

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};

#[derive(PartialEq, Eq)]
pub(crate) enum Sync {
    Do,
    Skip,
}

/// One change to a folder that a power cut may take back.
pub(crate) enum NameChange {
    Created(PathBuf),
    Renamed { from: PathBuf, to: PathBuf, replaced: Option<Vec<u8>> },
    Removed { path: PathBuf, content: Vec<u8> },
}

impl NameChange {
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Created(path) | Self::Removed { path, .. } => path.parent(),
            Self::Renamed { to, .. } => to.parent(),
        }
    }
}

#[derive(Default)]
struct Memory {
    /// Bytes of each open file that are known to be on disk.
    durable_len: HashMap<PathBuf, u64>,
    names: Vec<NameChange>,
}

fn memory() -> MutexGuard<'static, Memory> {
    static MEMORY: OnceLock<Mutex<Memory>> = OnceLock::new();
    MEMORY.get_or_init(Mutex::default).lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Memory {
    /// A second name for a file, whose data keeps its own fate under both: a durable name of lost bytes is an empty
    /// file.
    fn linked(&mut self, from: &Path, to: &Path) {
        if let Some(len) = self.durable_len.get(from).copied() {
            self.durable_len.insert(to.to_path_buf(), len);
        }
        self.names.push(NameChange::Created(to.to_path_buf()));
    }

    fn removed(&mut self, undo: NameChange) {
        if let NameChange::Removed { path, .. } = &undo {
            self.durable_len.remove(path);
        }
        self.names.push(undo);
    }

    fn dir_synced(&mut self, dir: &Path) {
        self.names.retain(|change| change.folder() != Some(dir));
    }
}

pub(crate) fn created(path: &Path) {
    memory().names.push(NameChange::Created(path.to_path_buf()));
}

pub(crate) fn linked(from: &Path, to: &Path) {
    memory().linked(from, to);
}

pub(crate) fn opened(path: &Path, len: u64) {
    memory().durable_len.entry(path.to_path_buf()).or_insert(len);
}

pub(crate) fn file_synced(path: &Path, len: u64) {
    memory().durable_len.insert(path.to_path_buf(), len);
}

pub(crate) fn dir_synced(dir: &Path) {
    memory().dir_synced(dir);
}

pub(crate) fn before_rename(from: &Path, to: &Path) -> io::Result<NameChange> {
    check_write(to)?;
    let replaced = if to.exists() { Some(fs::read(to)?) } else { None };
    Ok(NameChange::Renamed { from: from.to_path_buf(), to: to.to_path_buf(), replaced })
}

pub(crate) fn renamed(undo: NameChange) {
    let mut memory = memory();
    if let NameChange::Renamed { from, to, .. } = &undo {
        // The file's data keeps its own fate under its new name; its old name was never promised to anybody.
        if let Some(len) = memory.durable_len.remove(from) {
            memory.durable_len.insert(to.clone(), len);
        }
    }
    memory.names.push(undo);
}

pub(crate) fn before_remove(path: &Path) -> io::Result<NameChange> {
    Ok(NameChange::Removed { path: path.to_path_buf(), content: fs::read(path)? })
}

pub(crate) fn removed(undo: NameChange) {
    memory().removed(undo);
}

/// Takes back everything that was not fsynced, newest first.
fn lose(memory: &mut Memory) {
    for (path, durable) in memory.durable_len.drain() {
        if let Ok(meta) = fs::metadata(&path)
            && meta.len() > durable
            && let Ok(file) = fs::OpenOptions::new().write(true).open(&path)
        {
            let _ = file.set_len(durable);
        }
    }
    for change in memory.names.drain(..).rev() {
        match change {
            NameChange::Created(path) if path.is_dir() => drop(fs::remove_dir_all(path)),
            NameChange::Created(path) => drop(fs::remove_file(path)),
            NameChange::Renamed { from, to, replaced } => {
                let _ = fs::rename(&to, from);
                if let Some(content) = replaced {
                    let _ = fs::write(to, content);
                }
            }
            NameChange::Removed { path, content } => drop(fs::write(path, content)),
        }
    }
}

pub(crate) fn kill_point(name: &'static str) {
    static HITS: AtomicU64 = AtomicU64::new(0);
    static AT: OnceLock<Option<(String, u64)>> = OnceLock::new();
    let chosen = AT.get_or_init(|| {
        let text = std::env::var("FOREBAY_KILL_AT").ok()?;
        match text.rsplit_once(':') {
            Some((name, nth)) => Some((name.to_owned(), nth.parse().ok()?)),
            None => Some((text, 1)),
        }
    });
    let Some((chosen, nth)) = chosen else { return };
    if chosen != name || HITS.fetch_add(1, Ordering::SeqCst) + 1 != *nth {
        return;
    }
    match std::env::var("FOREBAY_KILL_MODE").as_deref() {
        Ok("stop") => {
            // Whoever is waited for here ends only once this process stands still: the signal alone is taken by another thread, some
            // time later, and this one would go on meanwhile.
            let until_stopped = "kill -s STOP $0; n=0; until grep -q '^State:[[:space:]]*T' /proc/$0/status || [ $n -ge 500 ]; \
                do n=$((n + 1)); sleep 0.01; done";
            let id = std::process::id().to_string();
            let _ = std::process::Command::new("sh").args(["-c", until_stopped, &id]).status();
            return;
        }
        Ok("lose") => {
            // Held to the end: another thread whose fsync was under way must not go on with what has just been taken back.
            let mut memory = memory();
            lose(&mut memory);
            std::process::abort();
        }
        _ => {}
    }
    std::process::abort();
}

struct Fault {
    kind: String,
    part: String,
    nth: u64,
}

fn fault() -> Option<&'static Fault> {
    static FAULT: OnceLock<Option<Fault>> = OnceLock::new();
    FAULT
        .get_or_init(|| {
            let text = std::env::var("FOREBAY_FAULT").ok()?;
            let mut parts = text.splitn(3, ':');
            Some(Fault {
                kind: parts.next()?.to_owned(),
                part: parts.next()?.to_owned(),
                nth: parts.next().and_then(|n| n.parse().ok()).unwrap_or(1),
            })
        })
        .as_ref()
}

fn due(kind: &str, path: &Path) -> bool {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    let Some(fault) = fault() else { return false };
    if fault.kind != kind || !path.to_string_lossy().contains(&fault.part) {
        return false;
    }
    if std::env::var_os("FOREBAY_FAULT_UNTIL").is_some_and(|file| Path::new(&file).exists()) {
        return false;
    }
    SEEN.fetch_add(1, Ordering::SeqCst) + 1 >= fault.nth
}

/// Fails a write that the test chose with "no space left on device".
pub(crate) fn check_write(path: &Path) -> io::Result<()> {
    if due("enospc", path) { Err(io::Error::from_raw_os_error(28)) } else { Ok(()) }
}

/// Fails an fsync that the test chose with "input/output error", or says that it is to be left out.
pub(crate) fn before_sync(path: &Path) -> io::Result<Sync> {
    if due("eio", path) {
        return Err(io::Error::from_raw_os_error(5));
    }
    match std::env::var("FOREBAY_SKIP_SYNC") {
        Ok(part) if is_meant(path, &part) => Ok(Sync::Skip),
        _ => Ok(Sync::Do),
    }
}

fn is_meant(path: &Path, part: &str) -> bool {
    let path = path.to_string_lossy();
    match part.strip_suffix('$') {
        Some(end) => path.ends_with(end),
        None => !part.is_empty() && path.contains(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As [`crate::Door::write_new`] does it, with or without the fsync of the content.
    fn publish(memory: &mut Memory, dir: &Path, is_synced: bool) -> PathBuf {
        let (staged, path) = (dir.join("a.staged"), dir.join("a"));
        fs::write(&staged, b"content").unwrap();
        memory.names.push(NameChange::Created(staged.clone()));
        memory.durable_len.insert(staged.clone(), if is_synced { 7 } else { 0 });
        fs::hard_link(&staged, &path).unwrap();
        memory.linked(&staged, &path);
        memory.dir_synced(dir);
        fs::remove_file(&staged).unwrap();
        memory.removed(NameChange::Removed { path: staged, content: b"content".to_vec() });
        path
    }

    #[test]
    fn a_published_file_whose_content_was_not_synced_is_lost() {
        for (is_synced, left) in [(true, &b"content"[..]), (false, b"")] {
            let dir = tempfile::tempdir().unwrap();
            let mut memory = Memory::default();
            let path = publish(&mut memory, dir.path(), is_synced);
            lose(&mut memory);
            assert_eq!(fs::read(path).unwrap(), left);
        }
    }

    #[test]
    fn a_sync_is_left_out_by_a_part_or_the_end_of_its_path() {
        let meant = |part| is_meant(Path::new("/c/journal.staged"), part);
        assert_eq!(
            [meant("journal"), meant("journal$"), meant(".staged$"), meant("")],
            [true, false, true, false]
        );
    }
}
