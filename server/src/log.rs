//! The log: one line for each request, and the server's own events. Never parameters, passwords, session ids or keys.

use std::io::{BufWriter, IsTerminal};
use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;
use method_sdk::host::RequestInfo;
use method_sdk::{Error, code};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::SubscriberBuilder;
use tracing_subscriber::fmt::format::{DefaultFields, Format};

use crate::call::codec::EncodedResponse;
use crate::config::{Config, LogFormat, LogLevel};

/// The most bytes of a client's own text in a line.
const MAX_TEXT_BYTES: usize = 256;

/// The most bytes of an error's cause in a line.
const MAX_CAUSE_BYTES: usize = 1024;

/// The most bytes of a single write.
const BUFFER_BYTES: usize = 64 * 1024;

/// The target of the events that are requests: only the server emits events with this target.
const ACCESS: &str = "simpleapi::access";

/// The target of the events that are panics.
pub(crate) const PANIC: &str = "simpleapi::panic";

/// Sends the log to standard error in the configured format.
///
/// Dropping the guard writes what is still queued.
pub(crate) fn init(config: &Config) -> WorkerGuard {
    let (writer, guard) = stderr_writer();
    let subscriber = subscriber(config, writer);
    let is_terminal = std::io::stderr().is_terminal();
    let is_pretty = match config.log_format {
        LogFormat::Auto => is_terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    if is_pretty {
        install(subscriber.with_ansi(is_terminal).compact().finish());
    } else {
        install(subscriber.json().flatten_event(true).finish());
    }
    guard
}

/// Returns a writer to standard error that never blocks its caller: a thread of its own writes.
///
/// Dropping the guard writes what is still queued.
pub(crate) fn stderr_writer() -> (NonBlocking, WorkerGuard) {
    // The thread empties its queue and then flushes: with a buffer, the lines of a busy moment are one write.
    let buffered = BufWriter::with_capacity(BUFFER_BYTES, std::io::stderr());
    NonBlockingBuilder::default().lossy(false).finish(buffered)
}

type Builder = SubscriberBuilder<DefaultFields, Format, LevelFilter, NonBlocking>;

/// Returns the builder of a subscriber that writes events of the configured level and above to `writer`.
pub(crate) fn subscriber(config: &Config, writer: NonBlocking) -> Builder {
    let level = match config.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(writer).with_target(false)
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

/// Records requests: each of them once, when its response is known.
pub(crate) trait AccessLog: Send + Sync {
    /// Records a request.
    fn record(&self, entry: &AccessLogEntry<'_>);
}

/// A request and its response.
pub(crate) struct AccessLogEntry<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) peer: IpAddr,
    pub(crate) method: Option<&'static str>,
    pub(crate) status: StatusCode,
    pub(crate) elapsed: Duration,
    /// The error in the response, with its cause.
    pub(crate) error: Option<&'a Error>,
    user: Option<&'a str>,
}

impl<'a> AccessLogEntry<'a> {
    /// Creates the entry of a request whose response is sent now.
    pub(crate) fn new(
        request: &'a RequestInfo,
        method: Option<&'static str>,
        user: Option<&'a str>,
        response: &'a EncodedResponse,
    ) -> Self {
        let elapsed = request.started.elapsed();
        let (status, error) = (response.status, response.error.as_ref());
        AccessLogEntry { request_id: &request.id, peer: request.peer, method, status, elapsed, error, user }
    }

    /// Returns the error's code; 0 for a success.
    pub(crate) fn code(&self) -> i32 {
        self.error.map_or(0, Error::code)
    }

    /// Returns the account of the caller's session, up to a limit of bytes.
    pub(crate) fn user(&self) -> Option<&'a str> {
        self.user.map(|user| truncate(user, MAX_TEXT_BYTES))
    }

    /// Returns the error's causes, up to a limit of bytes.
    pub(crate) fn cause(&self) -> Option<String> {
        let mut cause = self.error?.source_chain()?;
        cause.truncate(cause.floor_char_boundary(MAX_CAUSE_BYTES));
        Some(cause)
    }

    /// Returns the time that the request took.
    pub(crate) fn milliseconds(&self) -> f64 {
        self.elapsed.as_micros() as f64 / 1000.0
    }
}

/// Emits an event for each request, in the format of the log: a warning if a database is unreachable, an error if the server is at fault.
pub(crate) struct EventAccessLog;

impl AccessLog for EventAccessLog {
    fn record(&self, entry: &AccessLogEntry<'_>) {
        let AccessLogEntry { request_id: id, peer, method, status, .. } = *entry;
        let (code, status, ms) = (entry.code(), status.as_u16(), entry.milliseconds());
        let (user, cause) = (entry.user(), entry.cause());
        let cause = cause.as_deref();
        if code == code::SERVER_ERROR.number {
            tracing::error!(target: ACCESS, id, method, code, status, ms, user, %peer, cause, "call");
        } else if code == code::SERVICE_UNAVAILABLE.number {
            tracing::warn!(target: ACCESS, id, method, code, status, ms, user, %peer, cause, "call");
        } else {
            tracing::info!(target: ACCESS, id, method, code, status, ms, user, %peer, cause, "call");
        }
    }
}

/// Records nothing.
#[cfg(feature = "testing")]
pub(crate) struct NoAccessLog;

#[cfg(feature = "testing")]
impl AccessLog for NoAccessLog {
    fn record(&self, _: &AccessLogEntry<'_>) {}
}

fn truncate(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
