//! Frames of one width: the open ones in memory, the closed ones in files that are dropped whole when they are old.
//!
//! ```text
//!  seconds leave memory ─┐
//!  records older than    ├─▶ open frames ──(end passed, nothing came for a while)──▶ 10s-00000007.frames, newest file
//!  what memory holds    ─┘                                                           older files … dropped by age and bytes
//! ```
//!
//! Files are only appended to. What was appended counts once a snapshot names the new length: until then a crash takes it back,
//! and the snapshot before still has the same frames open. What must stay true: a file is removed only after a snapshot that
//! does not name it is durable.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_storage::{Door, DoorFile};
use parking_lot::Mutex;

use super::frame::Frame;
use super::segment::{self, Entry, FIRST_FRAME};

/// How long nothing must have come for a frame that is over before it is written: late parts join it meanwhile.
const SETTLE_MS: i64 = 5_000;

/// More bytes of frames that are over are written at once.
const MOST_OVER_BYTES: usize = 4 << 20;

/// Memory of open frames beyond which the oldest are given up: reached only where the disk does not take them.
const MOST_OPEN_BYTES: usize = 128 << 20;

/// A file is closed at this size, so that dropping one frees a part only.
const MOST_FILE_BYTES: u64 = 64 << 20;

/// All files together; beyond it the oldest goes early.
const MOST_BYTES: u64 = 2 << 30;

/// A day's worth of files at most: the time range of one is this part of what is kept.
const PARTS: i64 = 12;

/// Files at most: records that come in any order of time would begin a new one each second, and each is open to be read.
const MOST_FILES: usize = 64;

/// After a refused write the disk is left alone for so long.
const REST_MS: i64 = 30_000;

/// Frames of one width in time.
#[derive(Debug)]
pub(crate) struct Coarse {
    /// Begins the names of its files.
    name: &'static str,
    /// Width of a frame, ms.
    pub step: i64,
    /// How long frames are kept, ms.
    pub keep: i64,
    folder: PathBuf,
    fingerprint: u64,
    door: Door,
    pub(super) open: BTreeMap<i64, Open>,
    pub(super) files: Vec<Segment>,
    /// The newest of the files, while it takes more.
    writing: Option<Arc<Mutex<DoorFile>>>,
    /// It got something since it was last synced.
    is_dirty: bool,
    /// Files that take no more and are not synced yet.
    unsynced: Vec<Arc<Mutex<DoorFile>>>,
    /// Dropped, and to be removed when no snapshot names them.
    dropped: Vec<PathBuf>,
    next_number: u64,
    rests_until: i64,
    /// Frames stay in memory: the folder is to be left alone.
    in_memory: bool,
}

/// A frame that still takes values.
#[derive(Debug)]
pub(super) struct Open {
    pub frame: Frame,
    /// When something last came, by the clock.
    touched: i64,
}

/// A file of frames.
#[derive(Debug)]
pub(super) struct Segment {
    pub number: u64,
    /// Up to where it is good.
    pub length: u64,
    pub entries: Vec<Entry>,
    pub file: Arc<File>,
    path: PathBuf,
}

impl Segment {
    fn newest(&self) -> i64 {
        self.entries.iter().map(|entry| entry.start).max().unwrap_or(i64::MIN)
    }
}

impl Coarse {
    pub fn new(name: &'static str, step: i64, keep: i64, place: &Place) -> Self {
        Self {
            name,
            step,
            keep,
            folder: place.folder.clone(),
            fingerprint: place.fingerprint,
            door: place.door.clone(),
            open: BTreeMap::new(),
            files: Vec::new(),
            writing: None,
            is_dirty: false,
            unsynced: Vec::new(),
            dropped: Vec::new(),
            next_number: 0,
            rests_until: i64::MIN,
            in_memory: false,
        }
    }

    /// The open frame that a time belongs to.
    pub fn frame(&mut self, at: i64, width: usize, now_ms: i64) -> &mut Frame {
        let start = at.div_euclid(self.step) * self.step;
        let open =
            self.open.entry(start).or_insert_with(|| Open { frame: Frame::new(width), touched: now_ms });
        open.touched = now_ms;
        &mut open.frame
    }

    /// Adds a second that leaves memory (its begin, ms). If it is too old by now, that is seen when it would be written: a
    /// clock that was ahead by mistake may have been set back until then.
    pub fn take(&mut self, at: i64, second: &Frame, now_ms: i64) {
        self.frame(at, second.width(), now_ms).absorb(second);
    }

    /// From now on nothing is written.
    pub fn stay_in_memory(&mut self) {
        self.in_memory = true;
    }

    /// Puts an open frame back, as a snapshot has it.
    pub(super) fn restore_open(&mut self, start: i64, frame: Frame, now_ms: i64) {
        self.open.insert(start, Open { frame, touched: now_ms });
    }

    /// Writes the frames that are over (they end before `floor`, from where on memory still holds seconds) and drops files
    /// that are too old.
    ///
    /// # Errors
    /// What the disk says; the frames stay open and are tried again after a while.
    pub fn tidy(&mut self, floor: i64, now_ms: i64) -> io::Result<()> {
        if self.in_memory {
            self.open.retain(|start, _| start + self.step >= now_ms - self.keep);
            self.shed();
            return Ok(());
        }
        self.drop_old(now_ms);
        let over = self.over(floor, now_ms);
        if over.is_empty() || now_ms < self.rests_until {
            self.shed();
            return Ok(());
        }
        for start in over {
            let Some(mut open) = self.open.remove(&start) else { continue };
            if start + self.step < now_ms - self.keep {
                continue;
            }
            open.frame.seal();
            if let Err(error) = self.append(start, &open.frame) {
                self.open.insert(start, open);
                self.retire();
                self.rests_until = now_ms + REST_MS;
                self.shed();
                return Err(error);
            }
        }
        Ok(())
    }

