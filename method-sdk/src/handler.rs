//! The first argument of every method.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use tokio::sync::mpsc;

use crate::account_api::{AccountApi, SessionRecord};
use crate::call_state::{CallState, HookFuture};
use crate::{ClientDisconnected, ClosedCall, DatabaseHandle, Error, Request, Result, Session, SessionInfo, code};

/// The response headers that belong to the server: methods cannot set them.
pub const RESERVED_HEADERS: [&str; 5] = ["content-length", "transfer-encoding", "connection", "x-hmac", "x-request-id"];

/// The handler of one request: the first argument of every `invoke`.
#[derive(Debug)]
pub struct Handler {
    request: Request,
    /// The newest session. It stays here after a logout, because it still signs the response.
    session: Option<Box<Session>>,
    is_logged_out: bool,
    accounts: AccountApiRef,
    call_state: Arc<CallState>,
    status: StatusCode,
    headers: HeaderMap,
    /// The open end of a streamed response.
    chunks: Option<mpsc::Sender<Bytes>>,
}

/// The server's accounts, with a `Debug` implementation.
struct AccountApiRef(Arc<dyn AccountApi>);

impl Handler {
    /// Creates the handler of one call; `on_connection_close` is the method's. For servers.
    pub fn new(
        request: Request,
        on_connection_close: Option<fn(ClosedCall) -> HookFuture>,
        session: Option<Box<Session>>,
        accounts: Arc<dyn AccountApi>,
        call_state: Arc<CallState>,
    ) -> Self {
        if let Some(hook) = on_connection_close {
            let closed_call = ClosedCall {
                request: request.clone(),
                session: session.clone(),
                connection: accounts.connection().clone(),
            };
            call_state.set_hook(hook, closed_call);
        }
        Handler {
            request,
            session,
            is_logged_out: false,
            accounts: AccountApiRef(accounts),
            call_state,
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            chunks: None,
        }
    }

