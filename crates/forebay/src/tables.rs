//! What `forebay query` can read: Delta tables by path, topics, and the sources and tables of a pipeline by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use forebay_connectors::{sinks, sources};
use forebay_core::config::{Pipeline, SourceConfig};
use forebay_core::error::codes;
use forebay_core::format::Format;
use forebay_core::options::Options;
use forebay_core::source::{Source, Wanted, envelope_schema};
use forebay_core::{Error, PositionRange, Result};
use forebay_engine::adhoc::{TableProvider, TableResolver, lanes};
use futures::StreamExt;

use crate::{broker, load};

/// Finds tables for one statement.
pub struct Tables {
    /// Relative paths lie here.
    pub data: PathBuf,
    /// Where ``kafka.`topic` `` is looked for.
    pub kafka: String,
    /// The pipeline whose names can be used.
    pub pipeline: Option<Pipeline>,
}

#[async_trait]
impl TableResolver for Tables {
    async fn resolve(&self, kind: Option<&str>, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match kind {
            None => self.named(name).await,
            Some("delta") => self.delta(Path::new(name)).await.map(Some),
            Some("kafka") => {
                let raw = BTreeMap::from([
                    ("kafka.bootstrap.servers".to_owned(), self.kafka.clone()),
                    ("subscribe".to_owned(), name.to_owned()),
                ]);
                topic(&broker::source_options("kafka", &raw)?, "kafka", None).await.map(Some)
            }
            Some(_) => Ok(None),
        }
    }

    async fn names(&self) -> Result<Vec<String>> {
        let Some(pipeline) = &self.pipeline else { return Ok(Vec::new()) };
        let sources = pipeline.sources.iter().map(|source| source.name.clone());
        let tables =
            pipeline.queries.iter().filter(|query| query.format == "delta").map(|query| query.name.clone());
        Ok(sources.chain(tables).collect())
    }
}

impl Tables {
    async fn named(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(pipeline) = &self.pipeline else { return Ok(None) };
        if let Some(source) = pipeline.sources.iter().find(|source| source.name.eq_ignore_ascii_case(name)) {
            return self.source(source).await.map(Some);
        }
        let query = pipeline.queries.iter().find(|query| query.name.eq_ignore_ascii_case(name));
        match query.map(|query| (query.format.as_str(), query.options.text("path"))) {
            Some(("delta", Some(path))) => self.delta(Path::new(path)).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn delta(&self, path: &Path) -> Result<Arc<dyn TableProvider>> {
        match sinks::delta::read::table_provider(&self.data.join(path)).await {
            Ok(reading) => Ok(reading.provider),
            Err(error) if error.code() == &codes::SQL_PLAN => Err(error.with_hint(format!(
                "A query makes its table with its first rows: has it had any? Relative paths lie under {} (`--data`).",
                self.data.display()
            ))),
            Err(error) => Err(error),
        }
    }

    async fn source(&self, source: &SourceConfig) -> Result<Arc<dyn TableProvider>> {
        topic(&source.options, &source.format, load::format_of(source)?).await
    }
}

/// All records that a source has now, decoded if it has a format. Records that do not decode are left out, as the
/// stream leaves them to its quarantine.
async fn topic(
    options: &Options,
    format: &str,
    decoder: Option<Arc<dyn Format>>,
) -> Result<Arc<dyn TableProvider>> {
    let mut source: Box<dyn Source> =
        sources::build(format, options, Wanted { keys: true, headers: true }, None)?;
    let none = Default::default();
    // Asked from nowhere, a source names the first position of every partition as new.
    let available = source.available(&none).await?;
    if available.new.is_empty() {
        // Says which topic is not there.
        source.start(true).await?;
    }
    let ranges: Vec<PositionRange> = available
        .new
        .iter()
        .filter_map(|(partition, from)| {
            let to = *available.ends.get(partition)?;
            Some(PositionRange { partition: partition.clone(), from: *from, to })
                .filter(|range| !range.is_empty())
        })
        .collect();
    let schema = decoder.as_ref().map_or_else(envelope_schema, |format| format.schema());
    let parallel = std::thread::available_parallelism().map_or(2, usize::from);
    let read = source.read(&ranges, parallel).await?;
    // The source keeps its connections for as long as its lanes are read.
    let source = Arc::new(Mutex::new(source));
    let rows = read
        .into_iter()
        .map(|lane| {
            let mut decoder = decoder.as_ref().map(|format| format.decoder());
            let keep = source.clone();
            lane.map(move |envelope| {
                let _kept = &keep;
                let envelope = envelope?;
                match &mut decoder {
                    Some(decoder) => Ok(decoder.decode(&envelope.values)?.rows),
                    None => envelope.to_batch().map_err(|e| {
                        Error::new(&codes::INTERNAL, "records cannot be made into columns").caused_by(e)
                    }),
                }
            })
            .boxed()
        })
        .collect();
    lanes::table(schema, rows)
}
