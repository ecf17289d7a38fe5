//! Tokens and sessions: from the file to the cookie, and when they end.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use forebay_core::config::Role;
use futures::StreamExt;
use serde_json::json;

use super::Asked;
use crate::access::Terms;
use crate::auth::{Auth, NewToken};
use crate::routes::Part;

const OWN: (&str, &str) = ("host", "127.0.0.1:8080");
const MEANT: (&str, &str) = ("x-forebay", "1");
const JSON: (&str, &str) = ("content-type", "application/json");
const ORIGIN: (&str, &str) = ("origin", "http://127.0.0.1:8080");
const HOUR_MS: i64 = 3_600_000;

/// A file of tokens, one of each role, named after it.
pub(crate) struct File {
    dir: tempfile::TempDir,
    tokens: Vec<(Role, NewToken)>,
}

impl File {
    pub fn new() -> Self {
        let tokens = Role::ALL.map(|role| (role, NewToken::random().unwrap())).into();
        let file = Self { dir: tempfile::tempdir().unwrap(), tokens };
        file.write(&Role::ALL, "");
        file
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("auth.yaml")
    }

    /// Writes the tokens of these roles, each with `more`.
    pub fn write(&self, roles: &[Role], more: &str) {
        let mut text = String::from(if roles.is_empty() { "tokens: []\n" } else { "tokens:\n" });
        for (role, token) in self.tokens.iter().filter(|(role, _)| roles.contains(role)) {
            let (name, hash) = (role.word(), token.sha256());
            let scram = token.scram().unwrap();
            text +=
                &format!("  - {{ name: {name}, role: {name}, sha256: {hash}, scram: \"{scram}\"{more} }}\n");
        }
        self.write_text(&text);
    }

