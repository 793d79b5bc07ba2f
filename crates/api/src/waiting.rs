//! What is answered before there is a database.

use crate::answer::Answer;
use crate::{Tls, error};
use axum::body::Body;
use http::{Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use karez_control::Failure;
use serde_json::json;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Connections at a time; others wait.
const MOST: usize = 64;

/// For one of them, from its beginning to its end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers everybody that it cannot be done now, until that is done. `/healthcheck` is answered as ever.
pub async fn wait<T>(listener: &TcpListener, tls: Option<&Tls>, until: impl Future<Output = T>) -> T {
    let mut until = pin!(until);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            done = &mut until => return done,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MOST => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(timeout(PATIENCE, serve(stream, tls.cloned())));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
        }
    }
}

async fn serve(stream: TcpStream, tls: Option<Tls>) {
    match tls {
        None => speak(stream).await,
        Some(tls) => {
            if let Ok(stream) = tls.acceptor().accept(stream).await {
                speak(stream).await;
            }
        }
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(async |request: http::Request<hyper::body::Incoming>| {
        Ok::<Response<Body>, Infallible>(answer(request.uri().path()).into_response())
    });
    let mut served = http1::Builder::new();
    served.timer(TokioTimer::new()).keep_alive(false);
    // Who breaks off has lost nothing.
    let _ = served.serve_connection(TokioIo::new(stream), service).await;
}

fn answer(path: &str) -> Answer {
    match path {
        "/healthcheck" => Answer::text(StatusCode::OK, "OK"),
        "/readyz" => Answer::json(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({"database": "it does not answer", "identity": "not known", "agents": "not known"}),
        ),
        _ => error::answer(&Failure::Store(karez_store::Error::Unavailable("it was never there".into()))),
    }
}
