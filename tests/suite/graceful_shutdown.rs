//! Graceful shutdown: no request that was sent is lost, and no client delays the end.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fixture::_probe::probe;
use rustix::process::Signal;
use serde_json::json;

use crate::databases::{Database, Kind};
use crate::server::{Server, wait_for_event};
use crate::support::{Listening, Process, read_all, wait_for};

const CALL: &[u8] = b"POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n7";

/// Sends one call after the other, on one connection while it is kept alive, until a new connection is refused. Counts the
/// responses; a call without a response is a failure.
fn load(address: std::net::SocketAddr, answered: &AtomicUsize, stop: &AtomicBool) -> Result<(), String> {
    'connections: while !stop.load(Ordering::SeqCst) {
        let Ok(mut stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(500)) else {
            return Ok(());
        };
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        for calls in 0.. {
            if let Err(error) = stream.write_all(CALL) {
                return Err(format!("cannot send call {calls}: {error}"));
            }
            let mut reply = String::new();
            let mut piece = [0; 1024];
            while !reply.ends_with(r#"{"result":7}"#) {
                match stream.read(&mut piece) {
                    Ok(length) if length > 0 => reply.push_str(&String::from_utf8_lossy(&piece[..length])),
                    end => {
                        return Err(format!(
                            "call {calls} of its connection was sent, and the response was {reply:?}, {end:?}"
                        ));
                    }
                }
            }
            answered.fetch_add(1, Ordering::SeqCst);
            if reply.contains("connection: close") {
                continue 'connections;
            }
        }
    }
    Ok(())
}

/// Starts a server as a process, for its exit status and its log.
fn start(options: &[&str]) -> Process {
    Database::new(Kind::ANY).process(options)
}

/// Waits until the server accepts no new connection.
fn wait_for_closed_listener(server: &impl Listening) {
    let connect = || std::net::TcpStream::connect_timeout(&server.address(), Duration::from_millis(50));
    wait_for(|| connect().is_err().then_some(()), || "the listener stays open".to_owned());
}

#[test]
fn sigterm_under_load_loses_no_request_that_was_sent() {
    let server = start(&[]);
    let (answered, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let (answered, stop, address) = (answered.clone(), stop.clone(), server.address());
            std::thread::spawn(move || load(address, &answered, &stop))
        })
        .collect();
    wait_for(|| (answered.load(Ordering::SeqCst) > 500).then_some(()), || format!("{answered:?} calls answered"));
    let before = answered.load(Ordering::SeqCst);
    let (status, log) = server.stop();
    for client in clients {
        client.join().unwrap().unwrap();
    }
    assert!(status.success(), "{status}: {log}");
    assert!(answered.load(Ordering::SeqCst) > before, "calls are served during the shutdown");
    assert!(log.contains("all requests in flight are complete"), "{}", log.lines().last().unwrap_or_default());
}

#[test]
fn a_draining_server_is_not_ready_and_closes_connections() {
    let mut server = Server::start_with(|config| config.shutdown_delay = Duration::from_secs(3));
    let mut idle = server.connect();
    idle.write_all(CALL).unwrap();
    assert!(idle.read(&mut [0; 1024]).unwrap() > 0);
    server.shut_down();
    let get =
        |path: &str| server.raw(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes());
    wait_for(|| get("/readyz").starts_with("HTTP/1.1 503").then_some(()), || "the server stays ready".to_owned());
    assert!(get("/livez").starts_with("HTTP/1.1 200"));
    let reply = server.raw(CALL);
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("connection: close"), "{reply}");
    assert_eq!(read_all(&mut idle), "", "an idle connection is closed at the end of the delay");
}

#[tokio::test]
async fn a_call_in_flight_is_finished_before_the_server_ends() {
    let mut server = Server::fixture();
    let mut stream = server.connect();
    let body = r#""in_flight""#;
    let head = format!("POST /probe/gate HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    wait_for_event("in_flight", "started", 1).await;
    server.shut_down();
    wait_for_closed_listener(&server);
    probe("in_flight").open();
    let reply = read_all(&mut stream);
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("opened"), "{reply}");
    server.wait();
}

