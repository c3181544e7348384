//! Running a method: in place, as a future or on the blocking pool, within its timeout, with panics caught.

use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join;
use method_sdk::generated::{MethodResult, RawParams};
use method_sdk::host::CallState;
use method_sdk::{ClientDisconnected, Error, Handler, Invoke, Method, Result};
use tokio::sync::Semaphore;

use super::in_flight::run_hook;
use crate::timeout::timeout;

/// The number of blocking methods that may run at the same time. The blocking pool has 512 threads, and password hashing needs some of
/// them too.
const MAX_BLOCKING: usize = 256;

/// Runs methods.
pub(crate) struct Invoker {
    /// The timeout of methods that declare none; `None` is no limit.
    request_timeout: Option<Duration>,
    blocking: Arc<Semaphore>,
}

impl Invoker {
    pub(crate) fn new(request_timeout: Option<Duration>) -> Self {
        Invoker { request_timeout, blocking: Arc::new(Semaphore::new(MAX_BLOCKING)) }
    }

    /// Runs `invoke`, and `on_connection_close` beside it if the client has already disconnected. Returns the handler with the result.
    ///
    /// # Errors
    /// Returns error 1016 (Service unavailable) if the timeout expires. `invoke` has then been dropped with its handler; a blocking
    /// `invoke` continues on its thread.
    pub(crate) async fn run(
        &self,
        method: &'static Method,
        handler: Box<Handler>,
        params: RawParams,
        call_state: &CallState,
    ) -> Result<(Box<Handler>, MethodResult)> {
        let limit = match method.timeout_seconds {
            None => self.request_timeout,
            Some(0) => None,
            Some(seconds) => Some(Duration::from_secs(seconds)),
        };
        let invocation = pin!(invoke(&self.blocking, method, handler, params));
        let invocation = pin!(with_timeout(limit, call_state, invocation));
        let output = match call_state.take_pending_hook() {
            None => invocation.await,
            // The client disconnected before the handler existed.
            Some(hook) => Box::pin(join(invocation, run_hook(hook, self.request_timeout))).await.0,
        };
        let (handler, result) = output.ok_or_else(|| Error::unavailable("`invoke` exceeded its timeout"))?;
        let result = if call_state.is_streamed() { end_stream(method, call_state, result) } else { result };
        Ok((handler, result))
    }
}

/// Runs `invoke` in the way its kind requires. Returns the handler even after a panic, because the response is signed.
async fn invoke(
    blocking: &Arc<Semaphore>,
    method: &'static Method,
    mut handler: Box<Handler>,
    params: RawParams,
) -> (Box<Handler>, MethodResult) {
    match method.invoke {
        Invoke::Sync(invoke) => {
            let result = catch_panic(|| invoke(&mut handler, &params));
            (handler, result)
        }
        Invoke::Async(invoke) => {
            let invocation = AssertUnwindSafe(async { invoke(&mut handler, &params).await });
            let result = invocation.catch_unwind().await.unwrap_or_else(|panic| Err(panic_error(&*panic)));
            (handler, result)
        }
        Invoke::Blocking(invoke) => {
            let Ok(permit) = blocking.clone().try_acquire_owned() else {
                return (handler, Err(Error::unavailable("too many blocking methods are running")));
            };
            let invocation = tokio::task::spawn_blocking(move || {
                // Released when the method ends, even if its call has been dropped.
                let _permit = permit;
                let result = catch_panic(|| invoke(&mut handler, &params));
                (handler, result)
            });
            // The closure catches panics, and the pool lives as long as the runtime.
            invocation.await.expect("a blocking `invoke` neither panics nor is cancelled")
        }
    }
}

/// Awaits `invocation` for up to `limit`, or without a limit once the method streams its response.
///
/// Returns `None` if the limit expires; `invocation` has then been dropped.
async fn with_timeout<T>(
    limit: Option<Duration>,
    call_state: &CallState,
    mut invocation: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    let Some(limit) = limit else { return Some(invocation.await) };
    match timeout(limit, invocation.as_mut()).await {
        Ok(output) => Some(output),
        Err(_) if call_state.is_streamed() => Some(invocation.await),
        Err(_) => {
            call_state.close();
            None
        }
    }
}

/// Ends a streamed response: completes it if `invoke` returned a value, and aborts it if `invoke` failed.
fn end_stream(method: &Method, call_state: &CallState, result: MethodResult) -> MethodResult {
    let error = match result {
        Ok(body) => {
            if body.is_some() {
                tracing::warn!(
                    method = method.name,
                    "`invoke` streamed its response; the value it returned is not sent"
                );
            }
            call_state.complete();
            return Ok(None);
        }
        Err(error) => error,
    };
    let is_disconnected = error.source().is_some_and(|source| source.is::<ClientDisconnected>());
    if is_disconnected || call_state.is_complete() {
        tracing::debug!(method = method.name, "`invoke` failed after the end of its response: {error}");
        return Ok(None);
    }
    Err(error)
}

fn catch_panic(invoke: impl FnOnce() -> MethodResult) -> MethodResult {
    std::panic::catch_unwind(AssertUnwindSafe(invoke)).unwrap_or_else(|panic| Err(panic_error(&*panic)))
}

fn panic_error(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::internal(format!("`invoke` panicked: {}", text.unwrap_or("without a message")))
}
