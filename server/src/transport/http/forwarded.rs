//! The client's address: that of the socket, or the one that a trusted proxy reports.

use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Returns the client's address. `X-Forwarded-For` is read from the right as long as the addresses are those of trusted proxies; the first
/// other address is the client's. `Forwarded` (RFC 7239) is read in the same way if there is no `X-Forwarded-For`.
pub(crate) fn client_ip(socket: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut address = socket.to_canonical();
    if trusted.is_empty() {
        return address;
    }
    let is_standard = !headers.contains_key(X_FORWARDED_FOR);
    let name = if is_standard { FORWARDED } else { X_FORWARDED_FOR };
    let values: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    for hop in values.iter().rev().flat_map(|value| value.rsplit(|byte| *byte == b',')) {
        if !is_trusted(address, trusted) {
            break;
        }
        // A hop that is not an address ends the search: nothing to its left can be trusted.
        let hop =
            std::str::from_utf8(hop).ok().and_then(|hop| if is_standard { for_parameter(hop) } else { Some(hop) });
        let Some(forwarded_for) = hop.and_then(address_of) else { break };
        address = forwarded_for.to_canonical();
    }
    address
}

/// Returns the value of the parameter `for` of an element of `Forwarded`.
fn for_parameter(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    })
}

/// Returns the address of a hop: `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`, each alone or with a port, in quotes or without. An IPv6
/// address with a port has brackets.
fn address_of(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let hop = hop.strip_prefix('"').and_then(|hop| hop.strip_suffix('"')).unwrap_or(hop);
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    hop.parse().ok().or_else(bracketed).or_else(|| hop.parse().ok().map(|address: SocketAddr| address.ip()))
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
    fn a_hop_may_have_a_port_brackets_and_quotes() {
        for (hop, client) in [
            ("198.51.100.7:1234", "198.51.100.7"),
            ("\"198.51.100.7:1234\"", "198.51.100.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("\"[2001:db8::7]:1234\"", "2001:db8::7"),
            ("[::ffff:198.51.100.7]:1", "198.51.100.7"),
            ("198.51.100.7:x", "10.0.0.1"),
            ("[2001:db8::7", "10.0.0.1"),
            ("\"\"", "10.0.0.1"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(client_of("10.0.0.1", &[hop], &["10.0.0.0/8"]), client, "{hop}");
        }
    }

    #[test]
    fn forwarded_is_read_if_there_is_no_x_forwarded_for() {
        let client = |lines: &[(HeaderName, &str)]| {
            let headers =
                HeaderMap::from_iter(lines.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())));
            client_ip("10.0.0.1".parse().unwrap(), &headers, &["10.0.0.0/8".parse().unwrap()]).to_string()
        };
        assert_eq!(
            client(&[(FORWARDED, "for=6.6.6.6, For=\"[2001:db8::7]:99\";proto=https, for=10.0.0.2")]),
            "2001:db8::7"
        );
        assert_eq!(client(&[(FORWARDED, "for=198.51.100.7, for=_hidden")]), "10.0.0.1");
        assert_eq!(client(&[(FORWARDED, "proto=https")]), "10.0.0.1");
        assert_eq!(client(&[(FORWARDED, "for=6.6.6.6"), (X_FORWARDED_FOR, "198.51.100.7")]), "198.51.100.7");
    }

    #[test]
    fn a_hop_that_is_not_an_address_ends_the_search() {
        assert_eq!(client_of("10.0.0.1", &["198.51.100.7, unknown"], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(client_of("10.0.0.1", &["6.6.6.6", "\u{e9}, 198.51.100.7"], &["10.0.0.0/8"]), "198.51.100.7");
        assert_eq!(client_of("10.0.0.1", &["6.6.6.6, \u{e9}"], &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(client_of("::ffff:10.0.0.1", &["198.51.100.7"], &["10.0.0.0/8"]), "198.51.100.7");
    }
}
