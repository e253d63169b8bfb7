//! `[[lan]]`: links between the bus and datagrams on the local network. None is active unless
//! configured.

use std::net::Ipv4Addr;
use std::str::FromStr;

use bytes::Bytes;
use lan::TopicTemplate;
use routing::TopicFilter;

use super::section::Section;

/// One LAN link: an interface, an address and what flows between it and the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanLink {
    /// The name in logs and metrics, unlike any other link's.
    pub name: String,
    /// Which network; never left to the system, which would choose by route.
    pub interface: Interface,
    /// Where datagrams are sent to and expected at.
    pub destination: Destination,
    /// The UDP port.
    pub port: u16,
    /// Which way messages flow.
    pub direction: Direction,
    /// How a message becomes a datagram.
    pub codec: Codec,
    /// The virtual host it is linked to.
    pub vhost: String,
    /// The topic of what comes in.
    pub topic: TopicTemplate,
    /// The MQTT topic filters of what goes out.
    pub filters: Vec<TopicFilter>,
    /// The largest payload in bytes, both ways; larger ones are counted and dropped.
    pub message_bytes_max: u64,
    /// Messages that may wait for the network; the oldest give way.
    pub waiting_max: u32,
    /// How many routers a multicast datagram may pass, plus one.
    pub ttl: u8,
    /// Senders that are listened to; empty: all.
    pub allow_sources: Vec<SourceRange>,
}

/// A network interface by name or by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interface {
    /// By an address it has.
    Address(Ipv4Addr),
    /// By its name, `eth0`.
    Name(String),
}

/// Where the datagrams of a link go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To all on the network, `10.77.0.255`.
    Broadcast(Ipv4Addr),
    /// To those who joined the group, `239.192.0.1`.
    Group(Ipv4Addr),
}

/// Which way messages flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both ways. A message never goes back out of the link it came in by.
    Both,
    /// From the network to the bus.
    In,
    /// From the bus to the network.
    Out,
}

/// How a message becomes a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// The payload is the datagram.
    Raw,
}

/// A range of sender addresses, `10.77.0.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRange {
    network: Ipv4Addr,
    /// The bits that are compared.
    mask: u32,
}

impl Destination {
    /// The address itself.
    pub fn address(self) -> Ipv4Addr {
        match self {
            Self::Broadcast(address) | Self::Group(address) => address,
        }
    }
}

impl Direction {
    /// Whether messages go from the bus to the network.
    pub fn sends(self) -> bool {
        matches!(self, Self::Both | Self::Out)
    }

    /// Whether messages go from the network to the bus.
    pub fn receives(self) -> bool {
        matches!(self, Self::Both | Self::In)
    }
}

impl SourceRange {
    /// Whether `address` is in the range.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        (address.to_bits() ^ self.network.to_bits()) & self.mask == 0
    }
}

impl FromStr for SourceRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let right = || "must be like \"10.77.0.0/24\" or \"10.77.0.5\"".to_owned();
        let (network, bits) = text.split_once('/').unwrap_or((text, "32"));
        let network: Ipv4Addr = network.parse().map_err(|_not_an_address| right())?;
        let bits: u32 = bits.parse().map_err(|_not_a_number| right())?;
        let host_bits = 32_u32.checked_sub(bits).ok_or_else(right)?;
        let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
        if network.to_bits() & !mask != 0 {
            let network = Ipv4Addr::from_bits(network.to_bits() & mask);
            return Err(format!(
                "has bits right of the prefix: did you mean \"{network}/{bits}\"?"
            ));
        }
        Ok(Self { network, mask })
    }
}

const DIRECTIONS: [(&str, Direction); 3] = [
    ("in", Direction::In),
    ("out", Direction::Out),
    ("both", Direction::Both),
];

/// What a LAN takes in milliseconds.
const WAITING_MAX: u32 = 10_000;

/// A datagram that fits an Ethernet frame: 1500 less the headers of IPv4 and UDP.
const ONE_FRAME_BYTES: u64 = 1472;

/// The most that UDP over IPv4 carries. Above one frame the network fragments, and one lost
/// fragment loses the whole.
const DATAGRAM_BYTES_MAX: u64 = 65_507;

