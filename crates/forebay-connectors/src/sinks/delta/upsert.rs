//! What an epoch takes out of the table before its own rows go in, in one version with them.
//!
//! Complete mode takes out everything. Update mode takes out the rows that have a key of the epoch: their files are
//! written anew without them (copy on write), other files are left alone. What must stay true: a decision belongs to one
//! version of the table, so after a conflict the files that are new are looked at too; what was found out about a file
//! stays true, because files never change. Rewritten files are durable before any version names them.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{BooleanArray, BooleanBufferBuilder};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use forebay_core::error::codes;
use forebay_core::{Error, OutputMode, Result};
use forebay_storage::kill_point;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::action::Metadata;
use super::file::{DataFile, Finished};
use super::keys::EpochKeys;
use super::live::{FileKey, Live, LiveFile};
use super::partition::Place;
use super::schema::{DeltaField, DeltaType};
use super::store::Store;
use super::writer::EpochShape;
use super::{fault, protocol};

/// A file that the epoch takes out, and what is left of it.
#[derive(Clone, Debug)]
pub(crate) struct Replaced {
    pub old: LiveFile,
    pub rest: Option<Finished>,
}

/// What an epoch finds out about the files of its table.
pub(crate) struct Upsert {
    mode: OutputMode,
    shape: Arc<EpochShape>,
    keys: EpochKeys,
    /// Of each file that was read, what became of it; `None` if it holds none of the keys.
    looked: HashMap<FileKey, Option<Replaced>>,
}

impl Upsert {
    pub fn new(mode: OutputMode, shape: Arc<EpochShape>, keys: EpochKeys) -> Self {
        Self { mode, shape, keys, looked: HashMap::new() }
    }

    /// What goes out of a version of the table that has these files. Blocks.
    pub fn replaced(&mut self, live: &Live, metadata: &Metadata) -> Result<Vec<Replaced>> {
        match self.mode {
            OutputMode::Append => Ok(Vec::new()),
            OutputMode::Complete => {
                Ok(live.iter().map(|file| Replaced { old: file.clone(), rest: None }).collect())
            }
            OutputMode::Update => {
                self.look(live, metadata)?;
                let known = live.iter().filter_map(|file| self.looked.get(&file.key));
                Ok(known.flatten().cloned().collect())
            }
        }
    }

    /// Names of files that were written for a version that never came to be.
    pub fn unused(&self, replaced: &[Replaced]) -> Vec<String> {
        let used: BTreeSet<&str> =
            replaced.iter().filter_map(|one| Some(one.rest.as_ref()?.name.as_str())).collect();
        let written = self.looked.values().flatten().filter_map(|one| Some(one.rest.as_ref()?.name.clone()));
        written.filter(|name| !used.contains(name.as_str())).collect()
    }

    /// Reads and rewrites the files that were not looked at yet.
    fn look(&mut self, live: &Live, metadata: &Metadata) -> Result<()> {
        let columns = protocol::columns(metadata)?;
        let mut folders = BTreeSet::new();
        for file in live.iter() {
            if self.looked.contains_key(&file.key) {
                continue;
            }
            let replaced = self.look_at(file, &columns)?;
            if let Some(rest) = replaced.as_ref().and_then(|replaced| replaced.rest.as_ref()) {
                folders.insert(rest.place.folder.clone());
            }
            self.looked.insert(file.key.clone(), replaced);
        }
        self.sync(&folders)
    }

    fn sync(&self, folders: &BTreeSet<String>) -> Result<()> {
        for folder in folders {
            self.shape.table.store.sync_folder(folder)?;
        }
        if !folders.is_empty() {
            kill_point("sink.delta.rewrite.after");
        }
        Ok(())
    }

    fn look_at(&self, file: &LiveFile, columns: &[DeltaField]) -> Result<Option<Replaced>> {
        let Some(keys) = &self.shape.keys else { return Ok(None) };
        let constants = keys.constants(&file.values)?;
        if !self.keys.may_be_in(keys, &constants, file.stats.as_deref())? {
            return Ok(None);
        }
        let name = file.name();
        if file.deletion_vector.is_some() {
            return Err(unsupported(&name, "has a deletion vector").with_hint(
                "Run `REORG TABLE … APPLY (PURGE)` with the engine that made it, and set `delta.enableDeletionVectors` of \
                 the table to false.",
            ));
        }
        if name.starts_with('/') || name.contains("://") {
            return Err(unsupported(&name, "lies outside of the table"));
        }
        let source = Source::open(&self.shape.table.store, &name, columns)?;
        let mask = source.roots(keys.data_names());
        let mut keep = BooleanBufferBuilder::new(source.rows());
        for batch in source.read(Some(mask))? {
            let batch = batch.map_err(|e| fault::unreadable(&source.path, e.into()))?;
            let rows = keys.of_file(&batch, &constants)?;
            rows.iter().for_each(|row| keep.append(!self.keys.contains(row.data())));
        }
        let keep = keep.finish();
        let rest = match keep.count_set_bits() {
            left if left == keep.len() => return Ok(None),
            0 => None,
            _ => Some(self.rewrite(&source, file, &name, &keep)?),
        };
        Ok(Some(Replaced { old: file.clone(), rest }))
    }

