//! Addresses as `[[lan]]` writes them: which are groups, which broadcast, which ranges of senders.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use super::{Destination, Interface};

/// A range of sender addresses, `10.77.0.0/24` or `fd00:77::/64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRange {
    network: IpAddr,
    /// The bits that are compared, of an address of its family at the end of 128.
    mask: u128,
}

impl SourceRange {
    /// Whether `address` is in the range.
    pub fn contains(self, address: IpAddr) -> bool {
        let is_same_family = address.is_ipv4() == self.network.is_ipv4();
        is_same_family && (bits(address) ^ bits(self.network)) & self.mask == 0
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl FromStr for SourceRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let right = || "must be like \"10.77.0.0/24\" or \"10.77.0.5\"".to_owned();
        let (network, length) = match text.split_once('/') {
            Some((network, length)) => (network, Some(length)),
            None => (text, None),
        };
        let network: IpAddr = network.parse().map_err(|_not_an_address| right())?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(width), str::parse::<u32>);
        let length = length.map_err(|_not_a_number| right())?;
        let host_bits = width.checked_sub(length).ok_or_else(right)?;
        let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
        if bits(network) & !mask != 0 {
            let network = match network {
                IpAddr::V4(it) => IpAddr::from((it.to_bits() & low(mask)).to_be_bytes()),
                IpAddr::V6(it) => IpAddr::from((it.to_bits() & mask).to_be_bytes()),
            };
            return Err(format!(
                "has bits right of the prefix: did you mean \"{network}/{length}\"?"
            ));
        }
        Ok(Self { network, mask })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low 32 bits are the mask of IPv4"
)]
const fn low(mask: u128) -> u32 {
    mask as u32
}

pub(crate) fn read_interface(text: &str) -> Result<Interface, String> {
    match text.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => {
            Err("must name one interface, such as \"eth0\" or \"10.77.0.1\"".to_owned())
        }
        Ok(address) => Ok(Interface::Address(address)),
        // 15 bytes is what the kernel keeps of a name (IFNAMSIZ).
        Err(_) if (1..=15).contains(&text.len()) => Ok(Interface::Name(text.to_owned())),
        Err(_) => Err("must be a name such as \"eth0\" or an address of this machine".to_owned()),
    }
}

pub(crate) fn read_group(text: &str) -> Result<Option<Destination>, String> {
    let wrong =
        || Err("must be a multicast address, such as \"239.192.0.1\" or \"ff15::1\"".to_owned());
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(group)) if matches!(group.octets(), [224, 0, 0, _]) => {
            // RFC 5771: routing protocols live there, and switches never prune it.
            Err("224.0.0.0/24 belongs to routing protocols: take one of 239.192.0.0/14".to_owned())
        }
        // RFC 4291 §2.7: interface-local never leaves the host.
        Ok(IpAddr::V6(group)) if group.is_multicast() && group.segments()[0] & 0xF < 2 => Err(
            "ff00::/16 and ff01::/16 never leave the machine: take one of ff12:: or ff15::"
                .to_owned(),
        ),
        Ok(group) if group.is_multicast() => Ok(Some(Destination::Group(group))),
        _ => wrong(),
    }
}

pub(crate) fn read_broadcast(text: &str) -> Result<Option<Destination>, String> {
    match text.parse::<Ipv4Addr>() {
        Ok(address) if !address.is_multicast() && !address.is_unspecified() => {
            Ok(Some(Destination::Broadcast(address.into())))
        }
        _ => Err("must be the network's broadcast address, such as \"10.77.0.255\"".to_owned()),
    }
}

pub(super) fn read_source(text: &str) -> Result<Option<IpAddr>, String> {
    match text.parse::<IpAddr>() {
        Ok(address) if !address.is_multicast() && !address.is_unspecified() => Ok(Some(address)),
        _ => Err("must be one machine's address, such as \"10.77.0.5\"".to_owned()),
    }
}
