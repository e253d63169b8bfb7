//! The HTTP listener for those who watch the gateway: `/health` and `/metrics`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tracing::debug;

use crate::gateway::Shared;
use crate::metrics;
use crate::net::stream::Stream;

/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves one client until it leaves or the gateway stops.
pub async fn serve(stream: Stream, shared: Arc<Shared>) {
    let stop = shared.shutdown.token().clone();
    let answer = service_fn(move |request| {
        let answer = answer(&request, &shared);
        async move { Ok::<_, Infallible>(answer) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer);
    if let Some(Err(error)) = stop.run_until_cancelled(serving).await {
        debug!(%error, "an HTTP client misbehaved");
    }
}

fn answer(request: &Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return reply(
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain",
            "only GET and HEAD\n".into(),
        );
    }
    match request.uri().path() {
        "/health" => health(shared),
        "/metrics" => match metrics::text(shared) {
            Ok(text) => reply(StatusCode::OK, metrics::CONTENT_TYPE, text),
            Err(error) => {
                let text = format!("{error}\n");
                reply(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", text)
            }
        },
        _ => reply(
            StatusCode::NOT_FOUND,
            "text/plain",
            "try /health or /metrics\n".into(),
        ),
    }
}

/// What `/health` says, in the words that RabbitMQ's health checks use.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

fn health(shared: &Shared) -> Response<Full<Bytes>> {
    let (status, health) = if shared.broker.core().has_room() {
        (
            StatusCode::OK,
            Health {
                status: "ok",
                reason: None,
            },
        )
    } else {
        let reason = Some("the disk has no room");
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Health {
                status: "failed",
                reason,
            },
        )
    };
    let text = serde_json::to_string(&health).unwrap_or_default();
    reply(status, "application/json", text)
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static(content_type),
    );
    response
}
