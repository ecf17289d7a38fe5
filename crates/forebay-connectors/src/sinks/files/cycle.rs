//! The steps of a cycle, on disk: what [`forebay_core::cycle`] decides is done here, one step after the other.
//!
//! ```text
//!  checkpoint/cycles          the journal: one checked line for each step that is done, of the newest cycles
//!  backup/.QUERY-HASH.merging the archive while it is made; nobody's data, and no other query's
//!  backup/NAME                the archive: a second name of it, which fails where a file stands; the first goes once this is noted
//! ```
//!
//! | dies | on restart |
//! |---|---|
//! | before `Cut` is durable | the cycle is cut anew, with what is there then |
//! | in the merge, or before `Merged` | merged anew; the staged file is replaced |
//! | between `Merged` and `Archived` | the name is asked for again; a file that stands there is ours if it is the staged one |
//! | while files are removed | removed again; those that are gone are gone |
//!
//! Nobody else works on the folder meanwhile: the query's checkpoint is open and held, and the folder's lock is taken. What
//! must stay true: a file is removed only when the archive that holds its rows is durable under its name, and an archive
//! that is there is never written to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::datatypes::SchemaRef;
use forebay_core::clock::Clock;
use forebay_core::cycle::{Archived, Cut, Cycle, Entry, Step, archived, next, shortened, stamp};
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::{Error, Positions, Result, Zone};
use forebay_storage::lines::{self, LinesError};
use forebay_storage::{CYCLE_JOURNAL_KILL_POINT, Door, kill_point};

use super::config::{Config, FileFormat};
use super::fault;
use super::manifest::OWN;
use super::merge::{self, Merged};
use super::shape::Shape;
use super::store::Store;

const KIND: &str = "forebay-cycles";

/// An archive that is there, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// The number of its cycle, from 0 as in the journal; people are told it from 1.
    pub cycle: u64,
    /// Its path as the file names it: relative to the data folder, or absolute.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// When its cycle ended, milliseconds since 1970.
    pub at_ms: i64,
}

/// A query's cycles.
pub struct Cycles {
    cycle: Cycle,
    query: String,
    config: Config,
    shape: Shape,
    data_dir: PathBuf,
    journal: PathBuf,
    door: Door,
    clock: Arc<dyn Clock>,
    /// What the journal says; `None` until it was read.
    entries: Option<Vec<Entry>>,
}

/// What a query that cycles is made of.
pub struct Cycling<'a> {
    /// What its `cycle:` says.
    pub cycle: &'a Cycle,
    /// Its name.
    pub query: &'a str,
    /// Its sink, `csv` or `parquet`, and the sink's options.
    pub format: &'a str,
    /// See `format`.
    pub options: &'a Options,
    /// The columns of its rows.
    pub schema: &'a SchemaRef,
    /// The folder of its checkpoint, in which the journal lies.
    pub checkpoint: &'a Path,
    /// Under which relative paths lie.
    pub data_dir: &'a Path,
    /// In which times become texts.
    pub zone: Zone,
}

/// Refuses a sink that cannot be cycled. Touches nothing.
///
/// # Errors
/// `BAD_VALUE`, saying what does not go together.
pub fn check(cycle: &Cycle, format: &str, options: &Options) -> Result<()> {
    let bad = |what: String, hint: &str| Err(Error::new(&codes::BAD_VALUE, what).with_hint(hint.to_owned()));
    if !matches!(format, "csv" | "parquet") {
        return bad(
            format!("`cycle` is for files, and the sink is `{format}`"),
            "Write `format: csv` or `format: parquet`, or leave `cycle` out.",
        );
    }
    let config = Config::new(format, options, Path::new(""), Zone::UTC)?;
    if !config.partition_by.is_empty() {
        return bad(
            "`cycle` and `partitionBy` do not go together".to_owned(),
            "The values of partition columns stand in the names of folders, and an archive is one file. Leave `partitionBy` out.",
        );
    }
    let wanted = match &config.format {
        FileFormat::Csv(csv) if csv.gzip => ".csv.gz",
        FileFormat::Csv(_) => ".csv",
        FileFormat::Parquet(_) => ".parquet",
    };
    if !cycle.archive.text.ends_with(wanted) {
        return bad(
            format!("the archive `{}` does not end with `{wanted}`", cycle.archive.text),
            "An archive is what the sink writes: `format: parquet` makes `.parquet`, `format: csv` makes `.csv`, with \
             `compression: gzip` `.csv.gz`.",
        );
    }
    Ok(())
}

