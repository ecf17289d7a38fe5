//! Compaction: many small files of this query become few large ones, and no row changes.
//!
//! One version removes the small files and adds the large one, both with `dataChange: false`, so readers of changes
//! see nothing. What must stay true: it only ever *loses* a race. If any of its files was removed meanwhile (an
//! OPTIMIZE, a DELETE, an overwrite) or the table changed, its own output is thrown away. Files with deletion
//! vectors are never touched, because their rows are not what they hold.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::{Schema, SchemaRef};
use deltalake_core::DeltaTable;
use forebay_core::Result;
use forebay_storage::kill_point;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::action::{Action, CommitInfo, Remove, encode_path};
use super::commit::{KillPoints, Linking, Verdict, commit};
use super::config::Upkeep;
use super::file::{DataFile, Finished};
use super::partition::Place;
use super::table::{Head, Table};
use super::tidy::Task;
use super::{FILE_PREFIX, fault, protocol};

/// A group of fewer files is not worth rewriting.
const FEWEST_FILES: usize = 8;

/// A small file that may be compacted.
#[derive(Clone, Debug, PartialEq)]
struct Small {
    /// Relative to the table.
    name: String,
    values: BTreeMap<String, Option<String>>,
    size: u64,
}

/// The query's files in one version of a table.
struct Files {
    small: Vec<Small>,
    /// When the newest data file of anybody of ours was written.
    newest_ms: Option<i64>,
}

/// What is worth compacting in one version of the table.
pub(crate) struct Plan {
    head: Head,
    groups: Vec<Vec<Small>>,
}

/// Looks at the newest version of the table.
pub(crate) async fn plan(task: &Task) -> Result<Option<Plan>> {
    let Some((table, head)) = task.table.load().await? else { return Ok(None) };
    if !protocol::may_compact(&head.protocol, &head.metadata) {
        return Ok(None);
    }
    let files = files(&table, &task.table, &task.stem, &task.upkeep)?;
    let groups = choose(files.small, task.upkeep.target_size);
    Ok(Some(Plan { head, groups }))
}

/// How many files of a loaded table are worth compacting, and when the newest data file of ours was written. Walks
/// all files of the table.
pub(crate) fn waiting(
    loaded: &DeltaTable,
    table: &Table,
    stem: &str,
    upkeep: &Upkeep,
) -> Result<(usize, Option<i64>)> {
    let files = files(loaded, table, stem, upkeep)?;
    let groups = choose(files.small, upkeep.target_size);
    Ok((groups.iter().map(Vec::len).sum(), files.newest_ms))
}

/// Rewrites what was planned, group by group, unless told to stop. Blocks.
pub(crate) fn carry_out(task: &Task, plan: Plan, stop: &AtomicBool) -> Result<()> {
    for group in plan.groups {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        for (schema, group) in by_schema(task, group)? {
            compact(task, &plan.head, schema, group, stop)?;
        }
    }
    Ok(())
}

/// The files of a loaded table; the query's are those whose names begin with `stem`.
fn files(loaded: &DeltaTable, table: &Table, stem: &str, upkeep: &Upkeep) -> Result<Files> {
    let snapshot = loaded.snapshot().map_err(|e| fault::delta(&table.root, e))?;
    let mut found = Files { small: Vec::new(), newest_ms: None };
    for file in snapshot.log_data().iter() {
        let name = file.path();
        if !epoch_part(&name).starts_with(FILE_PREFIX) {
            continue;
        }
        found.newest_ms = found.newest_ms.max(Some(file.modification_time()));
        let Ok(size) = u64::try_from(file.size()) else { continue };
        let ours = epoch_part(&name).starts_with(stem);
        if ours && size < upkeep.small() && file.deletion_vector_descriptor().is_none() {
            let values = file.partition_values_map().into_iter().collect();
            found.small.push(Small { name: name.into_owned(), values, size });
        }
    }
    Ok(found)
}

