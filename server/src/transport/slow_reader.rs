//! The socket of an HTTP/1 connection, which fails when its client takes too long to read a response.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::guard::ConnectionState;

/// Fails when the client has not taken all that was written within `response_timeout`, unless a method streams its response.
pub(super) struct SlowReader<S> {
    stream: S,
    connection: Arc<ConnectionState>,
    /// Runs from the first write that the client was not ready for, until all is written.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> SlowReader<S> {
    pub(super) fn new(stream: S, connection: Arc<ConnectionState>) -> Self {
        SlowReader { stream, connection, deadline: None }
    }

    /// Returns an error if the deadline has passed.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let limit = self.connection.response_timeout();
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(deadline.as_mut().poll(context));
        if self.connection.is_streaming() { Poll::Pending } else { Poll::Ready(io::ErrorKind::TimedOut.into()) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SlowReader<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SlowReader<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending => self.poll_deadline(context).map(Err),
            written => written,
        }
    }

    /// hyper flushes when it has written all it has.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.deadline = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
