//! The tables of catalogs: what lies under the data folder's `warehouse`, and where a name leads.
//!
//! What must stay true: nothing but folders whose names are kept names ([`forebay_core::catalog`]) is listed or read, and no
//! link is followed, so a name never leaves the data folder; a folder without a Delta log is no table.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use forebay_connectors::tables;
use forebay_core::catalog::{SCHEMA_SUFFIX, TableName, WAREHOUSE, is_kept_name};
use forebay_core::config::{OptionPlaces, Pipeline, TableConfig};
use forebay_core::error::codes;
use forebay_core::options::Options;
use forebay_core::{Error, Result};
use forebay_engine::plan::catalog_tables;

/// Most tables that are listed: far beyond what people name, far below what hurts.
const MOST: usize = 10_000;

/// What `tables: NAME: maxMemory` is if it is not given.
const MAX_MEMORY: u64 = 256 << 20;

/// The tables that are there, sorted. What cannot be read holds none.
pub fn list(data: &Path) -> Vec<TableName> {
    let mut found = BTreeSet::new();
    let root = data.join(WAREHOUSE);
    for catalog in folders(&root) {
        for schema in folders(&root.join(&catalog)) {
            let Some(name) = schema.strip_suffix(SCHEMA_SUFFIX) else { continue };
            for table in folders(&root.join(&catalog).join(&schema)) {
                // Names are looked at part by part: a folder in upper case is nobody's.
                if let Ok(name) = TableName::of_parts(&[&catalog, name, &table])
                    && data.join(name.folder()) == root.join(&catalog).join(&schema).join(&table)
                    && is_table(data, &name)
                {
                    found.insert(name);
                }
                if found.len() >= MOST {
                    return found.into_iter().collect();
                }
            }
        }
    }
    found.into_iter().collect()
}

/// The folder of a table of a catalog, if a name means one that is there: below the data folder, as paths in a file are written.
pub fn find(data: &Path, name: &str) -> Option<PathBuf> {
    let name = TableName::parse(name).ok()?;
    is_table(data, &name).then(|| name.folder())
}

fn is_table(data: &Path, name: &TableName) -> bool {
    link_in_the_way(data, name).is_none() && data.join(name.folder()).join("_delta_log").is_dir()
}

/// The first part of a table's path that is a link.
pub fn link_in_the_way(data: &Path, name: &TableName) -> Option<PathBuf> {
    let mut path = data.to_path_buf();
    name.folder().components().find_map(|part| {
        path.push(part);
        let is_link = fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
        is_link.then(|| path.clone())
    })
}

/// The names of a folder's folders, links left out.
fn folders(path: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let entries = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let is_ours = |name: &String| is_kept_name(name.strip_suffix(SCHEMA_SUFFIX).unwrap_or(name));
    names.filter(is_ours).collect()
}

/// The tables of catalogs that a pipeline's SQL names by names of several parts, as tables at rest of these names.
pub fn read_by(pipeline: &Pipeline) -> Result<Vec<TableConfig>> {
    let queries = pipeline.queries.iter().map(|query| (&query.sql, query.place, &query.option_places));
    let mut named: Vec<(TableName, (usize, usize), OptionPlaces)> = Vec::new();
    let views = pipeline.views.iter().flat_map(|view| catalog_tables(&view.sql)).collect::<Vec<_>>();
    for (sql, place, places) in queries {
        for name in catalog_tables(sql).into_iter().chain(views.iter().cloned()) {
            if named.iter().all(|(known, ..)| *known != name) {
                named.push((name, place, places.clone()));
            }
        }
    }
    named.into_iter().map(|(name, place, places)| config(name, place, places)).collect()
}

fn config(name: TableName, place: (usize, usize), option_places: OptionPlaces) -> Result<TableConfig> {
    let spec = tables::SPECS.iter().copied().find(|spec| spec.name == "delta");
    let spec = spec.ok_or_else(|| Error::new(&codes::INTERNAL, "there is no table format `delta`"))?;
    let options = Options::default().with(spec, "path", &name.folder().to_string_lossy())?;
    Ok(TableConfig {
        name: name.to_string(),
        format: spec.name.to_owned(),
        options,
        decoder_options: Options::default(),
        schema: None,
        max_memory: MAX_MEMORY,
        option_places,
        place,
        of_catalog: Some(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table as far as its folders go.
    fn table(data: &Path, folder: &str) {
        let path = data.join(WAREHOUSE).join(folder).join("_delta_log");
        forebay_storage::Door::new().create_dir_all(&path).unwrap();
    }

    #[test]
    fn only_tables_with_kept_names_are_listed() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(list(data.path()), []);
        for folder in
            ["a/b.db/c", "a/b.db/C2", "A/b.db/c", "a/b/c", "spark_catalog/default.db/t", "a/b.db/d-e"]
        {
            table(data.path(), folder);
        }
        forebay_storage::Door::new()
            .create_dir_all(&data.path().join(WAREHOUSE).join("a/b.db/empty"))
            .unwrap();
        let names: Vec<String> = list(data.path()).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a.b.c", "spark_catalog.default.t"]);
        // A data folder may itself be relative (`./forebay-data`): joined twice it would be another.
        assert_eq!(find(data.path(), "A.`B`.c"), Some(Path::new(WAREHOUSE).join("a/b.db/c")));
        assert!(find(data.path(), "t").is_some());
        for name in ["a.b.empty", "a.b.d-e", "../a", "a.b", "a.b.c.d"] {
            assert_eq!(find(data.path(), name), None, "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn no_link_is_followed() {
        let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        table(other.path(), "x/y.db/z");
        table(data.path(), "a/b.db/c");
        let target = other.path().join(WAREHOUSE).join("x/y.db/z");
        std::os::unix::fs::symlink(target, data.path().join(WAREHOUSE).join("a/b.db/linked")).unwrap();
        assert_eq!(list(data.path()).len(), 1);
        assert_eq!(find(data.path(), "a.b.linked"), None);
    }
}
