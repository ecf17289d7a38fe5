//! A Parquet file, or a folder of them, as a table whose rows are read as a statement asks for them.
//!
//! Only who resolves a table's name comes here: no text of a statement names a file by itself.

use std::path::Path;
use std::sync::Arc;

use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::execution::SessionState;
use datafusion::prelude::SessionContext;
use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::TableProvider;

/// The table of a file, or of the files of a folder whose names end in `.parquet`. Its columns are those of all files together.
///
/// # Errors
/// `TABLE_UNREADABLE` if there is no such file, or one that cannot be read.
pub async fn parquet(path: &Path) -> Result<Arc<dyn TableProvider>> {
    let unreadable =
        || Error::new(&codes::TABLE_UNREADABLE, "no Parquet file can be read").at(path.display());
    let absolute = std::path::absolute(path).map_err(|e| unreadable().caused_by(e))?;
    let is_folder = absolute.is_dir();
    if !is_folder && !absolute.is_file() {
        return Err(unreadable().with_detail("there is no such file or folder"));
    }
    // A folder's address ends with a slash.
    let mut text = absolute.to_string_lossy().into_owned();
    if is_folder && !text.ends_with('/') {
        text.push('/');
    }
    let url = ListingTableUrl::parse(&text).map_err(|e| unreadable().caused_by(e))?;
    let ending = if is_folder { ".parquet" } else { "" };
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(ending);
    let state: SessionState = SessionContext::new().state();
    let schema = options.infer_schema(&state, &url).await.map_err(|e| unreadable().caused_by(e))?;
    if schema.fields().is_empty() {
        return Err(unreadable().with_detail("the folder has no file whose name ends in .parquet"));
    }
    let config = ListingTableConfig::new(url).with_listing_options(options).with_schema(schema);
    let table = ListingTable::try_new(config).map_err(|e| unreadable().caused_by(e))?;
    Ok(Arc::new(table))
}
