//! Answers written by hand, and clients that leave.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Server, read_all};

fn envelope(method: &str, parameters: &serde_json::Value) -> Vec<u8> {
    let body = json!({ "method": method, "parameters": parameters }).to_string();
    format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn chunked(method: &str, name: &str, fail: &str, server: &Server) -> String {
    let mut stream = server.connect();
    stream.write_all(&envelope(method, &json!({ "name": name, "fail": fail, "lines": 2 }))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    read_all(&mut stream)
}

#[test]
fn the_first_line_arrives_before_the_last_is_produced() {
    let server = Server::start(&[]);
    let mut stream = server.connect();
    let started = Instant::now();
    stream.write_all(&envelope("demo.countdown", &json!({ "from": 3 }))).unwrap();
    let mut seen = String::new();
    let mut arrived = Vec::new();
    let mut piece = [0; 1024];
    for line in ["3\n", "2\n", "1\n", "0\r\n\r\n"] {
        while !seen.contains(&format!("\r\n{line}")) {
            let length = stream.read(&mut piece).unwrap();
            assert!(length > 0, "ended early: {seen}");
            seen.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
        arrived.push(started.elapsed());
    }
    assert!(arrived[0] < arrived[2] - Duration::from_millis(1500), "{arrived:?}");
    let head = seen.split("\r\n\r\n").next().unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: text/plain; charset=utf-8"), "{head}");
    assert!(head.contains("x-request-id") && !head.contains("x-hmac") && !head.contains("content-length"), "{head}");
}

#[test]
fn a_stream_ends_cleanly_only_if_its_method_does() {
    let server = Server::fixture(&[]);
    let good = chunked("probe.stream", "good", "", &server);
    assert!(good.contains("tick 0") && good.contains("tick 1") && good.contains("0\r\n\r\n"), "{good}");
    assert!(!good.contains("not sent"), "{good}");
    assert!(good.contains("content-type: application/octet-stream"), "{good}");
    for fail in ["error", "panic"] {
        let cut = chunked("probe.stream", "cut", fail, &server);
        assert!(cut.contains("tick 0") && !cut.contains("\r\n0\r\n\r\n"), "{fail}: {cut}");
    }
}

#[tokio::test]
async fn a_stream_that_fails_is_not_a_client_that_leaves() {
    let server = Server::fixture(&[]);
    chunked("probe.stream", "failed", "error", &server);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(server.api().call("probe.events", json!({})).await.result()["failed closed"], json!(null));
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_client_that_leaves_before_invoke_has_begun_is_noticed_too() {
    let server = Server::fixture(&["--database_connections=1", "--database_timeout=1h"]);
    let api = server.api();
    let alice = api.create("alice").await;
    assert_eq!(api.call("probe.events", json!({})).await.code(), 0);
    // The one connection to the database waits for a lock, and so the next call waits for its session.
    let lock = crate::support::lock(&server.directory).await;
    let waiting = tokio::spawn({
        let api = api.clone();
        async move { api.call("account.create", json!({ "user_id": "bob", "password": "secret" })).await.code() }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let call = api.call_as(&alice, "probe.leave", json!("early"));
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    tokio::time::sleep(Duration::from_millis(300)).await;
    lock.rollback().await.unwrap();
    assert_eq!(waiting.await.unwrap(), 0);
    assert_eq!(api.event("early ended, left: true").await, 1);
    assert_eq!(api.event("early closed by alice").await, 1);
}

#[tokio::test]
async fn a_client_that_leaves_a_waiting_call_is_noticed_once_and_invoke_runs_to_its_end() {
    let server = Server::fixture(&[]);
    let api = server.api();
    for (name, leave) in [("fin", Shutdown::Both), ("half", Shutdown::Write)] {
        let mut stream = server.connect();
        stream.write_all(&envelope("probe.leave", &json!(name))).unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        stream.shutdown(leave).unwrap();
        assert_eq!(api.event(&format!("{name} ended, left: true")).await, 1);
        assert_eq!(api.event(&format!("{name} closed by nobody")).await, 1);
    }
}

#[tokio::test]
async fn on_connection_close_sees_the_session() {
    let server = Server::fixture(&[]);
    let api = server.api();
    let alice = api.create("alice").await;
    let call = api.call_as(&alice, "probe.leave", json!("signed"));
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    assert_eq!(api.event("signed closed by alice").await, 1);
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_is_noticed_once() {
    let server = Server::fixture(&[]);
    let api = server.api();
    let mut stream = server.connect();
    stream.write_all(&envelope("probe.stream", &json!({ "name": "left" }))).unwrap();
    assert!(stream.read(&mut [0; 100]).unwrap() > 0);
    drop(stream);
    assert_eq!(api.event("left closed").await, 1);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(api.event("left closed").await, 1, "still once");
}

#[tokio::test]
async fn a_client_that_leaves_after_its_answer_is_nothing() {
    let server = Server::fixture(&[]);
    let api = server.api();
    assert!(chunked("probe.stream", "stayed", "", &server).contains("tick 1"));
    assert_eq!(api.event("stayed ended").await, 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(api.call("probe.events", json!({})).await.result()["stayed closed"], json!(null));
}

#[tokio::test]
async fn an_http_2_stream_that_is_reset_is_noticed() {
    let server = Server::fixture(&[]);
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let body = json!({ "method": "probe.leave", "parameters": "h2" }).to_string();
    let call = client.post(server.url("/")).body(body).send();
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    assert_eq!(server.api().event("h2 closed by nobody").await, 1);
    assert_eq!(server.api().event("h2 ended, left: true").await, 1);
}

#[tokio::test]
async fn hundreds_of_clients_that_leave_are_each_noticed_once() {
    let server = Server::fixture(&["--max_connections_per_address=1000"]);
    for _ in 0..4 {
        let streams: Vec<_> = (0..50)
            .map(|_| {
                let mut stream = server.connect();
                stream.write_all(&envelope("probe.leave", &json!("many"))).unwrap();
                stream
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(streams);
    }
    let api = server.api();
    crate::support::wait_for_async(async || api.event("many ended, left: true").await == 200).await;
    crate::support::wait_for_async(async || api.event("many closed by nobody").await == 200).await;
}
