//! What a query or an alert of the file is, and what the page is to show: for the definitions that are kept, so that a
//! change can be told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use forebay_core::config::{
    CycleConfig, DashboardConfig, DashboardSource, DashboardView, DeduplicateConfig, GatewayConfig,
    LevelConfig, Pipeline, QueryConfig, SourceConfig, TableConfig, ValueConfig, ViewConfig,
};
use forebay_core::cycle::Cycle;
use forebay_core::error::codes;
use forebay_core::{Error, ddl};
use forebay_engine::checkpoint::definition::{self, Definition};
use forebay_engine::plan::StreamPlan;
use forebay_storage::Door;

use crate::alerts::PlannedAlert;
use crate::load::detector_words;
use crate::work::{Work, distinct};

/// What decides which rows this query makes, or when this alert opens and clears.
pub fn of(pipeline: &Pipeline, work: Work<'_>, sources: &[&SourceConfig], plan: &StreamPlan) -> Definition {
    let sources = distinct(sources);
    let (sql, reads, mut parts) = match work {
        Work::Query(query) if plan.remembers() => {
            (query.sql.trim(), query.sql.as_str(), remembering(query, &sources))
        }
        Work::Query(query) => (query.sql.trim(), query.sql.as_str(), Vec::new()),
        Work::Alert(alert) => ("", alert.config.on.text.as_str(), rule(alert)),
    };
    if let Work::Query(QueryConfig { cycle: Some(CycleConfig { cycle, .. }), .. }) = work {
        parts.push(("cycle".to_owned(), of_cycle(cycle)));
    }
    let zone = pipeline.time_zone;
    parts.extend((!zone.is_utc()).then(|| ("timeZone".to_owned(), zone.to_string())));
    let used = used_views(&pipeline.views, reads);
    for view in &used {
        let once = view.deduplicate.as_ref();
        parts.extend(once.map(|once| (format!("deduplicate of view {}", view.name), once_words(once))));
        let detector = view.detector.as_ref();
        parts.extend(detector.map(|it| (format!("detector {}", view.name), detector_words(it))));
    }
    parts.extend(plan.models().into_iter().map(|model| ("model".to_owned(), model)));
    parts.extend(tables(pipeline, plan));
    parts.extend(sources.iter().filter_map(|source| {
        let said = source.decoder()?.expect.said()?;
        let is_only = sources.len() == 1;
        Some((if is_only { "expect".to_owned() } else { format!("expect of {}", source.name) }, said))
    }));
    let invalid = sources.iter().filter_map(|source| source.invalid.as_ref());
    parts.extend(invalid.map(|invalid| ("invalidOf".to_owned(), invalid.of.text.clone())));
    let (mut schema, mut decoder) = (None, None);
    if let [only] = sources[..] {
        (schema, decoder) = decoded(only);
    } else {
        for source in &sources {
            let (schema, decoder) = decoded(source);
            let said = [("schema", schema), ("decoder", decoder)];
            let said = said
                .into_iter()
                .filter_map(|(what, text)| Some((format!("{what} of {}", source.name), text?)));
            parts.extend(said);
        }
    }
    let views = used
        .iter()
        .filter(|view| view.detector.is_none())
        .map(|view| (view.name.clone(), view.sql.trim().to_owned()))
        .collect();
    Definition { sql: sql.to_owned(), views, schema, decoder, parts }
}

/// The columns of a source's values and their decoder, if they are decoded.
fn decoded(source: &SourceConfig) -> (Option<String>, Option<String>) {
    let of = |value: &ValueConfig| {
        // As a schema is printed: blanks and line breaks of the file are no change.
        let schema = ddl::to_ddl(&value.schema).unwrap_or_else(|_| value.ddl.clone());
        (schema, format!("{} in mode {:?} with {:?}", value.format, value.mode, value.options))
    };
    source.decoder().map(of).unzip()
}

/// What the file says of the tables at rest that a plan reads. What is in them is no part of it.
fn tables(pipeline: &Pipeline, plan: &StreamPlan) -> Vec<(String, String)> {
    let read = plan.tables();
    let tables = pipeline.tables.iter().filter(|table| read.contains(&table.name));
    let said = |table: &TableConfig| {
        let columns =
            table.schema.as_ref().map(|(schema, text)| ddl::to_ddl(schema).unwrap_or_else(|_| text.clone()));
        let columns = columns.map(|columns| format!(" of {columns}")).unwrap_or_default();
        let (format, options, decoder) = (&table.format, &table.options, &table.decoder_options);
        format!("{format}{columns} with {options:?} {decoder:?} in {} bytes", table.max_memory)
    };
    tables.map(|table| (format!("table {}", table.name), said(table))).collect()
}

