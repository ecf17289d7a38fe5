//! Opening: the table is created, or the one that is there is checked and, if asked for, given new columns.
//!
//! Every step is a loop around "look, decide, try": another writer may create the table or change its columns in
//! the same moment, and then the look is repeated. What must stay true: what comes out is a [`Fit`] for the schema
//! of exactly the head it comes with.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use deltalake_core::DeltaTable;
use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_core::{Error, Result};

use super::action::{Action, CommitInfo, FileFormat, Metadata};
use super::commit::{KillPoints, Verdict, commit, publish};
use super::config::Config;
use super::fit::{Fit, Outcome, compare, delta_columns};
use super::keys::comparable;
use super::schema::{DeltaField, DeltaType, stored};
use super::table::{Change, Head, Table};
use super::{fault, protocol};

/// A table that fits the query.
pub(crate) struct Ready {
    pub head: Head,
    pub fit: Fit,
    /// As delta-rs loaded it, for questions about its past.
    pub loaded: DeltaTable,
    /// What came into the log after `loaded`.
    pub since: Change,
}

/// The table that a query would create.
pub(crate) struct Wanted {
    columns: Vec<DeltaField>,
    /// As the query writes their names.
    partition_by: Vec<String>,
}

/// What is wrong with a query whatever the table says: told before anything is touched.
pub(crate) fn check(config: &Config, input: &Schema) -> Result<Wanted> {
    let columns = delta_columns(input)?;
    let refused = |message: String| Error::new(&codes::BAD_VALUE, message);
    let mut partition_by = Vec::new();
    for name in config.partition_by.iter().flatten() {
        let Some(column) = columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)) else {
            let unknown = unknown_name("column", name, columns.iter().map(|column| column.name.as_str()));
            return Err(refused(format!("`partitionBy` names `{name}`, which the query does not have"))
                .with_hint(unknown.hint()));
        };
        if !matches!(&column.ty, DeltaType::Primitive(ty) if ty != "binary") {
            let message = format!("`partitionBy` names `{}`, whose type is {}", column.name, column.ty);
            return Err(
                refused(message).with_hint("Partition by a string, number, date, timestamp or boolean.")
            );
        }
        if partition_by.contains(&column.name) {
            return Err(refused(format!("`partitionBy` names `{}` twice", column.name)));
        }
        partition_by.push(column.name.clone());
    }
    for key in &config.output.keys {
        let column = input.field_with_name(key).ok();
        if column.is_some_and(|column| comparable(&stored(column.data_type())).is_none()) {
            return Err(Error::new(
                &codes::OUTPUT_MODE,
                format!("output mode update cannot find rows by `{key}`, whose type is a map"),
            )
            .with_hint("Group by its parts, or use another `outputMode`."));
        }
    }
    if partition_by.len() == columns.len() {
        return Err(refused("`partitionBy` names every column".to_owned())
            .with_hint("A table needs at least one column outside of `partitionBy`."));
    }
    Ok(Wanted { columns, partition_by })
}

/// Loads the table, or creates it, and fits the query to it.
pub(crate) async fn open(table: &Arc<Table>, config: &Config, input: &Schema) -> Result<Ready> {
    let wanted = check(config, input)?;
    table.ask(|table| table.store.prove()).await?;
    let (loaded, head) = match table.load().await? {
        Some(found) => found,
        None => {
            create(table, config, wanted).await?;
            table.load().await?.ok_or_else(|| {
                Error::new(&codes::SINK_UNAVAILABLE, "the new table is not there").at(table.root.display())
            })?
        }
    };
    let (head, fit, since) = fit(table, config, input, head).await?;
    Ok(Ready { head, fit, loaded, since })
}

/// Fits the query to the table at `head`; with `mergeSchema` this may add columns and move the head: over the
/// commits that the returned change tells of.
pub(crate) async fn fit(
    table: &Arc<Table>,
    config: &Config,
    input: &Schema,
    mut head: Head,
) -> Result<(Head, Fit, Change)> {
    let mut since = Change::default();
    loop {
        match try_fit(config, input, &head)? {
            Outcome::Fits(fit) => return Ok((head, fit, since)),
            Outcome::NeedsColumns(new) => {
                let (moved, change) = add_columns(table, head, new).await?;
                head = moved;
                since.join(change);
            }
        }
    }
}

