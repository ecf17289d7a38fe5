//! Every route × who asks. What each route needs is written here once more: a route that is new, or whose role is
//! another, fails until somebody has thought about it.

use std::collections::BTreeMap;

use super::Asked;
use super::sessions::{File, sign_in};
use crate::access::{Role, Terms};
use crate::ask::Patience;
use crate::routes::{Part, ROUTES, Route, Verb};

/// Who asks, with which headers, and whether the route may let them in.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], bool);

const OWN: (&str, &str) = ("host", "127.0.0.1:8080");
const MEANT: (&str, &str) = ("x-forebay", "1");
const JSON: (&str, &str) = ("content-type", "application/json");
const ORIGIN: (&str, &str) = ("origin", "http://127.0.0.1:8080");

/// What every route needs.
const NEEDED: &[(&str, Role)] = &[
    ("GET /", Role::Anyone),
    ("GET /assets/{name}", Role::Anyone),
    ("GET /health", Role::Anyone),
    ("GET /metrics", Role::Viewer),
    ("POST /api/v1/session", Role::Anyone),
    ("DELETE /api/v1/session", Role::Anyone),
    ("GET /api/v1", Role::Viewer),
    ("GET /api/v1/openapi.json", Role::Viewer),
    ("GET /api/v1/pipelines", Role::Viewer),
    ("GET /api/v1/pipelines/{name}", Role::Viewer),
    ("POST /api/v1/reload", Role::Admin),
    ("GET /api/v1/schema", Role::Viewer),
    ("GET /api/v1/queries", Role::Viewer),
    ("GET /api/v1/queries/{name}", Role::Viewer),
    ("GET /api/v1/queries/{name}/progress", Role::Viewer),
    ("POST /api/v1/queries/{name}/stop", Role::Operator),
    ("POST /api/v1/queries/{name}/start", Role::Operator),
    ("GET /api/v1/devices", Role::Viewer),
    ("GET /api/v1/device", Role::Viewer),
    ("GET /api/v1/device/history", Role::Viewer),
    ("GET /api/v1/history", Role::Viewer),
    ("GET /api/v1/labels", Role::Viewer),
    ("GET /api/v1/shares", Role::Viewer),
    ("GET /api/v1/alerts", Role::Viewer),
    ("POST /api/v1/alerts/acknowledge", Role::Operator),
    ("POST /api/v1/alerts/comment", Role::Operator),
    ("GET /api/v1/silences", Role::Viewer),
    ("POST /api/v1/silences", Role::Operator),
    ("DELETE /api/v1/silences/{id}", Role::Operator),
    ("GET /api/v1/quarantine", Role::Viewer),
    ("POST /api/v1/quarantine/replay", Role::Operator),
    ("POST /api/v1/quarantine/drop", Role::Admin),
    ("GET /api/v1/ledger", Role::Viewer),
    ("GET /api/v1/quality", Role::Viewer),
    ("GET /api/v1/sql", Role::Viewer),
    ("POST /api/v1/sql", Role::Viewer),
    ("GET /api/v1/live", Role::Viewer),
    ("GET /api/v1/channels", Role::Viewer),
    ("GET /api/v1/gateways", Role::Viewer),
    ("GET /api/v1/cycles", Role::Viewer),
    ("GET /api/v1/cycles/{query}/archives/{name}", Role::Viewer),
    ("POST /api/v1/ingest/{gateway}/{*topic}", Role::Operator),
];

fn named(route: &Route) -> String {
    format!("{} {}", route.verb.word(), route.path)
}

/// A path of the route that the plant in memory has.
fn path_of(route: &Route) -> String {
    let named = route.path.replace("{query}", "lake").replace("archives/{name}", "archives/old%2Fa.csv");
    let path = named.replace("{name}", "lake").replace("{gateway}", "plant").replace("{*topic}", "p/a");
    let path = path.replace("{id}", "1");
    let needed: Vec<&str> = route.parameters.iter().filter(|it| it.required).map(|it| it.name).collect();
    if needed.is_empty() { path } else { format!("{path}?{}=temperature", needed.join("=x&")) }
}

