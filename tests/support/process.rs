//! A server as a process of its own, for what only a process has: signals, an exit status, a log on standard error.

use std::any::Any;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{Listening, TIMEOUT, wait_for};

/// The part of a log that is kept, in bytes: floods write more.
const MAX_LOG: usize = 64 << 20;

/// A running server; killed when dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    /// The thread that reads the log to its end.
    reader: Option<JoinHandle<()>>,
    pub(crate) directory: Arc<TempDir>,
    /// The database the server runs on, which must outlive it.
    pub(crate) database: Option<Arc<dyn Any + Send + Sync>>,
}

/// Starts a server's process, whose log is to be read from its standard error.
pub(crate) fn spawn(directory: &TempDir, mut command: Command, options: &[&str]) -> Child {
    command.current_dir(directory.path()).args(["--port=0", "--log-format=json"]).args(options);
    command.stderr(Stdio::piped()).spawn().unwrap()
}

/// Returns the address of the server in a line of its log, if it is that line.
pub(crate) fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on http://")?;
    Some(rest.split(['"', ' ']).next()?.parse().unwrap())
}

impl Process {
    /// Starts a program with these options; its database is in `directory`.
    pub(crate) fn start(directory: &Arc<TempDir>, program: &Path, options: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Process::start_command(directory, command, options)
    }

    pub(crate) fn start_command(directory: &Arc<TempDir>, command: Command, options: &[&str]) -> Self {
        let mut child = spawn(directory, command, options);
        let log = Arc::new(Mutex::new(String::new()));
        let (sender, receiver) = mpsc::channel();
        let (stderr, lines) = (child.stderr.take().unwrap(), log.clone());
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(address) = address_in(&line) {
                    let _ = sender.send(address);
                }
                let mut lines = lines.lock().unwrap();
                if lines.len() < MAX_LOG {
                    lines.push_str(&line);
                    lines.push('\n');
                }
            }
        });
        let address = receiver.recv_timeout(TIMEOUT).unwrap_or_else(|_| panic!("no server: {}", log.lock().unwrap()));
        Process { child, address, log, reader: Some(reader), directory: directory.clone(), database: None }
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log contains this text.
    pub(crate) fn wait_for_log(&self, text: &str) {
        wait_for(|| self.log().contains(text).then_some(()), || format!("no {text:?} in\n{}", self.log()));
    }

    /// The entries of calls in the log, as JSON; waits until there are this many.
    pub(crate) fn calls(&self, expected: usize) -> Vec<Value> {
        let calls = || -> Vec<Value> {
            let log = self.log();
            let entries = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            entries.filter(|entry| entry["message"] == "call").collect()
        };
        let enough = || Some(calls()).filter(|calls| calls.len() >= expected);
        wait_for(enough, || format!("fewer than {expected} calls in\n{}", self.log()))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends SIGTERM and waits for the end of the process and of its log.
    pub(crate) fn stop(mut self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        (status, self.log())
    }
}

impl Listening for Process {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
