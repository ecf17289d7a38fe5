//! `/live`: what a person sees, as it changes, as server-sent events.
//!
//! ```text
//!  followers ──version──▶ Feed (one for each different view) ──Bytes──▶ Mailbox ──▶ connection
//!  queries, alerts ─────▶   values at most 30 times a second      └──▶ Mailbox ──▶ connection
//! ```
//!
//! A *view* is what the query of the URL says: a slice of devices, their fields, the keys of the charts. Everybody who
//! looks at the same view gets the same bytes, rendered once, so a second page costs the sending and nothing else. What
//! must stay true: nothing here makes a query or a follower wait; a reader that does not read has a bounded
//! [`mailbox`], is dropped when that is full or old, and reconnects by itself; there are only so many views, and a token has a
//! share of them ([`seats`]); one that nobody looks at any more costs nothing.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::api::names;
use crate::ask::{Ask, Outcome};
use crate::problem::Problem;
use crate::routes::MOST_KEYS;

mod feed;
mod hub;
mod mailbox;
mod seats;
#[cfg(test)]
mod tests;
mod tick;

pub(crate) use hub::Hub;

/// What a person looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Looked {
    pub source: String,
    pub search: String,
    pub state: String,
    /// The values that are chosen, as they were sent.
    pub chosen: Vec<String>,
    pub sort: String,
    /// The field of the sparklines; empty for the source's own choice.
    pub field: String,
    pub offset: usize,
    pub limit: usize,
    /// As they were sent: which of them are names with commas is for the source to say.
    pub fields: Vec<String>,
    pub keys: Vec<String>,
}

pub(crate) async fn live(ask: Ask) -> Outcome {
    let given = &ask.given;
    let mut keys = names(given.all("keys"));
    keys.extend(given.all("key").map(str::to_owned));
    if keys.len() > MOST_KEYS {
        return Err(Problem::bad(format!("a view has at most {MOST_KEYS} keys")));
    }
    let looked = Looked {
        source: given.text("source").to_owned(),
        search: given.text("search").to_owned(),
        state: given.word("state").to_owned(),
        chosen: given.all("where").map(str::to_owned).collect(),
        sort: given.text("sort").to_owned(),
        field: given.text("field").to_owned(),
        offset: given.integer("offset"),
        limit: given.integer("limit"),
        fields: given.all("fields").map(str::to_owned).collect(),
        keys,
    };
    let owner = ask.admitted.asker.person().map(|person| Arc::clone(&person.name));
    let reader = ask.state.hub.join(looked, owner, ask.holder).await?;
    let body = Body::from_stream(reader.into_stream());
    let mut response: Response = ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response();
    // For proxies that would collect a second's worth before they pass it on.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}
