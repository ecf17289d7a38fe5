//! A folder for a test, gone when the test ends.

use std::path::{Path, PathBuf};

/// A fresh folder under the system's temporary one.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("forebay-sinks-{}", uuid::Uuid::new_v4()));
        forebay_storage::Door::new().create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind after a failure here is in a folder that the system clears.
        let _ = forebay_storage::Door::new().remove_dir_all(&self.0);
    }
}
