//! What a method holds of the request it answers.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::mpsc;

use crate::host::{AccountApi, CallState};
use crate::{
    ClientDisconnected, ClosedCall, DatabaseHandle, Error, Method, Request, Result, Session, SessionInfo, code,
};

/// The handler of one request: the first argument of every `invoke`.
#[derive(Debug)]
pub struct Handler {
    request: Arc<Request>,
    /// The newest session; after a logout still here, because the answer to it is signed.
    session: Option<Session>,
    logged_out: bool,
    accounts: AccountApiRef,
    call_state: Arc<CallState>,
    status: StatusCode,
    headers: HeaderMap,
    writer: Writer,
}

#[derive(Debug)]
enum Writer {
    Unused,
    Open(mpsc::Sender<Bytes>),
    Finished,
}

/// The server's accounts, without a debug form.
struct AccountApiRef(Arc<dyn AccountApi>);

impl Handler {
    /// A handler for one call of `method`; for servers.
    pub fn new(
        method: &'static Method,
        request: Request,
        session: Option<Session>,
        accounts: Arc<dyn AccountApi>,
        call_state: Arc<CallState>,
    ) -> Self {
        let request = Arc::new(request);
        if let Some(hook) = method.on_connection_close {
            let closed = ClosedCall {
                request: request.clone(),
                session: session.clone(),
                connection: accounts.connection().clone(),
            };
            call_state.set_hook(hook, closed);
        }
        Handler {
            request,
            session,
            logged_out: false,
            accounts: AccountApiRef(accounts),
            call_state,
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            writer: Writer::Unused,
        }
    }

