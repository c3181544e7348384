//! axum and nothing else.

use axum::Router;
use axum::extract::Json;
use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt;
use bench_peers::{Envelope, Greeting, HELLO, Params, Reply, port};

type Answer = Result<Json<Reply<Greeting>>, StatusCode>;

async fn rpc(Json(Envelope { method, parameters }): Json<Envelope<String>>) -> Answer {
    if method == HELLO { hello(Json(parameters)).await } else { Err(StatusCode::BAD_REQUEST) }
}

async fn hello(Json(params): Json<Params>) -> Answer {
    Ok(Json(bench_peers::hello(params)))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let router = Router::new().route("/", post(rpc)).route("/demo/hello", post(hello));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port())).await?;
    axum::serve(listener.tap_io(|stream| drop(stream.set_nodelay(true))), router).await
}
