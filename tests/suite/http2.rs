//! HTTP/2: clients that do not take their responses, and the end of their connections.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fixture::_probe::probe;
use h2::client::{Builder, SendRequest};
use http::Request;

use crate::databases::{Database, Kind};
use crate::server::{Server, wait_for_event};
use crate::support::{Listening, TIMEOUT, read_all, wait_for_async};

/// Opens a connection whose streams have a window of `window` bytes. Dropping the task stops it from reading.
async fn connect(server: &impl Listening, window: u32) -> (SendRequest<Bytes>, tokio::task::JoinHandle<()>) {
    let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let builder = Builder::new().initial_window_size(window).max_frame_size(16 * 1024).to_owned();
    let (client, connection) = builder.handshake(stream).await.unwrap();
    let task = tokio::spawn(async move {
        let _ = connection.await;
    });
    (client.ready().await.unwrap(), task)
}

/// Calls a method with a body, and returns the body of its response unread.
async fn call(client: &mut SendRequest<Bytes>, path: &str, body: String) -> h2::RecvStream {
    let request = Request::post(format!("http://localhost{path}")).body(()).unwrap();
    let (response, mut sender) = client.send_request(request, false).unwrap();
    sender.send_data(body.into(), true).unwrap();
    response.await.unwrap().into_body()
}

fn text(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes))
}

fn with_idle_timeout(idle_timeout: Duration) -> Server {
    Server::start_with(|config| config.idle_timeout = idle_timeout)
}

/// Reads a response to its end, or to the reset of its stream.
async fn read(body: &mut h2::RecvStream) -> Result<usize, h2::Error> {
    let mut length = 0;
    while let Some(chunk) = tokio::time::timeout(TIMEOUT, body.data()).await.expect("the server ends the stream") {
        length += chunk?.len();
    }
    Ok(length)
}

#[tokio::test]
async fn a_client_that_grants_no_window_loses_the_stream_and_keeps_the_connection() {
    let server = with_idle_timeout(Duration::from_millis(500));
    let (mut client, _task) = connect(&server, 0).await;
    let mut stalled = call(&mut client, "/demo/echo", text(100_000)).await;
    let mut small = call(&mut client, "/demo/echo", text(1)).await;
    let error = read(&mut stalled).await.unwrap_err();
    assert!(error.is_reset() && error.is_remote(), "{error}");
    assert!(read(&mut small).await.is_err());
    let head = Request::head("http://localhost/livez").body(()).unwrap();
    let (response, _) = client.send_request(head, true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200, "the connection serves other requests");
}

