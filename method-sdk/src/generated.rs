//! What the code written by `method-build` calls. Not for authors of methods; its traits are what the compiler's messages speak of.

use std::pin::Pin;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

pub use crate::method::Invoke;
pub use crate::parameters::RawParams;
pub use crate::{ClosedCall, Handler};

/// What a call comes to: the whole body of a successful answer, or `None` when `invoke` answers `()` and nothing is sent by itself.
pub type MethodResult = Result<Option<Bytes>>;

/// A running `async` method.
pub type MethodFuture<'a> = Pin<Box<dyn Future<Output = MethodResult> + Send + 'a>>;

/// A running `on_connection_close`.
pub type HookFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Bytes that most answers fit into.
const USUAL_ANSWER_BYTES: usize = 256;

/// What can be the `params` of `invoke`.
#[diagnostic::on_unimplemented(
    message = "method `{Method}`: `{Self}` cannot be the `params` of `invoke`, because it is not `Deserialize`",
    note = "add `#[derive(Deserialize)]` to `{Self}`; its fields must be `Deserialize` too and own their data"
)]
pub trait FromParams<Method>: Sized {
    /// Reads them from what came in.
    ///
    /// # Errors
    /// 1019: they do not fit.
    fn from_params(params: RawParams<'_>) -> Result<Self>;

    /// The same where they may be the query string of a GET.
    ///
    /// # Errors
    /// 1019: they do not fit.
    fn from_params_or_query(params: RawParams<'_>) -> Result<Self>;
}

#[diagnostic::do_not_recommend]
impl<Method, P: DeserializeOwned> FromParams<Method> for P {
    fn from_params(params: RawParams<'_>) -> Result<Self> {
        crate::parameters::read(params)
    }

    fn from_params_or_query(params: RawParams<'_>) -> Result<Self> {
        crate::parameters::read_body_or_query(params)
    }
}

/// What can be the answer of `invoke`.
#[diagnostic::on_unimplemented(
    message = "method `{Method}`: `{Self}` cannot be the answer of `invoke`, because it is not `Serialize`",
    note = "add `#[derive(Serialize)]` to `{Self}`; its fields must be `Serialize` too"
)]
pub trait IntoAnswer<Method> {
    /// The body that carries it.
    ///
    /// # Errors
    /// 1000: it has no JSON form, such as a map whose keys are not strings.
    fn encode(self) -> MethodResult;
}

#[diagnostic::do_not_recommend]
impl<Method, A: Serialize> IntoAnswer<Method> for A {
    fn encode(self) -> MethodResult {
        if typeid::of::<A>() == typeid::of::<()>() {
            return Ok(None);
        }
        let mut body = Vec::with_capacity(USUAL_ANSWER_BYTES);
        body.extend_from_slice(b"{\"result\":");
        serde_json::to_writer(&mut body, &self)?;
        body.push(b'}');
        Ok(Some(body.into()))
    }
}

/// What `invoke` may return: a [`Result`] of this crate, whose error reaches the client.
#[diagnostic::on_unimplemented(
    message = "method `{Method}`: `invoke` returns `{Self}`, not a `method_sdk::Result`",
    note = "write `-> Result<Answer>` with the `Result` of `method_sdk::prelude`"
)]
pub trait IntoMethodResult<Method, A> {
    /// The same, as what it is.
    ///
    /// # Errors
    /// The method's own.
    fn into_result(self) -> Result<A>;
}

impl<Method, A> IntoMethodResult<Method, A> for Result<A, Error> {
    fn into_result(self) -> Result<A> {
        self
    }
}

/// Reads the parameters of a method.
///
/// # Errors
/// 1019: they do not fit.
pub fn params<Method, P: FromParams<Method>>(params: RawParams<'_>) -> Result<P> {
    P::from_params(params)
}

/// Reads the parameters of a method that may be called with GET.
///
/// # Errors
/// 1019: they do not fit.
pub fn params_or_query<Method, P: FromParams<Method>>(params: RawParams<'_>) -> Result<P> {
    P::from_params_or_query(params)
}

/// What `invoke` returned.
///
/// # Errors
/// The method's own.
pub fn into_result<Method, A, R: IntoMethodResult<Method, A>>(returned: R) -> Result<A> {
    returned.into_result()
}

/// The outcome of an answer.
///
/// # Errors
/// The method's own, or 1000 if the answer has no JSON form.
pub fn encode_answer<Method, A: IntoAnswer<Method>>(answer: Result<A>) -> MethodResult {
    answer?.encode()
}

/// The future that an `async` `invoke` returns; it must be `Send`, because the server's threads take turns with it.
pub fn assert_send<F: Future + Send>(future: F) -> F {
    future
}