    /// The open frames to write now.
    fn over(&self, floor: i64, now_ms: i64) -> Vec<i64> {
        let over = || self.open.iter().filter(|(start, _)| *start + self.step <= floor);
        let bytes: usize = over().map(|(_, open)| open.frame.bytes()).sum();
        let at_once = bytes > MOST_OVER_BYTES;
        let is_settled = |open: &Open| now_ms - open.touched >= SETTLE_MS || now_ms < open.touched;
        over().filter(|(_, open)| at_once || is_settled(open)).map(|(start, _)| *start).collect()
    }

    /// Gives up the oldest open frames while they take more memory than they may.
    fn shed(&mut self) {
        let mut bytes: usize = self.open.values().map(|open| open.frame.bytes()).sum();
        while bytes > MOST_OPEN_BYTES
            && let Some((start, open)) = self.open.pop_first()
        {
            bytes -= open.frame.bytes();
            tracing::warn!(start, "history is given up: it cannot be written and memory is at its bound");
        }
    }

    fn append(&mut self, start: i64, frame: &Frame) -> io::Result<()> {
        let bytes = segment::encode(frame, start)?;
        if !self.newest_takes(start) {
            self.retire();
        }
        if self.writing.is_none() {
            self.writing = Some(Arc::new(Mutex::new(self.begin_file()?)));
        }
        let (Some(file), Some(segment)) = (&mut self.writing, self.files.last_mut()) else { return Ok(()) };
        self.is_dirty = true;
        file.lock().append(&bytes)?;
        segment.entries.push(Entry { start, at: segment.length });
        segment.length += bytes.len() as u64;
        Ok(())
    }

    /// The newest file takes no more.
    fn retire(&mut self) {
        let was_dirty = std::mem::take(&mut self.is_dirty);
        self.unsynced.extend(self.writing.take().filter(|_| was_dirty));
    }

    /// True if the newest file may take a frame of this start.
    fn newest_takes(&self, start: i64) -> bool {
        let Some(segment) = self.files.last() else { return false };
        let first = segment.entries.first().map_or(start, |entry| entry.start);
        let is_near = (start - first).abs() < self.keep / PARTS;
        segment.length < MOST_FILE_BYTES && (is_near || self.files.len() >= MOST_FILES)
    }

    fn begin_file(&mut self) -> io::Result<DoorFile> {
        let number = self.next_number;
        self.next_number += 1;
        let path = self.path(number);
        let mut file = self.door.create_new(&path)?;
        file.append(&segment::file_header(self.fingerprint))?;
        let reader = Arc::new(file.reader()?);
        self.files.push(Segment { number, length: FIRST_FRAME, entries: Vec::new(), file: reader, path });
        Ok(file)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{}-{number:08}.frames", self.name))
    }

    /// Drops files whose frames are all too old, and the oldest ones beyond the bound in bytes.
    fn drop_old(&mut self, now_ms: i64) {
        let oldest = now_ms - self.keep;
        let mut bytes: u64 = self.files.iter().map(|segment| segment.length).sum();
        let mut kept = Vec::new();
        for segment in std::mem::take(&mut self.files) {
            let is_old = segment.newest() + self.step < oldest;
            if is_old || bytes > MOST_BYTES {
                bytes -= segment.length;
                let is_it = |file: &Arc<Mutex<DoorFile>>| file.lock().path() == segment.path;
                self.unsynced.retain(|file| !is_it(file));
                if self.writing.as_ref().is_some_and(is_it) {
                    self.writing = None;
                    self.is_dirty = false;
                }
                self.dropped.push(segment.path);
            } else {
                kept.push(segment);
            }
        }
        self.files = kept;
    }

    /// The files that must be synced before a snapshot may name their present lengths.
    pub fn take_unsynced(&mut self) -> Vec<Arc<Mutex<DoorFile>>> {
        let mut files = std::mem::take(&mut self.unsynced);
        if std::mem::take(&mut self.is_dirty) {
            files.extend(self.writing.clone());
        }
        files
    }

    /// The files that may be removed once a snapshot of this moment is durable.
    pub fn take_dropped(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.dropped)
    }

    /// Takes back the file that a snapshot names, cut to the length that it names.
    pub(super) fn restore_file(&mut self, number: u64, length: u64, entries: Vec<Entry>) -> io::Result<()> {
        let path = self.path(number);
        let mut file = self.door.open_append(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                io::Error::new(io::ErrorKind::InvalidData, "a file of frames is missing")
            }
            _ => error,
        })?;
        if file.len() < length || length < FIRST_FRAME {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a file of frames has lost its end"));
        }
        if file.len() > length {
            file.truncate(length)?;
        }
        let reader = Arc::new(file.reader()?);
        let mut header = vec![0; FIRST_FRAME as usize];
        std::os::unix::fs::FileExt::read_exact_at(&*reader, &mut header, 0)?;
        if header != segment::file_header(self.fingerprint) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a file of frames has another beginning"));
        }
        self.next_number = self.next_number.max(number + 1);
        self.files.push(Segment { number, length, entries, file: reader, path });
        Ok(())
    }

    /// Removes files of this name that no snapshot names: they came after it.
    pub fn remove_strangers(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if is_frames(&path, self.name) && !self.files.iter().any(|segment| segment.path == path) {
                self.door.remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// Where files lie and what they hold.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub folder: PathBuf,
    pub fingerprint: u64,
    pub door: Door,
}

fn is_frames(path: &Path, name: &str) -> bool {
    let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
    file.ends_with(".frames") && file.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))
}
