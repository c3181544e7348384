//! The load: HTTP/1.1 connections of one thread on a core of its own, in a closed loop or at a fixed rate.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::http::{self, Head};
use crate::interrupt::Interrupt;
use crate::process;

/// The core of the load. The server has core 0.
pub const LOAD_CORE: usize = 1;

/// The time between two checks for an interrupt while no response arrives.
const POLL: Duration = Duration::from_millis(50);

/// The time for the responses that are outstanding when a fixed rate ends. A server that needs longer is saturated.
const DRAIN: Duration = Duration::from_secs(1);

/// A load on a server.
pub struct Load<'a> {
    pub address: SocketAddr,
    /// The process whose CPU time is measured.
    pub pid: u32,
    /// Connection `i` repeats request `i % requests.len()`.
    pub requests: &'a [Vec<u8>],
    pub connections: usize,
    /// The time before the measurement begins.
    pub warm_up: Duration,
    pub duration: Duration,
    /// Requests a second; `None` for a closed loop, in which each connection sends its next request when it has a response.
    pub rate: Option<f64>,
}

/// The measurements of a load.
pub struct Outcome {
    /// The calls that ended within `elapsed`.
    pub calls: u64,
    /// All calls, those of the warm-up included.
    pub all_calls: u64,
    pub elapsed: Duration,
    /// The CPU time of the server within `elapsed`.
    pub cpu: Duration,
    /// Nanoseconds from the (intended) time of sending to the end of the response.
    pub latencies: Histogram<u64>,
    /// `true` if the server did not keep up with the rate.
    pub is_saturated: bool,
    /// The responses that are no success, and the first of them.
    pub errors: u64,
    pub first_error: Option<String>,
}

/// Runs work on the core of the load.
pub fn on_load_core<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut core = CpuSet::new();
            core.set(LOAD_CORE);
            sched_setaffinity(None, &core).context("cannot use core 1")?;
            work()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl Load<'_> {
    /// # Errors
    /// Returns an error if a connection fails or the run is interrupted.
    pub fn run(&self, interrupt: &Interrupt) -> Result<Outcome> {
        on_load_core(|| {
            let mut state = State::connect(self)?;
            match self.rate {
                None => state.closed_loop(interrupt),
                Some(rate) => state.open_loop(rate, interrupt),
            }?;
            Ok(state.outcome)
        })
    }
}

/// A connection. It has one request at a time.
struct Connection<'a> {
    stream: TcpStream,
    request: &'a [u8],
    /// The bytes of the request that are sent.
    sent: usize,
    /// The (intended) time of sending.
    since: Instant,
    buffer: Vec<u8>,
    filled: usize,
    head: Option<Head>,
}

struct State<'a> {
    load: &'a Load<'a>,
    poll: Poll,
    connections: Vec<Connection<'a>>,
    measured_from: Instant,
    end: Instant,
    cpu_before: Option<Duration>,
    outcome: Outcome,
}

