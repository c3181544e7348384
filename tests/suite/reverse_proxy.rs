//! Behind a load balancer and under a service manager: what can be served is served while servers come and go.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::databases::{Database, Kind};
use crate::support::{read_all, server_binary};

/// A server that is given this socket, as systemd gives one.
fn activated(listener: &TcpListener, database: &Database) -> Child {
    // What a service manager does between fork and exec a shell can do as well: it knows its own id.
    let script = r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@" 3<&0 </dev/null"#;
    let socket = OwnedFd::from(listener.try_clone().unwrap());
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(server_binary()).args(database.options());
    command.current_dir(database.directory.path()).stdin(Stdio::from(socket)).stderr(Stdio::null()).spawn().unwrap()
}

/// One call on a connection of its own; false if it was refused or not answered.
fn call(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    stream.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    let request = b"POST /demo/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\n7";
    stream.write_all(request).is_ok() && read_all(&mut stream).ends_with(r#"{"result":7}"#)
}

#[test]
fn a_restart_with_the_service_managers_socket_refuses_no_connection() {
    let database = Database::new(Kind::ANY);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = activated(&listener, &database);
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                let (mut calls, mut failed) = (0, 0);
                while !stop.load(Ordering::SeqCst) {
                    calls += 1;
                    failed += usize::from(!call(address));
                    std::thread::sleep(Duration::from_millis(2));
                }
                (calls, failed)
            })
        })
        .collect();
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(500));
        kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
        assert!(server.wait().unwrap().success());
        // Nobody accepts now.
        std::thread::sleep(Duration::from_millis(300));
        server = activated(&listener, &database);
    }
    assert!(call(address));
    stop.store(true, Ordering::SeqCst);
    let counts: Vec<(usize, usize)> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    server.kill().unwrap();
    server.wait().unwrap();
    let calls: usize = counts.iter().map(|(calls, _)| calls).sum();
    let failed: usize = counts.iter().map(|(_, failed)| failed).sum();
    println!("{calls} connections during 3 restarts, {failed} refused or lost");
    assert_eq!(failed, 0);
}

#[test]
fn a_socket_that_is_none_is_said() {
    let database = Database::new(Kind::ANY);
    let script = r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@" 3</dev/null"#;
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(server_binary()).args(database.options()).current_dir(database.directory.path());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("the socket that LISTEN_FDS gives cannot be used"), "{told}");
}

#[cfg(feature = "mysql")]
mod nginx {
    use std::time::Instant;

    use serde_json::json;

    use super::*;
    use crate::support::{Api, Server, Session, root, wait_for_async};

    /// nginx with the repository's `nginx.conf`, but for the ports.
    struct Nginx {
        child: Child,
        _folder: tempfile::TempDir,
    }

    impl Nginx {
        fn start(own: u16, servers: [u16; 2]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let text = std::fs::read_to_string(root().join("nginx.conf")).unwrap();
            let [one, two] = servers.map(|port| port.to_string());
            let text = text.replace("8888", &one).replace("8889", &two).replace("8080", &own.to_string());
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

    /// Ports that were free a moment ago.
    fn ports<const N: usize>() -> [u16; N] {
        let sockets = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        sockets.map(|socket| socket.local_addr().unwrap().port())
    }

    struct Client {
        session: Session,
        counted: u64,
        /// When, and what came instead of an answer.
        failures: Vec<(Instant, String)>,
    }

    async fn load(api: Api, session: Session, stop: Arc<AtomicBool>) -> Client {
        let mut client = Client { session, counted: 0, failures: Vec::new() };
        let body = json!({ "method": "demo.counter", "parameters": {} }).to_string();
        let signature = crate::support::sign(&client.session.user, body.as_bytes());
        while !stop.load(Ordering::SeqCst) {
            let headers = [("x-session-id", client.session.id.as_str()), ("x-hmac", signature.as_str())];
            match api.try_send("/", &body, &headers).await {
                Ok(reply) if reply.status == 200 && reply.code() == 0 => client.counted += 1,
                Ok(reply) => client.failures.push((Instant::now(), format!("{}", reply.status))),
                Err(error) => client.failures.push((Instant::now(), error.to_string())),
            }
        }
        client
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs nginx and MySQL: run tests/run"]
    async fn servers_are_killed_and_restarted_and_no_session_is_lost() {
        const CLIENTS: usize = 8;
        let database = Database::new(Kind::Mysql);
        let [own, one, two] = ports();
        let start = |port: u16| database.server(&[&format!("--port={port}"), "--trusted_proxies=127.0.0.1"]);
        let (mut first, mut second) = (start(one), start(two));
        let _nginx = Nginx::start(own, [one, two]);
        let api = Api { http: reqwest::Client::new(), base: format!("http://127.0.0.1:{own}") };
        let hello = json!({ "method": "demo.hello", "parameters": { "name": "x", "n": 1 } }).to_string();
        wait_for_async(async || api.try_send("/", &hello, &[]).await.is_ok_and(|reply| reply.status == 200)).await;

        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = Vec::new();
        for n in 0..CLIENTS {
            let session = api.create(&format!("user{n}")).await;
            clients.push(tokio::spawn(load(api.clone(), session, stop.clone())));
        }
        let some_time = || tokio::time::sleep(Duration::from_millis(1500));
        some_time().await;
        let killed = Instant::now();
        first.child.kill().unwrap();
        first.child.wait().unwrap();
        some_time().await;
        drop(first);
        first = start(one);
        some_time().await;
        let rolling = Instant::now();
        for _ in 0..2 {
            tokio::task::block_in_place(|| assert!(first.stop().0.success()));
            first = start(one);
            some_time().await;
            tokio::task::block_in_place(|| assert!(second.stop().0.success()));
            second = start(two);
            some_time().await;
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
                assert!(when > killed, "{what}, before anything happened");
                if when < rolling { at_kill.push(what) } else { at_restarts.push(what) }
            }
        }
        println!(
            "{counted} signed calls; at kill -9 {at_kill:?} of {CLIENTS} clients; at 4 restarts {at_restarts:?}; {CLIENTS} of {CLIENTS} sessions kept"
        );
        // What had been sent to the killed server nginx must not send again: it may have been carried out. A client that has
        // lost a call may be quick enough to send one more, while the process is ending.
        assert!(at_kill.len() <= 2 * CLIENTS, "{at_kill:?}");
        assert!(at_restarts.is_empty(), "{at_restarts:?}");
        let log = Server::log(&first);
        assert!(log.contains("\"peer\":\"127.0.0.1\""), "{log}");
    }
}
