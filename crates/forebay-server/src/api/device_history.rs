//! `/device/history`: what one device said, row by row, newest first: its labels and texts as well as its numbers.
//!
//! The rows come from where they are: the log behind the source or view that is followed, or a table of the pipeline. So this is
//! a statement, with a statement's limits. What must stay true: whatever a parameter holds, it is a name or a literal of the
//! statement and never more of it.

use std::time::Instant;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use forebay_core::error::codes;
use serde_json::{Value, json};

use super::devices::Showing;
use super::labels::wanted;
use super::source;
use super::sql::columns;
use crate::ask::{Ask, Outcome};
use crate::problem::Problem;
use crate::shown::devices::{Followed, Layout, Role};

/// What a row's time is in the log, where the source says no other.
const RECORD_TIME: &str = "_kafka.timestamp";

pub(crate) async fn list(ask: Ask) -> Outcome {
    let started = Instant::now();
    let (shown, given) = (&ask.state.shown, &ask.given);
    let key = given.text("key");
    let source = source(shown, given.text("source"))?
        .ok_or_else(|| Problem::missing(format!("no source is followed, so there is no device `{key}`")))?;
    let fields: Vec<String> = given.all("fields").map(str::to_owned).collect();
    let showing = Showing::new(shown, source, &fields, "")?;
    let table = match given.text("table") {
        "" => showing.source.name().to_owned(),
        table => table.to_owned(),
    };
    let chosen = wanted(&showing.layout, given.all("where"))?;
    let limit = given.integer("limit");
    let order = time_of(&*showing.source, &showing.layout, given.text("time"))?;
    let sql = statement(&showing, (&table, &order), key, &chosen, limit)?;
    let rows = shown.sql.ask(&sql, limit).await.map_err(|mut refused| {
        if refused.error.code() == &codes::NOT_YET {
            let hint = "Name a table that a query keeps of these rows: `table=NAME`; what a view does cannot always be done over a table or topic at rest.";
            refused.error = refused.error.with_hint(hint);
        }
        refused
    })?;
    let head = json!({ "source": showing.source.name(), "table": table, "key": key, "time": order });
    Ok(written(&head, &columns(&rows.columns), &rows, started.elapsed().as_millis()))
}

/// The column by which rows are put in order.
fn time_of(source: &dyn Followed, layout: &Layout, named: &str) -> Result<String, Problem> {
    if !named.is_empty() {
        return Ok(named.to_owned());
    }
    let time = layout.fields.iter().find(|field| field.role == Role::Time);
    match time {
        Some(field) => Ok(field.name.clone()),
        None if source.name() == source.reads() => Ok(RECORD_TIME.to_owned()),
        None => Err(Problem::bad(format!("`{}` has no field that says when", source.name()))
            .hint("Name a column to put the rows in order by: `time=COLUMN`.")),
    }
}

/// The SELECT: the time first, then the fields, each under its name; one row more than are wanted, so that it is known whether there are more.
fn statement(
    showing: &Showing,
    (table, time): (&str, &str),
    key: &str,
    chosen: &[(usize, Vec<String>)],
    limit: usize,
) -> Result<String, Problem> {
    let names = showing.fields.iter().map(|field| showing.name(*field));
    let others = names.filter(|name| !name.eq_ignore_ascii_case(time));
    let columns: Vec<String> = std::iter::once(time.to_owned())
        .chain(others)
        .map(|name| format!("{} AS {}", path(&name), quoted(&name)))
        .collect();
    let mut conditions = Vec::new();
    match showing.layout.key {
        Some(_) if key.is_empty() => {
            let none = Problem::missing("no device has the key ``");
            return Err(none.hint("`key` says whose history is wanted; /api/v1/devices lists them."));
        }
        Some(field) => {
            conditions.push(format!("CAST({} AS STRING) = {}", path(&showing.name(field)), literal(key)))
        }
        // The whole source is one device.
        None => {}
    }
    for (field, values) in chosen {
        let column = path(&showing.name(*field));
        let of_value = |value: &String| match value.as_str() {
            "" => format!("{column} IS NULL"),
            value => format!("CAST({column} AS STRING) = {}", literal(value)),
        };
        let any: Vec<String> = values.iter().map(of_value).collect();
        conditions.push(format!("({})", any.join(" OR ")));
    }
    let only =
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    Ok(format!(
        "SELECT {} FROM {}{only} ORDER BY {} DESC NULLS LAST LIMIT {}",
        columns.join(", "),
        path(table),
        path(time),
        limit + 1
    ))
}

/// A dotted name, each part in quotes.
fn path(name: &str) -> String {
    name.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text as Spark's dialect has it, whose backslashes escape.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The answer around the rows, which are JSON already.
fn written(head: &Value, columns: &Value, rows: &crate::shown::sql::Rows, millis: u128) -> Response {
    let head = head.to_string();
    let head = head.trim_end_matches('}');
    let (json, count, truncated) = (&rows.json, rows.count, rows.truncated);
    let body = format!(
        "{head},\"columns\":{columns},\"rows\":{json},\"rowCount\":{count},\"truncated\":{truncated},\"millis\":{millis}}}\n"
    );
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_a_name_or_a_literal() {
        assert_eq!(literal("a'; DROP \\"), "'a\\'; DROP \\\\'");
        assert_eq!(literal("\\' OR 1=1 --"), "'\\\\\\' OR 1=1 --'");
        assert_eq!(path("site.l`at"), "`site`.`l``at`");
    }
}
