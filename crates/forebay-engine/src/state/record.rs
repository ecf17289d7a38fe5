//! What stands in the frames of a file of state.
//!
//! ```text
//! changes-N    header │ epoch N: changes of all tables │ epoch N+1 │ …          one frame an epoch, so it is there whole or not at all
//! snapshot-N   header │ rows of a table │ rows of a table │ … │ end             the state before epoch N
//! ```
//!
//! The header has the version, N and the layouts. Tables are numbered in its order. Keys are columns here: their row
//! form in memory is not stable over versions.

use std::path::Path;

use forebay_core::error::codes;
use forebay_core::{Epoch, Error, Result};

use super::frame::{self, Broken, Cursor, Frames, push_sized};
use super::layout::{self, Named};
use super::{Changes, Table, Upserts, batch};

/// The first bytes of each kind of file.
pub(super) const CHANGES_MAGIC: &str = "forebay-state-changes\n";
pub(super) const SNAPSHOT_MAGIC: &str = "forebay-state-snapshot\n";

/// 2 knows causes; what 1 wrote is read as it is.
const VERSION: u32 = 2;
const OLDEST: u32 = 1;

const UPSERTS: u8 = 1;
const REMOVED: u8 = 2;
const EVICT: u8 = 3;
const CAUSE: u8 = 4;

/// In the place of a table's number: the end of a snapshot.
const END: u32 = u32::MAX;

/// The first frame of a file.
#[derive(Debug)]
pub(super) struct Header {
    /// The first epoch that is not in the state before the file.
    pub base: u64,
    /// Rows of a snapshot.
    pub rows: u64,
    pub tables: Vec<Named>,
}

/// The beginning of a file.
pub(super) fn push_header(
    out: &mut Vec<u8>,
    magic: &str,
    base: u64,
    rows: u64,
    tables: &[Named],
) -> Result<()> {
    out.extend_from_slice(magic.as_bytes());
    frame::push(out, |out| {
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&base.to_le_bytes());
        out.extend_from_slice(&rows.to_le_bytes());
        layout::push(out, tables)
    })
}

/// Opens a file that says it is `base`.
pub(super) fn open(path: &Path, magic: &str, base: u64) -> Result<(Frames, Header), Broken> {
    let mut frames = Frames::open(path, magic)?;
    let Some(body) = frames.next()? else { return Err(frames.broken("it has no header")) };
    let mut cursor = Cursor(body);
    match cursor.u32() {
        Some(OLDEST..=VERSION) => {}
        version => {
            let version = version.map_or("no".to_owned(), |version| version.to_string());
            let error = Error::new(&codes::CHECKPOINT_VERSION, "the query's state has another version");
            return Err(error.with_detail(format!("version {version}")).at(path.display()).into());
        }
    }
    let mut read =
        || Some(Header { base: cursor.u64()?, rows: cursor.u64()?, tables: layout::read(&mut cursor)? });
    match read() {
        Some(header) if header.base == base => Ok((frames, header)),
        Some(header) => Err(frames.broken(&format!("its name and its header differ ({})", header.base))),
        None => Err(frames.broken("its header cannot be read")),
    }
}

/// Appends the record of an epoch.
pub(super) fn push_changes(
    out: &mut Vec<u8>,
    epoch: Epoch,
    tables: &[Named],
    changes: &[Changes],
) -> Result<()> {
    frame::push(out, |out| {
        out.extend_from_slice(&epoch.0.to_le_bytes());
        for (number, ((_, layout), changes)) in tables.iter().zip(changes).enumerate() {
            let mut part = |what: u8, fill: &dyn Fn(&mut Vec<u8>) -> Result<()>| {
                out.extend_from_slice(&(number as u32).to_le_bytes());
                out.push(what);
                push_sized(out, fill)
            };
            if let Some(cause) = &changes.cause {
                part(CAUSE, &|out| batch::push_batch(out, cause))?;
            } else if let Some(upserts) = changes.upserts.as_ref().filter(|it| !it.expires.is_empty()) {
                part(UPSERTS, &|out| batch::push_rows(out, layout, upserts))?;
            }
            if let Some(keys) = changes.removed.as_ref().filter(|keys| keys.iter().any(|key| !key.is_empty()))
            {
                part(REMOVED, &|out| batch::push_keys(out, layout, keys))?;
            }
            if let Some(through) = changes.evict_through {
                part(EVICT, &|out| {
                    out.extend_from_slice(&through.to_le_bytes());
                    Ok(())
                })?;
            }
        }
        Ok(())
    })
}

