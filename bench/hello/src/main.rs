//! `demo.hello` without a framework. The only argument is the port.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Envelope<'a> {
    method: &'a str,
    parameters: Params,
}

#[derive(Deserialize)]
struct Params {
    name: String,
    n: i64,
}

#[derive(Serialize)]
struct Reply {
    result: Answer,
}

#[derive(Serialize)]
struct Answer {
    greeting: String,
    n: i64,
}

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let reply = match serde_json::from_slice::<Envelope<'_>>(&body) {
        Ok(Envelope { method: "demo.hello", parameters: Params { name, n } }) => {
            let result = Answer { greeting: format!("hello {name}"), n: n + 1 };
            serde_json::to_vec(&Reply { result }).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    let mut response = Response::new(Full::new(Bytes::from(reply)));
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    Ok(response)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(8898);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(hello))
                .await;
        });
    }
}
