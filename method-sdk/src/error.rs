//! The error of a failed call: the message for the client and, in another field, the cause for the log.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use crate::transient::is_transient;

/// The result of a method. The client receives `Ok` as `{"result": ..}` and `Err` as `{"error": ..}`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error code of the framework: its number, its text, and its HTTP status.
///
/// The codes are the constants in [`code`].
///
/// # Example
/// ```
/// use method_sdk::{Error, code};
/// let error = Error::from(code::NOT_AUTHORIZED);
/// assert_eq!((error.code(), error.message()), (1004, "Not authorized"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Code {
    /// The number in `{"error": {"code": ..}}`.
    pub number: i32,
    /// The text in `{"error": {"value": ..}}`.
    pub text: &'static str,
    /// The HTTP status of a method URL. The RPC endpoint returns 200 unless `transport` is set.
    pub status: StatusCode,
    /// Whether the transport itself has failed: both endpoints return the status, and the response is not signed.
    pub transport: bool,
}

macro_rules! codes {
    ($($name:ident = $number:literal $status:ident $transport:literal $text:literal;)*) => {
        /// The error codes of the framework, 1000 to 1999. The codes of methods start at 2000.
        pub mod code {
            use super::{Code, StatusCode};
            $(
                #[doc = concat!("`", stringify!($number), "`: ", $text)]
                pub const $name: Code =
                    Code { number: $number, text: $text, status: StatusCode::$status, transport: $transport };
            )*
            pub(super) const ALL: &[Code] = &[$($name),*];
        }
    };
}

codes! {
    SERVER_ERROR           = 1000 INTERNAL_SERVER_ERROR  false "Server error.";
    UNKNOWN_METHOD         = 1001 NOT_FOUND              false "Cannot call this method.";
    MISSING_METHOD         = 1002 BAD_REQUEST            false "Missing method.";
    MISSING_PARAMETERS     = 1003 BAD_REQUEST            false "Missing parameters.";
    NOT_AUTHORIZED         = 1004 UNAUTHORIZED           false "Not authorized";
    INVALID_CREDENTIALS    = 1005 UNAUTHORIZED           false "Invalid user ID or password";
    USER_ID_TAKEN          = 1006 CONFLICT               false "User ID already in use.";
    INVALID_SESSION_ID     = 1007 UNAUTHORIZED           false "Invalid session ID";
    INVALID_HMAC           = 1008 UNAUTHORIZED           false "Invalid HMAC";
    INVALID_USER_ID        = 1010 BAD_REQUEST            false "Invalid user ID";
    TOO_MANY_REQUESTS      = 1013 TOO_MANY_REQUESTS      true  "Too many requests";
    REQUEST_TOO_LARGE      = 1014 PAYLOAD_TOO_LARGE      true  "Request too large";
    MALFORMED_REQUEST      = 1015 BAD_REQUEST            false "Malformed request";
    SERVICE_UNAVAILABLE    = 1016 SERVICE_UNAVAILABLE    true  "Service unavailable";
    REQUEST_TIMEOUT        = 1018 REQUEST_TIMEOUT        true  "Request timeout";
    INVALID_PARAMETERS     = 1019 UNPROCESSABLE_ENTITY   false "Invalid parameters";
    METHOD_NOT_ALLOWED     = 1020 METHOD_NOT_ALLOWED     true  "Method not allowed";
    UNSUPPORTED_ENCODING   = 1021 UNSUPPORTED_MEDIA_TYPE true  "Unsupported content encoding";
    CROSS_SITE_REQUEST     = 1022 FORBIDDEN              true  "Cross-site request";
    UNKNOWN_HOST           = 1023 MISDIRECTED_REQUEST    true  "Unknown host";
}

