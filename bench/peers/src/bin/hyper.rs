//! hyper without a framework; with the argument `http2`, over HTTP/2 with prior knowledge too.

use std::convert::Infallible;
use std::error::Error;

use bench_peers::{Chunks, Envelope, HELLO, Params, Reply, has_option, hello, port, stream};
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::value::RawValue;

type BoxError = Box<dyn Error + Send + Sync>;

async fn respond(
    request: Request<Incoming>,
) -> Result<Response<impl Body<Data = Bytes, Error = BoxError>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut response = match head.uri.path() {
        "/" => full(match serde_json::from_slice::<Envelope<&str>>(&body) {
            Ok(Envelope { method: HELLO, parameters }) => serde_json::to_vec(&hello(parameters)).ok(),
            _ => None,
        }),
        "/demo/hello" => full(
            serde_json::from_slice::<Params>(&body).ok().and_then(|params| serde_json::to_vec(&hello(params)).ok()),
        ),
        "/demo/echo" => full(
            serde_json::from_slice::<&RawValue>(&body)
                .ok()
                .and_then(|result| serde_json::to_vec(&Reply { result }).ok()),
        ),
        "/stream" => {
            let chunks = serde_json::from_slice(&body).map_or(0, |Chunks { chunks }| chunks);
            let frames = stream(chunks).map(|chunk| Ok::<_, Infallible>(Frame::data(chunk)));
            Response::new(Either::Right(StreamBody::new(frames)))
        }
        _ => full(None),
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn full<S>(body: Option<Vec<u8>>) -> Response<Either<Full<Bytes>, S>> {
    let status = if body.is_some() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(body.unwrap_or_default()))));
    *response.status_mut() = status;
    response
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let is_http2 = has_option("http2");
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port())).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        tokio::spawn(async move {
            if is_http2 {
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(io, service_fn(respond)).await;
            } else {
                let _ = http1::Builder::new().serve_connection(io, service_fn(respond)).await;
            }
        });
    }
}
