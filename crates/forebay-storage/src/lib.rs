//! The storage door: the one way by which Forebay writes anything that must outlive a crash.
//!
//! Checkpoint, log, quarantine and Delta table all write through a [`Door`]. It is a thin layer over the file
//! system whose names say what is durable when: data after [`DoorFile::sync`], a *name* only after
//! [`Door::sync_dir`] on its folder. Composite operations ([`Door::write_atomic`], [`Door::write_new`]) do both.
//!
//! Built with the feature `faults` (test builds only) the door also remembers everything that was **not** yet
//! fsynced. At a [`kill_point`] it can throw all of that away, as a power cut may, before the process dies: a
//! `kill -9` alone keeps the page cache and so proves little about fsync. The same builds can make a chosen write
//! or fsync fail. Without the feature every hook is an empty function.
//!
//! What must stay true: no other module of Forebay opens a durable file for writing.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests make and damage files by hand"))]

mod door;
#[cfg(feature = "faults")]
mod faults;
pub mod lines;
mod regular;

pub use door::{Door, DoorFile};
pub use regular::read_regular;

/// A named place where a test build may die; nothing in other builds.
///
/// `FOREBAY_KILL_AT=name` kills at the first hit of `name`, `name:3` at the third. With `FOREBAY_KILL_MODE=lose`
/// everything that was not fsynced is taken back first.
#[inline(always)]
pub fn kill_point(name: &'static str) {
    #[cfg(feature = "faults")]
    faults::kill_point(name);
    #[cfg(not(feature = "faults"))]
    let _ = name;
}

/// Every kill point that an epoch and the log's appends pass, in their order: the crash tests walk this list. What an epoch's
/// state passes between `epoch.state.before` and `epoch.state.after` is in [`STATE_KILL_POINTS`]; those of a reload are named
/// by its own tests.
///
/// A point belongs in this list and at exactly one place in the code.
pub const KILL_POINTS: &[&str] = &[
    "log.append.written",
    "log.append.synced",
    "epoch.plan.before",
    "epoch.plan.after",
    "epoch.read.first_batch",
    "sink.kafka.begin.after",
    "sink.kafka.batch.after",
    "quarantine.write.after",
    "late.sync.before",
    "sink.delta.file.half",
    "epoch.read.after",
    "epoch.state.before",
    "epoch.state.after",
    "epoch.outcome.before",
    "epoch.outcome.after",
    "sink.delta.files.after",
    "sink.delta.commit.before",
    "sink.delta.commit.after",
    "sink.kafka.rows.after",
    "sink.kafka.epoch.after",
    "sink.kafka.commit.after",
    "sink.alert.commit.before",
    "sink.alert.commit.after",
    "quarantine.resolve.after",
    "epoch.write.after",
    "epoch.commit.before",
    "epoch.commit.after",
    "checkpoint.compact.before",
    "checkpoint.compact.after",
    "sink.delta.optimize.before",
    "sink.delta.optimize.after",
    "sink.alert.compact.before",
    "sink.alert.compact.after",
    "sink.kafka.fence.after",
    "sink.kafka.claim.after",
];

/// Every kill point that the state of stateful operators passes, in the order of an epoch, a snapshot and a restart.
pub const STATE_KILL_POINTS: &[&str] = &[
    "state.changes.before",
    "state.changes.created",
    "state.changes.written",
    "state.changes.after",
    "state.snapshot.before",
    "state.snapshot.half",
    "state.snapshot.staged",
    "state.snapshot.after",
    "state.snapshot.tidied",
    "state.restore.before",
    "state.restore.read",
    "state.restore.removed",
    "state.restore.after",
];

/// The kill points that the counts of a query's quality pass, in their order.
pub const QUALITY_KILL_POINTS: &[&str] = &["quality.write.before", "quality.write.after"];

/// The kill points that a silence passes, made or ended, in their order.
pub const SILENCE_KILL_POINTS: &[&str] = &["silences.write.before", "silences.write.after"];

/// Every kill point that a transaction in the embedded log passes, in its order; those of an append, which it passes
/// as well, are in [`KILL_POINTS`].
pub const TRANSACTION_KILL_POINTS: &[&str] = &[
    "log.groups.written",
    "log.groups.synced",
    "log.txn.added",
    "log.txn.offsets",
    "log.txn.decided",
    "log.txn.marked",
];

/// The kill points that an epoch of the Delta sink in update mode passes besides.
pub const REWRITE_KILL_POINTS: &[&str] = &["sink.delta.rewrite.before", "sink.delta.rewrite.after"];

/// The kill points that an epoch of the PostgreSQL sink passes.
pub const POSTGRES_KILL_POINTS: &[&str] = &[
    "sink.postgres.begin.after",
    "sink.postgres.copy.first",
    "sink.postgres.copy.after",
    "sink.postgres.merge.after",
    "quarantine.refused.after",
    "sink.postgres.epoch.after",
    "sink.postgres.commit.before",
    "sink.postgres.commit.after",
];

/// The kill points that an epoch of the file sinks passes.
pub const FILES_KILL_POINTS: &[&str] = &[
    "sink.files.part.half",
    "sink.files.staged.after",
    "sink.files.manifest.before",
    "sink.files.manifest.after",
    "sink.files.rename.first",
    "sink.files.rename.after",
    "sink.files.commit.after",
];

/// The kill points that the end of a cycle passes, in its order.
pub const CYCLE_KILL_POINTS: &[&str] = &[
    "cycle.cut.after",
    "cycle.merge.part",
    "cycle.merge.after",
    "cycle.merged.after",
    "cycle.archive.after",
    "cycle.archived.after",
    "cycle.clean.first",
    "cycle.clean.removed",
    "cycle.clean.after",
    "cycle.cleaned.after",
];

/// The kill point that a cycle's journal passes when it is made shorter, once in some thousand cycles.
pub const CYCLE_JOURNAL_KILL_POINT: &str = "cycle.shorten.after";

/// Every kill point that a message passes on its way through a gateway, in their order; between `gateway.append.after` and
/// `gateway.append.known` lie those of the log's append.
pub const GATEWAY_KILL_POINTS: &[&str] = &[
    "gateway.mqtt.received",
    "gateway.http.received",
    "gateway.serial.read",
    "gateway.append.before",
    "gateway.append.after",
    "gateway.append.known",
    "gateway.http.known",
    "gateway.http.settled",
    "gateway.mqtt.answered",
    "gateway.mqtt.sent",
    "gateway.mqtt.released",
];

/// True in builds that carry kill points and storage faults. Such a build says so when it starts.
pub const FAULTS_BUILT_IN: bool = cfg!(feature = "faults");
