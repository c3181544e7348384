//! Options of a server's sockets.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpListener;

/// Makes the kernel probe the clients of accepted connections that have been silent for `idle`, and close those that do not respond.
/// Accepted connections inherit the option.
pub(super) fn probe_silent_clients(listener: &TcpListener, idle: Duration) {
    let probes = TcpKeepalive::new().with_time(idle).with_interval(idle);
    if let Err(error) = SockRef::from(listener).set_tcp_keepalive(&probes) {
        tracing::debug!("connections of clients that have vanished stay open until something is sent to them: {error}");
    }
}

/// Returns `true` if the socket accepts connections. Where the kernel does not say, every socket does.
#[cfg(target_os = "linux")]
pub(crate) fn is_listening(socket: &TcpListener) -> io::Result<bool> {
    SockRef::from(socket).is_listener()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_listening(_: &TcpListener) -> io::Result<bool> {
    Ok(true)
}

/// Makes the kernel drop the SYN segments of new connections, while handshakes in progress are completed: closing the listener would
/// reset a connection that its client considers open. Where the filter is not available, only this protection is missing.
#[cfg(target_os = "linux")]
pub(super) fn drop_new_syns(listener: &TcpListener) {
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
    if let Err(error) = SockRef::from(listener).attach_filter(&filter) {
        tracing::debug!("connections that are being opened now may be reset: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn drop_new_syns(_: &TcpListener) {}
