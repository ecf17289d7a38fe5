//! Which server is asked, and how: its address, who asks, what a refusal says.
//!
//! What must stay true: a token goes to nobody but the server that was named, and over the network only through TLS.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use forebay_core::error::codes;
use forebay_core::{Error, Result};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, Url, redirect};
use serde::de::DeserializeOwned;

use super::bounds::shortened;
use super::words::Refusal;

/// The variable that holds the token of who asks.
pub const TOKEN: &str = "FOREBAY_TOKEN";

/// Longest wait for an answer, and between two pieces of one: a stream says something every second.
pub const SILENCE: Duration = Duration::from_secs(5);

/// Largest answer: far above what is asked for.
const MOST_BYTES: usize = 16 << 20;

/// A server.
#[derive(Clone, Debug)]
pub struct Server {
    base: Url,
    client: Client,
}

impl Server {
    /// The server of a text (`http://HOST:PORT`, `https://HOST`, `HOST:PORT`), else the one at `http`.
    pub fn new(text: Option<&str>, http: SocketAddr, token: Option<&str>) -> Result<Self> {
        let base = match text {
            Some(text) => base(text)?,
            None => base(&format!("http://{}", reachable(http)))?,
        };
        let mut builder = Client::builder()
            .no_proxy()
            .http1_only()
            .redirect(redirect::Policy::none())
            .connect_timeout(SILENCE)
            .default_headers(headers(&base, token)?);
        if base.scheme() == "http" {
            // No certificates are read that are not needed: a bare machine has none.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| {
            Error::new(&codes::HTTP, "no TLS connection can be made from here").with_detail(deepest(&error)).with_hint(
                "TLS needs the certificates of this machine's CAs; SSL_CERT_FILE names a file with others.",
            )
        })?;
        Ok(Self { base, client })
    }

    /// Its address, for people.
    pub fn shown(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The address of something below `/api/v1`.
    pub fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/api/v1/{path}"));
        url
    }

    /// A whole answer.
    pub async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T> {
        let response = self.open(url).await?;
        let body = body(response).await.map_err(|error| self.unreachable(&error))?;
        serde_json::from_slice(&shortened(&body)).map_err(|error| strange(&self.base, &error))
    }

    /// Sends a change; gives the whole answer.
    pub async fn post<T: DeserializeOwned>(&self, url: Url, said: &serde_json::Value) -> Result<T> {
        let request =
            self.client.post(url).header("X-Forebay", "1").header("Content-Type", "application/json");
        let response = self.answered(request.body(said.to_string())).await?;
        self.whole_of(response).await
    }

    /// Ends something; gives the whole answer.
    pub async fn delete<T: DeserializeOwned>(&self, url: Url) -> Result<T> {
        let response = self.answered(self.client.delete(url).header("X-Forebay", "1")).await?;
        self.whole_of(response).await
    }

    /// A whole answer, however long its texts are.
    pub async fn get_whole<T: DeserializeOwned>(&self, url: Url) -> Result<T> {
        let response = self.open(url).await?;
        self.whole_of(response).await
    }

    async fn whole_of<T: DeserializeOwned>(&self, response: Response) -> Result<T> {
        let body = body(response).await.map_err(|error| self.unreachable(&error))?;
        serde_json::from_slice(&body).map_err(|error| strange(&self.base, &error))
    }

    /// The beginning of an answer; a refusal is an error with the server's own code and hint.
    pub async fn open(&self, url: Url) -> Result<Response> {
        self.answered(self.client.get(url)).await
    }

    async fn answered(&self, request: RequestBuilder) -> Result<Response> {
        let answer = tokio::time::timeout(SILENCE, request.send()).await;
        let response = match answer {
            Err(_) => return Err(self.silent()),
            Ok(answer) => answer.map_err(|error| self.unreachable(&deepest(&error)))?,
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let refusal = body(response).await.ok();
        let refusal = refusal.and_then(|body| serde_json::from_slice::<Refusal>(&shortened(&body)).ok());
        let Some(Refusal { code, detail, hint }) = refusal.filter(|refusal| !refusal.code.is_empty()) else {
            return Err(strange(&self.base, &status));
        };
        let code = codes::ALL.iter().find(|known| known.id == code).copied().unwrap_or(&codes::HTTP);
        let hint = match status.as_u16() {
            401 | 403 => format!("{hint} The variable {TOKEN} holds the token of who asks."),
            _ => hint,
        };
        Err(Error::new(code, detail).with_hint(hint.trim()).at(self.shown()))
    }

    /// Whether it says that all is well.
    ///
    /// # Errors
    /// `NO_SERVER` if none answers, `HTTP` if what does is none of ours.
    pub async fn is_well(&self) -> Result<bool> {
        let mut url = self.base.clone();
        url.set_path("/health");
        let answer = tokio::time::timeout(SILENCE, self.client.get(url).send()).await;
        let answer =
            answer.map_err(|_| self.silent())?.map_err(|error| self.unreachable(&deepest(&error)))?;
        match answer.status().as_u16() {
            200 => Ok(true),
            503 => Ok(false),
            other => Err(strange(&self.base, &other)),
        }
    }

    /// The error of a server that says nothing more.
    pub fn silent(&self) -> Error {
        self.unreachable(&"it says nothing")
    }

    /// The error of a connection that cannot be made, or broke.
    pub fn unreachable(&self, why: &impl std::fmt::Display) -> Error {
        Error::new(&codes::NO_SERVER, "no server answers").at(self.shown()).with_detail(why)
    }
}