/// Decides, without writing anything.
pub(crate) fn try_fit(config: &Config, input: &Schema, head: &Head) -> Result<Outcome> {
    let columns = protocol::columns(&head.metadata)?;
    protocol::check(&head.protocol, &head.metadata, &columns)?;
    protocol::check_mode(config.output.mode, &head.protocol, &head.metadata)?;
    let partition_by = &head.metadata.partition_columns;
    if let Some(wanted) = &config.partition_by {
        let same = wanted.len() == partition_by.len()
            && wanted.iter().zip(partition_by).all(|(a, b)| a.eq_ignore_ascii_case(b));
        if !same {
            let list =
                |names: &[String]| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            return Err(Error::new(&codes::SINK_SCHEMA, "the table is partitioned in another way")
                .with_detail(format!(
                    "`partitionBy` says {}, the table says {}",
                    list(wanted),
                    list(partition_by)
                ))
                .with_hint(
                    "Appending cannot change how a table is partitioned. Take the table's partition columns (or leave \
                     `partitionBy` out, which does), write to another `path`, or rewrite the table.",
                ));
        }
    }
    compare(input, &columns, partition_by, config.merge_schema)
}

/// Version 0. Another writer that is faster is no error: the caller loads what is there.
async fn create(table: &Arc<Table>, config: &Config, wanted: Wanted) -> Result<()> {
    let Wanted { columns, partition_by } = wanted;
    let now = table.clock.now_ms();
    let head = Head {
        version: 0,
        mark: None,
        protocol: protocol::of_new_table(&columns),
        metadata: Metadata {
            id: uuid::Uuid::new_v4().to_string(),
            name: None,
            description: None,
            format: FileFormat { provider: "parquet".to_owned(), options: BTreeMap::new() },
            schema_string: DeltaType::Struct(columns.clone()).to_json().to_string(),
            partition_columns: partition_by.clone(),
            configuration: config.new_properties(),
            created_time: Some(now),
        },
    };
    // A table that the query could not be written to is not created in the first place.
    protocol::check(&head.protocol, &head.metadata, &columns)?;
    let info = CommitInfo::new(now, "CREATE TABLE", true)
        .parameter("partitionBy", serde_json::Value::from(partition_by));
    let actions = [
        Action::CommitInfo(info),
        Action::Protocol(head.protocol),
        Action::MetaData(Box::new(head.metadata)),
    ];
    let create = move |table: &Table| {
        table.store.make_log()?;
        publish(table, 0, &actions, KillPoints::NONE, &Default::default()).map(|_| ())
    };
    table.ask(create).await
}

/// Commits the table's metadata with these columns at the end. If another writer changed the table meanwhile,
/// nothing is written and the newer head comes back.
async fn add_columns(table: &Arc<Table>, head: Head, new: Vec<DeltaField>) -> Result<(Head, Change)> {
    let mut columns = protocol::columns(&head.metadata)?;
    let names = new.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    columns.extend(new);
    let mut metadata = head.metadata.clone();
    metadata.schema_string = DeltaType::Struct(columns.clone()).to_json().to_string();
    protocol::check(&head.protocol, &metadata, &columns)?;
    let table = table.clone();
    let run = move || -> Result<(Head, Change)> {
        let (mut moved, mut since) = (head, Change::default());
        let info = CommitInfo::new(table.clock.now_ms(), "ADD COLUMNS", false)
            .parameter("columns", serde_json::Value::from(names));
        let actions = vec![Action::CommitInfo(info), Action::MetaData(Box::new(metadata.clone()))];
        let wrote = commit(&table, &mut moved, KillPoints::NONE, &Default::default(), &mut |_, change| {
            since.join(change.clone());
            Ok(if change.table { Verdict::Stop } else { Verdict::Write(actions.clone()) })
        })?;
        if wrote {
            moved.metadata = metadata;
        }
        Ok((moved, since))
    };
    tokio::task::spawn_blocking(run).await.map_err(fault::task)?
}
