//! `/api/v1`: one file for each kind of thing that is shown.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::problem::Problem;
use crate::routes::ROUTES;
use crate::shown::Shown;
use crate::shown::devices::Followed;

pub(crate) mod alerts;
pub(crate) mod channels;
pub(crate) mod cycles;
pub(crate) mod device_history;
pub(crate) mod devices;
pub(crate) mod gateways;
pub(crate) mod history;
pub(crate) mod ingest;
pub(crate) mod labels;
pub(crate) mod ledger;
pub(crate) mod pipelines;
pub(crate) mod quality;
pub(crate) mod quarantine;
pub(crate) mod queries;
pub(crate) mod reload;
pub(crate) mod schema;
pub(crate) mod session;
pub(crate) mod silences;
pub(crate) mod sql;

/// Every end point and what it answers, for whoever tries the root.
pub(crate) async fn end_points(ask: Ask) -> Outcome {
    let list: Map<String, Value> =
        ROUTES.iter().map(|route| (route.as_asked(), route.summary.into())).collect();
    Ok(answer(&json!({ "pipeline": &*ask.state.shown.pipeline, "endPoints": list })))
}

/// The source of this name, else the first; `None` if there is none and none was named.
pub(crate) fn source(shown: &Shown, name: &str) -> Result<Option<Arc<dyn Followed>>, Problem> {
    let sources = shown.devices.sources();
    if name.is_empty() {
        return Ok(sources.into_iter().next());
    }
    let found = sources.iter().find(|source| source.name().eq_ignore_ascii_case(name));
    found.cloned().map(Some).ok_or_else(|| {
        let known: Vec<&str> = sources.iter().map(|source| source.name()).collect();
        let hint = if known.is_empty() {
            "No source is followed: neither with `--no-live` nor in a run whose queries all end by themselves.".to_owned()
        } else {
            format!("There are: {}.", known.join(", "))
        };
        Problem::missing(format!("no source is named `{name}`")).hint(hint)
    })
}

/// The names in lists with commas between them.
pub(crate) fn names<'a>(lists: impl Iterator<Item = &'a str>) -> Vec<String> {
    lists.flat_map(|list| list.split(',')).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
