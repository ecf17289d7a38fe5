//! `/labels` and `/shares`: how devices are spread over the values of their labels now, and how often each value came.

use serde_json::{Value, json};

use super::devices::{MANY, Showing, question};
use super::source;
use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::problem::Problem;
use crate::shown::devices::{self, Facets, Layout, Range, SharesAsk, known};

/// What a choice of values asks for, as `FIELD:VALUE` says it. A field whose name has a colon is found by the longest name that
/// fits. Several values of a field stand together.
pub(crate) fn wanted<'a>(
    layout: &Layout,
    texts: impl Iterator<Item = &'a str>,
) -> Result<Vec<(usize, Vec<String>)>, Problem> {
    let mut wanted: Vec<(usize, Vec<String>)> = Vec::new();
    for text in texts {
        let colons = text.match_indices(':').map(|(at, _)| at);
        let named = colons.rev().find_map(|at| Some((layout.field(&text[..at])?, &text[at + 1..])));
        let (field, value) = match (named, text.split_once(':')) {
            (Some(named), _) => named,
            (None, Some((name, _))) => {
                (known(layout, name).map_err(|error| Problem::bad(error.message()).hint(error.hint()))?, "")
            }
            (None, None) => {
                return Err(Problem::bad(format!("`{text}` is not `FIELD:VALUE`"))
                    .hint("Write `status:ERROR`, or `status:` for devices that never said one."));
            }
        };
        match wanted.iter_mut().find(|(known, _)| *known == field) {
            Some((_, values)) => values.push(value.to_owned()),
            None => wanted.push((field, vec![value.to_owned()])),
        }
    }
    Ok(wanted)
}

/// How devices are spread, looked at where nobody waits for a worker if there are many.
pub(crate) async fn facets(showing: &Showing, ask: devices::Ask) -> Result<Facets, Problem> {
    if showing.source.counts().total <= MANY {
        return Ok(showing.source.facets(&ask));
    }
    let source = showing.source.clone();
    let counted = tokio::task::spawn_blocking(move || source.facets(&ask)).await;
    counted.map_err(|_| Problem::busy("the devices cannot be counted now"))
}

/// The contract's LABELS.
pub(crate) fn told(showing: &Showing, facets: &Facets) -> Value {
    let labels = facets.labels.iter().map(
        |label| json!({ "field": showing.name(label.field), "values": label.values, "others": label.others }),
    );
    json!({
        "source": showing.source.name(),
        "total": facets.total,
        "quiet": facets.quiet,
        "late": facets.late,
        "lateRows": facets.late_rows,
        "labels": labels.collect::<Vec<_>>(),
    })
}

pub(crate) async fn list(ask: Ask) -> Outcome {
    let (shown, given) = (&ask.state.shown, &ask.given);
    let Some(source) = source(shown, given.text("source"))? else {
        let none = Value::Null;
        return Ok(answer(
            &json!({ "source": none, "total": 0, "quiet": 0, "late": 0, "lateRows": 0, "labels": [] }),
        ));
    };
    let showing = Showing::new(shown, source, &[], "")?;
    let only = wanted(&showing.layout, given.all("where"))?;
    let question = question(&showing, given.text("search"), given.word("state"), "", (0, 0))?;
    let question = devices::Ask { only_values: only, ..question };
    let facets = facets(&showing, question).await?;
    Ok(answer(&told(&showing, &facets)))
}

pub(crate) async fn shares(ask: Ask) -> Outcome {
    let given = &ask.given;
    let name = given.text("field");
    let Some(source) = source(&ask.state.shown, given.text("source"))? else {
        return Err(Problem::missing(format!("no source is followed, so there is no label `{name}`")));
    };
    let layout = source.layout();
    let label = known(&layout, name)?;
    let only = wanted(&layout, given.all("where"))?;
    let range = Range::parse(given.word("range")).unwrap_or(Range::Minutes15);
    let points = given.integer("points");
    let found = source.shares(SharesAsk { label, range, points, only }).await?;
    Ok(answer(&json!({
        "source": source.name(),
        "field": layout.fields.get(label).map(|field| &field.name),
        "step": found.step,
        "start": found.start,
        "series": found.shares,
        "others": found.others,
    })))
}