    pub fn write_text(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
        std::fs::set_permissions(self.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn token(&self, role: &str) -> String {
        self.tokens.iter().find(|(known, _)| known.word() == role).unwrap().1.reveal().to_owned()
    }

    pub fn open(&self) -> Arc<Auth> {
        Arc::new(Auth::open(self.path(), 0).unwrap())
    }
}

fn asked(auth: &Arc<Auth>) -> Asked {
    Asked::on(Terms { auth: Some(Arc::clone(auth)), tls: false, loopback: true }, Part::All)
}

/// Signs in; the cookie as a browser sends it back.
pub(crate) async fn sign_in(asked: &Asked, token: &str) -> String {
    let body = json!({ "token": token }).to_string();
    let got = asked.ask("POST", "/api/v1/session", &[OWN, MEANT, ORIGIN, JSON], &body).await;
    assert_eq!(got.status, 200, "{}", got.text);
    got.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

async fn status(asked: &Asked, name: &str, value: &str) -> u16 {
    asked.send("GET", "/api/v1/ledger", &[OWN, (name, value)], "").await.status().as_u16()
}

#[tokio::test]
async fn a_cookie_is_strict_and_says_who_asks_until_it_is_given_back() {
    let file = File::new();
    let auth = file.open();
    for (tls, name, end) in [(false, "forebay=", "SameSite=Strict"), (true, "__Host-forebay=", "; Secure")] {
        let asked = Asked::on(Terms { auth: Some(Arc::clone(&auth)), tls, loopback: true }, Part::All);
        let origin = ("origin", if tls { "https://127.0.0.1:8080" } else { "http://127.0.0.1:8080" });
        let body = json!({ "token": file.token("operator") }).to_string();
        let got = asked.ask("POST", "/api/v1/session", &[OWN, MEANT, origin, JSON], &body).await;
        assert_eq!(got.json(), json!({ "name": "operator", "role": "operator" }));
        let set = got.headers["set-cookie"].to_str().unwrap();
        assert!(set.starts_with(name) && set.ends_with(end), "{set}");
        for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/;", "; Max-Age=43200"] {
            assert!(set.contains(part), "{set}: {part}");
        }
        assert!(!set.contains("Domain") && !set.contains(&file.token("operator")), "{set}");
        let cookie = set.split(';').next().unwrap();
        let schema = asked.ask("GET", "/api/v1/schema", &[OWN, ("cookie", cookie)], "").await.json();
        assert_eq!(schema["session"], json!({ "auth": true, "name": "operator", "role": "operator" }));
        let out = asked.ask("DELETE", "/api/v1/session", &[OWN, MEANT, origin, ("cookie", cookie)], "").await;
        assert_eq!(out.status, 204);
        assert!(out.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
        assert_eq!(status(&asked, "cookie", cookie).await, 401, "the cookie is worth nothing any more");
    }
    let schema = Asked::new().get("/api/v1/schema").await.json();
    assert_eq!(schema["session"], json!(null), "nobody is asked");
    assert_eq!(schema["queries"][0]["sources"], json!(["iot"]));
    let nobody = Asked::new().ask("POST", "/api/v1/session", &[OWN, MEANT, JSON], "{\"token\":\"x\"}").await;
    assert_eq!((nobody.status.as_u16(), &nobody.json()["code"]), (409, &json!("FB-8005")));
}

#[tokio::test]
async fn a_revoked_token_ends_with_its_sessions_and_streams_and_the_others_go_on() {
    let file = File::new();
    let auth = file.open();
    let asked = asked(&auth);
    let token = |role| format!("Bearer {}", file.token(role));
    let (gone, stays) =
        (sign_in(&asked, &file.token("viewer")).await, sign_in(&asked, &file.token("admin")).await);
    let mut streams = Vec::new();
    for (name, value) in
        [("cookie", gone.clone()), ("authorization", token("viewer")), ("cookie", stays.clone())]
    {
        let live = asked.send("GET", "/api/v1/live", &[OWN, (name, &value)], "").await;
        let mut body = live.into_body().into_data_stream();
        assert!(body.next().await.unwrap().unwrap().starts_with(b"event: hello"));
        streams.push(body);
    }
    file.write(&[Role::Operator, Role::Admin], "");
    auth.refresh(0);
    assert_eq!(status(&asked, "cookie", &gone).await, 401);
    assert_eq!(status(&asked, "authorization", &token("viewer")).await, 401);
    assert_eq!(status(&asked, "authorization", &token("operator")).await, 200);
    assert_eq!(status(&asked, "cookie", &stays).await, 200);
    let mut last = streams.pop().unwrap();
    for mut stream in streams {
        let end = async { while stream.next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(5), end)
            .await
            .expect("the stream ends with the right to read it");
    }
    assert!(last.next().await.is_some(), "that of another goes on");
}

#[tokio::test]
async fn what_is_signed_out_or_over_ends_its_streams() {
    let file = File::new();
    let auth = file.open();
    let asked = asked(&auth);
    for over in [false, true] {
        let cookie = sign_in(&asked, &file.token("viewer")).await;
        let cookie = ("cookie", cookie.as_str());
        let live = asked.send("GET", "/api/v1/live", &[OWN, cookie], "").await;
        let mut body = live.into_body().into_data_stream();
        assert!(body.next().await.is_some());
        if over {
            auth.refresh(asked.state.shown.clock.now_ms() + 12 * HOUR_MS);
        } else {
            let out = asked.send("DELETE", "/api/v1/session", &[OWN, MEANT, ORIGIN, cookie], "").await;
            assert_eq!(out.status(), 204);
        }
        let end = async { while body.next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(5), end).await.expect("the stream ends");
    }
}

#[test]
fn a_session_lasts_for_twelve_hours_and_a_token_until_its_day() {
    let file = File::new();
    file.write(&[Role::Viewer], ", expires: 1970-01-02");
    let auth = file.open();
    let (token, peer) = (file.token("viewer"), [10, 0, 0, 1].into());
    let (person, id) = auth.sign_in(&token, peer, 0).map_err(|_| ()).unwrap();
    assert!(auth.by_session(&id, 12 * HOUR_MS - 1).is_some() && auth.by_session(&id, 12 * HOUR_MS).is_none());
    assert!(auth.by_token(&token, peer, 24 * HOUR_MS - 1).is_ok());
    let (_, late) = auth.sign_in(&token, peer, 23 * HOUR_MS).map_err(|_| ()).unwrap();
    assert!(auth.by_token(&token, peer, 24 * HOUR_MS).is_err());
    assert!(auth.by_session(&late, 24 * HOUR_MS).is_none(), "a session does not outlive its token");
    assert!(!person.ended.is_cancelled());
    auth.refresh(24 * HOUR_MS);
    assert!(person.ended.is_cancelled());
    file.write(&[Role::Viewer], "");
    auth.refresh(25 * HOUR_MS);
    let again = auth.by_token(&token, peer, 25 * HOUR_MS).map_err(|_| ()).unwrap();
    assert!(!again.ended.is_cancelled(), "it was given more time");
}

#[test]
fn nobody_can_end_the_session_of_somebody_else() {
    let file = File::new();
    let auth = file.open();
    let peer = [10, 0, 0, 1].into();
    let sign_in = |role, now| auth.sign_in(&file.token(role), peer, now).map_err(|_| ()).unwrap().1;
    let (admins, first) = (sign_in("admin", 0), sign_in("viewer", 0));
    for now in 1..=16 {
        sign_in("viewer", now);
    }
    assert!(auth.by_session(&first, 20).is_none(), "one's own oldest makes room");
    assert!(auth.by_session(&admins, 20).is_some());
}

#[test]
fn a_role_that_changes_in_the_file_counts_at_once() {
    let file = File::new();
    let auth = file.open();
    let peer = [10, 0, 0, 1].into();
    let (_, id) = auth.sign_in(&file.token("admin"), peer, 0).map_err(|_| ()).unwrap();
    let text = std::fs::read_to_string(file.path()).unwrap();
    file.write_text(&text.replace("role: admin", "role: viewer"));
    auth.refresh(1);
    assert_eq!(auth.by_session(&id, 1).unwrap().role, Role::Viewer);
}

#[test]
fn a_file_that_breaks_lets_nobody_new_in_and_shuts_nobody_out() {
    let file = File::new();
    file.write(&[Role::Viewer], "");
    let auth = file.open();
    let may = |role: &str| auth.by_token(&file.token(role), [10, 0, 0, 1].into(), 0).is_ok();
    let sound = std::fs::read_to_string(file.path()).unwrap();
    file.write(&[Role::Viewer, Role::Admin], ", expires: never");
    auth.refresh(0);
    assert!(may("viewer") && !may("admin"), "what is not sound does not count");
    file.write(&[Role::Viewer, Role::Admin], "");
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o620)).unwrap();
    auth.refresh(0);
    assert!(may("viewer") && !may("admin"), "what others may write does not count");
    std::fs::remove_file(file.path()).unwrap();
    auth.refresh(0);
    assert!(may("viewer"), "what is gone for a moment may only be on its way");
    file.write_text(&sound.replace("viewer,", "operator,"));
    auth.refresh(0);
    assert!(may("viewer"), "mended: the same token, with another role and name");
    file.write(&[], "");
    auth.refresh(0);
    assert!(!may("viewer"), "nobody");
}

#[test]
fn a_file_that_cannot_be_used_is_refused_at_the_start_and_says_why() {
    let file = File::new();
    let refused = || Auth::open(file.path(), 0).err().unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o602)).unwrap();
    assert!(format!("{:?}", refused()).contains("FB-8011") && refused().hint().contains("chmod 600"));
    file.write_text("tokens:\n  - { name: ana }\n");
    let error = refused();
    assert!(error.place().unwrap().contains("auth.yaml:2:5"), "{error:?}");
    std::fs::remove_file(file.path()).unwrap();
    assert!(refused().hint().contains("forebay token new"));
}