#[test]
fn a_client_stalled_in_mid_body_does_not_delay_the_end_past_the_drain_timeout() {
    let server = start(&["--shutdown_delay=0", "--drain_timeout=1s", "--body_timeout=1h"]);
    let mut stalled = server.connect();
    let head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n";
    stalled.write_all(head).unwrap();
    let mut piece = [0; 100];
    let length = stalled.read(&mut piece).unwrap();
    assert!(piece[..length].starts_with(b"HTTP/1.1 100"), "the body is being read");
    stalled.write_all(b"123").unwrap();
    let started = Instant::now();
    let (status, log) = server.stop();
    assert!(status.success(), "{status}");
    assert!(log.contains("aborting the requests in flight"), "{log}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn streams_are_closed_cleanly() {
    let server = Server::fixture();
    let mut stream = server.connect();
    let body = json!({ "name": "endless" }).to_string();
    let head = format!("POST /probe/stream HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    assert!(stream.read(&mut [0; 100]).unwrap() > 0);
    let started = Instant::now();
    server.stop();
    assert!(started.elapsed() < Duration::from_secs(20), "the stream is not cut off at the drain timeout");
    assert_eq!(probe("endless").count("ended"), 1);
    assert!(read_all(&mut stream).ends_with("0\r\n\r\n"), "ended cleanly");
}

#[test]
fn a_call_in_flight_survives_every_signal_that_ends_the_server_and_those_that_mean_nothing_to_it() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP] {
        let server = start(&["--shutdown_delay=0"]);
        let mut stream = server.connect();
        let head = b"POST /demo/echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        stream.write_all(head).unwrap();
        let mut piece = [0; 100];
        let length = stream.read(&mut piece).unwrap();
        assert!(piece[..length].starts_with(b"HTTP/1.1 100"), "the body is being read");
        stream.write_all(b"7").unwrap();
        server.signal(Signal::USR1);
        server.signal(Signal::USR2);
        server.signal(signal);
        server.wait_for_log("shutting down");
        wait_for_closed_listener(&server);
        stream.write_all(b"7").unwrap();
        let reply = read_all(&mut stream);
        assert!(reply.ends_with(r#"{"result":77}"#), "{signal:?}: {reply:?}");
        let mut server = server;
        assert!(server.child.wait().unwrap().success(), "{signal:?}");
    }
}

#[test]
fn a_second_signal_exits_immediately() {
    let mut server = start(&["--shutdown_delay=1h"]);
    server.signal(Signal::TERM);
    server.wait_for_log("shutting down");
    server.signal(Signal::INT);
    assert_eq!(server.child.wait().unwrap().code(), Some(1));
}

#[test]
fn idle_connections_do_not_delay_the_end() {
    let server = start(&["--shutdown_delay=0"]);
    let _silent = server.connect();
    let mut used = server.connect();
    used.write_all(CALL).unwrap();
    assert!(used.read(&mut [0; 1024]).unwrap() > 0);
    let (status, log) = server.stop();
    assert!(status.success() && log.contains("all requests in flight are complete"), "{log}");
}

#[test]
fn a_connection_opened_just_before_the_end_is_still_served() {
    let mut server = Server::start_with(|config| config.shutdown_delay = Duration::ZERO);
    let mut late: Vec<_> = (0..40).map(|_| server.connect()).collect();
    server.shut_down();
    // From here on a first byte may take half a second.
    wait_for_closed_listener(&server);
    for stream in &mut late {
        stream.write_all(CALL).unwrap();
    }
    for mut stream in late {
        let reply = read_all(&mut stream);
        assert!(reply.starts_with("HTTP/1.1 200") && reply.ends_with(r#"{"result":7}"#), "{reply:?}");
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_call_that_waits_for_the_database_does_not_delay_the_end_past_the_drain_timeout() {
    let shared = Database::new(Kind::Sqlite);
    let server = shared.process(&["--shutdown_delay=0", "--drain_timeout=1s", "--database_timeout=1h"]);
    server.api().call("demo.visits", json!({})).await;
    let _lock = crate::databases::write_lock(&shared.directory).await;
    // The shutdown takes a request that has been sent before it.
    let mut stalled = server.connect();
    stalled.write_all(b"POST /demo/visits HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").unwrap();
    let (status, log) = server.stop();
    assert!(status.success() && log.contains("aborting the requests in flight"), "{log}");
}