impl LanLink {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        for (key, example) in [
            ("name", "\"sensors\""),
            ("interface", "\"eth0\""),
            ("port", "5000"),
            ("direction", "\"in\""),
        ] {
            section.require(key, example);
        }
        let direction = section.choice("direction", &DIRECTIONS, Direction::In);
        if direction.sends() {
            section.require("filters", "[\"plant/#\"]");
        }
        Self {
            name: section.text("name", ""),
            interface: section.parsed("interface", "an interface", unset(), read_interface),
            destination: read_destination(section),
            port: section.integer("port", 1..=u16::MAX, 1),
            direction,
            codec: section.choice("codec", &[("raw", Codec::Raw)], Codec::Raw),
            vhost: section.text("vhost", "/"),
            topic: section.parsed("topic", "a topic", TopicTemplate::default(), |text| {
                TopicTemplate::parse(text).map_err(|reason| reason.to_string())
            }),
            filters: section.parsed_list("filters", "a topic filter", Vec::new(), read_filter),
            message_bytes_max: section.size(
                "message_bytes_max",
                1..=DATAGRAM_BYTES_MAX,
                ONE_FRAME_BYTES,
            ),
            waiting_max: section.integer("waiting_max", 1..=1_000_000, WAITING_MAX),
            ttl: section.integer("ttl", 1..=u8::MAX, 1),
            allow_sources: section.parsed_list(
                "allow_sources",
                "a range of addresses",
                Vec::new(),
                str::parse,
            ),
        }
    }
}

fn unset() -> Interface {
    Interface::Address(Ipv4Addr::UNSPECIFIED)
}

fn read_interface(text: &str) -> Result<Interface, String> {
    match text.parse::<Ipv4Addr>() {
        Ok(address) if address.is_unspecified() => {
            Err("must name one interface, such as \"eth0\" or \"10.77.0.1\"".to_owned())
        }
        Ok(address) => Ok(Interface::Address(address)),
        // 15 bytes is what the kernel keeps of a name (IFNAMSIZ).
        Err(_) if (1..=15).contains(&text.len()) => Ok(Interface::Name(text.to_owned())),
        Err(_) => Err("must be a name such as \"eth0\" or an address of this machine".to_owned()),
    }
}

/// Exactly one of `group` and `broadcast`.
fn read_destination(section: &mut Section<'_>) -> Destination {
    let group = section.parsed("group", "a multicast group", None, read_group);
    let broadcast = section.parsed("broadcast", "a broadcast address", None, read_broadcast);
    let is_group = section.has("group");
    if is_group && section.has("broadcast") {
        section.refuse_key(
            "broadcast",
            "a link has one address",
            "remove this or `group`",
        );
    } else if !is_group && !section.has("broadcast") {
        section.require("group", "\"239.192.0.1\" (or `broadcast`)");
    }
    group
        .or(broadcast)
        .unwrap_or(Destination::Broadcast(Ipv4Addr::BROADCAST))
}

fn read_group(text: &str) -> Result<Option<Destination>, String> {
    let group: Option<Ipv4Addr> = text.parse().ok();
    match group.map(|group| (group, group.octets())) {
        // RFC 5771: routing protocols live there, and switches never prune it.
        Some((_, [224, 0, 0, _])) => {
            Err("224.0.0.0/24 belongs to routing protocols: take one of 239.192.0.0/14".to_owned())
        }
        Some((group, _)) if group.is_multicast() => Ok(Some(Destination::Group(group))),
        _ => Err("must be an IPv4 multicast address, such as \"239.192.0.1\"".to_owned()),
    }
}

fn read_broadcast(text: &str) -> Result<Option<Destination>, String> {
    match text.parse::<Ipv4Addr>() {
        Ok(address) if !address.is_multicast() && !address.is_unspecified() => {
            Ok(Some(Destination::Broadcast(address)))
        }
        _ => Err("must be the network's broadcast address, such as \"10.77.0.255\"".to_owned()),
    }
}

fn read_filter(text: &str) -> Result<TopicFilter, String> {
    let filter = TopicFilter::parse(Bytes::copy_from_slice(text.as_bytes()));
    filter
        .map_err(|reason| format!("{reason}: write, for example, \"plant/+/temp\" or \"plant/#\""))
}