    /// Returns the request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Returns the caller's session, or `None` if the request is not authenticated or the session has been logged out.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_deref().filter(|_| !self.is_logged_out)
    }

    /// Returns the caller's session, to read or change its state.
    pub fn session_mut(&mut self) -> Option<&mut Session> {
        self.session.as_deref_mut().filter(|_| !self.is_logged_out)
    }

    /// Returns the caller's session.
    ///
    /// # Errors
    /// Returns error 1004 (Not authorized) if there is no session. A method that always needs a session declares
    /// `pub const AUTHENTICATED: bool = true;` and is not called without one.
    pub fn require_session(&mut self) -> Result<&mut Session> {
        self.session_mut().ok_or_else(|| code::NOT_AUTHORIZED.into())
    }

    /// Returns the server's database.
    ///
    /// # Example
    /// ```no_run
    /// # use method_sdk::prelude::*;
    /// pub async fn invoke(handler: &mut Handler, _: ()) -> Result<i64> {
    ///     let pool = handler.connection().db().sqlite()?;
    ///     Ok(sqlx::query_scalar("SELECT 42").fetch_one(pool).await?)
    /// }
    /// ```
    pub fn connection(&self) -> &DatabaseHandle {
        self.accounts.0.connection()
    }

    /// Creates an account and logs it in.
    ///
    /// # Errors
    /// - 1006 (User ID already in use): the account already exists.
    /// - 1010 (Invalid user ID): the user id is empty, longer than 255 bytes, or contains control characters.
    /// - 1019 (Invalid parameters): the password is not 1 to 1,024 bytes long.
    pub async fn create_account(&mut self, user_id: &str, password: &str) -> Result<SessionInfo> {
        let record = self.accounts.0.create(user_id, password, self.request.peer()).await?;
        Ok(self.enter_session(record))
    }

    /// Logs an account in: creates a session, which becomes the handler's. A session of the same user that came with the request is
    /// deleted.
    ///
    /// # Errors
    /// - 1005 (Invalid user ID or password): the account does not exist or the password is wrong; the client cannot tell which.
    /// - 1013 (Too many requests): too many logins of this client, or to this account, have failed; the password has not been verified.
    pub async fn login(&mut self, user_id: &str, password: &str) -> Result<SessionInfo> {
        let replaced = self.session().filter(|session| session.user_id == user_id);
        let replaced_id = replaced.map(|session| session.session_id.as_str());
        let record = self.accounts.0.login(user_id, password, self.request.peer(), replaced_id).await?;
        Ok(self.enter_session(record))
    }

    /// Verifies an account's password and replaces it with `new_password`, if given.
    ///
    /// A new password deletes **all** sessions of the account and creates one, which becomes the handler's. Without a new password
    /// nothing changes, and the result is `None`.
    ///
    /// # Errors
    /// - 1005 (Invalid user ID or password): the account does not exist, or the password is wrong.
    /// - 1013 (Too many requests): as for [`login`](Handler::login).
    /// - 1019 (Invalid parameters): the new password is not 1 to 1,024 bytes long.
    pub async fn change_password(
        &mut self,
        user_id: &str,
        password: &str,
        new_password: Option<&str>,
    ) -> Result<Option<SessionInfo>> {
        let record = self.accounts.0.update(user_id, password, self.request.peer(), new_password).await?;
        Ok(record.map(|record| self.enter_session(record)))
    }

    /// Deletes the caller's session, which takes effect on every server immediately.
    ///
    /// # Errors
    /// Returns error 1004 (Not authorized) if there is no session.
    pub async fn logout(&mut self) -> Result<()> {
        let accounts = self.accounts.0.clone();
        let session = self.require_session()?;
        accounts.logout(&session.session_id).await?;
        self.leave_session();
        Ok(())
    }

    /// Deletes all sessions of the caller's account, including this one.
    ///
    /// # Errors
    /// Returns error 1004 (Not authorized) if the caller has no session.
    pub async fn clear_sessions(&mut self) -> Result<()> {
        let accounts = self.accounts.0.clone();
        let session = self.require_session()?;
        accounts.clear_sessions(&session.user_id).await?;
        self.leave_session();
        Ok(())
    }

    /// Sets a response header, replacing one of the same name; several `set-cookie` headers stay beside each other. Has no effect after the first [`write`](Handler::write), which sends the
    /// headers.
    ///
    /// # Errors
    /// Returns error 1000 (Server error) if the header is not legal or belongs to the server: `content-length`, `transfer-encoding`,
    /// `connection`, `x-hmac` and `x-request-id`.
    pub fn response_header(&mut self, name: &str, value: &str) -> Result<()> {
        let (name, value) = header(name, value)?;
        if name == SET_COOKIE {
            self.headers.append(name, value);
        } else {
            self.headers.insert(name, value);
        }
        Ok(())
    }

    /// Adds a response header beside those of the same name, such as a second `link`. Has no effect after the first
    /// [`write`](Handler::write).
    ///
    /// # Errors
    /// The errors of [`response_header`](Handler::response_header).
    pub fn append_header(&mut self, name: &str, value: &str) -> Result<()> {
        let (name, value) = header(name, value)?;
        self.headers.append(name, value);
        Ok(())
    }

    /// Sets the HTTP status of a successful response, such as 201 or a redirect. The default is 200.
    ///
    /// A response with status 204, 205 or 304 has no body: the value that `invoke` returns is not sent. A status below 200 is no status of
    /// a response: the client receives error 1000 (Server error).
    pub fn response_status(&mut self, status: StatusCode) {
        self.status = status;
    }

    /// Returns a future that resolves when the client has disconnected, when the timeout has expired, or when the server stops while the
    /// method streams its response. The future borrows nothing, so it can be awaited beside the work:
    ///
    /// ```no_run
    /// # use method_sdk::prelude::*;
    /// # use std::time::Duration;
    /// pub async fn invoke(handler: &mut Handler, _: ()) -> Result<()> {
    ///     let closed = handler.closed();
    ///     tokio::pin!(closed);
    ///     loop {
    ///         tokio::select! {
    ///             biased; // check for a disconnect before writing
    ///             () = &mut closed => return Ok(()),
    ///             written = handler.write("tick\n") => written?,
    ///         }
    ///         tokio::time::sleep(Duration::from_secs(1)).await;
    ///     }
    /// }
    /// ```
    ///
    /// A client that closes only its sending side (`shutdown(SHUT_WR)`) counts as disconnected. A client that has already sent another
    /// request on the same HTTP/1.1 connection (pipelining) is not noticed before the response is written.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let call_state = self.call_state.clone();
        async move { call_state.closed().await }
    }

    /// Sends a chunk of the response immediately, while `invoke` continues. Waits while the client is slow to read earlier chunks.
    ///
    /// The first `write` also sends the response headers: `content-type` is `application/octet-stream` unless
    /// [`response_header`](Handler::response_header) has set it. After the first `write` the value that `invoke` returns is not sent,
    /// and an error or a panic aborts the response, so that the client can tell.
    ///
    /// # Errors
    /// Returns an error with the source [`ClientDisconnected`] if the client has disconnected, or error 1000 (Server error) after
    /// [`finish`](Handler::finish), and for a status whose responses have no body.
    pub async fn write(&mut self, bytes: impl Into<Bytes> + Send) -> Result<()> {
        let bytes = bytes.into();
        if self.chunks.is_none() {
            if self.call_state.is_complete() {
                return Err(Error::internal("`write` was called after the end of the response"));
            }
            if self.status.is_informational() || has_no_body(self.status) {
                return Err(Error::internal(format!("a response with status {} has no body to write", self.status)));
            }
            self.start_streaming().await;
        }
        match &self.chunks {
            Some(chunks) if !bytes.is_empty() => chunks.send(bytes).await.map_err(|_| ClientDisconnected.into()),
            _ => Ok(()),
        }
    }

    /// Waits until the connection has taken all chunks written so far.
    ///
    /// # Errors
    /// Returns an error with the source [`ClientDisconnected`] if the client has disconnected.
    pub async fn flush(&mut self) -> Result<()> {
        if let Some(chunks) = &self.chunks {
            chunks.reserve_many(chunks.max_capacity()).await.map_err(|_| ClientDisconnected)?;
        }
        Ok(())
    }

    /// Ends a streamed response while `invoke` continues. Without it the response ends when `invoke` returns.
    ///
    /// # Errors
    /// Returns no error today; callers handle one that a later version may return.
    pub async fn finish(&mut self) -> Result<()> {
        if self.chunks.is_none() && !self.call_state.is_complete() {
            self.start_streaming().await;
        }
        self.call_state.complete();
        self.chunks = None;
        Ok(())
    }

    /// Takes the session that signs the response: the newest one, even after a logout; for servers.
    pub fn take_signer(&mut self) -> Option<Box<Session>> {
        self.session.take()
    }

    /// Takes the status and the headers of the response; for servers.
    pub fn take_head(&mut self) -> (StatusCode, HeaderMap) {
        (self.status, std::mem::take(&mut self.headers))
    }

    async fn start_streaming(&mut self) {
        let (status, mut headers) = self.take_head();
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
        self.chunks = Some(self.call_state.start_streaming(status, headers));
        // The connection looks for a streamed response whenever `invoke` is pending, so be pending once.
        let mut has_yielded = false;
        poll_fn(|context| {
            if std::mem::replace(&mut has_yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn enter_session(&mut self, record: SessionRecord) -> SessionInfo {
        let session = Session::new(record, self.accounts.0.clone());
        let info = session.info();
        self.call_state.set_session(Some(&session));
        self.session = Some(Box::new(session));
        self.is_logged_out = false;
        info
    }

    fn leave_session(&mut self) {
        self.is_logged_out = true;
        self.call_state.set_session(None);
    }
}

/// Returns `true` for the statuses whose responses have no body (RFC 9110, 15).
pub fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    let name = HeaderName::try_from(name)?;
    if RESERVED_HEADERS.contains(&name.as_str()) {
        return Err(Error::internal(format!("methods cannot set the response header `{name}`")));
    }
    Ok((name, HeaderValue::try_from(value)?))
}

impl std::fmt::Debug for AccountApiRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccountApi")
    }
}
