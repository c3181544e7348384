//! Streamed responses, and clients that disconnect.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use fixture::_probe::probe;
use serde_json::{Value, json};

use crate::server::{Server, wait_for_event};
use crate::support::client::Session;
use crate::support::{Api, Listening as _, read_all};

fn body(method: &str, parameters: &Value) -> String {
    json!({ "method": method, "parameters": parameters }).to_string()
}

/// Sends a call on a connection of its own.
fn send(server: &Server, method: &str, parameters: &Value) -> TcpStream {
    let mut stream = server.connect();
    let body = body(method, parameters);
    write!(stream, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    stream
}

/// Calls `probe.stream` for two lines, and reads until the connection ends or is silent for two seconds.
fn stream_two_lines(server: &Server, name: &str, fail: &str) -> String {
    let mut stream = send(server, "probe.stream", &json!({ "name": name, "fail": fail, "lines": 2 }));
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    read_all(&mut stream)
}

/// Calls a method and disconnects once it has started.
async fn call_and_disconnect(api: &Api, session: Option<&Session>, method: &'static str, name: &'static str) {
    let (api, session) = (api.clone(), session.cloned());
    let call = tokio::spawn(async move {
        match session {
            Some(session) => api.call_as(&session, method, json!(name)).await,
            None => api.call(method, json!(name)).await,
        }
    });
    wait_for_event(name, "started", 1).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
}

#[test]
fn the_first_line_arrives_before_the_last_is_produced() {
    let server = Server::start();
    let started = Instant::now();
    let mut stream = send(&server, "demo.countdown", &json!({ "from": 3 }));
    let mut text = String::new();
    let mut arrivals = Vec::new();
    let mut piece = [0; 1024];
    for line in ["3\n", "2\n", "1\n", "0\r\n\r\n"] {
        while !text.contains(&format!("\r\n{line}")) {
            let length = stream.read(&mut piece).unwrap();
            assert!(length > 0, "ended early: {text}");
            text.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
        arrivals.push(started.elapsed());
    }
    assert!(arrivals[0] < arrivals[2] - Duration::from_millis(1500), "{arrivals:?}");
    let head = text.split("\r\n\r\n").next().unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: text/plain; charset=utf-8"), "{head}");
    assert!(head.contains("x-request-id") && !head.contains("x-hmac") && !head.contains("content-length"), "{head}");
}

#[test]
fn a_stream_ends_cleanly_only_if_its_method_does() {
    let server = Server::fixture();
    let good = stream_two_lines(&server, "good", "");
    assert!(good.contains("tick 0") && good.contains("tick 1") && good.contains("0\r\n\r\n"), "{good}");
    assert!(!good.contains("not sent"), "{good}");
    assert!(good.contains("content-type: application/octet-stream"), "{good}");
    for fail in ["error", "panic"] {
        let cut = stream_two_lines(&server, "cut", fail);
        assert!(cut.contains("tick 0") && !cut.contains("\r\n0\r\n\r\n"), "{fail}: {cut}");
    }
}

#[test]
fn a_stream_that_fails_is_not_a_disconnect() {
    let server = Server::fixture();
    stream_two_lines(&server, "failed", "error");
    // After the drain no hook runs any more.
    server.stop();
    assert_eq!(probe("failed").count("closed"), 0);
}

#[tokio::test]
async fn a_disconnect_during_a_call_is_noticed_once_and_invoke_runs_to_its_end() {
    let server = Server::fixture();
    for (name, how) in [("fin", Shutdown::Both), ("half", Shutdown::Write)] {
        let stream = send(&server, "probe.leave", &json!(name));
        wait_for_event(name, "started", 1).await;
        stream.shutdown(how).unwrap();
        wait_for_event(name, "closed by a client without a session", 1).await;
        assert_eq!(probe(name).count("ended"), 0, "invoke waits at the gate");
        probe(name).open();
        wait_for_event(name, "ended", 1).await;
    }
    server.stop();
    for name in ["fin", "half"] {
        assert_eq!(probe(name).count("ended"), 1);
        assert_eq!(probe(name).count("closed by a client without a session"), 1);
    }
}

#[tokio::test]
async fn on_connection_close_sees_the_session() {
    let server = Server::fixture();
    let api = server.api();
    let alice = api.create("alice").await;
    call_and_disconnect(&api, Some(&alice), "probe.leave", "signed").await;
    wait_for_event("signed", "closed by alice", 1).await;
    probe("signed").open();
    server.stop();
    assert_eq!(probe("signed").count("closed by alice"), 1);
}

#[tokio::test]
async fn a_disconnect_during_a_stream_is_noticed_once() {
    let server = Server::fixture();
    let mut stream = send(&server, "probe.stream", &json!({ "name": "disconnected" }));
    assert!(stream.read(&mut [0; 100]).unwrap() > 0);
    drop(stream);
    wait_for_event("disconnected", "closed", 1).await;
    server.stop();
    assert_eq!(probe("disconnected").count("closed"), 1, "still once");
}

#[tokio::test]
async fn a_disconnect_after_the_response_is_ignored() {
    let server = Server::fixture();
    assert!(stream_two_lines(&server, "complete", "").contains("tick 1"));
    wait_for_event("complete", "ended", 1).await;
    server.stop();
    assert_eq!(probe("complete").count("closed"), 0);
}

#[tokio::test]
async fn an_http_2_stream_that_is_reset_is_noticed() {
    let server = Server::fixture();
    let http = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let api = Api { http, ..server.api() };
    call_and_disconnect(&api, None, "probe.leave", "h2").await;
    wait_for_event("h2", "closed by a client without a session", 1).await;
    probe("h2").open();
    wait_for_event("h2", "ended", 1).await;
    // The connection is closed by both sides, so the client must not be blocked.
    tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    assert_eq!(probe("h2").count("closed by a client without a session"), 1);
}

#[tokio::test]
async fn two_hundred_disconnects_are_each_noticed_once() {
    let server = Server::fixture_with(|config| config.max_connections_per_address = 1000);
    for round in 1..=4 {
        let streams: Vec<_> = (0..50).map(|_| send(&server, "probe.leave", &json!("many"))).collect();
        wait_for_event("many", "started", 50 * round).await;
        drop(streams);
    }
    probe("many").open();
    wait_for_event("many", "ended", 200).await;
    wait_for_event("many", "closed by a client without a session", 200).await;
    server.stop();
    assert_eq!(probe("many").count("ended"), 200);
    assert_eq!(probe("many").count("closed by a client without a session"), 200);
}
