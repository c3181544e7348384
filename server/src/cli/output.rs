//! The output of the process outside the log, and its exit statuses.

use std::io::{self, Write as _};
use std::process::{self, ExitCode};

use crate::log::LogWriter;

/// The exit status for a command line or a configuration that the process cannot act on.
const USAGE_STATUS: u8 = 2;

/// Prints `text` to standard output. A reader that has closed it, such as `head`, is not an error.
pub(crate) fn print(text: &str) -> ExitCode {
    let _ = writeln!(io::stdout(), "{text}");
    ExitCode::SUCCESS
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
