//! Functions and traits that the code written by `method-build` calls. Not for method authors; the compiler's messages name the traits.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

pub use crate::call_state::HookFuture;
pub use crate::method::{Invoke, MethodFuture, MethodResult};
pub use crate::parameters::RawParams;
pub use crate::{ClosedCall, Handler, Rate};

/// The initial capacity of a response body, in bytes: most responses fit.
const BODY_CAPACITY_BYTES: usize = 256;

/// A type that `invoke` can take as `params`.
#[diagnostic::on_unimplemented(
    message = "method `{Method}`: `{Self}` cannot be the `params` of `invoke`, because it is not `Deserialize`",
    note = "add `#[derive(Deserialize)]` to `{Self}`; its fields must be `Deserialize` too and own their data"
)]
pub trait FromParams<Method>: Sized {
    /// Deserializes the parameters of a method that does not accept GET.
    ///
    /// # Errors
    /// Returns error 1019 (Invalid parameters) if they do not fit the type.
    fn from_params(params: &RawParams) -> Result<Self>;

    /// Deserializes the parameters of a method that accepts GET.
    ///
    /// # Errors
    /// Returns error 1019 (Invalid parameters) if they do not fit the type.
    fn from_params_or_query(params: &RawParams) -> Result<Self>;
}

#[diagnostic::do_not_recommend]
impl<Method, P: DeserializeOwned> FromParams<Method> for P {
    fn from_params(params: &RawParams) -> Result<Self> {
        crate::parameters::read(params)
    }

    fn from_params_or_query(params: &RawParams) -> Result<Self> {
        crate::parameters::read_body_or_query(params)
    }
}

/// A type that `invoke` can return as its answer.
#[diagnostic::on_unimplemented(
    message = "method `{Method}`: `{Self}` cannot be the answer of `invoke`, because it is not `Serialize`",
    note = "add `#[derive(Serialize)]` to `{Self}`; its fields must be `Serialize` too"
)]
pub trait IntoAnswer<Method> {
    /// Encodes the answer as the body of a response.
    ///
    /// # Errors
    /// Returns error 1000 (Server error) if it has no JSON form, such as a map whose keys are not strings.
    fn encode(self) -> MethodResult;
}

#[diagnostic::do_not_recommend]
impl<Method, A: Serialize> IntoAnswer<Method> for A {
    fn encode(self) -> MethodResult {
        if crate::parameters::is_unit::<A>() {
            return Ok(None);
        }
        // As `Success { result: self }`, with less code to compile for each method.
        let mut body = Vec::with_capacity(BODY_CAPACITY_BYTES);
        body.extend_from_slice(b"{\"result\":");
        serde_json::to_writer(&mut body, &self)?;
        body.push(b'}');
        Ok(Some(body.into()))
    }
}

/// A type that `invoke` can return: a [`Result`] of this crate, whose error reaches the client.
#[diagnostic::on_unimplemented(
    message = "method `{Method}`: `invoke` returns `{Self}`, not a `method_sdk::Result`",
    note = "write `-> Result<Answer>` with the `Result` of `method_sdk::prelude`"
)]
pub trait IntoMethodResult<Method, A> {
    /// Returns the same value as a [`Result`].
    ///
    /// # Errors
    /// Returns the method's own error.
    fn into_result(self) -> Result<A>;
}

impl<Method, A> IntoMethodResult<Method, A> for Result<A, Error> {
    fn into_result(self) -> Result<A> {
        self
    }
}

/// Deserializes the parameters of a method.
///
/// # Errors
/// Returns error 1019 (Invalid parameters) if they do not fit the type.
pub fn params<Method, P: FromParams<Method>>(params: &RawParams) -> Result<P> {
    P::from_params(params)
}

/// Deserializes the parameters of a method that accepts GET.
///
/// # Errors
/// Returns error 1019 (Invalid parameters) if they do not fit the type.
pub fn params_or_query<Method, P: FromParams<Method>>(params: &RawParams) -> Result<P> {
    P::from_params_or_query(params)
}

/// Returns the value of `invoke` as a [`Result`].
///
/// # Errors
/// Returns the method's own error.
pub fn into_result<Method, A, R: IntoMethodResult<Method, A>>(returned: R) -> Result<A> {
    returned.into_result()
}

/// Encodes an answer.
///
/// # Errors
/// Returns the method's own error, or error 1000 (Server error) if the answer has no JSON form.
pub fn encode_answer<Method, A: IntoAnswer<Method>>(answer: Result<A>) -> MethodResult {
    answer?.encode()
}

/// Returns the future of an `async` `invoke`, which must be `Send`, because it moves between the server's threads.
pub fn assert_send<F: Future + Send>(future: F) -> F {
    future
}
