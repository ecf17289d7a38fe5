//! `/history`: what a field was.

use serde_json::json;

use super::source;
use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::problem::Problem;
use crate::shown::devices::{HistoryAsk, Kind, Range, known};

pub(crate) async fn history(ask: Ask) -> Outcome {
    let given = &ask.given;
    let name = given.text("field");
    let Some(source) = source(&ask.state.shown, given.text("source"))? else {
        return Err(Problem::missing(format!("no source is followed, so there is no field `{name}`")));
    };
    let layout = source.layout();
    let index = known(&layout, name)?;
    let field = layout
        .fields
        .get(index)
        .filter(|field| field.kind == Kind::Number)
        .ok_or_else(|| Problem::bad(format!("the field `{name}` has no history: it is no number")))?;
    let keys: Vec<String> = given.all("key").map(str::to_owned).collect();
    let range = Range::parse(given.word("range")).unwrap_or(Range::Minutes15);
    let found =
        source.history(HistoryAsk { field: index, range, keys, points: given.integer("points") }).await?;
    Ok(answer(&json!({
        "source": source.name(),
        "field": field.name,
        "unit": field.unit,
        "step": found.step,
        "start": found.start,
        "series": found.series,
    })))
}
