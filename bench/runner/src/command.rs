//! Other programs: run to their end, with their output or without.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::interrupt::Interrupt;

/// The time between two checks of a program that runs.
const POLL: Duration = Duration::from_millis(20);

/// Runs a command to its end. Its standard output goes to standard error, so that the report alone is on standard output.
///
/// # Errors
/// Returns an error if the command fails, or if the run is interrupted, which ends the command and the processes it has started.
pub fn run(command: &mut Command, interrupt: &Interrupt) -> Result<()> {
    let name = describe(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start `{name}`"))?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if interrupt.is_set() {
            end_group(&mut child);
        }
        interrupt.check()?;
        std::thread::sleep(POLL);
    };
    if !status.success() {
        bail!("`{name}` failed: {status}");
    }
    Ok(())
}

/// Runs a command to its end and returns its standard output without the surrounding blanks.
///
/// # Errors
/// Returns an error with the command's standard error if it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let name = describe(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{name}`"))?;
    if !output.status.success() {
        bail!("`{name}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Returns `true` if a program is in `PATH`.
pub fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

/// Returns a TCP port that no server uses.
///
/// # Errors
/// Returns an error if there is none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn end_group(child: &mut Child) {
    let _ = kill_process_group(Pid::from_child(child), Signal::TERM);
    let _ = child.wait();
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
