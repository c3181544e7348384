//! Requests as entries of the log, and the implementation that emits them as events.

use std::net::IpAddr;
use std::time::Instant;

use http::StatusCode;
use method_sdk::host::RequestInfo;
use method_sdk::{Error, code};
use tracing::Level;

use crate::call::codec::EncodedResponse;

/// The most bytes of a client's own text in a line.
const MAX_TEXT_BYTES: usize = 256;

/// The most bytes of an error's cause in a line.
const MAX_CAUSE_BYTES: usize = 1024;

/// The target of the events that are requests: only the server emits events with this target.
const ACCESS: &str = "simpleapi::access";

/// Records requests: each of them once, when its response is known.
pub(crate) trait AccessLog: Send + Sync {
    /// Records a request.
    fn record(&self, entry: &AccessLogEntry<'_>);
}

/// A request and its response. The parts that cost time to obtain are methods, for logs that leave the request out.
pub(crate) struct AccessLogEntry<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) peer: IpAddr,
    pub(crate) method: Option<&'static str>,
    pub(crate) status: StatusCode,
    /// The error in the response, with its cause.
    error: Option<&'a Error>,
    user: Option<&'a str>,
    started: Instant,
}

impl<'a> AccessLogEntry<'a> {
    /// Creates the entry of a request whose response is sent now.
    pub(crate) fn new(
        request: &'a RequestInfo,
        method: Option<&'static str>,
        user: Option<&'a str>,
        response: &'a EncodedResponse,
    ) -> Self {
        let RequestInfo { id: request_id, peer, started, .. } = request;
        let (status, error) = (response.status, response.error.as_ref());
        AccessLogEntry { request_id, peer: *peer, method, status, error, user, started: *started }
    }

    /// Returns the error's code; 0 for a success.
    pub(crate) fn code(&self) -> i32 {
        self.error.map_or(0, Error::code)
    }

    /// Returns the level of the entry: a warning if a database is unreachable, an error if the server is at fault.
    pub(crate) fn level(&self) -> Level {
        let code = self.code();
        if code == code::SERVER_ERROR.number {
            Level::ERROR
        } else if code == code::SERVICE_UNAVAILABLE.number {
            Level::WARN
        } else {
            Level::INFO
        }
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

    /// Returns the time from the arrival of the request until `now`, in whole microseconds.
    pub(crate) fn microseconds(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_micros() as u64
    }

    /// Returns the time from the arrival of the request until `now`.
    pub(crate) fn milliseconds(&self, now: Instant) -> f64 {
        self.microseconds(now) as f64 / 1000.0
    }
}

fn truncate(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Emits an event for each request, in the format of the log.
pub(crate) struct EventAccessLog;

impl AccessLog for EventAccessLog {
    fn record(&self, entry: &AccessLogEntry<'_>) {
        // The fields are evaluated only if the event is logged.
        macro_rules! emit {
            ($level:expr) => {
                tracing::event!(
                    target: ACCESS,
                    $level,
                    id = entry.request_id,
                    method = entry.method,
                    code = entry.code(),
                    status = entry.status.as_u16(),
                    ms = entry.milliseconds(Instant::now()),
                    user = entry.user(),
                    peer = %entry.peer,
                    cause = entry.cause().as_deref(),
                    "call"
                )
            };
        }
        match entry.level() {
            Level::ERROR => emit!(Level::ERROR),
            Level::WARN => emit!(Level::WARN),
            _ => emit!(Level::INFO),
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
