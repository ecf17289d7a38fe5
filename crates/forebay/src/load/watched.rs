//! The views that the page follows: planned by themselves, and what the file says of their columns held against them.
//!
//! A follower is one reader that remembers nothing, so a view it follows reads one source, row by row; tables at rest it may join. What must stay true: what
//! is returned can be followed; everything else is told at its place in the file.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use forebay_core::Error;
use forebay_core::config::{Chart, DashboardView, Draft, PanelConfig, Pipeline, Placed, Problem, no_label};
use forebay_core::error::codes;
use forebay_core::fields::{self, Kind, Leaf};
use forebay_core::options::unknown_name;
use forebay_engine::plan::{self, Catalog, RECORD_COLUMNS, StreamPlan};

use crate::json::FromJson;

/// A view that the page follows.
#[derive(Debug)]
pub struct Watched {
    /// What the file says of it; its names are spelt as the view does.
    pub config: DashboardView,
    /// Gives its columns, and behind them [`RECORD_COLUMNS`].
    pub plan: Arc<StreamPlan>,
    /// Its columns.
    pub schema: SchemaRef,
    /// The source that it reads.
    pub source: String,
    /// The names and texts of all views up to it: where they are the same, its rows are made as before.
    pub made_of: Vec<(String, String)>,
}

/// The views that `dashboard` names. One that was refused already, or that reads what was, is left out.
pub fn planned(
    catalog: &Catalog,
    draft: &Draft,
    pipeline: &Pipeline,
    name: &str,
    problems: &mut Vec<Problem>,
) -> Vec<Watched> {
    let mut watched = Vec::new();
    let sound = |view: &&DashboardView| !draft.unknown.iter().any(|it| it.eq_ignore_ascii_case(&view.name));
    for view in pipeline.dashboard.views.iter().filter(sound) {
        let place =
            |error: Error, (at, length): ((usize, usize), usize)| Problem::at(error, name, at, length);
        let (plan, schema) = match plan_of(catalog, &view.name) {
            Ok(found) => found,
            Err(error) => {
                problems.push(place(error, (view.place, view.name.chars().count())));
                continue;
            }
        };
        let leaves = fields::leaves(&schema);
        let (config, wrong) = checked(view, &leaves, &schema);
        problems
            .extend(wrong.into_iter().map(|(error, of)| place(error, (of.place, of.text.chars().count()))));
        let of_view = |panel: &&PanelConfig| panel.source.as_deref() == Some(view.name.as_str());
        for panel in pipeline.dashboard.panels.iter().filter(of_view) {
            if let Some(error) = refused(panel, &leaves, &view.name) {
                problems.push(place(error, (panel.place, 1)));
            }
        }
        let end = pipeline.views.iter().position(|it| it.name == view.name).map_or(0, |index| index + 1);
        let made_of = pipeline.views.iter().take(end).map(|it| (it.name.clone(), it.sql.clone())).collect();
        let source = plan.sources().into_iter().next().unwrap_or_default();
        watched.push(Watched { config, plan: Arc::new(plan), schema, source, made_of });
    }
    watched
}

/// A view's rows with what they say of their records, and its own columns.
fn plan_of(catalog: &Catalog, view: &str) -> Result<(StreamPlan, SchemaRef), Error> {
    let cannot = |why: String| {
        Error::new(&codes::NOT_YET, format!("the page cannot follow the view `{view}`")).with_detail(why).with_hint(
            "It follows views that read one source and remember nothing; they may join tables at rest. Follow one below it.",
        )
    };
    let sql = format!("SELECT * FROM `{}`", view.replace('`', "``"));
    let plan = plan::plan(&catalog.naming_records(), &sql, Some(&FromJson))
        .map_err(|error| cannot(error.error.message().to_owned()))?;
    if plan.each_input().len() != 1 {
        return Err(cannot("it reads several sources".to_owned()));
    }
    let all = plan.output_schema();
    if !RECORD_COLUMNS.iter().all(|column| all.index_of(column).is_ok()) {
        return Err(cannot("it does not say when its records were".to_owned()));
    }
    let own = all.fields().iter().filter(|field| !RECORD_COLUMNS.contains(&field.name().as_str()));
    let schema = Arc::new(Schema::new(own.cloned().collect::<Vec<_>>()));
    Ok((plan, schema))
}

