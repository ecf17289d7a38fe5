//! What survives: one file that holds where the follower is and all that it knows there.
//!
//! ```text
//! DATA/live/PIPELINE/SOURCE/snapshot          "forebay-live v4\n", fingerprint of the layout,
//!                                             positions, ids of the topics, counters, devices, seconds, open frames,
//!                                             names and lengths of the files of frames; with labels, groups and their
//!                                             counts; checksum
//!                           10s-*.frames      closed frames (history/segment.rs)
//!                           60s-*.frames, labels-1s-*.frames …
//! ```
//!
//! | dies | on restart |
//! |---|---|
//! | before the snapshot has its name | the one before it counts: its positions, its frames; files are cut to its lengths |
//! | after | it counts; what was read since is read again |
//! | between snapshot and removal of dropped files | files that no snapshot names are removed |
//!
//! What must stay true: everything in it is of one moment, and the files that it names are durable before it is. A snapshot
//! that cannot be used (damaged, of another version, of another schema) is told once and set aside with its files, in the folder
//! `set-aside`; one that cannot be read just now is left alone (`follower/restore.rs`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use forebay_core::{Partition, Position, Positions, TopicIds};
use forebay_storage::{Door, DoorFile};

use crate::codec::{Decoder, Encoder, checked};
use crate::devices::Devices;
use crate::history::Timeline;
use crate::history::coarse::Place;
use crate::history::segment::MAGIC;
use crate::layout::Layout;
use crate::source::SourceLive;
use crate::tally::Tally;

/// Where a follower is in its source, and what it counted on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Standing {
    pub positions: Positions,
    pub topics: TopicIds,
    pub read: u64,
    pub skipped: u64,
}

/// What a snapshot gave back.
pub(crate) struct Restored {
    pub standing: Standing,
    pub devices: Devices,
    pub history: Timeline,
    /// Of a source with labels.
    pub tally: Option<Tally>,
}

/// A snapshot that has no name yet.
#[derive(Debug)]
pub(crate) struct Staged {
    path: PathBuf,
    /// To be removed once it has its name.
    dropped: Vec<PathBuf>,
    file: DoorFile,
    pub bytes: u64,
}

fn name(folder: &Path) -> PathBuf {
    folder.join("snapshot")
}

/// Makes the files of frames durable up to their present lengths. Blocks.
///
/// # Errors
/// What the disk says. It is final: what reached the disk is unknown, so no snapshot may be made any more.
pub(crate) fn sync(place: &Place, source: &SourceLive) -> io::Result<()> {
    let mut files = source.history.write().take_unsynced();
    files.extend(source.tally.write().iter_mut().flat_map(|tally| tally.timeline.take_unsynced()));
    files.iter().try_for_each(|file| file.lock().sync())?;
    if files.is_empty() { Ok(()) } else { place.door.sync_dir(&place.folder) }
}

/// Writes all that is known under a temporary name. The one who writes the source waits for it, so it is of one moment; readers
/// do not. The files of frames are synced before. Blocks.
pub(crate) fn stage(place: &Place, source: &SourceLive, standing: &Standing) -> io::Result<Staged> {
    let path = place.folder.join("snapshot.staged");
    place.door.remove_if_there(&path)?;
    let mut encoder = Encoder::new(place.door.create_new(&path)?);
    encoder.bytes(MAGIC);
    encoder.u64(place.fingerprint);
    write_standing(&mut encoder, standing);
    source.devices.read().write(&mut encoder)?;
    source.history.read().write(&mut encoder)?;
    if let Some(tally) = &*source.tally.read() {
        tally.write(&mut encoder)?;
    }
    let (file, bytes) = encoder.finish()?;
    let mut dropped = source.history.write().take_dropped();
    dropped.extend(source.tally.write().iter_mut().flat_map(|tally| tally.timeline.take_dropped()));
    Ok(Staged { path, dropped, file, bytes })
}

impl Staged {
    /// Makes it durable and gives it its name; then files that it does not name go. Blocks.
    pub fn publish(self, place: &Place) -> io::Result<()> {
        self.file.sync()?;
        place.door.rename(&self.path, &name(&place.folder))?;
        place.door.sync_dir(&place.folder)?;
        for path in &self.dropped {
            place.door.remove_if_there(path)?;
        }
        Ok(())
    }
}

