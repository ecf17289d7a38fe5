//! What makes a run read its file again besides a request over HTTP: the signal SIGHUP, and a change of the file.
//!
//! What must stay true: a terminal that is closed ends what was started in it, as everywhere, although it says so by the
//! same signal.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::control::Asks;
use crate::talk;

/// How often the file is looked at: as long as a person takes to notice that nothing happened.
const LOOK: Duration = Duration::from_secs(1);

/// The signal SIGHUP, caught from when this is made.
pub struct Hangups {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
    /// It was started in a terminal, which may be closed.
    in_terminal: bool,
}

impl Hangups {
    /// Catches the signal from now on.
    pub fn catch() -> Self {
        Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
            in_terminal: is_in_terminal(),
        }
    }

    /// Asks at each signal; completes once the terminal is closed.
    pub async fn ask(mut self, asks: &Asks) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal {
            while signal.recv().await.is_some() {
                if self.in_terminal && !is_in_terminal() {
                    return;
                }
                talk::say("SIGHUP: reading the file again");
                asks.ask();
            }
        }
        std::future::pending().await
    }
}

/// True while what it reads from or writes to is a terminal; any of it may be sent elsewhere.
fn is_in_terminal() -> bool {
    io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
}

/// A file that is looked at.
pub struct Watched {
    path: PathBuf,
    seen: Option<Stamp>,
}

/// By what a file that was written is told from the one before. An editor may write into it or put another in its
/// place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    node: u64,
}

impl Watched {
    /// As it is now.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), seen: stamp(path) }
    }

    /// Asks whenever the file has changed and was then left alone for a moment. Never completes.
    pub async fn ask(mut self, asks: &Asks) {
        let mut before = self.seen;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = stamp(&self.path);
            if self.has_changed(before, now) {
                talk::say(&format!("{} has changed: reading it again", self.path.display()));
                asks.ask();
            }
            before = now;
        }
    }

    /// True once for each change: where two looks in a row find the same file, and it is not the one that is known.
    fn has_changed(&mut self, before: Option<Stamp>, now: Option<Stamp>) -> bool {
        // Between an editor's two steps there may be none.
        let changed = now.is_some() && now == before && now != self.seen;
        if changed {
            self.seen = now;
        }
        changed
    }
}

/// The stamp of the file that has this name now.
fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    #[cfg(unix)]
    let node = std::os::unix::fs::MetadataExt::ino(&found);
    #[cfg(not(unix))]
    let node = 0;
    Some(Stamp { modified: found.modified().ok(), length: found.len(), node })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests change files by hand, as editors do")]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_when_it_is_whole_however_it_was_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.yaml");
        fs::write(&path, "one").unwrap();
        let mut watched = Watched::new(&path);
        let mut before = watched.seen;
        let mut look = |watched: &mut Watched| {
            let now = stamp(&path);
            let told = watched.has_changed(before, now);
            before = now;
            told
        };
        assert!(!look(&mut watched));
        fs::write(&path, "one, and more").unwrap();
        assert!(!look(&mut watched), "it may still be written");
        assert!(look(&mut watched) && !look(&mut watched));
        // An editor writes another file and gives it the name; the text may be as long as before.
        fs::write(dir.path().join("new"), "and more, one").unwrap();
        fs::remove_file(&path).unwrap();
        assert!(!look(&mut watched) && !look(&mut watched));
        fs::rename(dir.path().join("new"), &path).unwrap();
        assert!(!look(&mut watched) && look(&mut watched) && !look(&mut watched));
    }
}
