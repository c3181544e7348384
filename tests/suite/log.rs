//! The log of a server whose standard error is not read, or closed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{address_in, spawn};
use crate::support::{Listening, TIMEOUT, directory, server_binary, wait_for};

/// More calls than the log holds: each has a line of 300 bytes, and the queue and the pipe hold 4 MiB and a few KiB.
const OVERFLOW: usize = 20_000;

/// More calls than a pipe holds.
const FULL_PIPE: usize = 500;

/// A server whose standard error only the test reads; killed when dropped.
struct Quiet {
    child: Child,
    address: SocketAddr,
    _directory: Arc<TempDir>,
}

impl Quiet {
    /// Starts a server, and reads its log until it listens.
    fn start(options: &[&str]) -> (Self, BufReader<ChildStderr>) {
        let directory = directory();
        let mut command = Command::new(server_binary());
        command.stdin(Stdio::null());
        let mut child = spawn(&directory, command, options);
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "the server ends before it listens");
            if let Some(address) = address_in(&line) {
                break address;
            }
        };
        (Quiet { child, address, _directory: directory }, log)
    }

    /// Calls `demo.hello` so many times on one connection, and returns when all calls have succeeded.
    fn call(&self, times: usize) {
        let (id, mut stream) = ("x".repeat(128), self.connect());
        let request = format!("GET /demo/hello?name=a&n=1 HTTP/1.1\r\nHost: x\r\nX-Request-Id: {id}\r\n\r\n");
        for sent in (0..times).step_by(50) {
            let calls = 50.min(times - sent);
            stream.write_all(request.repeat(calls).as_bytes()).unwrap();
            read_successes(&mut stream, calls);
        }
    }

    fn status_of(&self, path: &str) -> String {
        let reply = self.raw(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes());
        reply.split(' ').nth(1).unwrap().to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait_for_end(&mut self) -> ExitStatus {
        wait_for(|| self.child.try_wait().unwrap(), || "the server does not end".to_owned())
    }
}

impl Listening for Quiet {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_successes(stream: &mut TcpStream, expected: usize) {
    let (mut replies, mut piece) = (String::new(), [0; 64 * 1024]);
    let end_of_reply = "\"n\":2}";
    while replies.matches(end_of_reply).count() < expected {
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "the connection ends after {replies}");
        replies.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    assert_eq!(replies.matches("HTTP/1.1 200 OK").count(), expected, "{replies}");
}

#[test]
fn a_log_that_is_not_read_delays_no_call_and_counts_the_lines_it_drops() {
    let (server, log) = Quiet::start(&[]);
    server.call(OVERFLOW);
    assert_eq!(server.status_of("/livez"), "200");
    let (sender, lines) = channel();
    std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let (mut calls, mut dropped) = (0, 0);
    while dropped == 0 {
        let line = lines.recv_timeout(TIMEOUT).expect("the number of dropped lines follows the lines of the calls");
        let entry: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let message = entry["message"].as_str().unwrap();
        calls += usize::from(message == "call");
        if let Some((_, rest)) = message.split_once("the log was not read quickly enough: ") {
            assert_eq!(entry["level"], "ERROR");
            dropped = rest.strip_suffix(" lines were dropped").unwrap().parse().unwrap();
        }
    }
    assert_eq!(calls + dropped, OVERFLOW);
}

#[test]
fn a_log_that_is_not_read_delays_no_signal() {
    let (mut server, _log) = Quiet::start(&["--shutdown-delay=0s"]);
    server.call(FULL_PIPE);
    server.signal(Signal::TERM);
    assert!(server.wait_for_end().success());

    let (mut server, _log) = Quiet::start(&["--shutdown-delay=1h"]);
    server.call(FULL_PIPE);
    server.signal(Signal::TERM);
    wait_for(|| (server.status_of("/readyz") == "503").then_some(()), || "no shutdown".to_owned());
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for_end().code(), Some(1));
}

#[test]
fn a_server_whose_standard_error_is_closed_continues() {
    let (mut server, log) = Quiet::start(&["--shutdown-delay=0s"]);
    drop(log);
    server.call(FULL_PIPE);
    server.signal(Signal::TERM);
    assert!(server.wait_for_end().success());
}