    /// The request being encode_answer.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The caller's session; `None` if the request was not authenticated or the session has been logged out.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref().filter(|_| !self.logged_out)
    }

    /// The caller's session, to change its state.
    pub fn session_mut(&mut self) -> Option<&mut Session> {
        self.session.as_mut().filter(|_| !self.logged_out)
    }

    /// The caller's session.
    ///
    /// # Errors
    /// There is none: code 1004. A method that always needs one says `pub const AUTHENTICATED: bool = true;` and is not even called without.
    pub fn require_session(&mut self) -> Result<&mut Session> {
        self.session_mut().ok_or_else(|| code::NOT_AUTHORIZED.into())
    }

    /// The server's connection to its database.
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

    /// Makes an account and logs it in.
    ///
    /// # Errors
    /// 1006: the user id is taken. 1010: it is empty, over 255 bytes, or has control characters. 1019: the password is not 1 to 1,024 bytes.
    pub async fn create_account(&mut self, user_id: &str, password: &str) -> Result<SessionInfo> {
        let record = self.accounts.0.create(user_id, password).await?;
        Ok(self.enter(record))
    }

    /// Logs an account in: a new session, which becomes the handler's. A session of the same user that came with the request ends.
    ///
    /// # Errors
    /// 1005: no such account, or not its password; the client cannot tell which.
    pub async fn login(&mut self, user_id: &str, password: &str) -> Result<SessionInfo> {
        let replaces = self.session().filter(|session| session.user_id == user_id);
        let record =
            self.accounts.0.login(user_id, password, replaces.map(|session| session.session_id.as_str())).await?;
        Ok(self.enter(record))
    }

    /// Checks an account's password and, if there is a new one, sets it: that ends **all** sessions of the account and makes a new one, which
    /// becomes the handler's. Without a new password nothing changes and the answer is `None`.
    ///
    /// # Errors
    /// 1005: no such account, or not its password. 1019: the new password is not 1 to 1,024 bytes.
    pub async fn change_password(
        &mut self,
        user_id: &str,
        password: &str,
        new_password: Option<&str>,
    ) -> Result<Option<SessionInfo>> {
        let record = self.accounts.0.update(user_id, password, new_password).await?;
        Ok(record.map(|record| self.enter(record)))
    }

    /// Ends the caller's session, on every server at once.
    ///
    /// # Errors
    /// 1004: there is none.
    pub async fn logout(&mut self) -> Result<()> {
        let accounts = self.accounts.0.clone();
        let session = self.require_session()?;
        accounts.logout(&session.session_id).await?;
        self.leave();
        Ok(())
    }

    /// Ends all sessions of the caller's account, this one included.
    ///
    /// # Errors
    /// 1004: the caller has no session.
    pub async fn clear_sessions(&mut self) -> Result<()> {
        let accounts = self.accounts.0.clone();
        let session = self.require_session()?;
        accounts.clear_sessions(&session.user_id).await?;
        self.leave();
        Ok(())
    }

    /// Adds a header to the answer; one of the same name replaces it. No effect once the first `write` has sent the head.
    ///
    /// # Errors
    /// 1000: not a legal header, or one that belongs to the server (`content-length`, `transfer-encoding`, `connection`, `x-hmac`, `x-request-id`).
    pub fn response_header(&mut self, name: &str, value: &str) -> Result<()> {
        const OURS: [&str; 5] = ["content-length", "transfer-encoding", "connection", "x-hmac", "x-request-id"];
        let name = HeaderName::try_from(name)?;
        if OURS.contains(&name.as_str()) {
            return Err(Error::internal(format!("the header {name} belongs to the server")));
        }
        self.headers.insert(name, HeaderValue::try_from(value)?);
        Ok(())
    }

    /// The HTTP status of a successful answer, such as 201 or a redirect; 200 if not called.
    pub fn response_status(&mut self, status: StatusCode) {
        self.status = status;
    }

    /// Resolves when the client has gone, the time is up, or the server stops while the answer is being written. It borrows nothing, so it can wait beside the work:
    ///
    /// ```no_run
    /// # use method_sdk::prelude::*;
    /// # use std::time::Duration;
    /// pub async fn invoke(handler: &mut Handler, _: ()) -> Result<()> {
    ///     let closed = handler.closed();
    ///     tokio::pin!(closed);
    ///     loop {
    ///         tokio::select! {
    ///             biased; // look for a client that has left before writing to it
    ///             () = &mut closed => return Ok(()),
    ///             written = handler.write("tick\n") => written?,
    ///         }
    ///         tokio::time::sleep(Duration::from_secs(1)).await;
    ///     }
    /// }
    /// ```
    ///
    /// A client that closes its sending side only (`shutdown(SHUT_WR)`) counts as gone. One that has sent another request on the same
    /// HTTP/1.1 connection without waiting (pipelining) is not noticed before its answer is written.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let call_state = self.call_state.clone();
        async move { call_state.closed().await }
    }

    /// Sends a piece of the answer, now, while `invoke` goes on. The first one also sends the head: `content-type` is
    /// `application/octet-stream` unless [`response_header`](Handler::response_header) has set it. Waits while the client is slow to take what was written before.
    ///
    /// Once something is written, a value that `invoke` returns is not sent, and an error or a panic cuts the stream short, so that
    /// the client can tell.
    ///
    /// # Errors
    /// The client has gone ([`ClientDisconnected`]), or the answer is [`finish`](Handler::finish)ed.
    pub async fn write(&mut self, bytes: impl Into<Bytes> + Send) -> Result<()> {
        let bytes = bytes.into();
        if let Writer::Unused = self.writer {
            self.start().await;
        }
        match &self.writer {
            Writer::Open(_) if bytes.is_empty() => Ok(()),
            Writer::Open(chunks) => chunks.send(bytes).await.map_err(|_| ClientDisconnected.into()),
            _ => Err(Error::internal("write after finish")),
        }
    }

    /// Waits until all that was written has been taken by the connection.
    ///
    /// # Errors
    /// The client has gone.
    pub async fn flush(&mut self) -> Result<()> {
        if let Writer::Open(chunks) = &self.writer {
            chunks.reserve_many(chunks.max_capacity()).await.map_err(|_| ClientDisconnected)?;
        }
        Ok(())
    }

    /// Ends the answer; `invoke` may go on. Without a call of it a written answer ends when `invoke` returns.
    ///
    /// # Errors
    /// None yet; a `Result` so that it reads like its sisters.
    pub async fn finish(&mut self) -> Result<()> {
        if let Writer::Unused = self.writer {
            self.start().await;
        }
        self.call_state.finish();
        self.writer = Writer::Finished;
        Ok(())
    }

    /// The key of the answer's signature: the newest session, ended or not; for servers.
    pub fn into_signer(self) -> Option<Session> {
        self.session
    }

    /// Takes the status and the headers of the answer; for servers.
    pub fn take_head(&mut self) -> (StatusCode, HeaderMap) {
        (self.status, std::mem::take(&mut self.headers))
    }

    async fn start(&mut self) {
        let (status, mut headers) = self.take_head();
        let binary = HeaderValue::from_static("application/octet-stream");
        headers.entry(CONTENT_TYPE).or_insert(binary);
        self.writer = Writer::Open(self.call_state.start_streaming(status, headers));
        // The connection looks for a started answer whenever `invoke` waits: wait once, so that it does.
        let mut waited = false;
        poll_fn(|context| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn enter(&mut self, record: crate::host::SessionRecord) -> SessionInfo {
        let session = Session::new(record, self.accounts.0.clone());
        let info = session.info();
        self.call_state.set_session(Some(&session));
        self.session = Some(session);
        self.logged_out = false;
        info
    }

    fn leave(&mut self) {
        self.logged_out = true;
        self.call_state.set_session(None);
    }
}

impl std::fmt::Debug for AccountApiRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccountApi")
    }
}
