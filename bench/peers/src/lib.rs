//! The calls of the peers: `demo.hello` in an envelope or at its URL, `demo.echo`, and a stream.

use bytes::Bytes;
use futures_util::Stream;
use serde::{Deserialize, Serialize};

/// The body of a request to the RPC endpoint. `S` is `&str` or `String`.
#[derive(Deserialize)]
pub struct Envelope<S> {
    pub method: S,
    pub parameters: Params,
}

/// The parameters of `demo.hello`.
#[derive(Deserialize)]
pub struct Params {
    pub name: String,
    pub n: i64,
}

/// The body of a response.
#[derive(Serialize)]
pub struct Reply<T> {
    pub result: T,
}

/// The result of `demo.hello`.
#[derive(Serialize)]
pub struct Greeting {
    pub greeting: String,
    pub n: i64,
}

/// The parameters of the stream.
#[derive(Deserialize)]
pub struct Chunks {
    pub chunks: u32,
}

/// The name of the method in an envelope.
pub const HELLO: &str = "demo.hello";

/// Computes the response of `demo.hello`.
pub fn hello(params: Params) -> Reply<Greeting> {
    Reply { result: Greeting { greeting: format!("hello {}", params.name), n: params.n.wrapping_add(1) } }
}

/// Returns the chunks of a streamed response: lines of 16 bytes.
pub fn stream(chunks: u32) -> impl Stream<Item = Bytes> + Send {
    futures_util::stream::iter((0..chunks).map(|n| Bytes::from(format!("{n:015}\n"))))
}

/// Returns the port, which is the first argument.
///
/// # Panics
/// Panics if there is none.
pub fn port() -> u16 {
    std::env::args().nth(1).and_then(|port| port.parse().ok()).expect("usage: PEER PORT [OPTION]")
}

/// Returns `true` if the second argument is `option`.
pub fn has_option(option: &str) -> bool {
    std::env::args().nth(2).is_some_and(|argument| argument == option)
}
