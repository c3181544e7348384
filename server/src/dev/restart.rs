//! A restart: the application is built while the old server serves, and the new program takes its place on the same socket.

use std::convert::Infallible;
use std::io::{self, BufRead, IsTerminal, stdin};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::Sender;

use rustix::io::{FdFlags, fcntl_setfd};
use thiserror::Error;

use super::build::application::Application;
use super::build::error::ToolError;
use super::watch::WatchEvent;

/// Why the new program does not run.
#[derive(Debug, Error)]
pub(super) enum ExecError {
    #[error("cannot pass on the socket: {0}")]
    Socket(#[source] rustix::io::Errno),
    #[error("cannot run {}: {source}", program.display())]
    Run { program: PathBuf, source: io::Error },
}

/// Builds the application. Cargo's output goes to the terminal.
///
/// # Errors
/// It does not build. The program is the old one.
pub(super) fn rebuild(application: &Application) -> Result<(), ToolError> {
    let status = application.build().status();
    let status = status.map_err(|source| ToolError::Run { command: "cargo build".to_owned(), source })?;
    if status.success() { Ok(()) } else { Err(ToolError::Rebuild) }
}

/// Replaces this process with the new program and passes it the socket: clients that connect meanwhile wait in its queue.
///
/// # Errors
/// The program cannot be run.
pub(super) fn exec_replacement(application: &Application, listener: &TcpListener) -> Result<Infallible, ExecError> {
    fcntl_setfd(listener, FdFlags::empty()).map_err(ExecError::Socket)?;
    let source = Command::new(&application.program)
        .args(std::env::args_os().skip(1))
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDS_FIRST_FD", listener.as_raw_fd().to_string())
        .env("LISTEN_PID", std::process::id().to_string())
        .exec();
    Err(ExecError::Run { program: application.program.clone(), source })
}

/// Sends an event for each line of standard input. Does nothing if it is a terminal that belongs to another job: reading would stop this
/// process.
pub(super) fn watch_stdin(sender: Sender<WatchEvent>) {
    let is_foreground = || rustix::termios::tcgetpgrp(stdin()).is_ok_and(|group| group == rustix::process::getpgrp());
    if stdin().is_terminal() && !is_foreground() {
        return;
    }
    std::thread::spawn(move || {
        for _ in stdin().lock().lines().map_while(Result::ok) {
            if sender.send(WatchEvent::Enter).is_err() {
                return;
            }
        }
    });
}
