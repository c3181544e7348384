//! The phases of a graceful shutdown.

use tokio_util::sync::CancellationToken;

/// The signals that end a server: it drains first, then it closes.
#[derive(Clone, Default)]
pub(crate) struct Shutdown {
    /// Responses say `connection: close`, and `/readyz` answers 503.
    pub(crate) draining: CancellationToken,
    /// No connection is accepted any more, and each connection ends after its current requests.
    pub(crate) closing: CancellationToken,
}
