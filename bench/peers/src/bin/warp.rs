//! A warp filter and nothing else, in an accept loop like the server's.

use std::convert::Infallible;

use bench_peers::{Envelope, HELLO, Params, hello, port};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tower_service::Service as _;
use warp::http::StatusCode;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

async fn respond(params: Option<Params>) -> Result<Response, Infallible> {
    Ok(match params {
        Some(params) => warp::reply::json(&hello(params)).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    })
}

fn filter() -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    let parameters =
        |envelope: Envelope<String>| Some(envelope).filter(|call| call.method == HELLO).map(|call| call.parameters);
    let rpc = warp::path::end().and(warp::body::json()).map(parameters).and_then(respond);
    let url = warp::path!("demo" / "hello").and(warp::body::json()).map(Some).and_then(respond);
    warp::post().and(rpc.or(url).unify())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let service = warp::service(filter());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port())).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| service.clone().call(request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