#[tokio::test]
async fn a_client_that_stops_reading_in_mid_response_loses_the_stream() {
    let server = with_idle_timeout(Duration::from_millis(500));
    let (mut client, _task) = connect(&server, 20_000).await;
    let mut body = call(&mut client, "/demo/echo", text(100_000)).await;
    let error = read(&mut body).await.unwrap_err(); // without releasing what it has read
    assert!(error.is_reset() && error.is_remote(), "{error}");
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_the_whole_response() {
    let server = with_idle_timeout(Duration::from_millis(500));
    let (mut client, _task) = connect(&server, 32 * 1024).await;
    let mut body = call(&mut client, "/demo/echo", text(400_000)).await;
    let (started, mut length) = (Instant::now(), 0);
    while let Some(chunk) = body.data().await {
        let chunk = chunk.unwrap();
        length += chunk.len();
        tokio::time::sleep(Duration::from_millis(60)).await; // less than `idle_timeout`, and together more
        body.flow_control().release_capacity(chunk.len()).unwrap();
    }
    assert_eq!(length, 400_000 + r#"{"result":""}"#.len());
    assert!(started.elapsed() > Duration::from_millis(500));
}

#[tokio::test]
async fn a_client_takes_a_response_within_response_timeout_or_loses_it() {
    let server = Server::start_with(|config| config.response_timeout = Duration::from_secs(1));
    let (mut client, _task) = connect(&server, 16 * 1024).await;
    let mut body = call(&mut client, "/demo/echo", text(1_000_000)).await;
    let mut length = 0;
    let error = loop {
        match body.data().await.expect("the response has not ended") {
            Ok(chunk) => length += chunk.len(),
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        body.flow_control().release_capacity(8 * 1024).unwrap();
    };
    assert!(error.is_reset() && error.is_remote() && length < 1_000_000, "{error} after {length} bytes");
}

#[test]
fn a_client_takes_a_response_of_http_1_within_response_timeout_or_loses_it() {
    const BYTES: usize = 32 * 1024 * 1024;
    let server = Server::start_with(|config| {
        (config.max_body, config.response_timeout) = (2 * BYTES, Duration::from_secs(1));
    });
    let mut stream = server.connect();
    let body = text(BYTES);
    let head = format!("POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut length = 0;
    for _ in 0..30 {
        std::thread::sleep(Duration::from_millis(100));
        length += stream.read(&mut vec![0; 64 * 1024]).unwrap_or(0);
    }
    assert!(length + read_all(&mut stream).len() < BYTES);
}

#[tokio::test]
async fn a_stream_may_take_longer_than_response_timeout() {
    let server = Server::fixture_with(|config| config.response_timeout = Duration::from_millis(100));
    let (mut client, _task) = connect(&server, 10).await;
    let mut body = call(&mut client, "/probe/stream", r#"{"name": "slow", "lines": 10}"#.to_owned()).await;
    let mut length = 0;
    while let Some(chunk) = body.data().await {
        let chunk = chunk.unwrap();
        length += chunk.len();
        body.flow_control().release_capacity(chunk.len()).unwrap();
    }
    assert_eq!(length, 10 * "tick 0\n".len());
}

#[tokio::test]
async fn a_client_that_vanishes_while_it_waits_is_noticed_by_a_ping() {
    let server = Server::fixture_with(|config| config.idle_timeout = Duration::from_millis(300));
    let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let (mut client, mut connection) = h2::client::handshake(stream).await.unwrap();
    let request = Request::post("http://localhost/probe/leave").body(()).unwrap();
    let (_response, mut sender) = client.send_request(request, false).unwrap();
    sender.send_data(Bytes::from(r#""vanished""#), true).unwrap();
    tokio::select! {
        _ = &mut connection => panic!("the connection ends"),
        () = wait_for_event("vanished", "started", 1) => {}
    }
    // From here on the socket stays open, and the client sends nothing more.
    wait_for_event("vanished", "closed by a client without a session", 1).await;
    probe("vanished").open();
    drop(connection);
}

#[tokio::test]
async fn on_connection_close_keeps_the_connections_slot() {
    let server = Server::fixture_with(|config| config.max_connections_per_address = 1);
    let (mut client, task) = connect(&server, 1000).await;
    let request = Request::post("http://localhost/probe/lingers").body(()).unwrap();
    let (_response, mut sender) = client.send_request(request, false).unwrap();
    sender.send_data(r#""lingers""#.into(), true).unwrap();
    wait_for_event("lingers", "started", 1).await;
    task.abort();
    wait_for_event("lingers", "closing", 1).await;
    let get = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(server.raw(get), "", "refused while `on_connection_close` runs");
    probe("lingers").open();
    let is_served = async || server.raw(get).starts_with("HTTP/1.1 200");
    wait_for_async(is_served).await;
}

#[test]
fn on_connection_close_has_a_time_limit() {
    let server = Server::fixture_with(|config| {
        (config.max_connections_per_address, config.request_timeout) = (1, Some(Duration::from_millis(300)));
    });
    let mut stream = server.connect();
    let body = r#""endless hook""#;
    let head = format!("POST /probe/lingers HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(wait_for_event("endless hook", "started", 1));
    drop(stream);
    runtime.block_on(wait_for_event("endless hook", "closing", 1));
    let get = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    crate::support::wait_for(
        || server.raw(get).starts_with("HTTP/1.1 200").then_some(()),
        || "the hook keeps the slot".to_owned(),
    );
}

/// A client that sends a preface and its settings, and then answers nothing.
fn silent_client(server: &impl Listening) -> std::net::TcpStream {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    let mut stream = server.connect();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(SETTINGS).unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[3], 4, "the server's settings");
    stream
}

#[test]
fn an_idle_client_that_ignores_the_end_of_its_connection_does_not_delay_a_stop() {
    let server = Database::new(Kind::ANY).process(&["--shutdown_delay=0", "--drain_timeout=1h", "--idle_timeout=1h"]);
    let _client = silent_client(&server);
    let (status, log) = server.stop();
    assert!(status.success() && log.contains("all requests in flight are complete"), "{log}");
}

#[test]
fn refused_connections_are_logged_once_a_second_with_their_number() {
    let server = Database::new(Kind::ANY).process(&["--max_connections_per_address=1"]);
    let _held = silent_client(&server);
    for _ in 0..200 {
        assert_eq!(read_all(&mut server.connect()), "");
    }
    server.wait_for_log("refused connections");
    let (_, log) = server.stop();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("refused connections")).collect();
    assert!(lines.len() < 20 && lines[0].contains(r#""connections":"#), "{lines:?}");
}
