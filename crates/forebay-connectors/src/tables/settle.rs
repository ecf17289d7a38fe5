//! When the files of a table are whole. Who writes a file in its place writes it in pieces, and most pieces read well: a number
//! without its last digits, half of the lines, none at all.
//!
//! ```text
//! changed a moment ago ─▶ wait until it is still ─▶ read
//! changed lately, and no whole file by its looks ─▶ say so, wait until it is whole, or still for longer ─▶ read
//!                                                                               └ neither for too long: refused
//! ```
//!
//! What must stay true: a file that nobody has touched lately waits for nothing, and no wait is without an end. Whoever renames a
//! finished file into its place is read at once after a moment.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use forebay_core::clock::{Clock, SystemClock, millis};
use forebay_core::{Error, Result};

use super::files::{Files, blocking};
use super::unreadable;

/// What to do instead of writing a file in its place.
pub(super) const RENAME: &str = "Write the file under another name and rename it into its place (`mv`), so that nobody sees half of it; in a \
     folder a name that begins with `.` is not read before.";

/// How often files are looked at that are waited for.
const LOOK: Duration = Duration::from_millis(100);

/// How long files are waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// How long a file must be unchanged.
    pub still: Duration,
    /// The same of one that looks half-written.
    pub half: Duration,
    /// After this it is not waited any more.
    pub most: Duration,
}

impl Default for Patience {
    /// Programs that write pause for less than half a second, people and downloads for longer.
    fn default() -> Self {
        Self {
            still: Duration::from_millis(500),
            half: Duration::from_secs(3),
            most: Duration::from_secs(10),
        }
    }
}

/// What a file lacks that a whole one of its format has, if it lacks it.
pub(super) type Lacks = fn(&Path) -> Option<&'static str>;

/// What a file of lines lacks. It may be whole: a last line needs no end.
pub(super) fn lines(path: &Path) -> Option<&'static str> {
    match end::<1>(path) {
        Ok(None) => Some("is empty"),
        Ok(Some([b'\n' | b'\r'])) | Err(_) => None,
        Ok(Some(_)) => Some("ends within a line"),
    }
}

/// What a Parquet file lacks: its end says where everything is.
pub(super) fn parquet(path: &Path) -> Option<&'static str> {
    match end::<4>(path) {
        Ok(Some([b'P', b'A', b'R', b'1' | b'E'])) | Err(_) => None,
        Ok(_) => Some("has no footer"),
    }
}

/// The last bytes of a file; `None` if it has less.
fn end<const N: usize>(path: &Path) -> std::io::Result<Option<[u8; N]>> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() < N as u64 {
        return Ok(None);
    }
    let mut end = [0; N];
    file.seek(SeekFrom::End(-(N as i64)))?;
    file.read_exact(&mut end)?;
    Ok(Some(end))
}

/// Waits until the files at `path` can be taken for whole.
///
/// # Errors
/// `TABLE_UNREADABLE` if they are not there, or still look half-written and change.
pub(super) async fn settled(path: &Path, lacks: Lacks, patience: Patience) -> Result<()> {
    let (began, mut is_told) = (Instant::now(), false);
    loop {
        let files = path.to_path_buf();
        let unsettled = blocking(move || Ok(unsettled(&Files::now(&files)?, lacks, patience))).await?;
        let Some(Unsettled { file, lacks }) = unsettled else { return Ok(()) };
        if began.elapsed() >= patience.most {
            // Whole lines that come all the time are as good as they ever will be.
            return lacks.map_or(Ok(()), |lacks| Err(half_written(&file, lacks)));
        }
        if let Some(lacks) = lacks.filter(|_| !is_told) {
            is_told = true;
            tracing::warn!(file = %file.display(), "the table seems to be written just now: its file {lacks}; waiting for it, {} seconds at most", patience.most.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The error for a file that has not come to an end.
fn half_written(file: &Path, lacks: &str) -> Error {
    unreadable(format!("the table is being written: its file {lacks} and keeps changing"), file)
        .with_hint(RENAME)
}

/// An error of a file, or of a line of it, that looks half-written says so.
pub(super) fn explained(error: Error, lacks: Lacks) -> Error {
    let without_line = |place: &str| match place.rsplit_once(':') {
        Some((file, line)) if line.bytes().all(|byte| byte.is_ascii_digit()) => file.to_owned(),
        _ => place.to_owned(),
    };
    match error.place().and_then(|place| lacks(Path::new(&without_line(place)))) {
        Some(lacks) => error.with_hint(format!("The file {lacks}: it may be half-written. {RENAME}")),
        None => error,
    }
}

/// A file that changed lately.
struct Unsettled {
    file: PathBuf,
    lacks: Option<&'static str>,
}

/// The first of the files that should be waited for; one that looks half-written before others. Blocks.
fn unsettled(files: &Files, lacks: Lacks, patience: Patience) -> Option<Unsettled> {
    let now_ms = SystemClock.now_ms();
    let mut moving = None;
    for (file, changed_ms) in files.changes() {
        // A time that is yet to come says nothing.
        let age_ms = now_ms.checked_sub(changed_ms).filter(|age| *age >= 0).unwrap_or(i64::MAX);
        if age_ms >= millis(patience.half) {
            continue;
        }
        let lacks = lacks(file);
        let unsettled = Unsettled { file: file.to_path_buf(), lacks };
        if lacks.is_some() {
            return Some(unsettled);
        }
        if age_ms < millis(patience.still) {
            moving.get_or_insert(unsettled);
        }
    }
    moving
}