/// The error of a failed call: a code and a message for the client, and a source that only the log shows.
///
/// [`Error::new`] creates an error for the client. `?` converts any other error that implements [`std::error::Error`]: it is logged with
/// the request ID, and the client receives code 1000, "Server error.". If it is an error of a database that is unreachable, busy or full,
/// the client receives code 1016, "Service unavailable".
///
/// # Example
/// ```
/// use method_sdk::{Error, Result};
///
/// fn withdraw(balance: u64, amount: u64) -> Result<u64> {
///     balance.checked_sub(amount).ok_or_else(|| Error::new(2001, "Not enough money"))
/// }
///
/// assert_eq!(withdraw(1, 2).unwrap_err().code(), 2001);
/// let broken: Result<u8> = "x".parse::<u8>().map_err(Error::from);
/// assert_eq!(broken.unwrap_err().message(), "Server error.");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    code: i32,
    message: Cow<'static, str>,
    status: Option<StatusCode>,
    details: Option<Value>,
    retry_after: Option<Duration>,
    headers: HeaderMap,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error for the client, which receives `{"error": {"value": message, "code": code}}`.
    ///
    /// Codes 1000 to 1999 belong to the framework (see [`code`]). The codes of methods start at 2000.
    pub fn new(code: i32, message: impl Into<Cow<'static, str>>) -> Self {
        Error(Box::new(Inner {
            code,
            message: message.into(),
            status: None,
            details: None,
            retry_after: None,
            headers: HeaderMap::new(),
            source: None,
        }))
    }

    /// Creates error 1000. The client receives "Server error.", and the log shows the source.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Error::from(code::SERVER_ERROR).with_source(source)
    }

    /// Creates error 1016 (Service unavailable): something that the call needs is unreachable or overloaded for now.
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Error::from(code::SERVICE_UNAVAILABLE).with_source(source)
    }

    /// Creates error 1019 (Invalid parameters). `path` is a JSON Pointer such as `/user_id`; it is empty for the parameters as a whole.
    pub fn invalid_parameters(path: &str, message: &str) -> Self {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}: ") };
        let text = format!("{}: {prefix}{message}", code::INVALID_PARAMETERS.text);
        Error::new(code::INVALID_PARAMETERS.number, text)
            .with_details(serde_json::json!([{ "path": path, "message": message }]))
    }

    /// Sets the HTTP status of a method URL. The default is the status of the [`Code`], or 400 for codes from 2000 up.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Adds a member `details` with any JSON, for programs.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<Value>) -> Self {
        self.0.details = Some(details.into());
        self
    }

    /// Sets the cause, which is logged and never sent to the client.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds a `Retry-After` header, rounded up to whole seconds.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds a response header, which replaces one of the same name. Headers that belong to the server are not sent; see
    /// [`Handler::response_header`](crate::Handler::response_header).
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Returns the code.
    pub fn code(&self) -> i32 {
        self.0.code
    }

    /// Returns the message for the client.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the member `details`.
    pub fn details(&self) -> Option<&Value> {
        self.0.details.as_ref()
    }

    /// Returns the cause, for the log.
    pub fn source(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }

    /// Returns the cause and its own causes in one line, separated by colons.
    pub fn source_chain(&self) -> Option<String> {
        let mut cause: Option<&dyn StdError> = Some(self.0.source.as_deref()?);
        let chain = std::iter::from_fn(|| {
            let text = cause?.to_string();
            cause = cause?.source();
            Some(text)
        });
        Some(chain.collect::<Vec<_>>().join(": "))
    }

    /// Returns the seconds for `Retry-After`: the time of [`with_retry_after`](Error::with_retry_after), or 1 for the codes 1013 (Too many
    /// requests) and 1016 (Service unavailable).
    pub fn retry_after_seconds(&self) -> Option<u64> {
        let requested = self.0.retry_after.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        let is_retryable = [code::TOO_MANY_REQUESTS.number, code::SERVICE_UNAVAILABLE.number].contains(&self.0.code);
        requested.or(is_retryable.then_some(1))
    }

    /// Returns the response headers set by [`with_header`](Error::with_header).
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// Returns the HTTP status of a method URL.
    pub fn http_status(&self) -> StatusCode {
        let default = || self.row().map_or(StatusCode::BAD_REQUEST, |row| row.status);
        self.0.status.unwrap_or_else(default)
    }

    /// Returns `true` if the transport itself has failed: both endpoints return the HTTP status, and the response is not signed.
    pub fn is_transport(&self) -> bool {
        self.row().is_some_and(|row| row.transport)
    }

    fn row(&self) -> Option<&'static Code> {
        code::ALL.iter().find(|row| row.number == self.0.code)
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Error::new(code.number, code.text)
    }
}

/// Converts an error that is not meant for the client, as `?` does: to error 1016 (Service unavailable) if it is a transient error of a
/// database, and to error 1000 (Server error) otherwise.
impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(source: E) -> Self {
        if is_transient(&source) { Error::unavailable(source) } else { Error::internal(source) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.code, self.0.message)?;
        self.source_chain().map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