#[test]
fn every_route_says_what_it_needs() {
    let declared: BTreeMap<String, Role> = ROUTES.iter().map(|route| (named(route), route.role)).collect();
    let needed: BTreeMap<String, Role> =
        NEEDED.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect();
    assert_eq!(declared, needed, "add a new route to this list, with the least role that will do");
}

#[tokio::test]
async fn no_route_lets_anybody_do_more_than_its_role_says() {
    let asked = Asked::new();
    for route in ROUTES {
        let (verb, path) = (route.verb.word(), path_of(route));
        let (changes, is_open) = (route.changes, route.role == Role::Anyone);
        let sends = route.verb != Verb::Get;
        let cases: [Case<'_>; 12] = [
            ("no host", &[], false),
            ("another host", &[("host", "evil.example"), MEANT, JSON], false),
            ("a host that only looks like ours", &[("host", "127.0.0.1.evil.example"), MEANT, JSON], false),
            ("a person's own program", &[OWN, MEANT, JSON], true),
            ("our page", &[OWN, MEANT, JSON, ORIGIN, ("sec-fetch-site", "same-origin")], true),
            ("without the header", &[OWN, JSON], !changes),
            ("the header with another value", &[OWN, JSON, ("x-forebay", "0")], !changes),
            ("the header twice", &[OWN, JSON, MEANT, MEANT], !changes),
            ("a page elsewhere", &[OWN, MEANT, JSON, ("origin", "https://evil.example")], !sends),
            ("a page on another port", &[OWN, MEANT, JSON, ("origin", "http://127.0.0.1:9999")], !sends),
            ("a sandboxed page", &[OWN, MEANT, JSON, ("origin", "null")], !sends),
            (
                "an image of a page elsewhere",
                &[OWN, MEANT, JSON, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
                is_open,
            ),
        ];
        for (who, headers, may) in cases {
            let response = asked.send(verb, &path, headers, "{}").await;
            let is_denied = matches!(response.status().as_u16(), 401 | 403);
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

/// Every route × {nobody, a wrong token, viewer, operator, admin} × {header, cookie}.
#[tokio::test]
async fn with_authentication_a_route_answers_its_role_and_none_below() {
    let file = File::new();
    let asked = Asked::on(Terms { auth: Some(file.open()), tls: false, loopback: true }, Part::All);
    let all = [Role::Viewer, Role::Operator, Role::Admin];
    let roles = all.map(|role| (role, file.token(role.word())));
    let mut sessions = Vec::new();
    for (role, token) in &roles {
        sessions.push((*role, sign_in(&asked, token).await));
    }
    let status = async |route: &Route, more: &[(&str, &str)]| {
        let headers = [&[OWN, JSON][..], more].concat();
        let response = asked.send(route.verb.word(), &path_of(route), &headers, "{}").await;
        if response.status() == 401 {
            assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"forebay\"");
        }
        response.status().as_u16()
    };
    let expected = |route: &Route, role: Role| match role {
        role if role >= route.role => None,
        Role::Anyone => Some(401),
        _ => Some(403),
    };
    let refused = |status: u16| Some(status).filter(|status| matches!(status, 401 | 403));
    let wrong = format!("fb_{}", "A".repeat(43));
    for route in ROUTES {
        let name = named(route);
        assert_eq!(
            refused(status(route, &[MEANT, ORIGIN]).await),
            expected(route, Role::Anyone),
            "{name}: nobody"
        );
        for bad in [format!("Bearer {wrong}"), "Basic YTpi".to_owned(), "Bearer".to_owned(), String::new()] {
            let got = status(route, &[MEANT, ("authorization", &bad)]).await;
            assert!(matches!(got, 401 | 429), "{name}: {bad}: {got}");
        }
        for cookie in ["forebay=", "forebay=x", &format!("forebay={wrong}"), "__Host-forebay=x"] {
            let got = status(route, &[MEANT, ORIGIN, ("cookie", cookie)]).await;
            assert_eq!(refused(got), expected(route, Role::Anyone), "{name}: {cookie}");
        }
        for (role, token) in &roles {
            let bearer = format!("Bearer {token}");
            // A token needs neither of the two headers, and no other page can make it come with a foreign one.
            let got = status(route, &[("authorization", &bearer)]).await;
            assert_eq!(refused(got), expected(route, *role), "{name}: {role:?} by header");
            let twice = status(route, &[("authorization", &bearer), ("authorization", &bearer)]).await;
            assert_eq!(twice, 401, "{name}: two of them");
        }
        // Signing out ends what the rest needs.
        for (role, cookie) in sessions.iter().filter(|_| route.verb != Verb::Delete) {
            let cookie = ("cookie", cookie.as_str());
            let got = status(route, &[MEANT, ORIGIN, cookie]).await;
            assert_eq!(refused(got), expected(route, *role), "{name}: {role:?} by cookie");
            let foreign = ("origin", "https://evil.example");
            // What is sent needs the origin, what changes something the other header too.
            let sends = route.verb != Verb::Get;
            let ways: [(bool, &[(&str, &str)]); 6] = [
                (route.changes, &[cookie, ORIGIN]),
                (sends, &[cookie]),
                (sends, &[cookie, MEANT]),
                (sends, &[cookie, MEANT, ("origin", "null")]),
                (sends, &[cookie, MEANT, foreign]),
                (sends, &[cookie, foreign]),
            ];
            for (refuses, unmeant) in ways {
                let least = if refuses { Some(403) } else { expected(route, *role) };
                assert_eq!(refused(status(route, unmeant).await), least, "{name}: {role:?}: {unmeant:?}");
            }
        }
    }
    assert!(asked.plant.orders.lock().len() >= 4, "those who may did stop and start");
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
fn what_changes_something_is_no_get_and_ends() {
    for route in ROUTES {
        let is_sql = route.path == "/api/v1/sql";
        // What devices send: a gateway's own keys open it, and a page of another site is refused by its origin.
        let is_ingest = route.path.starts_with("/api/v1/ingest/");
        assert_eq!(route.changes, route.verb != Verb::Get && !is_sql && !is_ingest, "{}", route.path);
        assert!(route.changes || is_ingest || !route.role.changes(), "{}", route.path);
        assert_eq!(route.patience == Patience::Endless, route.path == "/api/v1/live");
        assert_eq!(route.patience == Patience::Aside, ["/health", "/metrics"].contains(&route.path));
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

#[tokio::test]
async fn health_and_metrics_have_a_listener_of_their_own_and_leave_the_other() {
    let file = File::new();
    let beside = Asked::on(Terms { auth: None, tls: false, loopback: true }, Part::Monitor);
    for (path, status) in [("/health", 200), ("/metrics", 200), ("/", 404), ("/api/v1/ledger", 404)] {
        assert_eq!(beside.send("GET", path, &[OWN], "").await.status(), status, "{path}");
    }
    let terms = Terms { auth: Some(file.open()), tls: false, loopback: true };
    let rest = Asked::on(terms, Part::WithoutMonitor);
    for path in ["/health", "/metrics"] {
        let got = rest.get(path).await;
        assert_eq!(got.status, 404, "{path}");
        assert!(got.json()["hint"].as_str().unwrap().contains("--monitor"), "{path}");
    }
    assert_eq!(rest.get("/").await.status, 200);
}

#[tokio::test]
async fn what_is_wrong_is_told_to_whom_may_look_and_whether_all_is_well_to_anybody() {
    let file = File::new();
    let terms = Terms { auth: Some(file.open()), tls: false, loopback: true };
    let asked = Asked::on(terms, Part::All);
    let plain = asked.get("/health").await;
    assert_eq!(plain.json(), serde_json::json!({ "status": "ok" }));
    let bearer = format!("Bearer {}", file.token("viewer"));
    let told = asked.ask("GET", "/health", &[OWN, ("authorization", &bearer)], "").await;
    assert_eq!(told.json()["pipeline"], "plant");
}

/// Its own page must not be told to come back with TLS by `localhost`, whose other servers have none.
#[tokio::test]
async fn with_tls_browsers_are_told_to_come_back_with_it() {
    for (tls, loopback, told) in [(true, false, true), (true, true, false), (false, true, false)] {
        let asked = Asked::on(Terms { auth: None, tls, loopback }, Part::All);
        for path in ["/", "/nothing", "/api/v1/ledger"] {
            let response = asked.send("GET", path, &[OWN], "").await;
            assert_eq!(response.headers().contains_key("strict-transport-security"), told, "{path}");
        }
    }
}
