//! Whether the way to a database on another machine is protected.

use std::net::IpAddr;

/// Returns a warning if anyone on the way to `host` can read and change what the server and its database send. `add` is the remedy.
pub(super) fn unverified_warning(description: &str, host: &str, is_verified: bool, add: &str) -> Option<String> {
    (!is_verified && !is_on_this_machine(host)).then(|| {
        format!(
            "the connection to the database {description} does not verify the certificate of the database: anyone on the way can read \
            and change what is sent; add {add}"
        )
    })
}

/// A host that starts with a slash is the directory of a socket.
fn is_on_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.starts_with('/')
        || address.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unverified_connection_to_another_machine_is_a_warning() {
        let warning = |host, is_verified| unverified_warning("mysql d", host, is_verified, "`x`");
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]", "::ffff:127.0.0.1", "/run/postgresql"] {
            assert_eq!(warning(host, false), None, "{host}");
        }
        for host in ["db.internal", "localhost.example", "10.0.0.1", "[fd00::1]"] {
            assert!(warning(host, false).unwrap().ends_with("add `x`"), "{host}");
            assert_eq!(warning(host, true), None, "{host}");
        }
    }
}
