//! Floods and slow clients, and what other clients see of them. `tests/run hardening` runs them at their full size.

mod floods;
mod slow_clients;
mod steady_load;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{Api, Listening, Process};

const MIB: u64 = 1 << 20;

/// Lets this process, and the servers that it starts, open as many files as the system allows.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

/// The loopback address with this number, the address of one client.
fn address(number: usize) -> IpAddr {
    let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
    Ipv4Addr::new(127, 1, high, low).into()
}

/// Connects from an address. A small receive buffer makes a client that does not read felt early.
async fn connect(server: SocketAddr, from: IpAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    socket.bind((from, 0).into())?;
    socket.connect(server).await
}

/// A client with connections from an address.
fn api_from(server: &impl Listening, from: IpAddr) -> Api {
    Api { http: reqwest::Client::builder().local_address(from).build().unwrap(), base: server.url("") }
}

/// The resources of a process.
#[derive(Clone, Copy, Debug)]
struct Usage {
    /// Resident memory, in bytes.
    memory: u64,
    /// The most resident memory so far, in bytes.
    max_memory: u64,
    descriptors: usize,
}

impl Usage {
    fn of(process: &Process) -> Self {
        let folder = format!("/proc/{}", process.child.id());
        let status = std::fs::read_to_string(format!("{folder}/status")).unwrap();
        let bytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.trim_matches([' ', '\t', 'k', 'B']).parse::<u64>().unwrap() * 1024
        };
        let descriptors = std::fs::read_dir(format!("{folder}/fd")).unwrap().count();
        Usage { memory: bytes("VmRSS:"), max_memory: bytes("VmHWM:"), descriptors }
    }
}

/// An honest client that calls one after the other, and fails the test at the first error.
struct Honest {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Vec<Duration>>,
}

impl Honest {
    /// Calls `demo.hello` every few milliseconds.
    fn start(api: Api) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut times = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                let started = Instant::now();
                let reply = api.call("demo.hello", json!({ "name": "alice", "n": 1 })).await;
                times.push(started.elapsed());
                assert_eq!(reply.code(), 0, "{reply:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            times
        });
        Honest { stop, task }
    }

    /// Returns the time that 99 of 100 calls stayed below.
    async fn finish(self) -> Duration {
        self.stop.store(true, Ordering::SeqCst);
        let mut times = self.task.await.unwrap();
        times.sort_unstable();
        times[times.len() * 99 / 100]
    }

    /// Calls for a time.
    async fn run(api: Api, time: Duration) -> Duration {
        let honest = Honest::start(api);
        tokio::time::sleep(time).await;
        honest.finish().await
    }
}
