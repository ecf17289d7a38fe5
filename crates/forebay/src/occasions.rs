//! What makes a run read its file again besides a request over HTTP: the signal SIGHUP, and a change of the file.
//!
//! What must stay true: a terminal that is closed ends what was started in it, as everywhere, although it says so by the
//! same signal; and a file that is still being written is not taken: half of one would end the alerts of its other half.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::control::Asks;
use crate::talk;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// So many looks in a row find the same before it is read: two seconds, in which an editor has written all of it, and a person
/// has hardly noticed that nothing happened.
const SETTLED: u32 = 4;

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
                asks.ask("SIGHUP", None);
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
    /// As it was when it was read last.
    taken: Option<Stamp>,
    /// As the look before found it, and how many before that did.
    last: Option<Stamp>,
    same: u32,
}

/// By what a file that was written is told from the one before. An editor may write into it or put another in its
/// place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    node: u64,
}

impl Watched {
    /// As it is now.
    pub fn new(path: &Path) -> Self {
        let now = Stamp::of(path);
        Self { path: path.to_path_buf(), taken: now, last: now, same: 0 }
    }

    /// Asks whenever the file has changed and was then left alone for a moment. Never completes.
    pub async fn ask(mut self, asks: &Asks) {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Some(stamp) = self.look() {
                talk::say(&format!("{} has changed: reading it again", self.path.display()));
                asks.ask("--watch", Some(stamp));
            }
        }
    }

    /// Looks at the file; gives it once for each change, when it has settled.
    fn look(&mut self) -> Option<Stamp> {
        let now = Stamp::of(&self.path);
        self.same = if now == self.last { self.same.saturating_add(1) } else { 0 };
        self.last = now;
        // Between an editor's two steps there may be none, or an empty one.
        let changed = now.is_some_and(|now| now.length > 0) && now != self.taken && self.same >= SETTLED;
        if changed {
            self.taken = now;
        }
        now.filter(|_| changed)
    }
}

impl Stamp {
    /// Of the file that has this name now.
    pub fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        #[cfg(unix)]
        let node = std::os::unix::fs::MetadataExt::ino(&found);
        #[cfg(not(unix))]
        let node = 0;
        Some(Self { modified: found.modified().ok(), length: found.len(), node })
    }
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
        // At which of so many looks it is told.
        let mut told = |looks: u32| (0..looks).filter(|_| watched.look().is_some()).collect::<Vec<_>>();
        let (whole, none) = (2 * SETTLED, [0; 0]);
        assert_eq!(told(whole), none);
        // It is emptied, written in parts, and then left alone.
        fs::write(&path, "").unwrap();
        assert_eq!(told(whole), none, "nothing is no pipeline");
        fs::write(&path, "one,").unwrap();
        assert_eq!(told(SETTLED), none, "it may still be written");
        fs::write(&path, "one, and more").unwrap();
        assert_eq!(told(whole), [SETTLED]);
        assert_eq!(told(whole), none);
        // An editor writes another file and gives it the name; the text may be as long as before.
        fs::write(dir.path().join("new"), "and more, one").unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(told(whole), none);
        fs::rename(dir.path().join("new"), &path).unwrap();
        assert_eq!(told(whole), [SETTLED]);
    }
}