/// Which files become one: of one partition, in the order in which they were written, up to the target size. A file
/// larger than all others of its group together waits until there are more: so each byte is rewritten a few times
/// only, however long the stream trickles.
fn choose(small: Vec<Small>, target_size: u64) -> Vec<Vec<Small>> {
    let mut partitions: BTreeMap<BTreeMap<String, Option<String>>, Vec<Small>> = BTreeMap::new();
    for file in small {
        partitions.entry(file.values.clone()).or_default().push(file);
    }
    let mut groups = Vec::new();
    for mut files in partitions.into_values() {
        files.sort_by_key(|file| std::cmp::Reverse(file.size));
        let mut total: u64 = files.iter().map(|file| file.size).sum();
        while files.len() > 1 && files[0].size > total - files[0].size {
            total -= files.remove(0).size;
        }
        files.sort_by(|a, b| epoch_part(&a.name).cmp(epoch_part(&b.name)));
        let mut group = Vec::new();
        let mut size = 0;
        for file in files {
            size += file.size;
            group.push(file);
            if size >= target_size {
                groups.push(std::mem::take(&mut group));
                size = 0;
            }
        }
        groups.push(group);
    }
    groups.retain(|group| group.len() >= FEWEST_FILES);
    groups
}

/// The file's own name without folders: begins with query and epoch, so it sorts by time.
fn epoch_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Files of one group may differ in their columns (`mergeSchema`): only equal ones are put together.
fn by_schema(task: &Task, group: Vec<Small>) -> Result<Vec<(SchemaRef, Vec<Small>)>> {
    let mut groups: Vec<(SchemaRef, Vec<Small>)> = Vec::new();
    for file in group {
        let schema = reader(task, &file.name)?.schema().clone();
        let schema: SchemaRef = Arc::new(Schema::new(schema.fields().clone()));
        match groups.iter_mut().find(|(known, _)| *known == schema) {
            Some((_, files)) => files.push(file),
            None => groups.push((schema, vec![file])),
        }
    }
    groups.retain(|(_, files)| files.len() > 1);
    Ok(groups)
}

fn reader(task: &Task, name: &str) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let path = task.table.store.path(name);
    let file = task.table.store.open(name);
    let file = file.map_err(|e| fault::refused("a small file cannot be read", &path, e))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| fault::parquet(&path, e))
}

/// Rewrites the files as one and commits. Blocks.
fn compact(task: &Task, head: &Head, schema: SchemaRef, group: Vec<Small>, stop: &AtomicBool) -> Result<()> {
    let Some(first) = group.first() else { return Ok(()) };
    let folder = first.name.strip_suffix(epoch_part(&first.name)).unwrap_or_default().to_owned();
    let epoch = epoch_part(&first.name).strip_prefix(&task.stem).and_then(|rest| rest.split('-').next());
    let name = format!(
        "{folder}{}{}-c-{}.{}",
        task.stem,
        epoch.unwrap_or("e0"),
        uuid::Uuid::new_v4(),
        task.encoding.extension()
    );
    let place = Place { values: first.values.clone(), folder };
    let linking = Linking::default();
    let outcome = rewrite(task, schema, &group, &name, place, stop).and_then(|finished| match finished {
        Some(finished) => publish(task, head.clone(), &group, &finished, &linking),
        None => Ok(false),
    });
    if matches!(outcome, Ok(true)) {
        tracing::debug!(table = %task.table.root.display(), files = group.len(), "compacted small files");
    } else if !linking.may_have_happened() {
        let store = &task.table.store;
        if let Err(error) = store.remove_if_there(&name) {
            tracing::debug!(path = %store.path(&name).display(), %error, "an unused compacted file stays until the sweep");
        }
    }
    outcome.map(|_| ())
}