/// The epoch of a record, and its changes by the number of the table in the file; `Err` says why it cannot be read.
pub(super) fn read_changes(body: &[u8], tables: &[Named]) -> Result<(u64, Vec<Changes>), String> {
    let short = || "a record ends too early".to_owned();
    let mut cursor = Cursor(body);
    let epoch = cursor.u64().ok_or_else(short)?;
    let mut all = vec![Changes::default(); tables.len()];
    while !cursor.0.is_empty() {
        let number = cursor.u32().ok_or_else(short)? as usize;
        let what = cursor.byte().ok_or_else(short)?;
        let bytes = cursor.sized().ok_or_else(short)?;
        let unknown = || format!("a record is of table {number}, which is not there");
        let changes = all.get_mut(number).ok_or_else(unknown)?;
        let layout = &tables.get(number).ok_or_else(unknown)?.1;
        match what {
            UPSERTS => changes.upserts = Some(batch::read_rows(bytes, layout).map_err(|e| e.to_string())?),
            REMOVED => changes.removed = Some(batch::read_columns(bytes).map_err(|e| e.to_string())?),
            CAUSE => changes.cause = Some(batch::read_batch(bytes).map_err(|e| e.to_string())?),
            EVICT => changes.evict_through = Some(Cursor(bytes).i64().ok_or_else(short)?),
            other => return Err(format!("a record has a part of kind {other}")),
        }
    }
    Ok((epoch, all))
}

/// Appends rows of a snapshot.
pub(super) fn push_rows(
    out: &mut Vec<u8>,
    number: usize,
    layout: &super::Layout,
    rows: &Upserts,
) -> Result<()> {
    frame::push(out, |out| {
        out.extend_from_slice(&(number as u32).to_le_bytes());
        batch::push_rows(out, layout, rows)
    })
}

/// Appends the end of a snapshot.
pub(super) fn push_end(out: &mut Vec<u8>) -> Result<()> {
    frame::push(out, |out| {
        out.extend_from_slice(&END.to_le_bytes());
        Ok(())
    })
}

/// Reads a snapshot into `tables`; those of the file have the numbers `numbers` among them.
pub(super) fn read_snapshot(
    mut frames: Frames,
    header: &Header,
    numbers: &[usize],
    tables: &mut [Table],
) -> Result<(), Broken> {
    if let [number] = numbers
        && let Some(table) = tables.get_mut(*number)
    {
        // Its expiry alone takes eight bytes of the file.
        table.reserve(usize::try_from(header.rows.min(frames.len() / 8)).unwrap_or(0));
    }
    let mut rows = 0;
    loop {
        let Some(body) = frames.next()? else { return Err(frames.broken("it has no end")) };
        let mut cursor = Cursor(body);
        let number = match cursor.u32() {
            Some(END) => break,
            Some(number) => number as usize,
            None => return Err(frames.broken("a record ends too early")),
        };
        let read = match header.tables.get(number) {
            Some((_, layout)) => batch::read_rows(cursor.0, layout).map_err(|e| e.to_string()),
            None => Err(format!("a record is of table {number}, which is not there")),
        };
        let upserts = match read {
            Ok(upserts) => upserts,
            Err(why) => return Err(frames.broken(&why)),
        };
        rows += upserts.expires.len() as u64;
        if let Some(table) = numbers.get(number).and_then(|number| tables.get_mut(*number)) {
            table.apply(&Changes { upserts: Some(upserts), ..Changes::default() })?;
            table.tidy();
        }
    }
    if rows != header.rows || frames.good_len() != frames.len() {
        return Err(frames.broken("it has another number of rows than it says"));
    }
    Ok(())
}