#[tokio::test]
async fn wrong_tokens_of_an_address_are_bounded_and_the_right_one_always_passes() {
    let file = File::new();
    let auth = file.open();
    let asked = asked(&auth);
    let wrong = NewToken::random().unwrap();
    let body = json!({ "token": wrong.reveal() }).to_string();
    for n in 0..12 {
        let got = asked.ask("POST", "/api/v1/session", &[OWN, MEANT, ORIGIN, JSON], &body).await;
        assert_eq!(got.status.as_u16(), if n < 10 { 401 } else { 429 }, "{n}: {}", got.text);
        assert!(!got.text.contains(wrong.reveal()) && !got.headers.contains_key("set-cookie"));
        if n >= 10 {
            let wait: u64 = got.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
        }
    }
    sign_in(&asked, &file.token("viewer")).await;
}

/// Not even what is sent in the wrong place comes back.
#[tokio::test]
async fn no_answer_holds_what_may_be_a_token() {
    let file = File::new();
    let asked = asked(&file.open());
    let canary = file.token("admin");
    let sent = [OWN, MEANT, ORIGIN, JSON];
    for body in [
        format!("\"{canary}\""),
        format!("{{\"{canary}\": 1}}"),
        format!("{{\"token\": [\"{canary}\"]}}"),
        format!("{{\"token\": \"x{canary}\"}}"),
        canary.clone(),
    ] {
        let got = asked.ask("POST", "/api/v1/session", &sent, &body).await;
        assert!(
            matches!(got.status.as_u16(), 400 | 401) && !got.text.contains(&canary),
            "{body}: {}",
            got.text
        );
    }
    for (name, value) in [
        ("authorization", canary.clone()),
        ("authorization", format!("Basic {canary}")),
        ("cookie", format!("forebay={canary}")),
    ] {
        let got = asked.ask("GET", "/api/v1/ledger", &[OWN, (name, &value)], "").await;
        assert!(got.status == 401 && !got.text.contains(&canary), "{}", got.text);
    }
}

#[test]
fn a_token_is_random_and_no_print_shows_it() {
    let (one, other) = (NewToken::random().unwrap(), NewToken::random().unwrap());
    assert!(one.reveal().starts_with("fb_") && one.reveal().len() == 46 && one.reveal() != other.reveal());
    assert_eq!(format!("{one:?}"), "NewToken(***)");
    // What was hashed is the token as a whole, as `sha256sum` does.
    assert_eq!(one.sha256().len(), 64);
}