impl<'a> State<'a> {
    fn connect(load: &'a Load<'a>) -> Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(load.connections);
        for number in 0..load.connections {
            let stream = std::net::TcpStream::connect(load.address).context("cannot connect to the server")?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
            let request = &load.requests[number % load.requests.len()];
            let (sent, since) = (request.len(), Instant::now());
            connections.push(Connection { stream, request, sent, since, buffer: vec![0; 8192], filled: 0, head: None });
        }
        let measured_from = Instant::now() + load.warm_up;
        let outcome = Outcome {
            calls: 0,
            all_calls: 0,
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
            latencies: Histogram::new_with_bounds(1000, 60_000_000_000, 3)?,
            is_saturated: false,
            errors: 0,
            first_error: None,
        };
        Ok(State {
            load,
            poll,
            connections,
            measured_from,
            end: measured_from + load.duration,
            cpu_before: None,
            outcome,
        })
    }

    fn closed_loop(&mut self, interrupt: &Interrupt) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        for connection in &mut self.connections {
            connection.send(Instant::now())?;
        }
        while self.continues()? {
            interrupt.check()?;
            wait(&mut self.poll, &mut events, POLL)?;
            for event in &events {
                let index = event.token().0;
                if self.connections[index].proceed()? {
                    let now = Instant::now();
                    self.record(index, now);
                    self.connections[index].send(now)?;
                }
            }
        }
        Ok(())
    }

    fn open_loop(&mut self, rate: f64, interrupt: &Interrupt) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        let began = Instant::now();
        let mut idle: VecDeque<usize> = (0..self.connections.len()).collect();
        let mut due: VecDeque<Instant> = VecDeque::new();
        let intended = |request: u32| began + Duration::from_secs_f64(f64::from(request) / rate);
        let mut planned = 0;
        let mut has_more = true;
        while has_more || !due.is_empty() || idle.len() < self.connections.len() {
            let now = Instant::now();
            has_more = has_more && self.continues()?;
            while has_more && intended(planned) <= now {
                due.push_back(intended(planned));
                planned += 1;
            }
            if now > self.end + DRAIN || due.len() as f64 > rate {
                self.outcome.is_saturated = true;
                return Ok(());
            }
            while let (Some(index), Some(since)) = (idle.front().copied(), due.front().copied()) {
                idle.pop_front();
                due.pop_front();
                self.connections[index].send(since)?;
            }
            interrupt.check()?;
            // Without a pause: a wait of the operating system would be longer than the time between two requests.
            wait(&mut self.poll, &mut events, Duration::ZERO)?;
            for event in &events {
                let index = event.token().0;
                if self.connections[index].proceed()? {
                    self.record(index, Instant::now());
                    idle.push_back(index);
                }
            }
        }
        Ok(())
    }

    /// Starts and ends the measurement. Returns `true` until it has ended.
    fn continues(&mut self) -> Result<bool> {
        let now = Instant::now();
        if now < self.measured_from {
            return Ok(true);
        }
        let Some(cpu_before) = self.cpu_before else {
            self.cpu_before = Some(process::cpu_time(self.load.pid)?);
            self.measured_from = now;
            self.end = now + self.load.duration;
            return Ok(true);
        };
        if now < self.end {
            return Ok(true);
        }
        self.outcome.cpu = process::cpu_time(self.load.pid)?.saturating_sub(cpu_before);
        self.outcome.elapsed = now - self.measured_from;
        Ok(false)
    }

    /// Counts a response that is complete.
    fn record(&mut self, index: usize, now: Instant) {
        let connection = &mut self.connections[index];
        let error = connection.take_error();
        self.outcome.all_calls += 1;
        if self.cpu_before.is_none() || connection.since < self.measured_from && self.load.rate.is_some() {
            return;
        }
        if self.outcome.elapsed.is_zero() {
            self.outcome.calls += 1;
        }
        let nanoseconds = u64::try_from((now - connection.since).as_nanos()).unwrap_or(u64::MAX);
        self.outcome.latencies.saturating_record(nanoseconds);
        if let Some(error) = error {
            self.outcome.errors += 1;
            self.outcome.first_error.get_or_insert(error);
        }
    }
}

impl Connection<'_> {
    /// Begins the request.
    fn send(&mut self, since: Instant) -> Result<()> {
        self.since = since;
        self.sent = 0;
        self.filled = 0;
        self.head = None;
        self.write()
    }

    /// Writes as much of the request as the socket takes.
    fn write(&mut self) -> Result<()> {
        while self.sent < self.request.len() {
            match self.stream.write(&self.request[self.sent..]) {
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("cannot send a request"),
            }
        }
        Ok(())
    }

    /// Writes and reads what the socket takes and has. Returns `true` if the response has become complete.
    fn proceed(&mut self) -> Result<bool> {
        self.write()?;
        loop {
            if self.filled == self.buffer.len() {
                self.buffer.resize(2 * self.filled, 0);
            }
            match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => bail!("the server has closed a connection"),
                Ok(length) => self.filled += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error).context("cannot read a response"),
            }
            // A read that does not fill the buffer has emptied the socket: the next bytes are a new event.
            if self.is_complete() {
                return Ok(true);
            }
            if self.filled < self.buffer.len() {
                return Ok(false);
            }
        }
    }

    fn is_complete(&mut self) -> bool {
        let response = &self.buffer[..self.filled];
        if self.head.is_none() {
            self.head = http::head(response);
        }
        self.head.is_some_and(|head| {
            head.total.map_or_else(|| http::is_last_chunk(response), |total| response.len() >= total)
        })
    }

    /// Returns the response if it is no success. The server's own errors have the status 200 at the RPC endpoint.
    fn take_error(&self) -> Option<String> {
        let head = self.head?;
        let response = &self.buffer[..self.filled];
        let is_error = !head.is_success || response[head.length..].starts_with(b"{\"error\"");
        is_error.then(|| String::from_utf8_lossy(response).chars().take(500).collect())
    }
}

fn wait(poll: &mut Poll, events: &mut Events, timeout: Duration) -> Result<()> {
    match poll.poll(events, Some(timeout)) {
        Err(error) if error.kind() == ErrorKind::Interrupted => {
            events.clear();
            Ok(())
        }
        result => Ok(result?),
    }
}
