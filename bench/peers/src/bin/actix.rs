//! actix-web and nothing else.

use actix_web::web::Json;
use actix_web::{App, HttpResponse, HttpServer, Responder, post};
use bench_peers::{Envelope, HELLO, Params, port};

#[post("/")]
async fn rpc(Json(Envelope { method, parameters }): Json<Envelope<String>>) -> HttpResponse {
    if method == HELLO {
        HttpResponse::Ok().json(bench_peers::hello(parameters))
    } else {
        HttpResponse::BadRequest().finish()
    }
}

#[post("/demo/hello")]
async fn hello(Json(params): Json<Params>) -> impl Responder {
    Json(bench_peers::hello(params))
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    HttpServer::new(|| App::new().service(rpc).service(hello)).workers(1).bind(("127.0.0.1", port()))?.run().await
}
