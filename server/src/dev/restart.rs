//! A change that cannot be loaded: the application is built anew while the old server serves, and then takes its place on its socket.

use std::convert::Infallible;
use std::io::{BufRead, IsTerminal, stdin};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::mpsc::Sender;

use rustix::io::{FdFlags, fcntl_setfd};

use super::watch::WatchEvent;
use crate::dev::build::application::Application;

/// Builds the application; what Cargo says goes to the terminal.
///
/// # Errors
/// It does not build. The program is the old one.
pub(super) fn rebuild(application: &Application) -> Result<(), String> {
    let status = application.build().status().map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("the build failed".to_owned()) }
}

/// Becomes the program that has been built, with this socket: who connects meanwhile waits in its queue and is not refused.
///
/// # Errors
/// Only if that cannot be done.
pub(super) fn exec_replacement(application: &Application, listener: &TcpListener) -> Result<Infallible, String> {
    fcntl_setfd(listener, FdFlags::empty()).map_err(|error| format!("cannot pass the socket on: {error}"))?;
    let error = Command::new(&application.program)
        .args(std::env::args_os().skip(1))
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDS_FIRST_FD", listener.as_raw_fd().to_string())
        .env("LISTEN_PID", std::process::id().to_string())
        .exec();
    Err(format!("cannot run {}: {error}", application.program.display()))
}

/// Signals each line of standard input; not of a terminal that belongs to another job, which would stop this process.
pub(super) fn listen_for_enter(sender: Sender<WatchEvent>) {
    let is_ours = || rustix::termios::tcgetpgrp(stdin()).is_ok_and(|group| group == rustix::process::getpgrp());
    if stdin().is_terminal() && !is_ours() {
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
