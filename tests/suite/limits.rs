//! Limits of size, time and number, and malformed requests.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use fixture::_probe::probe;
use serde_json::json;

use crate::databases::{Database, Kind};
use crate::server::{Server, wait_for_event};
use crate::support::{Listening as _, read_all, wait_for, wait_for_async};

fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

#[test]
fn a_body_may_be_as_long_as_max_body_and_no_longer() {
    let server = Server::start_with(|config| (config.max_body, config.body_timeout) = (1024, Duration::from_secs(1)));
    for (bytes, code) in [(1024, ""), (1025, "1014"), (3000, "1014")] {
        let body = format!("\"{}\"", "x".repeat(bytes - 2));
        let plain = server.raw(&post("/demo/echo", "Connection: close\r\n", &body));
        let chunked = format!(
            "POST /demo/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        );
        for reply in [plain, server.raw(chunked.as_bytes())] {
            let status = if code.is_empty() { "HTTP/1.1 200" } else { "HTTP/1.1 413" };
            assert!(reply.starts_with(status) && reply.contains(code), "{bytes}: {reply}");
        }
    }
    // After the response the server reads the rest of an oversized body, for up to `body_timeout`.
    let endless = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n".to_owned() + &"x".repeat(5000);
    let reply = server.raw(endless.as_bytes());
    assert!(reply.starts_with("HTTP/1.1 413") && reply.contains("connection: close"), "{reply}");
    let asks = server.raw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n");
    assert!(asks.starts_with("HTTP/1.1 413"), "refused before the body is sent: {asks}");
}

#[test]
fn a_body_of_one_megabyte_is_returned() {
    let server = Server::start();
    let body = format!("\"{}\"", "x".repeat(1024 * 1024 - 2));
    let reply = server.raw(&post("/demo/echo", "Connection: close\r\n", &body));
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains(&body), "{}", &reply[..200]);
}

#[test]
fn compressed_bodies_are_refused() {
    let server = Server::start();
    let reply = server.raw(&post("/demo/echo", "Content-Encoding: gzip\r\nConnection: close\r\n", "1"));
    assert!(reply.starts_with("HTTP/1.1 415") && reply.contains("1021"), "{reply}");
    let reply = server.raw(&post("/demo/echo", "Content-Encoding: identity\r\nConnection: close\r\n", "1"));
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
}

#[test]
fn ambiguous_framing_is_refused() {
    let server = Server::start();
    for head in [
        "POST / HTTP/1.1\r\nContent-Length: 0\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 0\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n",
    ] {
        let reply = server.raw(format!("{head}Connection: close\r\n\r\n").as_bytes());
        assert!(reply.starts_with("HTTP/1.1 400"), "{head}: {reply}");
    }
    let both = "POST /demo/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n7\r\n0\r\n\r\n\
                POST /demo/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n8";
    let reply = server.raw(both.as_bytes());
    assert_eq!(reply.matches("HTTP/1.1").count(), 1, "no second request is read: {reply}");
}

#[test]
fn a_body_that_does_not_arrive_is_refused_with_1018() {
    let server = Server::start_with(|config| config.body_timeout = Duration::from_secs(1));
    let reply = server.raw(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123");
    assert!(reply.starts_with("HTTP/1.1 408") && reply.contains("1018"), "{reply}");
}

#[test]
fn silent_and_slow_connections_are_closed() {
    let server = Server::start_with(|config| {
        (config.first_byte_timeout, config.idle_timeout) = (Duration::from_secs(1), Duration::from_secs(1));
    });
    for sent in ["", "P", "PRI * HT", "POST / HTTP/1.1\r\nHost:", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = server.connect();
        stream.write_all(sent.as_bytes()).unwrap();
        let started = Instant::now();
        read_all(&mut stream);
        assert!(started.elapsed() < Duration::from_secs(20), "{sent:?}");
    }
}

/// The response is longer than the buffers of the kernel, so the server waits for the client.
#[test]
fn a_client_that_reads_a_long_response_slowly_is_not_idle() {
    const BYTES: usize = 32 * 1024 * 1024;
    let server = Server::start_with(|config| {
        (config.max_body, config.idle_timeout) = (2 * BYTES, Duration::from_secs(2));
    });
    let mut stream = server.connect();
    let body = format!("\"{}\"", "x".repeat(BYTES));
    stream.write_all(&post("/demo/echo", "Connection: close\r\n", &body)).unwrap();
    let mut chunk = vec![0; 256 * 1024];
    for _ in 0..30 {
        std::thread::sleep(Duration::from_millis(100)); // less than `idle_timeout`, and together more
        stream.read_exact(&mut chunk).unwrap();
    }
    assert!(read_all(&mut stream).len() > BYTES - 30 * chunk.len());
}

#[test]
fn a_disconnect_during_the_body_does_not_disturb_other_clients() {
    let server = Server::start();
    for _ in 0..50 {
        let mut stream = server.connect();
        stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123").unwrap();
    }
    assert!(server.raw(&post("/demo/echo", "Connection: close\r\n", "1")).starts_with("HTTP/1.1 200"));
}

#[test]
fn one_address_cannot_use_all_connections() {
    let server = Server::start_with(|config| config.max_connections_per_address = 3);
    let mut held: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for stream in &mut held {
        stream.write_all(&post("/demo/echo", "", "1")).unwrap();
        std::io::Read::read(stream, &mut [0; 1000]).unwrap();
    }
    assert_eq!(server.raw(&post("/demo/echo", "Connection: close\r\n", "1")), "", "a fourth is refused");
    held.pop();
    let accepted = || server.raw(&post("/demo/echo", "Connection: close\r\n", "1")).starts_with("HTTP/1.1 200");
    wait_for(|| accepted().then_some(()), || "a connection is refused after one has closed".to_owned());
}

#[tokio::test]
async fn a_method_past_its_time_limit_fails_with_1016_and_is_dropped() {
    let server = Server::fixture();
    let reply = server.api().call("probe.slow", json!("slow")).await;
    assert_eq!((reply.status, reply.code(), reply.header("retry-after")), (503, 1016, Some("1")));
    wait_for_event("slow", "closed", 1).await;
    wait_for_event("slow", "dropped", 1).await;
    server.stop();
    assert_eq!(probe("slow").count("closed"), 1);
}

#[tokio::test]
async fn a_disconnected_client_keeps_its_connection_slot_until_its_call_has_ended() {
    let server = Server::fixture_with(|config| config.max_connections_per_address = 3);
    let streams: Vec<_> = (1..=3)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(&post("/probe/leave", "", "\"slots\"")).unwrap();
            stream
        })
        .collect();
    wait_for_event("slots", "started", 3).await;
    drop(streams);
    let ping = || server.raw(&post("/echo/ping", "Connection: close\r\n", "1"));
    assert_eq!(ping(), "", "a fourth is refused");
    wait_for_event("slots", "closed by a client without a session", 3).await;
    assert_eq!(ping(), "", "a fourth is refused");
    probe("slots").open();
    wait_for(|| ping().starts_with("HTTP/1.1 200").then_some(()), || "no slot is released".to_owned());
}