    /// Writes the rows that stay into a file of their own, in the same partition.
    fn rewrite(
        &self,
        source: &Source,
        file: &LiveFile,
        name: &str,
        keep: &BooleanBuffer,
    ) -> Result<Finished> {
        kill_point("sink.delta.rewrite.before");
        let EpochShape { table, encoding, stem, created, .. } = &*self.shape;
        let folder = name.rfind('/').map_or("", |slash| &name[..=slash]).to_owned();
        let new = format!("{folder}{stem}-u-{}.{}", uuid::Uuid::new_v4(), encoding.extension());
        created.lock().push(new.clone());
        let schema: SchemaRef = Arc::new(Schema::new(source.schema().fields().clone()));
        let mut output = DataFile::create(&table.store, new, schema, encoding, None)?;
        let mut at = 0;
        for batch in source.read(None)? {
            let batch = batch.map_err(|e| fault::unreadable(&source.path, e.into()))?;
            let kept = BooleanArray::new(keep.slice(at, batch.num_rows()), None);
            at += batch.num_rows();
            let batch =
                filter_record_batch(&batch, &kept).map_err(|e| fault::unreadable(&source.path, e.into()))?;
            if batch.num_rows() > 0 {
                output.write(&batch)?;
            }
        }
        output.finish(Place { values: file.values.clone(), folder }, self.shape.indexed_columns)
    }
}

/// A data file of the table, of whatever writer.
struct Source {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
}

impl Source {
    fn open(store: &Store, name: &str, columns: &[DeltaField]) -> Result<Self> {
        let path = store.path(name);
        let failed = |e| fault::unreadable(&path, e);
        let file = store.open(name);
        let file = file.map_err(|e| fault::refused("a data file of the table cannot be read", &path, e))?;
        let options = || ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::load(&file, options()).map_err(failed)?;
        let schema = retyped(metadata.schema(), columns);
        let metadata = if schema.fields() == metadata.schema().fields() {
            metadata
        } else {
            ArrowReaderMetadata::try_new(metadata.metadata().clone(), options().with_schema(schema))
                .map_err(failed)?
        };
        Ok(Self { path, file, metadata })
    }

    fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    fn rows(&self) -> usize {
        usize::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    fn roots<'a>(&self, names: impl Iterator<Item = &'a str>) -> ProjectionMask {
        let roots = names.filter_map(|name| self.schema().index_of(name).ok());
        ProjectionMask::roots(self.metadata.parquet_schema(), roots)
    }

    /// The same open file once more; a reader looks for its place before each read.
    fn handle(&self) -> Result<File> {
        let handle = self.file.try_clone();
        handle.map_err(|e| fault::refused("a data file of the table cannot be read", &self.path, e))
    }

    fn read(&self, mask: Option<ProjectionMask>) -> Result<ParquetRecordBatchReader> {
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.handle()?, self.metadata.clone());
        let builder = match mask {
            Some(mask) => builder.with_projection(mask),
            None => builder,
        };
        builder.build().map_err(|e| fault::unreadable(&self.path, e))
    }
}

/// The file's columns with the table's kind of times: Spark's older form of a time does not say which it is.
fn retyped(schema: &SchemaRef, columns: &[DeltaField]) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| retyped_field(field, columns)).collect::<Vec<_>>();
    Arc::new(Schema::new(fields))
}

fn retyped_field(field: &FieldRef, columns: &[DeltaField]) -> FieldRef {
    match columns.iter().find(|column| column.name == *field.name()) {
        Some(column) => Arc::new(with_type(field, retyped_type(field.data_type(), &column.ty))),
        None => field.clone(),
    }
}

fn with_type(field: &Field, ty: DataType) -> Field {
    field.clone().with_data_type(ty)
}

fn retyped_type(ty: &DataType, column: &DeltaType) -> DataType {
    match (ty, column) {
        (DataType::Timestamp(TimeUnit::Nanosecond, _), DeltaType::Primitive(_)) => {
            let zone = (*column != DeltaType::Primitive("timestamp_ntz".to_owned())).then(|| "UTC".into());
            DataType::Timestamp(TimeUnit::Microsecond, zone)
        }
        (DataType::Struct(fields), DeltaType::Struct(columns)) => {
            DataType::Struct(fields.iter().map(|field| retyped_field(field, columns)).collect())
        }
        (DataType::List(item), DeltaType::Array { element, .. }) => {
            DataType::List(Arc::new(with_type(item, retyped_type(item.data_type(), element))))
        }
        _ => ty.clone(),
    }
}

fn unsupported(name: &str, what: &str) -> Error {
    Error::new(&codes::SINK_UNSUPPORTED, format!("a file that may hold rows to be replaced {what}")).at(name)
}
