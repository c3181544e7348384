//! The log: one line per call, and what else the server has to say. Never parameters, passwords, session ids or keys.

use std::io::{BufWriter, IsTerminal};
use std::net::IpAddr;
use std::time::Instant;

use method_sdk::code;
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

/// What the line of a call says, beside its outcome.
pub(crate) struct AccessLogEntry<'a> {
    pub(crate) id: &'a str,
    pub(crate) peer: IpAddr,
    pub(crate) started: Instant,
    pub(crate) method: Option<&'static str>,
    pub(crate) user: Option<&'a str>,
}

impl AccessLogEntry<'_> {
    /// Writes the line. What is the server's fault is louder, and says why.
    pub(crate) fn write(&self, response: &EncodedResponse) {
        let AccessLogEntry { id, peer, method, .. } = *self;
        let user = self.user.map(|user| cut(user, MAX_TEXT_BYTES));
        let status = response.status.as_u16();
        let ms = self.started.elapsed().as_micros() as f64 / 1000.0;
        let error = response.error.as_ref();
        let code = error.map_or(0, |error| error.code());
        let cause = error.and_then(|error| error.source_chain());
        let cause = cause.as_deref().map(|cause| cut(cause, MAX_CAUSE_BYTES));
        let is_own_fault = code == code::SERVER_ERROR.number;
        let is_trouble = code == code::SERVICE_UNAVAILABLE.number;
        if is_own_fault {
            tracing::error!(id, method, code, status, ms, user, %peer, cause, "call");
        } else if is_trouble {
            tracing::warn!(id, method, code, status, ms, user, %peer, cause, "call");
        } else {
            tracing::info!(id, method, code, status, ms, user, %peer, cause, "call");
        }
    }
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
