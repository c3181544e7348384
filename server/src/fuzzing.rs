//! Entry points for the targets in `fuzz/`: each takes any bytes, and panics only if the server has a fault.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ::http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use bytes::Bytes;
use method_sdk::generated::{RawParams, params, params_or_query};
use method_sdk::{Methods, Session};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;

use crate::call::{auth, codec};
use crate::config;
use crate::testing::App;
use crate::transport::connection::{HTTP2_PREFACE, serve_stream};
use crate::transport::http::{forwarded, host, route};
use crate::transport::limits::ConnectionLimiter;
use crate::transport::shutdown::Shutdown;

/// The address of every client.
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Decodes a body of the RPC endpoint and of a method URL. A decoded call is the same after it is encoded and decoded again.
pub fn body(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let _ = codec::decode_params(&body);
    let Ok(call) = codec::decode_envelope(&body) else { return };
    let RawParams::Json(parameters) = &call.params else { unreachable!("an envelope contains JSON") };
    let raw: &serde_json::value::RawValue = serde_json::from_str(parameters).expect("decoded parameters are JSON");
    let encoded = codec::encode_envelope(&call.method, raw).expect("decoded parameters have a JSON form");
    let again = codec::decode_envelope(&encoded).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.method, call.method);
}

/// Parameters of many kinds.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
struct Parameters {
    integer: i64,
    small: Option<u8>,
    float: Option<f64>,
    truth: bool,
    text: String,
    list: Vec<i32>,
    place: Option<Place>,
    choice: Option<Choice>,
    either: Option<Either>,
    #[serde(flatten)]
    page: Page,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Place {
    x: i32,
    y: i32,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Choice {
    Point(Place),
    Text { text: String },
    Nothing,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
enum Either {
    Number(i64),
    Texts(Vec<String>),
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
struct Page {
    offset: u64,
    limit: Option<u32>,
}

/// Deserializes parameters in JSON, or a query string if the first byte is `?`. Parameters that were deserialized are the same after they
/// are serialized and deserialized again.
pub fn parameters(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(query) = text.strip_prefix('?') {
        let _ = params_or_query::<(), Parameters>(&RawParams::Query(query.into()));
        return;
    }
    // As the codec does: a method receives JSON only.
    let Ok(RawParams::Json(json)) = codec::decode_params(&Bytes::copy_from_slice(data)) else { return };
    let Ok(first) = params::<(), Parameters>(&RawParams::Json(json)) else { return };
    let json = serde_json::to_string(&first).expect("the type has a JSON form");
    let second: Parameters = params::<(), _>(&RawParams::Json(json.into())).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(first, second);
}

/// Reads a configuration file. An error is a sentence on one line.
pub fn configuration(data: &[u8]) {
    for error in config::file_errors(data) {
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}

/// Reads a request target: the name of its method, and its host.
pub fn method_name(data: &[u8]) {
    let Ok(uri) = Uri::try_from(data) else { return };
    let name = route::method_name(uri.path());
    assert!(!name.contains('/') || name.contains('.'), "{name}");
    let Ok(request) = Request::get(uri).header("host", "localhost").body(()) else { return };
    if let Some(host) = host::host(&request.into_parts().0) {
        let _ = host::is_allowed(host, &["*.example.com".to_owned(), "localhost".to_owned()]);
    }
}

/// Finds the client's address in forwarding headers: a line each, `Forwarded` if it contains a `=`.
pub fn forwarded_headers(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let name = if line.contains(&b'=') { "forwarded" } else { "x-forwarded-for" };
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    let trusted =
        ["127.0.0.0/8", "10.0.0.0/8", "::ffff:192.0.2.0/120"].map(|network| network.parse().expect("a network"));
    let client = forwarded::client_ip(PEER, &headers, &trusted);
    assert_eq!(client, client.to_canonical());
    assert_eq!(forwarded::client_ip(PEER, &headers, &[]), PEER, "no proxy is trusted");
}

/// An application with an account that is logged in.
pub struct Application {
    runtime: Runtime,
    app: App,
    session: Session,
}

impl Application {
    /// Creates an application of these methods.
    ///
    /// # Panics
    /// Panics if it cannot be created.
    pub fn new(methods: impl Into<Methods>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be created");
        let (app, session) = runtime.block_on(async {
            let app = App::new(methods).await;
            let session = app.login("alice").await.session().clone();
            (app, session)
        });
        Application { runtime, app, session }
    }

    /// Authenticates a request: lines of `x-session-id` (where `s` is the account's) or, from the second on, of `x-hmac`, and the body after
    /// an empty line. Only the right signature of the body is accepted.
    pub fn signature(&self, data: &[u8]) {
        let (head, body) = match data.windows(2).position(|pair| pair == b"\n\n") {
            Some(end) => (&data[..end], &data[end + 2..]),
            None => (data, &[][..]),
        };
        let mut headers = HeaderMap::new();
        for (n, line) in head.split(|byte| *byte == b'\n').enumerate() {
            let name = HeaderName::from_static(if n % 2 == 0 { "x-session-id" } else { "x-hmac" });
            let line = if line == b"s" { self.session.session_id.as_bytes() } else { line };
            if let Ok(value) = HeaderValue::from_bytes(line) {
                headers.append(name, value);
            }
        }
        let accounts = &self.app.state().dispatcher.accounts;
        let (name, right) = auth::sign(&self.session, body);
        if let Ok(Some(session)) = self.runtime.block_on(auth::authenticate(&headers, body, accounts)) {
            assert_eq!((session.user_id.as_str(), headers.get(name)), ("alice", Some(&right)));
        }
    }

    /// Sends bytes on a connection, and closes it. A response of HTTP/1 begins with its version.
    pub fn connection(&self, data: &[u8]) {
        let is_http2 = data.starts_with(HTTP2_PREFACE);
        let state = self.app.state();
        let response = self.runtime.block_on(async {
            let (client, server) = tokio::io::duplex(64 * 1024);
            let limiter = ConnectionLimiter::new(&state.config);
            let slot = limiter.acquire().await;
            let Ok(permit) = limiter.admit(PEER, slot) else { unreachable!("it is the only connection") };
            let serve = serve_stream(server, is_http2, PEER, permit, state.clone(), Shutdown::default());
            let (mut reader, mut writer) = tokio::io::split(client);
            let mut response = Vec::new();
            let send = async {
                let _ = writer.write_all(data).await;
                let _ = writer.shutdown().await;
            };
            let receive = async {
                let _ = reader.read_to_end(&mut response).await;
            };
            // A method may run for longer.
            let exchange = async { tokio::join!(serve, send, receive) };
            let _ = tokio::time::timeout(Duration::from_millis(200), exchange).await;
            response
        });
        assert!(is_http2 || response.is_empty() || response.starts_with(b"HTTP/1."), "{response:?}");
    }
}

/// A target, by name.
pub type Target = (&'static str, fn(&[u8]));

/// The targets that need no application.
pub const PARSERS: &[Target] = &[
    ("body", body),
    ("parameters", parameters),
    ("configuration", configuration),
    ("method_name", method_name),
    ("forwarded_headers", forwarded_headers),
];
