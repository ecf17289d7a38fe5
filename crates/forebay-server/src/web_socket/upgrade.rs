//! The handshake of a WebSocket (RFC 6455, section 4.2): what a client must send for one, and what it is answered.
//!
//! It is here and not axum's, because axum's socket hides the stream below it: what is not answered yet when the other side
//! closes has to go out ahead of our own close (see [`super::answer`]).

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use forebay_core::error::codes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::{FRAME, PIECE};
use crate::problem::Problem;

/// The version that there is.
const VERSION: &str = "13";

/// A WebSocket of ours.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A request that asks for a WebSocket as it should.
#[derive(Debug)]
pub(super) struct Upgrade {
    connection: OnUpgrade,
    accept: HeaderValue,
    /// Longest message in bytes.
    pub most: usize,
    /// The subprotocol that is agreed on.
    pub protocol: Option<&'static str>,
}

impl Upgrade {
    /// Looks at a request.
    ///
    /// # Errors
    /// Status 426 with what is missing.
    pub fn of(parts: &mut Parts) -> Result<Self, Problem> {
        let refused = |why: &str| {
            let message = format!("this path is for WebSocket: {why}");
            Problem::new(StatusCode::UPGRADE_REQUIRED, &codes::HTTP, message)
                .hint("Ask with a client of WebSocket, version 13, over HTTP/1.1.")
        };
        let headers = &parts.headers;
        if !words(headers, header::CONNECTION).any(|word| word.eq_ignore_ascii_case("upgrade")) {
            return Err(refused("the header `Connection` does not say `upgrade`"));
        }
        if !words(headers, header::UPGRADE).any(|word| word.eq_ignore_ascii_case("websocket")) {
            return Err(refused("the header `Upgrade` does not say `websocket`"));
        }
        if !words(headers, header::SEC_WEBSOCKET_VERSION).eq([VERSION]) {
            return Err(refused("the header `Sec-WebSocket-Version` does not say `13`"));
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY);
        let key = key.ok_or_else(|| refused("there is no header `Sec-WebSocket-Key`"))?;
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
        let accept = accept.map_err(|_| refused("the header `Sec-WebSocket-Key` is of no use"))?;
        let connection = parts.extensions.remove::<OnUpgrade>();
        let connection = connection.ok_or_else(|| refused("this connection cannot be upgraded"))?;
        Ok(Self { connection, accept, most: FRAME, protocol: None })
    }

    /// The answer, behind which the socket is served.
    pub fn serve<F>(self, serve: impl FnOnce(Socket) -> F + Send + 'static) -> Response
    where
        F: Future<Output = ()> + Send,
    {
        let Self { connection, accept, most, protocol } = self;
        let limits = WebSocketConfig::default()
            .read_buffer_size(PIECE)
            .write_buffer_size(PIECE)
            .max_message_size(Some(most))
            .max_frame_size(Some(FRAME))
            .max_write_buffer_size(2 * FRAME);
        tokio::spawn(async move {
            // Without it the client went before it was answered.
            let Ok(upgraded) = connection.await else { return };
            let stream = TokioIo::new(upgraded);
            serve(WebSocketStream::from_raw_socket(stream, Role::Server, Some(limits)).await).await;
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        if let Some(protocol) = protocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        response
    }
}

/// The first of these subprotocols that the client offers.
pub(super) fn offered(headers: &HeaderMap, known: &[&'static str]) -> Option<&'static str> {
    let is_offered =
        |known: &&&'static str| words(headers, header::SEC_WEBSOCKET_PROTOCOL).any(|word| word == **known);
    known.iter().find(is_offered).copied()
}

/// The words of a header that is a list.
fn words(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let all = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(headers: &[(&'static str, &'static str)]) -> Parts {
        let mut parts = Request::new(()).into_parts().0;
        for (name, value) in headers {
            parts.headers.append(*name, HeaderValue::from_static(value));
        }
        parts.extensions.insert(hyper::upgrade::on(Request::new(())));
        parts
    }

    const ASKED: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[test]
    fn a_handshake_is_answered_as_the_standard_has_it_and_half_of_one_is_refused() {
        let upgrade = Upgrade::of(&mut parts(&ASKED)).unwrap();
        assert_eq!(upgrade.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "the example of RFC 6455");
        for left in 0..ASKED.len() {
            let mut some = ASKED.to_vec();
            some.remove(left);
            let refused = Upgrade::of(&mut parts(&some)).unwrap_err().into_response();
            assert_eq!(refused.status(), StatusCode::UPGRADE_REQUIRED);
            assert_eq!(refused.headers()[header::SEC_WEBSOCKET_VERSION], VERSION);
        }
    }

    #[test]
    fn a_subprotocol_is_one_of_a_list_or_of_several_headers() {
        let name = "sec-websocket-protocol";
        for (offers, agreed) in [
            (&[(name, "mqtt")][..], Some("mqtt")),
            (&[(name, "x, mqtt")], Some("mqtt")),
            (&[(name, "x"), (name, "mqttv3.1")], Some("mqttv3.1")),
            (&[(name, "mqttx")], None),
            (&[], None),
        ] {
            assert_eq!(offered(&parts(offers).headers, &["mqtt", "mqttv3.1"]), agreed, "{offers:?}");
        }
    }
}
