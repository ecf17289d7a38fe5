//! The files of a scan: whether its keys are texts in dictionaries there, and the scan that leaves them so.
//!
//! A file's footer says what its columns are and how they are encoded. The reader makes codes of a text column if the file's
//! schema that it is told has a dictionary there; whatever else stands between a file and the table (columns that the
//! file lacks, other types of numbers) is done by DataFusion as in every scan. What must stay true: a file in which a key
//! is anything else than a text is read by DataFusion's own plan, with all others of the statement.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::basic::{Encoding, PageType};
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::{StreamExt, TryStreamExt};

use super::shape::Shape;
use crate::plan::session::BATCH_ROWS;

/// Footers that are read at once.
const FOOTERS: usize = 8;
/// Rows of a batch where none of them can be wide: what is done for each batch then hardly counts.
const NARROW_ROWS: usize = 8_192;
/// One row in so many may have its key as a plain text, of which a dictionary is made for each batch.
const PLAIN_SHARE: u64 = 8;

/// What is known of a file.
struct Footer {
    /// Its columns as they are to be read.
    schema: SchemaRef,
    /// Rows times keys.
    values: u64,
    /// How many of them are not in a dictionary.
    plain: u64,
}

/// Reads the columns of `shape` with its keys as codes; `None` if they are none, or a footer cannot be read: DataFusion's own
/// plan will say why.
pub(super) async fn scan(shape: &Shape) -> Option<Arc<dyn ExecutionPlan>> {
    let factory = shape.source.parquet_file_reader_factory()?;
    let mut files: HashMap<_, &PartitionedFile> = HashMap::new();
    for file in shape.config.file_groups.iter().flat_map(FileGroup::iter) {
        files.insert(&file.object_meta.location, file);
    }
    let keys: Vec<FieldRef> = shape.columns.iter().take(shape.keys).cloned().collect();
    let read = files.into_iter().map(|(location, file)| {
        let footer = footer(factory, file.clone(), &keys);
        async move { footer.await.map(|footer| (location.clone(), footer)).ok_or(()) }
    });
    let read: Vec<_> =
        futures::stream::iter(read.collect::<Vec<_>>()).buffer_unordered(FOOTERS).try_collect().await.ok()?;
    let footers: HashMap<_, Footer> = read.into_iter().collect();
    let values: u64 = footers.values().map(|footer| footer.values).sum();
    let plain: u64 = footers.values().map(|footer| footer.plain).sum();
    if plain > values / PLAIN_SHARE {
        return None;
    }
    let mut groups = Vec::with_capacity(shape.config.file_groups.len());
    for group in &shape.config.file_groups {
        let files = group.iter().map(|file| {
            let footer = footers.get(&file.object_meta.location)?;
            let mut file = file.clone();
            // The columns that the table adds to the file's, and what is known of all columns: not those of this scan.
            file.partition_values.clear();
            file.statistics = None;
            file.ordering = None;
            file.arrow_schema = Some(Arc::clone(&footer.schema));
            Some(file)
        });
        groups.push(FileGroup::new(files.collect::<Option<Vec<_>>>()?));
    }
    let columns = shape.columns.iter().enumerate().map(|(at, field)| match at < shape.keys {
        true => coded(field),
        false => Arc::clone(field),
    });
    let table = TableSchema::builder(Arc::new(Schema::new(columns.collect::<Vec<_>>()))).build();
    let source = ParquetSource::new(table)
        .with_table_parquet_options(shape.source.table_parquet_options().clone())
        .with_parquet_file_reader_factory(Arc::clone(factory));
    let rows = if shape.is_narrow() { NARROW_ROWS } else { BATCH_ROWS };
    let config = FileScanConfigBuilder::new(shape.config.object_store_url.clone(), Arc::new(source))
        .with_file_groups(groups)
        .with_batch_size(Some(rows))
        .with_expr_adapter(shape.config.expr_adapter_factory.clone())
        .build();
    let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
    let partitions =
        |properties: &datafusion::physical_plan::PlanProperties| properties.partitioning.partition_count();
    (partitions(scan.properties()) == partitions(&shape.properties)).then_some(scan)
}

/// The column as codes.
fn coded(field: &Field) -> FieldRef {
    let codes = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Arc::new(field.clone().with_data_type(codes))
}

/// `None` if it cannot be read, or a key is no text there.
async fn footer(
    factory: &Arc<dyn ParquetFileReaderFactory>,
    file: PartitionedFile,
    keys: &[FieldRef],
) -> Option<Footer> {
    let hint = file.metadata_size_hint;
    let mut reader: Box<dyn AsyncFileReader> =
        factory.create_reader(0, file, hint, &ExecutionPlanMetricsSet::new()).ok()?;
    // As the scan itself asks for it, so that it is read once.
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Skip);
    let read = ArrowReaderMetadata::load_async(&mut reader, options).await.ok()?;
    let schema = read.schema();
    let mut fields: Vec<FieldRef> = schema.fields().to_vec();
    let (mut values, mut plain) = (0, 0);
    for key in keys {
        let Some((at, field)) = schema.fields().find(key.name()) else {
            // Nothing but NULL, if that may be.
            if key.is_nullable() { continue } else { return None }
        };
        if !matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
            return None;
        }
        *fields.get_mut(at)? = coded(field);
        let leaves = read.parquet_schema().columns();
        let leaf = leaves.iter().position(|leaf| leaf.path().parts() == [key.name().as_str()])?;
        for group in read.metadata().row_groups() {
            let rows = u64::try_from(group.num_rows()).ok()?;
            values += rows;
            plain += if group.columns().get(leaf).is_some_and(is_coded) { 0 } else { rows };
        }
    }
    let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
    Some(Footer { schema, values, plain })
}

/// True if all pages of values hold codes, as far as the footer tells.
fn is_coded(chunk: &ColumnChunkMetaData) -> bool {
    let is_code = |encoding| matches!(encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY);
    if let Some(used) = chunk.page_encoding_stats_mask() {
        return chunk.dictionary_page_offset().is_some()
            && (used.is_only(Encoding::RLE_DICTIONARY) || used.is_only(Encoding::PLAIN_DICTIONARY));
    }
    let pages = chunk.page_encoding_stats().map(Vec::as_slice).unwrap_or_default();
    let is_data = |page_type| matches!(page_type, PageType::DATA_PAGE | PageType::DATA_PAGE_V2);
    chunk.dictionary_page_offset().is_some()
        && pages.iter().all(|page| !is_data(page.page_type) || is_code(page.encoding))
}