#[tokio::test]
async fn a_client_behind_a_trusted_proxy_cannot_have_more_requests_than_connections() {
    let server = Server::fixture_with(|config| {
        (config.max_connections_per_address, config.trusted_proxies) = (3, vec!["127.0.0.1/32".parse().unwrap()]);
    });
    let forwarded_for = |client: &str| format!("X-Forwarded-For: 192.0.2.1, {client}\r\n");
    let ping =
        |client: &str| server.raw(&post("/echo/ping", &format!("{}Connection: close\r\n", forwarded_for(client)), "1"));
    let streams: Vec<_> = ["2001:db8::1", "2001:db8::2:0:0:1", "2001:db8::3"]
        .map(|client| {
            let mut stream = server.connect();
            stream.write_all(&post("/probe/leave", &forwarded_for(client), "\"proxied\"")).unwrap();
            stream
        })
        .into();
    wait_for_event("proxied", "started", 3).await;
    let refused = ping("2001:db8::4");
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("1016"), "{refused}");
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(ping("2001:db8:0:1::1").starts_with("HTTP/1.1 200"), "another client is served");
    let health_check = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(server.raw(health_check).starts_with("HTTP/1.1 200"), "the proxy itself is served");
    drop(streams);
    wait_for_event("proxied", "closed by a client without a session", 3).await;
    assert!(ping("2001:db8::4").starts_with("HTTP/1.1 503"), "the calls of clients that have disconnected count");
    probe("proxied").open();
    let is_served = || ping("2001:db8::4").starts_with("HTTP/1.1 200").then_some(());
    wait_for(is_served, || "the client stays refused".to_owned());
}

#[tokio::test]
async fn a_flood_of_blocking_methods_does_not_block_other_calls() {
    let server = Server::fixture_with(|config| config.max_connections_per_address = 1000);
    let api = server.api();
    let flood: Vec<_> = (0..300)
        .map(|_| {
            let api = api.clone();
            tokio::spawn(async move { api.call("probe.blocking", json!({ "name": "flood" })).await.code() })
        })
        .collect();
    wait_for_event("flood", "started", 256).await;
    wait_for_async(async || flood.iter().filter(|call| call.is_finished()).count() == 44).await;
    api.create("alice").await;
    probe("flood").open();
    let mut codes = Vec::new();
    for call in flood {
        codes.push(call.await.unwrap());
    }
    assert_eq!(
        (codes.iter().filter(|code| **code == 0).count(), codes.iter().filter(|code| **code == 1016).count()),
        (256, 44)
    );
}

