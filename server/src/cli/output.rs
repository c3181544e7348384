//! The output of the process outside the log, and its exit statuses.

use std::io::{self, Write as _};
use std::process::{self, ExitCode};

use thiserror::Error;

use crate::log::LogWriter;

/// The exit status for a command line or a configuration that the process cannot act on.
const USAGE_STATUS: u8 = 2;

/// Prints `text` to standard output and returns exit status 0, or 1 if it cannot be written.
pub(crate) fn print(text: &str) -> ExitCode {
    match write_line(text) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => exit_failure(&error.to_string()),
    }
}

/// Standard output cannot be written to: it is a full disk, for example.
#[derive(Debug, Error)]
#[error("cannot write to standard output: {0}")]
pub(crate) struct OutputError(#[source] io::Error);

/// Writes a line to standard output. Returns `false` if its reader, such as `head`, has closed it, which is not an error.
pub(crate) fn write_line(text: &str) -> Result<bool, OutputError> {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(OutputError(error)),
    }
}

/// Prints `text` to standard error, with the program's name before each line.
pub(crate) fn warn(text: &str) {
    let mut stderr = io::stderr().lock();
    for line in text.lines() {
        let _ = writeln!(stderr, "server: {line}");
    }
}

/// Prints a failure and returns exit status 1.
pub(crate) fn exit_failure(message: &str) -> ExitCode {
    warn(message);
    ExitCode::FAILURE
}

/// Prints an error in the command line or the configuration and returns exit status 2.
pub(crate) fn exit_usage(message: &str) -> ExitCode {
    warn(message);
    ExitCode::from(USAGE_STATUS)
}

/// Ends the process when it receives a second signal. The log reports it, because standard error itself may have a reader that stalls.
pub(crate) fn exit_at_second_signal(log: &LogWriter) {
    tracing::warn!("received a second signal, exiting");
    log.close();
    process::exit(1);
}

/// Returns a number of methods in words, such as `2 methods`.
pub(super) fn counted_methods(count: usize) -> String {
    if count == 1 { "1 method".to_owned() } else { format!("{count} methods") }
}
