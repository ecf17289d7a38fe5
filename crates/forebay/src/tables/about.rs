//! What is known of a table beside its columns: its format and place, and the commits of a Delta table.
//!
//! Names mean what they mean to SELECT ([`super::Tables`]); nothing is opened for it. What must stay true: a place is told as whoever asks
//! may know it. `forebay query` shows the whole path; over the net only what lies below the data folder is shown ([`hidden`]).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use forebay_connectors::s3::is_address;
use forebay_connectors::sinks::delta;
use forebay_core::Result;
use forebay_core::catalog::TableName;
use forebay_engine::adhoc::{About, Commit};
use forebay_engine::late;

use super::{Tables, is_of_catalog_alone, late_of};
use crate::warehouse;

/// Where a table is.
struct Place {
    provider: String,
    /// The path or address as the file has it; what a topic is called.
    at: Option<String>,
    /// The options for buckets.
    given: BTreeMap<String, String>,
    is_managed: bool,
}

impl Place {
    fn delta(path: &str, is_managed: bool) -> Self {
        Self { provider: "delta".to_owned(), at: Some(path.to_owned()), given: BTreeMap::new(), is_managed }
    }
}

/// The format and the place of a table; `None` where it is not known.
pub(super) fn about(tables: &Tables, kind: Option<&str>, name: &str) -> Option<About> {
    let Place { provider, at, is_managed, .. } = place(tables, kind, name)?;
    let location = at.map(|at| match provider == "kafka" || is_address(&at) {
        true => at,
        false => absolute(&tables.data.join(at)).display().to_string(),
    });
    Some(About { provider, location, is_managed })
}

/// The commits of a Delta table; `None` for one of another format.
pub(super) async fn history(
    tables: &Tables,
    kind: Option<&str>,
    name: &str,
    most: usize,
) -> Result<Option<Vec<Commit>>> {
    let Some(Place { provider, at: Some(path), given, .. }) = place(tables, kind, name) else {
        return Ok(None);
    };
    if provider != "delta" {
        return Ok(None);
    }
    let told = delta::history::history(&path, &given, &tables.data, most).await?;
    let commit = |told: delta::history::Told| Commit {
        version: told.version,
        timestamp_ms: told.timestamp_ms,
        operation: told.operation,
        parameters: told.parameters.into_iter().collect(),
    };
    Ok(Some(told.into_iter().map(commit).collect()))
}

/// The same, told to whoever asks over the net: no folder above the data folder.
pub fn hidden(mut about: About, data: &Path) -> About {
    about.location = about.location.map(|at| {
        let path = Path::new(&at);
        match path.strip_prefix(absolute(data)) {
            Ok(below) => below.display().to_string(),
            Err(_) if path.is_absolute() => {
                path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
            }
            Err(_) => at,
        }
    });
    about
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

fn place(tables: &Tables, kind: Option<&str>, name: &str) -> Option<Place> {
    match kind {
        Some("kafka") => Some(Place { provider: "kafka".to_owned(), ..Place::delta(name, false) }),
        Some("delta") => Some(Place::delta(name, false)),
        Some(_) => None,
        None => of_pipeline(tables, name).or_else(|| {
            let folder = warehouse::find(&tables.data, name)?;
            Some(Place::delta(&folder.to_string_lossy(), true))
        }),
    }
}

fn of_pipeline(tables: &Tables, name: &str) -> Option<Place> {
    let pipeline = tables.pipeline.as_ref()?;
    let is_it = |other: &str| other.eq_ignore_ascii_case(name);
    if let Some(source) = pipeline.sources.iter().find(|source| is_it(&source.name)) {
        let topics = ["subscribe", "subscribePattern", "assign"];
        let at = topics.iter().find_map(|option| source.options.text(option)).map(str::to_owned);
        let provider = source.format.clone();
        return Some(Place { provider, at, given: BTreeMap::new(), is_managed: false });
    }
    let mut at_rest = pipeline.tables.iter().filter(|table| !is_of_catalog_alone(table));
    if let Some(table) = at_rest.find(|table| is_it(&table.name)) {
        return Some(Place {
            provider: table.format.clone(),
            at: table.options.text("path").map(str::to_owned),
            given: table.options.passed_on().clone(),
            is_managed: table.of_catalog.is_some(),
        });
    }
    if let Some(query) = late_of(name)
        .and_then(|name| pipeline.queries.iter().find(|query| query.name.eq_ignore_ascii_case(name)))
    {
        let folder = late::folder(Path::new(""), &pipeline.name, &query.name);
        return Some(Place { provider: "late".to_owned(), ..Place::delta(&folder.to_string_lossy(), false) });
    }
    let of_catalog = TableName::parse(name).ok();
    let query = pipeline
        .queries
        .iter()
        .find(|query| is_it(&query.name) || (query.to_table.is_some() && query.to_table == of_catalog))?;
    Some(Place {
        provider: query.format.clone(),
        at: query.options.text("path").map(str::to_owned),
        given: query.options.passed_on().clone(),
        is_managed: query.to_table.is_some(),
    })
}
