//! The identity of a client in every limit that is per client.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::Ipv6Net;

/// The length of the network prefix that one customer of an IPv6 provider is given (RFC 6177).
const IPV6_PREFIX: u8 = 64;

/// One client: an IPv4 address, or the /64 network of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientKey(IpAddr);

impl ClientKey {
    /// Returns the key of a client's address. An IPv4 address that is written as an IPv6 address is the same client.
    pub(crate) fn new(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => ClientKey(network(address).into()),
            address => ClientKey(address),
        }
    }
}

/// Writes an IPv4 address as it is and an IPv6 network with its prefix length.
impl std::fmt::Display for ClientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(network) => write!(f, "{network}/{IPV6_PREFIX}"),
        }
    }
}

fn network(address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Net::new(address, IPV6_PREFIX).expect("the prefix is shorter than an address").network()
}

#[cfg(test)]
mod tests {
    use super::ClientKey;

    fn key(address: &str) -> String {
        ClientKey::new(address.parse().unwrap()).to_string()
    }

    #[test]
    fn an_ipv6_network_is_one_client_and_an_ipv4_address_is_one() {
        assert_eq!(key("2001:db8:1:2::1"), "2001:db8:1:2::/64");
        assert_eq!(key("2001:db8:1:2:ffff::9"), key("2001:db8:1:2::1"));
        assert_ne!(key("2001:db8:1:3::1"), key("2001:db8:1:2::1"));
        assert_eq!(key("192.0.2.1"), "192.0.2.1");
        assert_eq!(key("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
