//! The phases of a graceful shutdown.

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The signals that end a server: it drains first, then it closes.
#[derive(Clone, Default)]
pub(crate) struct Shutdown {
    /// Responses say `connection: close`, and `/readyz` answers 503.
    pub(crate) draining: CancellationToken,
    /// No connection is accepted any more, and each connection ends after its current requests.
    pub(crate) closing: CancellationToken,
}

/// Makes the kernel drop the SYN segments of new connections, while handshakes in progress are completed: closing the listener would
/// reset a connection that its client considers open. Where the filter is not available, only this protection is missing.
#[cfg(target_os = "linux")]
pub(crate) fn drop_new_syns(listener: &TcpListener) {
    use socket2::SockFilter;
    // Classic BPF over the TCP header: drops a segment whose flags (byte 13) contain SYN (2), and accepts any other.
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    let filter = [
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(JUMP_IF_SET, 0, 1, 2),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    if let Err(error) = socket2::SockRef::from(listener).attach_filter(&filter) {
        tracing::debug!("connections that are being opened now may be reset: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn drop_new_syns(_: &TcpListener) {}