impl Cycles {
    /// Touches nothing yet.
    pub fn new(of: &Cycling<'_>, door: Door, clock: Arc<dyn Clock>) -> Result<Self> {
        let config = Config::new(of.format, of.options, of.data_dir, of.zone)?;
        Ok(Self {
            cycle: of.cycle.clone(),
            query: of.query.to_owned(),
            shape: Shape::new(&config, of.schema)?,
            config,
            data_dir: of.data_dir.to_path_buf(),
            journal: journal(of.checkpoint),
            door,
            clock,
            entries: None,
        })
    }

    /// Does whatever is to be done before the query may run, and says for how long it may then; `None` if all its cycles
    /// are over. `reached` is where its committed epochs end; `None` if its newest epoch is not committed. Blocks; the
    /// query must not run meanwhile.
    ///
    /// # Errors
    /// The disk's, of which some may pass: what was done is not done again. `CYCLE` if files are gone or altered.
    pub fn turn(&mut self, reached: Option<&Positions>) -> Result<Option<Duration>> {
        loop {
            let now_ms = self.clock.now_ms();
            self.entries()?;
            let entries = self.entries.as_deref().unwrap_or_default();
            let step = next(&self.cycle, entries, now_ms, reached.is_some());
            match step {
                Step::Run(left) => return Ok(Some(left)),
                Step::Done => return Ok(None),
                Step::Begin(cycle) => {
                    self.shorten()?;
                    self.note(Entry::Begun { cycle, at_ms: self.clock.now_ms() })?;
                }
                Step::Cut(cycle) => self.cut(cycle, reached)?,
                Step::Merge(cut) => self.merge(&cut)?,
                Step::Archive(cut, bytes, sha256) => self.archive(&cut, bytes, &sha256)?,
                Step::Clean(cut) => self.clean(&cut)?,
            }
        }
    }

    /// Chooses the name, and says what is in it.
    fn cut(&mut self, cycle: u64, reached: Option<&Positions>) -> Result<()> {
        // The last commit gets its names, if a death kept them from it.
        if self.config.path.join(OWN).exists() {
            drop(Store::open(&self.config.path, &self.door)?);
        }
        let (rows, files) = merge::count(&self.config.path)?;
        let at_ms = self.clock.now_ms();
        let zone = self.cycle.zone;
        let stamp_us = stamp(zone, self.entries()?, at_ms);
        let archive = (files > 0).then(|| self.free_name(stamp_us));
        let position = |(partition, position): (&forebay_core::Partition, &forebay_core::Position)| {
            (partition.topic.to_string(), partition.index, position.0)
        };
        let next = reached.into_iter().flatten().map(position).collect();
        self.note(Entry::Cut(Cut { cycle, at_ms, stamp_us, archive, rows, next }))?;
        kill_point("cycle.cut.after");
        Ok(())
    }

    /// The first name that nobody has.
    fn free_name(&self, stamp_us: i64) -> String {
        let names = (0..u32::MAX).map(|number| self.cycle.archive.name(&self.query, stamp_us, number));
        let is_free = |name: &String| fs::symlink_metadata(self.data_dir.join(name)).is_err();
        names.into_iter().find(is_free).unwrap_or_else(|| self.cycle.archive.name(&self.query, stamp_us, 0))
    }

    fn merge(&mut self, cut: &Cut) -> Result<()> {
        let path = self.path(cut)?;
        let folder = path.parent().unwrap_or(&self.data_dir);
        self.door
            .create_dir_all(folder)
            .map_err(|e| fault::refused("the folder of the archives cannot be made", folder, e))?;
        let (root, format) = (&self.config.path, &self.config.format);
        let merged = merge::merge(
            &self.door,
            root,
            &self.staged(&path),
            format,
            &self.shape.file_schema,
            self.cycle.header,
        )?;
        kill_point("cycle.merge.after");
        let Merged { rows, bytes, sha256 } = merged;
        if rows != cut.rows {
            let message = "the files hold other rows than their cycle was cut with";
            return Err(Error::new(&codes::CYCLE, message)
                .at(root.display())
                .with_detail(format!("{rows} rows in the files, {} in the cut", cut.rows)));
        }
        self.note(Entry::Merged { cycle: cut.cycle, bytes, sha256 })?;
        kill_point("cycle.merged.after");
        Ok(())
    }

