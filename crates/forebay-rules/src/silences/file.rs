//! The file in which silences outlive the process.
//!
//! ```text
//! forebay-silences v1
//! … {"made":7,"kept":2}
//! … {"id":"6","rules":["heat"],"keys":["press-*"],…}
//! … {"id":"7",…}
//! ```
//!
//! They are few and change seldom, so that each change writes the whole file, in one atomic step. What must stay true: what
//! [`SilencesFile::write`] has written is durable when it returns; of two processes that change it one waits for nobody, and is refused.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use forebay_storage::lines::{self, LinesError};
use forebay_storage::{Door, kill_point};
use serde::{Deserialize, Serialize};

use super::Silence;

const KIND: &str = "forebay-silences";

/// The file's name in its folder.
const NAME: &str = "silences";

#[derive(Debug)]
pub(super) struct SilencesFile {
    dir: PathBuf,
    door: Door,
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    /// How many silences were made, ever.
    made: u64,
    /// How many stand below.
    kept: usize,
}

impl SilencesFile {
    /// The one of this folder. Touches nothing yet.
    pub fn new(dir: &Path, door: Door) -> Self {
        Self { dir: dir.to_path_buf(), door }
    }

    /// How many were made, and those that are kept.
    pub fn read(&self) -> Result<(u64, Vec<Silence>)> {
        let path = self.dir.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, Vec::new())),
            Err(error) => return Err(failed(&path, "read", error)),
        };
        let found = lines::read(KIND, &bytes).map_err(|error| unreadable(&path, error))?;
        let Some((head, rest)) = found.texts.split_first().filter(|_| !found.torn) else {
            return Err(damaged(&path, "it is not whole"));
        };
        let head: Head = serde_json::from_str(head).map_err(|error| damaged(&path, error))?;
        if head.kept != rest.len() {
            return Err(damaged(&path, "it is not whole"));
        }
        let read = |text: &&str| serde_json::from_str::<Silence>(text).map_err(|error| damaged(&path, error));
        Ok((head.made, rest.iter().map(read).collect::<Result<_>>()?))
    }

    /// Nobody else changes the file as long as the answer lives.
    pub fn hold(&self) -> Result<File> {
        self.door.create_dir_all(&self.dir).map_err(|error| failed(&self.dir, "create", error))?;
        let path = self.dir.join("LOCK");
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(|error| failed(&path, "open", error))?;
        file.try_lock().map_err(|_| {
            Error::new(&codes::CHECKPOINT_LOCKED, "another process changes the silences of this pipeline")
                .at(self.dir.display())
                .with_hint("Try it again.")
        })?;
        Ok(file)
    }

    /// Writes all of it anew.
    pub fn write(&self, made: u64, all: &[Silence]) -> Result<()> {
        let mut bytes = lines::header(KIND).into_bytes();
        let text =
            |error: serde_json::Error| Error::new(&codes::INTERNAL, "cannot write silences").caused_by(error);
        lines::push_line(&mut bytes, &serde_json::to_string(&Head { made, kept: all.len() }).map_err(text)?);
        for silence in all {
            lines::push_line(&mut bytes, &serde_json::to_string(silence).map_err(text)?);
        }
        let path = self.dir.join(NAME);
        kill_point("silences.write.before");
        self.door.write_atomic(&path, &bytes).map_err(|error| failed(&path, "write", error))?;
        kill_point("silences.write.after");
        Ok(())
    }
}

const REMEDY: &str =
    "Bring it back from a copy, or remove it: then the silences that were made at run time are forgotten.";

fn unreadable(path: &Path, error: LinesError) -> Error {
    match &error {
        LinesError::Version(_) => Error::new(&codes::CHECKPOINT_VERSION, "the silences have another version")
            .with_detail(error)
            .at(path.display()),
        _ => damaged(path, error),
    }
}

fn damaged(path: &Path, detail: impl std::fmt::Display) -> Error {
    Error::new(&codes::CHECKPOINT_DAMAGED, "the silences that were made at run time cannot be read")
        .with_detail(detail)
        .at(path.display())
        .with_hint(REMEDY)
}

fn failed(path: &Path, action: &str, error: io::Error) -> Error {
    Error::new(&codes::STORAGE, format!("cannot {action} the silences")).at(path.display()).caused_by(error)
}
