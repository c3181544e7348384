//! Servers behind a load balancer and under a service manager: clients are served while servers restart.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::databases::{Database, Kind};
use crate::support::{TIMEOUT, read_all, server_binary, wait_for};

/// Starts a server with this listener, as systemd does.
fn activated(listener: &TcpListener, database: &Database) -> Child {
    // A service manager sets the variables between fork and exec; a shell can too, since it knows its own process id.
    let script = r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@" 3<&0 </dev/null"#;
    let socket = OwnedFd::from(listener.try_clone().unwrap());
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(server_binary()).args(database.options());
    command.current_dir(database.directory.path()).stdin(Stdio::from(socket)).stderr(Stdio::null()).spawn().unwrap()
}

/// Makes one call on a connection of its own; returns `false` if the connection is refused or there is no response.
fn call(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let request = b"POST /demo/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\n7";
    stream.write_all(request).is_ok() && read_all(&mut stream).ends_with(r#"{"result":7}"#)
}

/// The calls of all clients.
#[derive(Default)]
struct Counts {
    sent: AtomicUsize,
    failed: AtomicUsize,
    answered: AtomicUsize,
}

#[test]
fn a_restart_with_the_service_managers_socket_refuses_no_connection() {
    const CLIENTS: usize = 8;
    let database = Database::new(Kind::ANY);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = activated(&listener, &database);
    let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (stop, counts) = (stop.clone(), counts.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    counts.sent.fetch_add(1, Ordering::SeqCst);
                    let result = if call(address) { &counts.answered } else { &counts.failed };
                    result.fetch_add(1, Ordering::SeqCst);
                    // A slower pace, because every connection takes a port for a minute.
                    std::thread::sleep(Duration::from_millis(2));
                }
            })
        })
        .collect();
    // In this order, so that no call is counted as answered and not as sent.
    let read = || [&counts.answered, &counts.failed, &counts.sent].map(|count| count.load(Ordering::SeqCst));
    for _ in 0..3 {
        let target = read()[0] + 500;
        wait_for(|| (read()[0] >= target).then_some(()), || format!("too few calls answered: {:?}", read()));
        kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
        assert!(server.wait().unwrap().success());
        // No process accepts connections now, and every client waits in the backlog.
        let waiting = || {
            let [answered, failed, sent] = read();
            sent - failed - answered
        };
        wait_for(|| (waiting() == CLIENTS).then_some(()), || format!("{} clients wait", waiting()));
        server = activated(&listener, &database);
    }
    assert!(call(address));
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().unwrap();
    }
    server.kill().unwrap();
    server.wait().unwrap();
    let [_, failed, calls] = read();
    println!("{calls} connections during 3 restarts, {failed} refused or lost");
    assert_eq!(failed, 0);
}

#[test]
fn an_invalid_inherited_socket_is_reported() {
    let database = Database::new(Kind::ANY);
    let script = r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@" 3</dev/null"#;
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(server_binary()).args(database.options()).current_dir(database.directory.path());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("cannot use the socket that `LISTEN_FDS` passes"), "{text}");
}

/// Starts a server with this socket as descriptor 3 and these variables, which the shell evaluates, and returns its output.
fn with_socket(socket: OwnedFd, variables: &str, options: &[&str]) -> std::process::Output {
    let database = Database::new(Kind::ANY);
    let script = format!(r#"export {variables}; exec "$0" "$@" 3<&0 </dev/null"#);
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(server_binary()).args(database.options()).args(options);
    command.current_dir(database.directory.path()).stdin(Stdio::from(socket)).output().unwrap()
}

#[test]
fn an_inherited_socket_that_does_not_listen_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let output = with_socket(connected.into(), "LISTEN_PID=$$ LISTEN_FDS=1", &[]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("the socket that `LISTEN_FDS` passes does not listen"), "{text}");
}

#[test]
fn a_socket_that_is_passed_to_no_process_or_to_another_one_is_not_used() {
    for (variables, is_reported) in [("LISTEN_FDS=1", true), ("LISTEN_FDS=1 LISTEN_PID=1", false)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // The port is in use, so that a server that does not use the socket ends.
        let port = format!("--port={}", listener.local_addr().unwrap().port());
        let output = with_socket(listener.try_clone().unwrap().into(), variables, &[&port]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("the address is in use"), "{text}");
        assert_eq!(text.contains("ignoring `LISTEN_FDS`"), is_reported, "{text}");
    }
}

#[cfg(feature = "mysql")]
mod nginx {
    use std::time::Instant;

    use serde_json::json;

