//! Every route × who asks.

use super::Asked;
use crate::access::Role;
use crate::ask::Patience;
use crate::routes::{ROUTES, Verb};

/// Who asks, with which headers, and whether the route may let them in.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], bool);

const OWN: (&str, &str) = ("host", "127.0.0.1:8080");
const MEANT: (&str, &str) = ("x-forebay", "1");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn no_route_lets_anybody_do_more_than_its_role_says() {
    let asked = Asked::new();
    for route in ROUTES {
        let verb = if route.verb == Verb::Get { "GET" } else { "POST" };
        let mut path = route.path.replace("{name}", "lake");
        let needed: Vec<&str> = route.parameters.iter().filter(|it| it.required).map(|it| it.name).collect();
        if !needed.is_empty() {
            path = format!("{path}?{}=temperature", needed.join("=x&"));
        }
        let (changes, is_open) = (route.role.changes(), route.role == Role::Anyone);
        let cases: [Case<'_>; 11] = [
            ("no host", &[], false),
            ("another host", &[("host", "evil.example"), MEANT, JSON], false),
            ("a host that only looks like ours", &[("host", "127.0.0.1.evil.example"), MEANT, JSON], false),
            ("a person's own program", &[OWN, MEANT, JSON], true),
            (
                "our page",
                &[OWN, MEANT, JSON, ("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")],
                true,
            ),
            ("without the header", &[OWN, JSON], !changes),
            ("the header with another value", &[OWN, JSON, ("x-forebay", "0")], !changes),
            ("a page elsewhere", &[OWN, MEANT, JSON, ("origin", "https://evil.example")], !changes),
            ("a page on another port", &[OWN, MEANT, JSON, ("origin", "http://127.0.0.1:9999")], !changes),
            ("a sandboxed page", &[OWN, MEANT, JSON, ("origin", "null")], !changes),
            (
                "an image of a page elsewhere",
                &[OWN, MEANT, JSON, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
                is_open,
            ),
        ];
        for (who, headers, may) in cases {
            let response = asked.send(verb, &path, headers, "{}").await;
            let is_denied = response.status().as_u16() == 403;
            assert_eq!(is_denied, !may, "{verb} {path}: {who}: {}", response.status());
            for header in
                ["content-security-policy", "x-content-type-options", "referrer-policy", "cache-control"]
            {
                assert!(response.headers().contains_key(header), "{verb} {path}: {header}");
            }
            assert!(!response.headers().contains_key("access-control-allow-origin"));
        }
    }
}

#[tokio::test]
async fn a_preflight_is_answered_by_nobody() {
    let asked = Asked::new();
    let headers = [OWN, ("origin", "https://evil.example"), ("access-control-request-headers", "x-forebay")];
    let response = asked.send("OPTIONS", "/api/v1/quarantine/drop", &headers, "").await;
    assert_eq!(response.status().as_u16(), 405);
    assert!(!response.headers().keys().any(|name| name.as_str().starts_with("access-control")));
}

/// A frame is a navigation, and what it asks for is computed before anybody refuses to show it.
#[tokio::test]
async fn no_link_and_no_frame_of_another_site_makes_the_server_compute() {
    let asked = Asked::new();
    for place in ["document", "iframe", "empty"] {
        let headers = [
            OWN,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", place),
        ];
        let refused = asked.send("GET", "/api/v1/sql?q=SELECT+1", &headers, "").await;
        assert_eq!(refused.status().as_u16(), 403, "{place}");
        assert_eq!(
            asked.send("GET", "/", &headers, "").await.status().as_u16(),
            200,
            "the page itself may be linked to"
        );
    }
}

#[test]
fn what_changes_something_is_a_post_of_an_operator_and_ends() {
    for route in ROUTES {
        let is_sql = route.path == "/api/v1/sql";
        assert_eq!(route.role.changes(), route.verb == Verb::Post && !is_sql, "{}", route.path);
        assert_eq!(route.patience == Patience::Endless, route.path == "/api/v1/live");
    }
}

#[tokio::test]
async fn the_page_may_do_what_it_needs_and_the_rest_nothing() {
    let asked = Asked::new();
    let policy = |response: &axum::response::Response| {
        response.headers()["content-security-policy"].to_str().unwrap().to_owned()
    };
    let page = policy(&asked.send("GET", "/", &[OWN], "").await);
    assert!(page.contains("script-src 'self'") && !page.contains("unsafe"), "{page}");
    for path in ["/api/v1/queries", "/assets/x.js", "/nothing", "/api/v1/live"] {
        let strict = policy(&asked.send("GET", path, &[OWN], "").await);
        assert_eq!(strict, "default-src 'none'; frame-ancestors 'none'", "{path}");
    }
}