    /// Gives the archive its name. One that stands there is ours, from before a death, or somebody else's: then another
    /// name is cut.
    fn archive(&mut self, cut: &Cut, bytes: u64, sha256: &str) -> Result<()> {
        let path = self.path(cut)?;
        let staged = self.staged(&path);
        let is_whole = |path: &Path| -> Result<bool> {
            let found =
                fs::metadata(path).map(|found| found.is_file() && found.len() == bytes).unwrap_or(false);
            Ok(found && merge::hash(path)? == sha256)
        };
        // Another's file may hold the same bytes: ours is the one that is the staged file, which stays until it is noted.
        if is_same_file(&staged, &path) && is_whole(&path)? {
            let folder = path.parent().unwrap_or(&self.data_dir);
            self.door.sync_dir(folder).map_err(|e| fault::sync_failed(folder, e))?;
        } else if fs::symlink_metadata(&path).is_ok() {
            return self.rename(cut, &path);
        } else if !is_whole(&staged)? {
            // It is not what was merged: made anew.
            return self.note(Entry::Cut(cut.clone()));
        } else if let Err(e) = self.door.link_new(&staged, &path) {
            if e.kind() == io::ErrorKind::AlreadyExists {
                return self.rename(cut, &path);
            }
            return Err(fault::refused("the archive cannot get its name", &path, e));
        }
        kill_point("cycle.archive.after");
        self.note(Entry::Archived { cycle: cut.cycle, at_ms: self.clock.now_ms() })?;
        kill_point("cycle.archived.after");
        tracing::info!(query = %self.query, cycle = cut.cycle + 1, archive = %path.display(), rows = cut.rows, bytes, "archived");
        Ok(())
    }

    /// Cuts the cycle under another name: somebody's file stands under this one.
    fn rename(&mut self, cut: &Cut, path: &Path) -> Result<()> {
        let archive = Some(self.free_name(cut.stamp_us));
        tracing::warn!(query = %self.query, path = %path.display(), "somebody wrote a file under the archive's name; it gets another");
        self.note(Entry::Cut(Cut { archive, ..cut.clone() }))
    }

    /// Where an archive waits for its name: a place that is this query's alone, the same from cycle to cycle, so that nothing
    /// of a dead one stays behind.
    fn staged(&self, path: &Path) -> PathBuf {
        let of = crc32c::crc32c(self.journal.as_os_str().as_encoded_bytes());
        path.with_file_name(format!(".{}-{of:08x}.merging", self.query))
    }

    fn clean(&mut self, cut: &Cut) -> Result<()> {
        if cut.archive.is_some() {
            let staged = self.staged(&self.path(cut)?);
            self.door
                .remove_if_there(&staged)
                .map_err(|e| fault::refused("a staged archive cannot be removed", &staged, e))?;
        }
        if self.config.path.join(OWN).exists() {
            Store::open(&self.config.path, &self.door)?.forget(self.cycle.clean)?;
        }
        kill_point("cycle.clean.after");
        self.note(Entry::Cleaned { cycle: cut.cycle })?;
        kill_point("cycle.cleaned.after");
        Ok(())
    }

    fn path(&self, cut: &Cut) -> Result<PathBuf> {
        match &cut.archive {
            Some(name) => Ok(self.data_dir.join(name)),
            None => Err(Error::new(&codes::INTERNAL, "a cycle without files has no archive")),
        }
    }

    fn entries(&mut self) -> Result<&[Entry]> {
        if self.entries.is_none() {
            let (entries, torn_at) = read(&self.journal)?;
            if let Some(good_len) = torn_at {
                let mut file = self.door.open_append(&self.journal).map_err(|e| failed(&self.journal, e))?;
                file.truncate(good_len).map_err(|e| fault::sync_failed(&self.journal, e))?;
            }
            self.entries = Some(entries);
        }
        Ok(self.entries.as_deref().unwrap_or_default())
    }

    /// Takes what is long over out of a journal that has grown long. A death leaves the one or the other.
    fn shorten(&mut self) -> Result<()> {
        let Some(kept) = shortened(self.entries()?) else { return Ok(()) };
        let mut text = lines::header(KIND).into_bytes();
        for entry in &kept {
            lines::push_line(&mut text, &line(entry)?);
        }
        self.door.write_atomic(&self.journal, &text).map_err(|e| failed(&self.journal, e))?;
        kill_point(CYCLE_JOURNAL_KILL_POINT);
        self.entries = Some(kept);
        Ok(())
    }

