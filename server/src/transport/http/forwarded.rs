//! The client's address: that of the socket, or the one that a trusted proxy reports.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

/// Returns the client's address. `X-Forwarded-For` is read from the right as long as the addresses are those of trusted proxies; the first
/// other address is the client's.
pub(crate) fn client_ip(socket: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut address = socket.to_canonical();
    if trusted.is_empty() {
        return address;
    }
    let values: Vec<&[u8]> = headers.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes).collect();
    for hop in values.iter().rev().flat_map(|value| value.rsplit(|byte| *byte == b',')) {
        if !is_trusted(address, trusted) {
            break;
        }
        // A hop that is not an address ends the search: nothing to its left can be trusted.
        let forwarded_for = std::str::from_utf8(hop).ok().and_then(|hop| hop.trim().parse::<IpAddr>().ok());
        let Some(forwarded_for) = forwarded_for else { break };
        address = forwarded_for.to_canonical();
    }
    address
}

/// Returns `true` if an address is that of a trusted proxy.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(socket: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        client_ip(socket.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn without_trusted_proxies_the_header_is_ignored() {
        assert_eq!(client_of("192.0.2.1", &["198.51.100.7"], &[]), "192.0.2.1");
    }

    #[test]
    fn a_client_cannot_choose_its_address() {
        assert_eq!(client_of("192.0.2.1", &["198.51.100.7"], &["10.0.0.0/8"]), "192.0.2.1");
        assert_eq!(client_of("10.0.0.1", &["1.1.1.1, 198.51.100.7"], &["10.0.0.0/8"]), "198.51.100.7");
    }

    #[test]
    fn several_proxies_and_several_header_lines_are_read_from_the_right() {
        assert_eq!(client_of("10.0.0.1", &["6.6.6.6", "198.51.100.7, 10.0.0.2"], &["10.0.0.0/8"]), "198.51.100.7");
    }

    #[test]
    fn a_hop_that_is_not_an_address_ends_the_search() {
        assert_eq!(client_of("10.0.0.1", &["198.51.100.7, unknown"], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(client_of("10.0.0.1", &["6.6.6.6", "\u{e9}, 198.51.100.7"], &["10.0.0.0/8"]), "198.51.100.7");
        assert_eq!(client_of("10.0.0.1", &["6.6.6.6, \u{e9}"], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(client_of("::ffff:10.0.0.1", &["198.51.100.7"], &["10.0.0.0/8"]), "198.51.100.7");
    }
}
