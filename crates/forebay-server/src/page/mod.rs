//! The page: files that the build script took from `web/dist`, compressed once, there; or a paragraph that says how to
//! build them.
//!
//! Files under `/assets` carry a hash of their content in their names, so they never change; everything else is asked
//! for again each time and answered by its ETag.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::answer::{etag, has, set_tag};
use crate::ask::{Ask, Outcome};
use crate::problem::Problem;

/// A file of the page.
struct File {
    /// Its name under `/assets`; `index.html` for the page itself.
    name: &'static str,
    /// Its media type.
    kind: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
}

// `FILES`: those of `web/dist`, empty if the page was not built.
include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// What the page may do: run and load its own files, and talk to this server.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

/// Instead of a page that was not built.
const NO_PAGE: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Forebay</title>\n\
     <p>This build of Forebay has no page in it. Run <code>npm ci</code> and <code>npm run build</code> in \
     <code>web</code>, then build Forebay again. What can be asked without it stands under \
     <a href=\"/api/v1\">/api/v1</a>.</p>\n</html>\n";

/// The tags of the files, in their order.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| FILES.iter().map(|file| etag(file.plain)).collect());

/// `GET /`
pub(crate) async fn index(ask: Ask) -> Outcome {
    let mut response = match find("index.html") {
        Some((file, tag)) => served(&ask.headers, file, tag),
        None => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], NO_PAGE).into_response(),
    };
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    Ok(response)
}

/// `GET /assets/{name}`
pub(crate) async fn asset(ask: Ask) -> Outcome {
    let name = ask.path("name");
    let found = if name == "index.html" { None } else { find(name) };
    let (file, tag) = found.ok_or_else(|| Problem::missing(format!("the page has no file `{name}`")))?;
    let mut response = served(&ask.headers, file, tag);
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, forever);
    Ok(response)
}

fn find(name: &str) -> Option<(&'static File, &'static str)> {
    let index = FILES.iter().position(|file| file.name == name)?;
    Some((&FILES[index], TAGS.get(index)?))
}

fn served(asked: &HeaderMap, file: &'static File, tag: &str) -> Response {
    let is_small = !file.gzip.is_empty() && takes_gzip(asked);
    let mut response = if has(asked, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else if is_small {
        ([(header::CONTENT_TYPE, file.kind), (header::CONTENT_ENCODING, "gzip")], file.gzip).into_response()
    } else {
        ([(header::CONTENT_TYPE, file.kind)], file.plain).into_response()
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    set_tag(response.headers_mut(), tag);
    response
}

/// True if the asker takes gzip, by that name and not with a weight of zero.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let lists = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse::<f32>().ok());
        is_gzip && weight.is_none_or(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    static FILE: File = File { name: "a-1.js", kind: "text/javascript", plain: b"let a", gzip: b"zipped" };

    fn asked(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_file_comes_compressed_to_whom_takes_it_so() {
        for (value, takes) in
            [("gzip", true), ("br, GZIP;q=0.5", true), ("gzip;q=0", false), ("br", false), ("", false)]
        {
            let response = served(&asked(header::ACCEPT_ENCODING, value), &FILE, "\"t\"");
            assert_eq!(response.headers().contains_key(header::CONTENT_ENCODING), takes, "{value}");
            assert_eq!(response.headers()[header::VARY], "accept-encoding");
        }
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let response = served(&asked(header::IF_NONE_MATCH, "\"t\""), &FILE, "\"t\"");
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(response.headers()[header::ETAG], "\"t\"");
    }
}