/// Copies the rows, batch by batch; `None` if it was told to stop.
fn rewrite(
    task: &Task,
    schema: SchemaRef,
    group: &[Small],
    name: &str,
    place: Place,
    stop: &AtomicBool,
) -> Result<Option<Finished>> {
    let table = &task.table;
    let mut output = DataFile::create(&table.store, name.to_owned(), schema, &task.encoding, None)?;
    for file in group {
        let path = table.store.path(&file.name);
        let batches = reader(task, &file.name)?.build().map_err(|e| fault::parquet(&path, e))?;
        for batch in batches {
            if stop.load(Ordering::SeqCst) {
                return Ok(None);
            }
            output.write(&batch.map_err(|e| fault::parquet(&path, e.into()))?)?;
        }
    }
    let folder = place.folder.clone();
    let finished = output.finish(place, task.upkeep.indexed_columns)?;
    table.store.sync_folder(&folder)?;
    Ok(Some(finished))
}

/// True if the version was written, false if the race was lost.
fn publish(
    task: &Task,
    mut head: Head,
    group: &[Small],
    output: &Finished,
    linking: &Linking,
) -> Result<bool> {
    kill_point("sink.delta.optimize.before");
    let now = task.table.clock.now_ms();
    let bytes: u64 = group.iter().map(|file| file.size).sum();
    let info = CommitInfo::new(now, "OPTIMIZE", false)
        .parameter("predicate", "[]")
        .parameter("auto", true)
        .metric("numAddedFiles", 1)
        .metric("numRemovedFiles", group.len())
        .metric("numAddedBytes", output.size)
        .metric("numRemovedBytes", bytes);
    let mut actions = vec![Action::CommitInfo(info), Action::Add(output.add(now, false))];
    actions.extend(group.iter().map(|file| {
        Action::Remove(Remove {
            path: encode_path(&file.name),
            deletion_timestamp: now,
            data_change: false,
            extended_file_metadata: true,
            partition_values: file.values.clone(),
            size: file.size,
            deletion_vector: None,
        })
    }));
    let written = commit(&task.table, &mut head, KillPoints::NONE, linking, &mut |_, change| {
        let lost = change.removed.iter().any(|gone| group.iter().any(|file| file.name == *gone));
        Ok(if lost || change.table { Verdict::Stop } else { Verdict::Write(actions.clone()) })
    })?;
    kill_point("sink.delta.optimize.after");
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(name: &str, partition: Option<&str>, size: u64) -> Small {
        let values = partition.map(|value| ("p".to_owned(), Some(value.to_owned()))).into_iter().collect();
        Small { name: name.to_owned(), values, size }
    }

    #[test]
    fn groups_are_of_one_partition_in_order_of_time() {
        let mut files = Vec::new();
        for epoch in (0..8).rev() {
            files.push(small(&format!("p=a/forebay-00-e{epoch:010}-l0-x"), Some("a"), 10));
            files.push(small(&format!("p=b/forebay-00-e{epoch:010}-l0-x"), Some("b"), 10));
        }
        files.push(small("p=c/forebay-00-e1-l0-x", Some("c"), 10));
        let groups = choose(files, 1_000);
        assert_eq!(groups.len(), 2, "one file alone is left alone");
        assert!(groups[0].is_sorted_by(|a, b| a.name < b.name));
        assert!(groups.iter().all(|group| group.len() == 8));
    }

    #[test]
    fn a_large_result_is_not_rewritten_for_a_few_small_ones() {
        let mut files = vec![small("forebay-00-e0-c-x", None, 1_000)];
        files.extend((1..20).map(|epoch| small(&format!("forebay-00-e{epoch:010}-l0-x"), None, 10)));
        let groups = choose(files, 1 << 20);
        assert_eq!(groups[0].len(), 19);
        assert!(groups[0].iter().all(|file| file.size == 10));
    }

    #[test]
    fn a_group_ends_at_the_target_size() {
        let files = (0..20).map(|epoch| small(&format!("forebay-00-e{epoch:010}-l0-x"), None, 10)).collect();
        let groups = choose(files, 100);
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10]);
    }
}