/// What the file says of a query with state: what its rows or its time depend on.
fn remembering(query: &QueryConfig, sources: &[&SourceConfig]) -> Vec<(String, String)> {
    let mut parts = vec![("outputMode".to_owned(), query.output_mode.word().to_owned())];
    for source in sources {
        let watermark = source.watermark.as_ref();
        let said = [
            watermark
                .map(|it| ("watermark", format!("{}, {} behind", it.column.text.trim(), words(it.delay)))),
            watermark
                .map(|it| ("maxFutureSkew", it.max_future_skew.map_or_else(|| "none".to_owned(), words))),
            watermark.and_then(|it| it.idle_timeout).map(|it| ("idleTimeout", words(it))),
        ];
        parts.extend(said.into_iter().flatten().map(|(what, text)| match sources {
            [_] => (what.to_owned(), text),
            _ => (format!("{what} of {}", source.name), text),
        }));
    }
    let said = [
        query.deduplicate.as_ref().map(|once| ("deduplicate", once_words(once))),
        Some(("multipleWatermarkPolicy", query.watermark_policy.word().to_owned())),
        Some(("stateLimit", format!("{} bytes", query.state_limit))),
    ];
    parts.extend(said.into_iter().flatten().map(|(name, text)| (name.to_owned(), text)));
    parts
}

fn once_words(once: &DeduplicateConfig) -> String {
    let keys: Vec<&str> = once.keys.iter().map(|key| key.text.trim()).collect();
    let within = once.within.map_or_else(String::new, |within| format!(" within {}", words(within)));
    keys.join(", ") + &within
}

/// What the file says of an alert.
fn rule(alert: &PlannedAlert) -> Vec<(String, String)> {
    let config = &alert.config;
    let mut parts =
        vec![("on".to_owned(), config.on.text.trim().to_owned()), ("key".to_owned(), alert.key.clone())];
    if config.levels.is_empty() {
        parts.push(("when".to_owned(), config.when.text.trim().to_owned()));
        parts.extend(config.clear.iter().map(|clear| ("clear".to_owned(), clear.text.trim().to_owned())));
        parts.push(("for".to_owned(), words(config.hold)));
        parts.push(("severity".to_owned(), config.severity.word().to_owned()));
    }
    for LevelConfig { severity, when, clear, hold } in &config.levels {
        let of = |what: &str| format!("{what} of {}", severity.word());
        parts.push((of("when"), when.text.trim().to_owned()));
        parts.extend(clear.iter().map(|clear| (of("clear"), clear.text.trim().to_owned())));
        parts.push((of("for"), words(*hold)));
    }
    let no_data = config.no_data.as_ref().map(|no_data| {
        let (fields, keys) = (alert.fields.join(", "), no_data.keys.join(", "));
        format!("{} [{fields}] [{keys}]", words(no_data.after))
    });
    let said = [
        ("matches", config.matches.map(|matches| format!("{matches:?}"))),
        ("cooldown", (!config.cooldown.is_zero()).then(|| words(config.cooldown))),
        ("noData", no_data),
        ("message", config.message.as_ref().map(|(_, message)| message.text.clone())),
    ];
    parts.extend(said.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))));
    parts
}

/// What the file says of a query that collects and archives.
fn of_cycle(cycle: &Cycle) -> String {
    let Cycle { every, header, archive, clean, repeat, zone } = cycle;
    let mut said = format!("every {} an archive {}", words(*every), archive.text);
    said.extend(repeat.map(|repeat| format!(", {repeat} times")));
    said.extend((!header).then_some(", without a header"));
    said.extend((!clean).then_some(", the files stay"));
    said.extend((!zone.is_utc()).then(|| format!(", in {zone}")));
    said
}

/// What the file says of its gateways, each under its name.
pub fn of_gateways(pipeline: &Pipeline) -> Definition {
    let of = |gateway: &GatewayConfig| {
        let GatewayConfig { name, format, options, routes, users, .. } = gateway;
        (name.clone(), format!("{format} with {options:?}, routes {routes:?}, users {users:?}"))
    };
    Definition { parts: pipeline.gateways.iter().map(of).collect(), ..Definition::default() }
}

