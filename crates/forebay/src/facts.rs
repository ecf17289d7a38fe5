//! What is known of a query or an alert before it is started: gathered for [`crate::foresight`], which says what follows
//! from it. What must stay true: it looks and touches nothing, so it may be asked beside a pipeline that runs.

use std::path::Path;
use std::sync::Arc;

use forebay_connectors::sources;
use forebay_core::Result;
use forebay_core::clock::{Clock, SystemClock};
use forebay_core::config::SourceConfig;
use forebay_core::error::codes;
use forebay_core::source::Wanted;
use forebay_engine::checkpoint::{self, definition};
use forebay_engine::query;
use forebay_rules::AlertBook;
use forebay_storage::Door;

use crate::foresight::Facts;
use crate::load::Loaded;
use crate::work::Chosen;
use crate::{definition as current, site};

/// What is known of it under this data folder.
pub async fn gather(data: &Path, loaded: &Loaded, it: &Chosen<'_>) -> Result<Facts> {
    let Chosen { work, plan, ref sources } = *it;
    let pipeline = &loaded.pipeline;
    let folder = work.checkpoint(data, &pipeline.name);
    let read =
        |source: &&SourceConfig| sources::build(&source.format, &source.options, Wanted::default(), None);
    let read = sources.iter().map(read).collect::<Result<Vec<_>>>()?;
    let reads = plan.inputs().into_iter().zip(read.iter().map(|source| &**source));
    let alerts = (AlertBook::default(), loaded.alerts.len());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut writes = site::sink(work, &plan.row_keys(), &alerts, &folder, data, &Door::new(), &clock)?;
    let places = (data, folder.as_path());
    let shown = checkpoint::show(&folder);
    let ends = shown.as_ref().ok().map(checkpoint::Shown::ends);
    let committed = ends.and_then(|ends| ends.commit).map(|commit| commit.epoch);
    Ok(Facts {
        identity: query::identity(&pipeline.name, &work.name(), reads, &*writes, places),
        definition: current::of(pipeline, work, sources, plan),
        shown,
        bears: checkpoint::bears(&folder, committed, plan),
        // One that cannot be read is as good as none.
        was: definition::recall(&folder).unwrap_or_default(),
        advice: writes.remedy(&codes::CHECKPOINT_OTHER_QUERY),
        fits: writes.fits(&plan.output_schema()).await,
        folder,
    })
}