/// Where a server that listens at this address can be asked.
fn reachable(http: SocketAddr) -> SocketAddr {
    let ip = if http.ip().is_unspecified() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { http.ip() };
    SocketAddr::new(ip, http.port())
}

fn base(text: &str) -> Result<Url> {
    let refused = |why: &str| {
        Error::new(&codes::WRONG_USE, format!("`{text}` is no server's address: {why}"))
            .with_hint("Write `http://127.0.0.1:8080`, `https://plant.example` or `127.0.0.1:8080`.")
    };
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&whole).map_err(|error| refused(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("only http and https are spoken"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let named = Error::new(&codes::WRONG_USE, "a server's address holds no user and no password");
        return Err(named.with_hint(format!("The variable {TOKEN} holds the token of who asks.")));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(refused("it ends behind host and port"));
    }
    Ok(url)
}

fn headers(base: &Url, token: Option<&str>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let Some(token) = token.map(str::trim).filter(|token| !token.is_empty()) else { return Ok(headers) };
    if base.scheme() == "http" && !is_here(base) {
        let error = Error::new(&codes::WRONG_USE, format!("{TOKEN} would be sent where others can read it"));
        return Err(error.at(base).with_hint("Ask another machine over https://, or unset the variable."));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Error::new(&codes::SECRET, format!("{TOKEN} holds characters that no token has")))?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(headers)
}

/// Whether what is sent stays on this machine.
fn is_here(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

async fn body(mut response: Response) -> std::result::Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let chunk = tokio::time::timeout(SILENCE, response.chunk()).await;
        match chunk.map_err(|_| "it says nothing".to_owned())?.map_err(|error| deepest(&error))? {
            Some(chunk) if body.len() + chunk.len() <= MOST_BYTES => body.extend_from_slice(&chunk),
            Some(_) => return Err(format!("its answer is longer than {MOST_BYTES} bytes")),
            None => return Ok(body),
        }
    }
}

/// The error of an answer that no server of ours gives.
fn strange(base: &Url, why: &impl std::fmt::Display) -> Error {
    Error::new(&codes::HTTP, "what answers there is no Forebay of this kind")
        .at(base)
        .with_detail(why)
        .with_hint("Check the address; the server's `--http` says where it listens.")
}

/// What stands at the bottom of an error: `connection refused` rather than what that led to.
pub fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: Option<&str>, token: Option<&str>) -> Result<Server> {
        Server::new(text, "0.0.0.0:8080".parse().unwrap(), token)
    }

    #[test]
    fn a_server_is_named_as_people_write_it() {
        for (text, shown) in [
            (None, "http://127.0.0.1:8080"),
            (Some("localhost:9"), "http://localhost:9"),
            (Some("http://[::1]:9/"), "http://[::1]:9"),
        ] {
            assert_eq!(server(text, None).unwrap().shown(), shown);
        }
        assert_eq!(server(None, None).unwrap().at("schema").as_str(), "http://127.0.0.1:8080/api/v1/schema");
        for text in ["ftp://h", "http://h/api", "http://", "http://u:secret@h", "http://h?x=1"] {
            let refused = server(Some(text), None).unwrap_err();
            assert_eq!(refused.code(), &codes::WRONG_USE, "{text}: {refused}");
            assert!(!refused.to_string().contains("secret"), "{refused}");
        }
    }

    #[test]
    fn a_token_never_crosses_the_network_in_the_open_and_is_never_shown() {
        for here in ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://plant.example"] {
            let headers = headers(&base(here).unwrap(), Some(" t0ken\n")).unwrap();
            assert_eq!(headers[AUTHORIZATION], "Bearer t0ken", "{here}");
            assert!(headers[AUTHORIZATION].is_sensitive());
        }
        for (text, token) in [("http://plant.example", "t0ken"), ("http://127.0.0.1:1", "t0ken\u{1}x")] {
            let refused = headers(&base(text).unwrap(), Some(token)).unwrap_err();
            assert!(!format!("{refused:?}").contains("t0ken"), "{refused}");
        }
        assert!(headers(&base("http://plant.example").unwrap(), Some(" ")).unwrap().is_empty());
    }
}