/// Loads what the last snapshot holds and cuts the files to it; `None` if there is none. Blocks.
///
/// # Errors
/// `InvalidData` where it cannot be used, and what the disk says.
pub(crate) fn load(
    place: &Place,
    layout: &Layout,
    devices: Devices,
    budget: usize,
    now_ms: i64,
) -> io::Result<Option<Restored>> {
    let bytes = match fs::read(name(&place.folder)) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let unusable = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
    if !bytes.starts_with(MAGIC) {
        return Err(unusable("it is of another version, or no snapshot at all"));
    }
    let content = checked(&bytes).ok_or_else(|| unusable("it fails its checksum"))?;
    let mut decoder = Decoder::new(&content[MAGIC.len()..]);
    if decoder.u64() != Some(place.fingerprint) {
        return Err(unusable("the schema of the source or the key of its devices has changed"));
    }
    let standing = read_standing(&mut decoder).ok_or_else(|| unusable("its positions are not sound"))?;
    let devices = devices.read(&mut decoder, 1).ok_or_else(|| unusable("its devices are not sound"))?;
    let history = Timeline::new(layout.measured.len(), budget, place).read(&mut decoder, now_ms)?;
    // A layout with other labels has another fingerprint.
    let tally =
        Tally::new(&layout.labels, place).map(|tally| tally.read(&mut decoder, now_ms)).transpose()?;
    if !decoder.is_empty() {
        return Err(unusable("it holds more than it should"));
    }
    history.remove_strangers()?;
    tally.iter().try_for_each(|tally| tally.timeline.remove_strangers())?;
    Ok(Some(Restored { standing, devices, history, tally }))
}

/// Sets aside what cannot be used, so that a new history begins with nothing and a person can still look at the old one: in
/// a folder of its own, in place of what was there. Says where. Blocks.
pub(crate) fn set_aside(place: &Place) -> io::Result<PathBuf> {
    let (folder, door) = (&place.folder, &place.door);
    let aside = folder.join("set-aside");
    clear(&aside, door)?;
    let mut paths = files(folder)?;
    // The snapshot goes last: while it stands, a run that dies here is repeated.
    paths.sort_by_key(|path| *path == name(folder));
    for path in paths {
        if let Some(file) = path.file_name() {
            door.rename(&path, &aside.join(file))?;
        }
    }
    door.sync_dir(&aside)?;
    door.sync_dir(folder)?;
    Ok(aside)
}

/// Removes the files that are there without a snapshot, so that a history begins with nothing. Blocks.
pub(crate) fn clear(folder: &Path, door: &Door) -> io::Result<()> {
    door.create_dir_all(folder)?;
    for path in files(folder)? {
        door.remove_file(&path)?;
    }
    door.sync_dir(folder)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.is_file()).collect())
}

fn write_standing<W: io::Write>(encoder: &mut Encoder<W>, standing: &Standing) {
    encoder.len(standing.positions.len());
    for (partition, position) in &standing.positions {
        encoder.text(&partition.topic);
        encoder.u32(partition.index as u32);
        encoder.i64(position.0);
    }
    encoder.len(standing.topics.len());
    for (topic, id) in &standing.topics {
        encoder.text(topic);
        encoder.text(id);
    }
    encoder.u64(standing.read);
    encoder.u64(standing.skipped);
}

fn read_standing(decoder: &mut Decoder<'_>) -> Option<Standing> {
    let mut standing = Standing::default();
    for _ in 0..decoder.len(16)? {
        let partition = Partition::new(decoder.text()?, decoder.u32()? as i32);
        standing.positions.insert(partition, Position(decoder.i64()?));
    }
    for _ in 0..decoder.len(8)? {
        standing.topics.insert(decoder.text()?.to_owned(), decoder.text()?.to_owned());
    }
    standing.read = decoder.u64()?;
    standing.skipped = decoder.u64()?;
    Some(standing)
}

#[cfg(test)]
mod tests;
