//! `/schema`: what the page is drawn from.

use serde_json::{Value, json};

use crate::access::Asker;
use crate::answer::tagged;
use crate::ask::{Ask, Outcome};
use crate::shown::alerts::is_of;
use crate::shown::devices::{Field, Followed};
use crate::shown::{About, Shown};

pub(crate) async fn schema(ask: Ask) -> Outcome {
    let mut body = body(&ask.state.shown);
    body["session"] = session(&ask.admitted.asker);
    Ok(tagged(&ask.headers, &body))
}

fn body(shown: &Shown) -> Value {
    let about = &shown.about;
    let sources: Vec<Value> = shown.devices.sources().iter().map(|it| source(&**it, about)).collect();
    let queries = about.queries.iter().map(|query| {
        json!({
            "name": query.name, "sql": query.sql, "format": query.format, "trigger": query.trigger,
            "sources": query.sources,
        })
    });
    let followed = shown.devices.sources();
    let alerts = about.alerts.iter().map(|alert| {
        // A view's devices are named by the key of a rule that watches it, whatever that is in the source.
        let mut key_fields = alert.key_fields.clone();
        for source in followed.iter().filter(|source| source.reads() != source.name()) {
            let layout = source.layout();
            if let Some(key) = layout.key_name().filter(|key| is_of(alert, source.name(), key)) {
                key_fields.insert(source.name().to_owned(), key.to_owned());
            }
        }
        json!({
            "name": alert.name, "on": alert.on, "key": alert.key, "keyFields": key_fields,
            "when": alert.when, "clear": alert.clear, "for": alert.for_ms, "severity": alert.severity,
        })
    });
    json!({
        "pipeline": &*shown.pipeline,
        "title": about.title.as_deref().unwrap_or(&shown.pipeline),
        "sources": sources,
        "queries": queries.collect::<Vec<_>>(),
        "tables": about.tables,
        "panels": about.panels,
        "alerts": alerts.collect::<Vec<_>>(),
    })
}

/// Who asks, if anybody is asked who they are.
fn session(asker: &Asker) -> Value {
    asker.person().map_or(
        Value::Null,
        |person| json!({ "auth": true, "name": &*person.name, "role": person.role.word() }),
    )
}

fn source(source: &dyn Followed, about: &About) -> Value {
    let layout = source.layout();
    let bootstrap =
        about.bootstraps.iter().find(|(name, _)| name == source.reads()).map(|(_, address)| address);
    json!({
        "name": source.name(),
        "reads": source.reads(),
        "topic": source.topic(),
        "bootstrap": bootstrap,
        "key": layout.key_name(),
        "labels": layout.labels.iter().filter_map(|label| Some(&layout.fields.get(*label)?.name)).collect::<Vec<_>>(),
        "fields": layout.fields.iter().map(field).collect::<Vec<_>>(),
    })
}

fn field(field: &Field) -> Value {
    json!({
        "name": field.name, "type": field.data_type, "kind": field.kind.as_str(), "role": field.role,
        "unit": field.unit, "description": field.description,
    })
}
