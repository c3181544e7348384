//! The end of a server: nothing that was sent is lost, and nobody keeps it.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Server, read_all};

const CALL: &[u8] = b"POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n7";

/// Sends one call after the other, on one connection as long as it is kept, until a new one is refused. Counts what was answered;
/// a call that was sent and not answered is a failure.
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
                            "call {calls} of its connection was sent, and the answer was {reply:?}, {end:?}"
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

#[test]
fn sigterm_under_load_loses_no_request_that_was_sent() {
    let server = Server::start(&[]);
    let (answered, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let (answered, stop, address) = (answered.clone(), stop.clone(), server.address);
            std::thread::spawn(move || load(address, &answered, &stop))
        })
        .collect();
    crate::support::wait_for(|| (answered.load(Ordering::SeqCst) > 500).then_some(()));
    let before = answered.load(Ordering::SeqCst);
    let (status, log) = server.stop();
    for client in clients {
        client.join().unwrap().unwrap();
    }
    assert!(status.success(), "{status}: {log}");
    assert!(answered.load(Ordering::SeqCst) > before, "served on while it was leaving");
    assert!(log.contains("everything in flight has ended"), "{}", log.lines().last().unwrap_or_default());
}

#[test]
fn while_it_leaves_it_says_so() {
    let server = Server::start(&["--shutdown_delay=3s"]);
    let mut idle = server.connect();
    idle.write_all(CALL).unwrap();
    assert!(idle.read(&mut [0; 1024]).unwrap() > 0);
    server.signal(Signal::TERM);
    let get =
        |path: &str| server.raw(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes());
    crate::support::wait_for(|| get("/readyz").starts_with("HTTP/1.1 503").then_some(()));
    assert!(get("/livez").starts_with("HTTP/1.1 200"));
    let reply = server.raw(CALL);
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("connection: close"), "{reply}");
    assert_eq!(read_all(&mut idle), "", "an idle connection is closed at the end of the delay");
}

#[test]
fn what_is_in_flight_is_finished_and_then_it_ends() {
    let server = Server::start(&["--shutdown_delay=0"]);
    let mut stream = server.connect();
    let body = r#"{"seconds": 2}"#;
    let head = format!("POST /demo/wait HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let (status, _) = server.stop();
    assert!(status.success());
    let reply = read_all(&mut stream);
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("waited"), "{reply}");
}

#[test]
fn a_client_stuck_in_mid_body_does_not_keep_it_past_the_deadline() {
    let server = Server::start(&["--shutdown_delay=0", "--drain_timeout=1s", "--body_timeout=1h"]);
    let mut stuck = server.connect();
    stuck.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let started = Instant::now();
    let (status, log) = server.stop();
    assert!(status.success(), "{status}");
    assert!(log.contains("is cut off"), "{log}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_blocking_method_does_not_keep_it_past_the_deadline() {
    let server = Server::fixture(&["--shutdown_delay=0", "--drain_timeout=1s"]);
    let mut stuck = server.connect();
    let body = r#"{"ms": 3600000}"#;
    let head = format!("POST /probe/blocking HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stuck.write_all(format!("{head}{body}").as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(server.stop().0.success());
}

#[tokio::test]
async fn streams_are_told_to_end() {
    let server = Server::fixture(&["--shutdown_delay=0"]);
    let mut stream = server.connect();
    let body = json!({ "name": "endless" }).to_string();
    let head = format!("POST /probe/stream HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    assert!(stream.read(&mut [0; 100]).unwrap() > 0);
    let (status, log) = server.stop();
    assert!(status.success() && log.contains("everything in flight has ended"), "{log}");
    assert!(read_all(&mut stream).ends_with("0\r\n\r\n"), "ended cleanly");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&["--shutdown_delay=1h"]);
    server.signal(Signal::TERM);
    crate::support::wait_for(|| server.log().contains("stopping").then_some(()));
    server.signal(Signal::INT);
    assert_eq!(server.child.wait().unwrap().code(), Some(1));
}

#[test]
fn idle_connections_do_not_keep_it() {
    let server = Server::start(&["--shutdown_delay=0"]);
    let _silent = server.connect();
    let mut used = server.connect();
    used.write_all(CALL).unwrap();
    assert!(used.read(&mut [0; 1024]).unwrap() > 0);
    let (status, log) = server.stop();
    assert!(status.success() && log.contains("everything in flight has ended"), "{log}");
}

#[test]
fn a_connection_opened_just_before_the_end_is_still_answered() {
    let server = Server::start(&["--shutdown_delay=0"]);
    let mut late: Vec<_> = (0..40).map(|_| server.connect()).collect();
    server.signal(Signal::TERM);
    // The listener is closed 200 ms later, and then a first byte may take half a second.
    std::thread::sleep(Duration::from_millis(350));
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
async fn a_method_that_holds_the_database_does_not_keep_it_past_the_deadline() {
    let shared = crate::databases::Database::new(crate::databases::Kind::Sqlite);
    let options = ["--shutdown_delay=0", "--drain_timeout=1s", "--database_timeout=1h"];
    let server = shared.server(&options);
    server.api().call("demo.visits", json!({})).await;
    let _lock = crate::support::lock(&shared.directory).await;
    let mut stuck = server.connect();
    stuck.write_all(b"POST /demo/visits HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (status, log) = server.stop();
    assert!(status.success() && log.contains("is cut off"), "{log}");
}
