//! Before a request is served: who asks, and whether they may. After it: a word in the log about what was changed, and
//! that a stream ends with the right to read it.
//!
//! What must stay true: nothing is read of a request, and no turn is taken, before its sender was let in; what comes to
//! [`ask`] without having passed here is refused there.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use forebay_gateway::Identity;
use futures::StreamExt as _;

use crate::access::{Asker, Terms};
use crate::api::ingest;
use crate::ask::{self, Patience};
use crate::connections::Peer;
use crate::routes::Route;
use crate::state::State;

/// Who was let in, where and from where.
#[derive(Clone)]
pub(crate) struct Admitted {
    pub asker: Asker,
    pub terms: Arc<Terms>,
    pub peer: IpAddr,
    /// The user of a gateway, where the route is that of one with users.
    pub device: Option<Identity>,
}

/// Serves a request of a route, if its sender may ask.
pub(crate) async fn serve(
    route: &'static Route,
    state: Arc<State>,
    terms: Arc<Terms>,
    mut request: Request,
) -> Response {
    let peer = request.extensions().get().map_or(Ipv4Addr::LOCALHOST.into(), |Peer(peer)| *peer);
    let now_ms = state.shown.clock.now_ms();
    let headers = request.headers();
    // A gateway with users lets them in by itself, and nobody else.
    let of_device = Some(route.patience).filter(|it| *it == Patience::Ingest);
    let of_device = of_device.and_then(|_| ingest::with_users(&state.shown.gateways, request.uri().path()));
    let admitted = match of_device {
        Some(gateway) => ingest::device(gateway, &terms, headers).map(|device| (Asker::Nobody, Some(device))),
        None => terms.check(route.role, route.proof(), headers, peer, now_ms).map(|asker| (asker, None)),
    };
    let (asker, device) = match admitted {
        Ok(admitted) => admitted,
        Err(problem) => return problem.into_response(),
    };
    let path = request.uri().path().to_owned();
    request.extensions_mut().insert(Admitted { asker: asker.clone(), terms, peer, device });
    let response = ask::serve(route, state, request).await;
    let Some(person) = asker.person() else { return response };
    if route.changes {
        let status = response.status().as_u16();
        tracing::info!(name = %person.name, %path, status, "somebody asked for a change");
    }
    if route.patience != Patience::Endless {
        return response;
    }
    let ended = person.ended.clone().cancelled_owned();
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(ended)))
}