    /// Makes an entry durable.
    fn note(&mut self, entry: Entry) -> Result<()> {
        let path = self.journal.clone();
        if !path.exists() {
            self.door.write_new(&path, lines::header(KIND).as_bytes()).map_err(|e| failed(&path, e))?;
        }
        let mut text = Vec::new();
        lines::push_line(&mut text, &line(&entry)?);
        let mut file = self.door.open_append(&path).map_err(|e| failed(&path, e))?;
        let before = file.len();
        if let Err(e) = file.append(&text) {
            // A part of the line may stand there: the next attempt has a line of its own.
            file.truncate(before).map_err(|e| fault::sync_failed(&path, e))?;
            return Err(failed(&path, e));
        }
        file.sync().map_err(|e| fault::sync_failed(&path, e))?;
        self.entries.get_or_insert_default().push(entry);
        Ok(())
    }
}

/// An entry as its line has it.
fn line(entry: &Entry) -> Result<String> {
    serde_json::to_string(entry)
        .map_err(|e| Error::new(&codes::INTERNAL, "cannot write a cycle's entry").caused_by(e))
}

/// What a query's journal tells of its archives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Those that it names, oldest first.
    pub archives: Vec<Archive>,
    /// How many there were before, and the rows and bytes in them: their lines were taken out.
    pub before: (u64, u64, u64),
    /// What it says last.
    pub last: Option<Entry>,
}

impl Made {
    /// All archives, and the rows and bytes in them.
    pub fn sums(&self) -> (u64, u64, u64) {
        self.archives.iter().fold(self.before, |(count, rows, bytes), archive| {
            (count + 1, rows + archive.rows, bytes + archive.bytes)
        })
    }
}

/// The archives of the query whose checkpoint is in this folder. Blocks.
pub fn archives(checkpoint: &Path) -> Result<Made> {
    let (entries, _) = read(&journal(checkpoint))?;
    let archive = |it: &Archived<'_>| Archive {
        cycle: it.cut.cycle,
        name: it.name.to_owned(),
        rows: it.cut.rows,
        bytes: it.bytes,
        at_ms: it.cut.at_ms,
    };
    let archives = archived(&entries).iter().map(archive).collect();
    let before = match entries.first() {
        Some(Entry::Before { archives, rows, bytes, .. }) => (*archives, *rows, *bytes),
        _ => (0, 0, 0),
    };
    Ok(Made { archives, before, last: entries.into_iter().next_back() })
}

/// How long the journal of such a query is and when it was written, by which one can see that it says something else than
/// before; nothing where there is none.
pub fn journal_mark(checkpoint: &Path) -> (u64, Option<SystemTime>) {
    fs::metadata(journal(checkpoint)).map_or((0, None), |found| (found.len(), found.modified().ok()))
}

fn journal(checkpoint: &Path) -> PathBuf {
    checkpoint.join("cycles")
}

/// True if both names are of one file.
#[cfg(unix)]
fn is_same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let of = |path: &Path| fs::symlink_metadata(path).map(|found| (found.dev(), found.ino())).ok();
    of(one).is_some_and(|file| of(other) == Some(file))
}

/// The same where files have no numbers: what is there under both names is taken for ours.
#[cfg(not(unix))]
fn is_same_file(one: &Path, other: &Path) -> bool {
    one.exists() && other.exists()
}

/// The entries, and where the good ones end if the rest is torn.
fn read(path: &Path) -> Result<(Vec<Entry>, Option<u64>)> {
    let damaged = |detail: String| {
        Error::new(&codes::CYCLE, "the journal of a cycle cannot be read")
            .with_detail(detail)
            .at(path.display())
    };
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), None)),
        Err(e) => return Err(failed(path, e)),
    };
    let lines = lines::read(KIND, &bytes).map_err(|e: LinesError| damaged(e.to_string()))?;
    let entries =
        lines.texts.iter().map(|text| serde_json::from_str(text).map_err(|e| damaged(e.to_string())));
    Ok((entries.collect::<Result<_>>()?, lines.torn.then_some(lines.good_len)))
}

fn failed(path: &Path, error: io::Error) -> Error {
    fault::refused("the journal of a cycle cannot be written", path, error)
}