#[test]
fn a_request_without_a_path_gets_an_error_response() {
    let server = Database::new(Kind::ANY).process(&[]);
    for target in ["CONNECT a:1", "OPTIONS *"] {
        let reply = server.raw(format!("{target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes());
        assert!(reply.starts_with("HTTP/1.1 40"), "{target}: {reply:?}");
        assert!(reply.contains("\"error\""), "{target}: {reply:?}");
    }
    assert!(!server.log().contains("panic"));
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn with_64_descriptors_connections_leave_some_for_the_database() {
    let directory = crate::support::directory();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", r#"ulimit -n 64; exec "$0" "$@""#]).arg(crate::support::server_binary());
    let server = crate::support::Process::start_command(&directory, command, &[]);
    server.wait_for_log("instead of 4096: the process may open 64 files");
    // Those beyond the limit wait in the kernel's queue.
    let connections: Vec<_> = (0..100).map(|_| server.connect()).collect();
    let api = server.api();
    let waiting = tokio::spawn(async move { api.create("alice").await });
    drop(connections);
    waiting.await.unwrap();
    let api = server.api();
    let logins = (0..10).map(|_| {
        let api = api.clone();
        tokio::spawn(async move { api.login("alice").await.code() })
    });
    for login in logins.collect::<Vec<_>>() {
        assert_eq!(login.await.unwrap(), 0);
    }
    let (_, log) = server.stop();
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn bodies_beyond_a_clients_share_of_the_memory_are_refused_until_others_have_ended() {
    const MIB: usize = 1024 * 1024;
    let server = Server::start_with(|config| (config.max_body, config.max_memory_in_flight) = (MIB, 4 * MIB));
    let body = format!("\"{}\"", "x".repeat(MIB - 2));
    let request = post("/demo/echo", "Connection: close\r\n", &body);
    let mut first = server.connect();
    let headers = format!("Host: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: {MIB}\r\n");
    first.write_all(format!("POST /demo/echo HTTP/1.1\r\n{headers}\r\n").as_bytes()).unwrap();
    let mut piece = [0; 100];
    let length = first.read(&mut piece).unwrap();
    assert!(piece[..length].starts_with(b"HTTP/1.1 100"), "the body is being read");
    let refused = || {
        let reply = server.raw(&request);
        reply.starts_with("HTTP/1.1 503") && reply.contains("1016") && reply.contains("retry-after")
    };
    assert!(refused(), "a second body");
    let small = server.raw(&post("/demo/echo", "Connection: close\r\n", "7"));
    assert!(small.starts_with("HTTP/1.1 200"), "{small}");
    first.write_all(body.as_bytes()).unwrap();
    assert!(read_all(&mut first).starts_with("HTTP/1.1 200"), "the first is not affected");
    wait_for(|| (!refused()).then_some(()), || "the memory is not freed".to_owned());
    assert!(server.raw(&request).starts_with("HTTP/1.1 200"));
}

#[test]
fn responses_that_are_not_read_count_and_calls_beyond_the_share_are_refused_before_they_run() {
    const MIB: usize = 1024 * 1024;
    let server = Server::start_with(|config| (config.max_body, config.max_memory_in_flight) = (16 * MIB, 64 * MIB));
    let body = format!("\"{}\"", "x".repeat(15 * MIB));
    let mut unread = server.connect();
    unread.write_all(&post("/demo/echo", "", &body)).unwrap();
    unread.read_exact(&mut [0; 1000]).unwrap();
    let medium = post("/demo/echo", "Connection: close\r\n", &format!("\"{}\"", "x".repeat(4 * MIB)));
    let refused = || server.raw(&medium).starts_with("HTTP/1.1 503");
    wait_for(|| refused().then_some(()), || "the response is not counted".to_owned());
    drop(unread);
    wait_for(|| (!refused()).then_some(()), || "the memory is not freed".to_owned());
}

#[tokio::test]
async fn a_methods_rate_is_for_each_client_and_at_every_endpoint() {
    let server = Server::fixture_with(|config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]);
    let api = server.api();
    let call = async |client: &str, path: &str, body: &str| api.send(path, body, &[("x-forwarded-for", client)]).await;
    let envelope = r#"{"method":"probe.limited","parameters":{}}"#;
    assert_eq!(call("192.0.2.1", "/probe/limited", "").await.status, 200);
    assert_eq!(call("192.0.2.1", "/probe.limited", "").await.status, 200);
    assert_eq!(call("192.0.2.1", "/", envelope).await.code(), 0);
    for (path, body) in [("/probe/limited", ""), ("/", envelope)] {
        let refused = call("192.0.2.1", path, body).await;
        assert_eq!((refused.status, refused.code()), (429, 1013), "{path}");
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((28_000..=28_801).contains(&wait), "{wait}");
    }
    assert_eq!(call("192.0.2.2", "/probe/limited", "").await.status, 200, "another client");
    assert_eq!(call("192.0.2.1", "/echo/ping", "1").await.status, 200, "another method");
}

#[tokio::test]
async fn request_rate_is_for_all_requests_of_a_client_but_health_checks() {
    let server = Server::start_with(|config| config.request_rate = method_sdk::Rate::parse("5/1h"));
    let api = server.api();
    for _ in 0..5 {
        assert_eq!(api.send("/demo/echo", "1", &[]).await.status, 200);
    }
    let refused = api.send("/demo/echo", "1", &[]).await;
    assert_eq!((refused.status, refused.code()), (429, 1013));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(api.get("/no/such").await.status, 429);
    assert_eq!(api.get("/livez").await.status, 200);
    assert_eq!(api.get("/readyz").await.status, 200);
}
