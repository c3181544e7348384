//! The log: one line for each request, and the server's own events. Never parameters, passwords, session ids or keys.
//!
//! | file | |
//! |---|---|
//! | `access.rs` | a request as an entry of the log, and the entry as an event |
//! | `json.rs` | the entry as a line of JSON, without the cost of an event |
//! | `repeated.rs` | events that are counted, and logged once a second |
//! | `writer.rs` | the queue of lines, and the thread that writes them |

mod access;
mod json;
mod repeated;
#[cfg(test)]
mod tests;
mod writer;

use std::io::{self, IsTerminal};
use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::SubscriberBuilder;
use tracing_subscriber::fmt::format::{DefaultFields, Format};

use crate::config::{Config, LogFormat, LogLevel};

#[cfg(feature = "testing")]
pub(crate) use access::NoAccessLog;
pub(crate) use access::{AccessLog, AccessLogEntry, EventAccessLog};
use json::JsonAccessLog;
pub(crate) use repeated::Repeated;
pub(crate) use writer::{LogThread, LogWriter};

/// The target of the events that are panics.
pub(crate) const PANIC: &str = "simpleapi::panic";

/// Sends the log to standard error in the configured format, and returns the log of requests.
///
/// Dropping the [`LogThread`] writes what is still queued.
///
/// # Errors
/// Returns an error if the thread cannot be started.
pub(crate) fn init(config: &Config) -> io::Result<(Arc<dyn AccessLog>, LogThread)> {
    let thread = LogThread::start()?;
    let writer = thread.writer().clone();
    let subscriber = subscriber(config, writer.clone());
    let is_terminal = io::stderr().is_terminal();
    let is_pretty = match config.log_format {
        LogFormat::Auto => is_terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let access_log: Arc<dyn AccessLog> = if is_pretty {
        install(subscriber.with_ansi(is_terminal).compact().finish());
        Arc::new(EventAccessLog)
    } else {
        install(subscriber.json().flatten_event(true).finish());
        Arc::new(JsonAccessLog::new(writer, level_filter(config)))
    };
    Ok((access_log, thread))
}

type Builder = SubscriberBuilder<DefaultFields, Format, LevelFilter, LogWriter>;

/// Returns the builder of a subscriber that writes events of the configured level and above to `writer`.
pub(crate) fn subscriber(config: &Config, writer: LogWriter) -> Builder {
    tracing_subscriber::fmt().with_max_level(level_filter(config)).with_writer(writer).with_target(false)
}

fn level_filter(config: &Config) -> LevelFilter {
    match config.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Makes `subscriber` the process's own, and logs panics.
pub(crate) fn install(subscriber: impl tracing::Subscriber + Send + Sync) {
    // A second call in one process, as in tests, keeps the first subscriber.
    let _ = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(target: PANIC, place, text = panic.payload_as_str(), "panic");
    }));
}
