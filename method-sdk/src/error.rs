//! What a client hears when a call fails, and what the log hears: two different fields.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use crate::transient::is_transient;

/// What a method returns: `Ok` is sent to the client as `{"result": ..}`, `Err` as `{"error": ..}`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One row of the framework's table of codes: its number, its text, and the HTTP status at the URL door.
///
/// # Example
/// ```
/// use method_sdk::{Error, code};
/// let error = Error::from(code::NOT_AUTHORIZED);
/// assert_eq!((error.code(), error.message()), (1004, "Not authorized"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The number in `{"error": {"code": ..}}`.
    pub number: i32,
    /// The text in `{"error": {"value": ..}}`.
    pub text: &'static str,
    /// The HTTP status at the URL door; the envelope door answers 200 unless `transport`.
    pub status: StatusCode,
    /// The transport itself failed: the status goes out at both doors, and the answer is not signed.
    pub transport: bool,
}

macro_rules! codes {
    ($($name:ident = $number:literal $status:ident $transport:literal $text:literal;)*) => {
        /// The codes of the framework, 1000 to 1999. A method's own codes start at 2000.
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
}

/// A failed call: what the client is told, and beside it the cause that only the log is told.
///
/// Any `std` error becomes one with `?`: it is logged with the request id, and the client gets code 1000, "Server error.", or
/// 1016 if it is the database that is away, busy or full.
/// What the client is meant to read is made with [`Error::new`].
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
    /// An error for the client: `{"error": {"value": value, "code": code}}`.
    ///
    /// Codes 1000 to 1999 are the framework's (see [`code`]); a method's own start at 2000.
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

    /// Code 1000: the client is told "Server error.", the log is told the cause.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Error::from(code::SERVER_ERROR).with_source(source)
    }

    /// Code 1016: what is needed for an answer is away or overloaded, and may be back soon.
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Error::from(code::SERVICE_UNAVAILABLE).with_source(source)
    }

    /// Code 1019: a parameter does not fit. `path` is a JSON Pointer such as `/user_id`, empty for the parameters as a whole.
    pub fn invalid_parameters(path: &str, message: &str) -> Self {
        let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
        let text = format!("{}: {place}{message}", code::INVALID_PARAMETERS.text);
        Error::new(code::INVALID_PARAMETERS.number, text)
            .with_details(serde_json::json!([{ "path": path, "message": message }]))
    }

    /// The same error with another HTTP status at the URL door, instead of the code's own (400 for codes from 2000 up).
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }

    /// The same error with a member `details`, any JSON, for programs to read.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<Value>) -> Self {
        self.0.details = Some(details.into());
        self
    }

    /// The same error with a cause for the log; the client never sees it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error with a `Retry-After` header, rounded up to whole seconds.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Returns the error with a response header, replacing one of the same name.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// The number the client reads.
    pub fn code(&self) -> i32 {
        self.0.code
    }

    /// The text the client reads.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The member `details`, if there is one.
    pub fn details(&self) -> Option<&Value> {
        self.0.details.as_ref()
    }

    /// What really happened, for the log.
    pub fn source(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }

    /// The cause, and what caused that, in one line.
    pub fn source_chain(&self) -> Option<String> {
        let mut cause: Option<&dyn StdError> = Some(self.0.source.as_deref()?);
        let chain = std::iter::from_fn(|| {
            let text = cause?.to_string();
            cause = cause?.source();
            Some(text)
        });
        Some(chain.collect::<Vec<_>>().join(": "))
    }

    /// Whole seconds for `Retry-After`: those asked for, else 1 for the codes that ask a client to come back (1013, 1016).
    pub fn retry_after_seconds(&self) -> Option<u64> {
        let asked = self.0.retry_after.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        let comes_back = [code::TOO_MANY_REQUESTS.number, code::SERVICE_UNAVAILABLE.number].contains(&self.0.code);
        asked.or(comes_back.then_some(1))
    }

    /// Returns the response headers set by [`with_header`](Error::with_header).
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The HTTP status at the URL door.
    pub fn http_status(&self) -> StatusCode {
        let own = || self.row().map_or(StatusCode::BAD_REQUEST, |row| row.status);
        self.0.status.unwrap_or_else(own)
    }

    /// Whether the transport itself failed, so that the status goes out at both doors and nothing is signed.
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

/// The way of `?`: anything that went wrong and was not meant for the client. A database that is away is 1016, all else 1000.
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
