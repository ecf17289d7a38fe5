//! `/cycles`: the queries that collect files and archive them, and the archives to download.
//!
//! What must stay true: nothing but what a cycle's own journal names is ever opened; a name from a request is compared, never
//! joined to a path. An archive is streamed: however long it is, a piece of it is in memory.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use forebay_core::error::codes;
use forebay_core::{Error, Result};
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::shown::cycles::{Archive, Cycle, Cycles, Opened};

/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;

pub(crate) async fn list(ask: Ask) -> Outcome {
    let limit = ask.given.integer("limit");
    let cycles = waiting(&ask, move |cycles| cycles.list(limit)).await?;
    Ok(answer(&cycles.iter().map(cycle).collect()))
}

/// The bytes of an archive, to be kept as a file.
pub(crate) async fn archive(ask: Ask) -> Outcome {
    let (query, name) = (ask.path("query").to_owned(), ask.path("name").to_owned());
    Ok(download(waiting(&ask, move |cycles| cycles.open(&query, &name)).await?))
}

fn cycle(cycle: &Cycle) -> Value {
    json!({
        "query": cycle.query,
        "every": cycle.every_ms,
        "repeat": cycle.repeat,
        "template": cycle.template,
        "stage": cycle.stage.word(),
        "number": cycle.number,
        "since": cycle.since_ms,
        "count": cycle.count,
        "rows": cycle.rows,
        "bytes": cycle.bytes,
        "archives": cycle.archives.iter().map(of_list).collect::<Vec<_>>(),
    })
}

fn of_list(archive: &Archive) -> Value {
    json!({
        "cycle": archive.cycle,
        "name": archive.name,
        "rows": archive.rows,
        "bytes": archive.bytes,
        "at": archive.at_ms,
    })
}

fn download(Opened { file, name, bytes }: Opened) -> Response {
    let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file), PIECE);
    let mut response = Body::from_stream(stream).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, bytes.into());
    if let Ok(disposition) = HeaderValue::from_str(&disposition(&name)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

/// RFC 6266: the name in ASCII for whoever knows no better, and as it is.
fn disposition(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let ascii: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let encoded: String = name
        .bytes()
        .map(|byte| match char::from(byte) {
            c if byte.is_ascii() && is_plain(c) => c.to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

/// Does what reads files, on a thread that may wait.
async fn waiting<T: Send + 'static>(
    ask: &Ask,
    work: impl FnOnce(&dyn Cycles) -> Result<T> + Send + 'static,
) -> Result<T> {
    let cycles = ask.state.shown.cycles.clone();
    let done = tokio::task::spawn_blocking(move || work(&*cycles)).await;
    done.unwrap_or_else(|error| {
        Err(Error::new(&codes::INTERNAL, "the cycles could not be read").caused_by(error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place_in_the_header() {
        assert_eq!(disposition("a_1.csv"), "attachment; filename=\"a_1.csv\"; filename*=UTF-8''a_1.csv");
        let odd = disposition("ä\"; x\r\n.csv");
        assert_eq!(
            odd,
            "attachment; filename=\"___x__.csv\"; filename*=UTF-8''%C3%A4%22%3B%20x%0D%0A.csv"
                .replace("___x", "____x")
        );
        assert!(HeaderValue::from_str(&odd).is_ok());
    }
}
