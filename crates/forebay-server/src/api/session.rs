//! `/session`: signing in on the page with a token, and signing out.
//!
//! The cookie is all that a browser keeps: no script can read it (`HttpOnly`), no other site can send it
//! (`SameSite=Strict`), and with TLS nothing sends it in the clear (`Secure`, `__Host-`).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use forebay_core::Error;
use forebay_core::error::codes;
use serde::Deserialize;
use serde_json::json;

use crate::access::Terms;
use crate::answer::answer;
use crate::ask::{Ask, Outcome};
use crate::auth::LASTS_SECONDS;
use crate::problem::Problem;

/// Who signs in. Without a debug print: the token would be in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    token: String,
}

/// `POST /api/v1/session`
pub(crate) async fn sign_in(ask: Ask) -> Outcome {
    let Some(auth) = &ask.admitted.terms.auth else {
        let message = "this server asks nobody who they are";
        return Err(Error::new(&codes::CONFLICT, message)
            .with_hint("It was started without `--auth`.")
            .into());
    };
    // Not the words of the parser: what it met may be the token.
    let SignIn { token } = ask.json().map_err(|_| {
        Problem::bad("the body is not what is expected here").hint("Send {\"token\": \"…\"}.")
    })?;
    let (person, id) = auth.sign_in(&token, ask.admitted.peer, ask.state.shown.clock.now_ms())?;
    if let Some(before) = ask.admitted.terms.session(&ask.headers) {
        auth.sign_out(before);
    }
    tracing::info!(name = %person.name, role = person.role.word(), peer = %ask.admitted.peer, "somebody signed in");
    let mut response = answer(&json!({ "name": &*person.name, "role": person.role.word() }));
    set_cookie(&mut response, &ask.admitted.terms, &id, LASTS_SECONDS);
    Ok(response)
}

/// `DELETE /api/v1/session`
pub(crate) async fn sign_out(ask: Ask) -> Outcome {
    if let (Some(auth), Some(id)) = (&ask.admitted.terms.auth, ask.admitted.terms.session(&ask.headers)) {
        auth.sign_out(id);
    }
    if let Some(person) = ask.admitted.asker.person() {
        tracing::info!(name = %person.name, peer = %ask.admitted.peer, "somebody signed out");
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, &ask.admitted.terms, "", 0);
    Ok(response)
}

fn set_cookie(response: &mut Response, terms: &Terms, value: &str, seconds: i64) {
    let secure = if terms.tls { "; Secure" } else { "" };
    let cookie =
        format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}", terms.cookie());
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
}