/// The folder in which what the gateways are is kept. No query has such a name.
pub fn gateways_folder(data: &Path, pipeline: &str) -> PathBuf {
    page_folder(data, pipeline).join(".gateways")
}

/// Where the silences are kept that people make while it runs: no query's name has a dot.
pub fn silences_folder(data: &Path, pipeline: &str) -> PathBuf {
    page_folder(data, pipeline).join("silences.made")
}

/// What the file says of the page.
pub fn of_page(dashboard: &DashboardConfig) -> Definition {
    let title = dashboard.title.iter().map(|title| ("title".to_owned(), title.clone()));
    let of_source = |source: &DashboardSource| (format!("source {}", source.name), format!("{source:?}"));
    let mut parts: Vec<(String, String)> = title.chain(dashboard.sources.iter().map(of_source)).collect();
    parts.extend(dashboard.views.iter().map(of_view));
    if !dashboard.panels.is_empty() {
        let mut panels = dashboard.panels.clone();
        // Where a SELECT stands in the file is no change of the page.
        panels.iter_mut().filter_map(|panel| panel.sql.as_mut()).for_each(|(_, place)| *place = (0, 0));
        panels.iter_mut().for_each(|panel| panel.place = (0, 0));
        parts.push(("panels".to_owned(), format!("{panels:?}")));
    }
    Definition { parts, ..Definition::default() }
}

/// What the file says of a view that is followed, wherever it stands.
fn of_view(view: &DashboardView) -> (String, String) {
    let labels: Vec<&str> = view.labels.iter().map(|label| label.text.as_str()).collect();
    let time = view.time.as_ref().map(|time| time.text.as_str());
    (format!("view {}", view.name), format!("{:?} {time:?} {labels:?} {:?}", view.key.text, view.quiet_after))
}

/// The folder in which what the page shows is kept: that of the pipeline's checkpoints.
pub fn page_folder(data: &Path, pipeline: &str) -> PathBuf {
    data.join("checkpoints").join(pipeline)
}

/// Keeps what this is in the folder, which is made if it is not there. That it could not be kept costs only what
/// `forebay plan` says.
pub fn remember(folder: &Path, door: &Door, name: &str, definition: &Definition) {
    let made = door.create_dir_all(folder).map_err(|e| {
        Error::new(&codes::STORAGE, "the folder cannot be made").at(folder.display()).caused_by(e)
    });
    if let Err(error) = made.and_then(|()| definition::remember(folder, door, definition)) {
        tracing::warn!(name, %error, "what it is could not be kept; `forebay plan` will not know it");
    }
}

/// A duration as the file would say it.
pub fn words(duration: Duration) -> String {
    let (count, unit) = match duration.as_millis() {
        millis if millis % 1000 == 0 => (millis / 1000, "second"),
        millis => (millis, "millisecond"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// The views that a SELECT may name, and those that they may name. A view uses only views above it. A name that stands
/// somewhere in the text counts, also as a part of another word: a view too many costs a look, one too few rows.
fn used_views<'a>(views: &'a [ViewConfig], sql: &str) -> Vec<&'a ViewConfig> {
    let names = |sql: &str, view: &ViewConfig| sql.to_lowercase().contains(&view.name.to_lowercase());
    let mut used: Vec<&ViewConfig> = Vec::new();
    for view in views.iter().rev() {
        if names(sql, view) || used.iter().any(|user| names(&user.sql, view)) {
            used.push(view);
        }
    }
    used.reverse();
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_count_as_far_as_the_query_reaches_them() {
        let view = |name: &str, sql: &str| ViewConfig {
            name: name.to_owned(),
            sql: sql.to_owned(),
            place: (1, 1),
            deduplicate: None,
            detector: None,
        };
        let views = [
            view("base", "SELECT * FROM iot"),
            view("other", "SELECT * FROM iot"),
            view("hot", "SELECT * FROM Base WHERE x"),
        ];
        let used =
            |sql: &str| used_views(&views, sql).iter().map(|view| view.name.clone()).collect::<Vec<_>>();
        assert_eq!(used("SELECT * FROM hot"), ["base", "hot"]);
        assert_eq!(used("SELECT d FROM HOT-- all of it"), ["base", "hot"]);
        assert_eq!(used("SELECT hotter FROM iot"), ["base", "hot"], "one too many costs a look");
        assert_eq!(used("SELECT d FROM iot"), Vec::<String>::new());
    }
}