    use super::*;
    use crate::support::client::Session;
    use crate::support::{Api, Process, root, sign, wait_for_async};

    /// nginx with the repository's `nginx.conf`, on other ports.
    struct Nginx {
        child: Child,
        _folder: tempfile::TempDir,
    }

    impl Nginx {
        /// Without the limits per client, which one address would reach here.
        fn start(port: u16, servers: [u16; 2]) -> Self {
            Nginx::start_with(port, servers, [("rate=200r/s", "rate=99999r/s"), ("burst=1000", "burst=99999")])
        }

        fn start_with(port: u16, servers: [u16; 2], replaced: [(&str, &str); 2]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let text = std::fs::read_to_string(root().join("nginx.conf")).unwrap();
            let [one, two] = servers.map(|port| port.to_string());
            let text = text.replace("8888", &one).replace("8889", &two).replace("8080", &port.to_string());
            let text = replaced.iter().fold(text, |text, (from, to)| {
                assert!(text.contains(from), "{from}");
                text.replace(from, to)
            });
            std::fs::write(folder.path().join("nginx.conf"), text).unwrap();
            let mut nginx = Command::new("nginx");
            nginx.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr", "-g", "daemon off;"]);
            Nginx { child: nginx.stderr(Stdio::null()).spawn().unwrap(), _folder: folder }
        }
    }