/// What the file says of a view in the view's own spelling, and what is wrong with it.
fn checked<'v>(
    view: &'v DashboardView,
    leaves: &[Leaf],
    schema: &Schema,
) -> (DashboardView, Vec<(Error, &'v Placed)>) {
    let (mut config, mut wrong) = (view.clone(), Vec::new());
    match found(&view.key.text, leaves, &view.name) {
        Ok(leaf) if leaf.can_be_key() => config.key.text.clone_from(&leaf.name),
        Ok(leaf) => {
            let error = Error::new(&codes::BAD_VALUE, format!("`{}` cannot name a device", leaf.name))
                .with_hint("A device is named by a STRING or by a whole number.");
            wrong.push((error, &view.key));
        }
        Err(error) => wrong.push((error, &view.key)),
    }
    if let (Some(time), Some(said)) = (&mut config.time, &view.time) {
        let is_same = |name: &str| name.eq_ignore_ascii_case(&said.text);
        match schema.fields().iter().find(|field| is_same(field.name())) {
            Some(field) if matches!(field.data_type(), DataType::Timestamp(TimeUnit::Microsecond, _)) => {
                time.text.clone_from(field.name());
            }
            Some(field) => {
                let error = Error::new(&codes::BAD_VALUE, format!("`{}` is no TIMESTAMP", field.name()))
                    .with_hint(
                        "Make one in the view: timestamp_seconds(…), timestamp_millis(…) or to_timestamp(…).",
                    );
                wrong.push((error, said));
            }
            None => wrong
                .push((unknown(&said.text, schema.fields().iter().map(|it| it.name()), &view.name), said)),
        }
    }
    for (label, said) in config.labels.iter_mut().zip(&view.labels) {
        match found(&said.text, leaves, &view.name) {
            Ok(leaf) if leaf.can_be_label() => label.text.clone_from(&leaf.name),
            Ok(leaf) => wrong.push((no_label(&leaf.name), said)),
            Err(error) => wrong.push((error, said)),
        }
    }
    (config, wrong)
}

/// Why a panel of a view cannot be drawn.
fn refused(panel: &PanelConfig, leaves: &[Leaf], view: &str) -> Option<Error> {
    let name = panel.field.as_deref()?;
    let leaf = match found(name, leaves, view) {
        Ok(leaf) => leaf,
        Err(error) => return Some(error),
    };
    let needs_number = matches!(panel.chart, Chart::Line | Chart::Gauge | Chart::Distribution);
    (needs_number && leaf.kind() != Kind::Number).then(|| {
        let message = format!("`{}` holds no numbers ({})", leaf.name, leaf.kind().as_str());
        Error::new(&codes::BAD_VALUE, message)
            .with_hint("`bar` counts how often each value occurs; `table` shows the newest ones.")
    })
}

fn found<'l>(name: &str, leaves: &'l [Leaf], view: &str) -> Result<&'l Leaf, Error> {
    let exact = leaves.iter().find(|leaf| leaf.name == name);
    let found = exact.or_else(|| leaves.iter().find(|leaf| leaf.name.eq_ignore_ascii_case(name)));
    found.ok_or_else(|| unknown(name, leaves.iter().map(|leaf| &leaf.name), view))
}

fn unknown<'n>(name: &str, known: impl Iterator<Item = &'n String>, view: &str) -> Error {
    let unknown = unknown_name("column", name, known.map(String::as_str));
    Error::new(&codes::BAD_VALUE, format!("{} of view `{view}`", unknown.message())).with_hint(unknown.hint())
}
