//! The log: one line per call, and what else the server has to say. Never parameters, passwords, session ids or keys.

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

/// Bytes of a client's own text that go into the log.
const MAX_TEXT_BYTES: usize = 256;

/// Bytes of a cause that go into the log.
const MAX_CAUSE_BYTES: usize = 1024;

/// Bytes of the log that are written at once at most.
const BUFFER_BYTES: usize = 64 * 1024;

/// The target of the events that are requests: only the server emits events with this target.
const ACCESS: &str = "simpleapi::access";

/// The message of a panic's event.
pub(crate) const PANIC: &str = "panic";

/// Sends the log to standard error, from a thread of its own; what is not yet written is when the guard is dropped.
pub(crate) fn init(config: &Config) -> WorkerGuard {
    let (subscriber, guard) = subscriber(config);
    let is_terminal = std::io::stderr().is_terminal();
    let pretty = match config.log_format {
        LogFormat::Auto => is_terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    if pretty {
        begin(subscriber.with_ansi(is_terminal).compact().finish());
    } else {
        begin(subscriber.json().flatten_event(true).finish());
    }
    guard
}

/// The same for a developer, who reads it: JSON only if that is asked for.
#[cfg(feature = "dev")]
pub(crate) fn init_for_development(config: &Config, lines: crate::dev::DevTerminal) -> WorkerGuard {
    let (subscriber, guard) = subscriber(config);
    match config.log_format {
        LogFormat::Auto | LogFormat::Pretty => begin(subscriber.event_format(lines).finish()),
        LogFormat::Json => begin(subscriber.json().flatten_event(true).finish()),
    }
    guard
}

type Builder = SubscriberBuilder<DefaultFields, Format, LevelFilter, NonBlocking>;

fn subscriber(config: &Config) -> (Builder, WorkerGuard) {
    // The thread empties its queue and then flushes: with a buffer that is one write for all lines of a busy moment.
    let buffered = BufWriter::with_capacity(BUFFER_BYTES, std::io::stderr());
    let (writer, guard) = NonBlockingBuilder::default().lossy(false).finish(buffered);
    let level = match config.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    (tracing_subscriber::fmt().with_max_level(level).with_writer(writer).with_target(false), guard)
}

fn begin(subscriber: impl tracing::Subscriber + Send + Sync) {
    // A second `init` in one process, as tests do, keeps the first.
    let _ = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, text = panic.payload_as_str(), "{PANIC}");
    }));
}

/// Records requests: each of them once, when its response is known.
pub(crate) trait AccessLog: Send + Sync {
    /// Records a request.
    fn record(&self, entry: &AccessLogEntry<'_>);
}

/// A request and its response, as the access log tells of them.
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

    /// The error's code; 0 for a success.
    pub(crate) fn code(&self) -> i32 {
        self.error.map_or(0, Error::code)
    }

    /// The account of the caller's session, up to a limit of bytes.
    pub(crate) fn user(&self) -> Option<&'a str> {
        self.user.map(|user| truncate(user, MAX_TEXT_BYTES))
    }

    /// The error's causes, up to a limit of bytes.
    pub(crate) fn cause(&self) -> Option<String> {
        let mut cause = self.error?.source_chain()?;
        cause.truncate(cause.floor_char_boundary(MAX_CAUSE_BYTES));
        Some(cause)
    }

    /// The time that the request took.
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