    impl Drop for Nginx {
        fn drop(&mut self) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let _ = self.child.wait();
        }
    }

    /// Ports that are free at the time of the call.
    fn ports<const N: usize>() -> [u16; N] {
        let sockets = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        sockets.map(|socket| socket.local_addr().unwrap().port())
    }

    /// Sends these bytes from an address of this machine, and returns the response.
    fn send(from: &str, port: u16, bytes: &[u8]) -> std::io::Result<String> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(from.parse().unwrap(), 0).into())?;
        socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(bytes)?;
        Ok(read_all(&mut stream))
    }

    fn wait_for_nginx(port: u16) {
        let get = b"GET /demo/hello?name=x&n=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let is_up = || send("127.0.0.1", port, get).is_ok_and(|reply| reply.starts_with("HTTP/1.1 200"));
        wait_for(|| is_up().then_some(()), || "nginx does not serve".to_owned());
    }

    #[test]
    #[ignore = "needs nginx: run tests/run"]
    fn refusals_and_requests_without_a_host_reach_their_clients_through_nginx() {
        let database = Database::new(Kind::ANY);
        let server = database.process(&["--trusted_proxies=127.0.0.1"]);
        let [proxy] = ports();
        let port = crate::support::Listening::address(&server).port();
        let _nginx = Nginx::start(proxy, [port, port]);
        wait_for_nginx(proxy);
        let body = "x".repeat(1024 * 1024);
        for (head, status) in [
            ("PUT / HTTP/1.1\r\nHost: x", "405"),
            ("DELETE /no/such/method HTTP/1.1\r\nHost: x", "404"),
            ("POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip", "415"),
            ("POST /demo/echo HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: cross-site", "403"),
        ] {
            for _ in 0..30 {
                let head = format!("{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                let reply = send("127.0.0.1", proxy, format!("{head}{body}").as_bytes()).unwrap();
                assert!(reply.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {reply}");
            }
        }
        let old = send("127.0.0.1", proxy, b"POST /demo/echo HTTP/1.0\r\nContent-Length: 1\r\n\r\n7").unwrap();
        assert!(old.starts_with("HTTP/1.1 200") && old.ends_with(r#"{"result":7}"#), "{old}");
    }

    #[test]
    #[ignore = "needs nginx: run tests/run"]
    fn nginx_limits_the_requests_of_one_client_and_not_those_of_others() {
        let database = Database::new(Kind::ANY);
        let server = database.process(&["--trusted_proxies=127.0.0.1"]);
        let [proxy] = ports();
        let port = crate::support::Listening::address(&server).port();
        let limits = [("rate=200r/s", "rate=1r/m"), ("burst=1000", "burst=20")];
        let _nginx = Nginx::start_with(proxy, [port, port], limits);
        let call = b"POST /demo/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\n7";
        wait_for(|| send("127.0.0.9", proxy, call).is_ok().then_some(()), || "nginx does not serve".to_owned());
        let replies: Vec<_> = (0..40).map(|_| send("127.0.0.2", proxy, call).unwrap()).collect();
        let served = replies.iter().filter(|reply| reply.starts_with("HTTP/1.1 200")).count();
        assert_eq!(served, 21, "one, and a burst of 20");
        let refused = replies.last().unwrap();
        assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("1013"), "{refused}");
        assert!(refused.contains("Retry-After: 1"), "{refused}");
        assert!(send("127.0.0.3", proxy, call).unwrap().starts_with("HTTP/1.1 200"), "another client");
    }

    struct Client {
        session: Session,
        counted: u64,
        /// When each failure happened, and the status or error instead of a result.
        failures: Vec<(Instant, String)>,
    }

    /// Makes signed calls until `stop` is set, and adds the successful ones to `total`.
    async fn load(api: Api, session: Session, stop: Arc<AtomicBool>, total: Arc<AtomicUsize>) -> Client {
        let mut client = Client { session, counted: 0, failures: Vec::new() };
        let body = json!({ "method": "demo.counter", "parameters": {} }).to_string();
        let signature = sign(&client.session.user, body.as_bytes());
        while !stop.load(Ordering::SeqCst) {
            let headers = [("x-session-id", client.session.id.as_str()), ("x-hmac", signature.as_str())];
            match api.try_send("/", &body, &headers).await {
                Ok(reply) if reply.status == 200 && reply.code() == 0 => {
                    client.counted += 1;
                    total.fetch_add(1, Ordering::SeqCst);
                }
                Ok(reply) => client.failures.push((Instant::now(), format!("{}", reply.status))),
                Err(error) => client.failures.push((Instant::now(), error.to_string())),
            }
        }
        client
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs nginx and MySQL: run tests/run"]
    async fn no_session_is_lost_when_servers_are_killed_and_restarted() {
        const CLIENTS: usize = 8;
        let database = Database::new(Kind::Mysql);
        let [proxy, one, two] = ports();
        let start = |port: u16| database.process(&[&format!("--port={port}"), "--trusted_proxies=127.0.0.1"]);
        let (mut first, mut second) = (start(one), start(two));
        let _nginx = Nginx::start(proxy, [one, two]);
        let api = Api { http: reqwest::Client::new(), base: format!("http://127.0.0.1:{proxy}") };
        let hello = json!({ "method": "demo.hello", "parameters": { "name": "x", "n": 1 } }).to_string();
        wait_for_async(async || api.try_send("/", &hello, &[]).await.is_ok_and(|reply| reply.status == 200)).await;

        let (stop, total) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut clients = Vec::new();
        for n in 0..CLIENTS {
            let session = api.create(&format!("user{n}")).await;
            clients.push(tokio::spawn(load(api.clone(), session, stop.clone(), total.clone())));
        }
        let some_load = async || {
            let target = total.load(Ordering::SeqCst) + 100 * CLIENTS;
            wait_for_async(async || total.load(Ordering::SeqCst) >= target).await;
        };
        some_load().await;
        let killed = Instant::now();
        first.child.kill().unwrap();
        first.child.wait().unwrap();
        some_load().await;
        drop(first);
        first = start(one);
        some_load().await;
        let rolling = Instant::now();
        for _ in 0..2 {
            tokio::task::block_in_place(|| assert!(first.stop().0.success()));
            first = start(one);
            some_load().await;
            tokio::task::block_in_place(|| assert!(second.stop().0.success()));
            second = start(two);
            some_load().await;
        }
        stop.store(true, Ordering::SeqCst);

        let (mut counted, mut at_kill, mut at_restarts) = (0, Vec::new(), Vec::new());
        for client in clients {
            let client = client.await.unwrap();
            let unknown = client.failures.len() as u64;
            let reply = api.call_as(&client.session, "demo.counter", json!({})).await;
            let count = reply.result()["count"].as_u64().unwrap();
            let expected = client.counted + 1..=client.counted + unknown + 1;
            assert!(expected.contains(&count), "{count} is not in {expected:?}");
            counted += client.counted;
            for (when, what) in client.failures {
                assert!(when > killed, "{what}, before the first kill");
                if when < rolling { at_kill.push(what) } else { at_restarts.push(what) }
            }
        }
        println!(
            "{counted} signed calls; at kill -9 {at_kill:?} of {CLIENTS} clients; at 4 restarts {at_restarts:?}; {CLIENTS} of {CLIENTS} sessions kept"
        );
        // nginx must not send a call again that the killed server may have executed. A client that has lost a call may send
        // one more before the process has ended.
        assert!(at_kill.len() <= 2 * CLIENTS, "{at_kill:?}");
        assert!(at_restarts.is_empty(), "{at_restarts:?}");
        let log = Process::log(&first);
        assert!(log.contains("\"peer\":\"127.0.0.1\""), "{log}");
    }
}
