//! `[[lan]]`: links between the bus and datagrams on the local network. None is active unless
//! configured.

mod address;
mod keys;
mod topics;

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use lan::{MappedTopic, RlanKey, TopicTemplate};
use routing::TopicFilter;

use super::section::Section;
pub use address::SourceRange;
use address::read_source;
pub(super) use address::{read_broadcast, read_group, read_interface};
use keys::read_keys;
use topics::read_topic;
pub(super) use topics::read_topic_name;

/// One LAN link: an interface, an address and what flows between it and the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanLink {
    /// The name in logs and metrics, unlike any other link's.
    pub name: String,
    /// Which network; never left to the system, which would choose by route.
    pub interface: Interface,
    /// Where datagrams are sent to and expected at.
    pub destination: Destination,
    /// The one sender that the group is joined for (source-specific multicast); none: any.
    pub source: Option<IpAddr>,
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
    /// What the codec calls some topics.
    pub topics: Vec<MappedTopic>,
    /// The MQTT topic filters of what goes out.
    pub filters: Vec<TopicFilter>,
    /// The largest payload in bytes, both ways; larger ones are counted and dropped.
    pub message_bytes_max: u64,
    /// The largest datagram in bytes that the codec makes; `raw` makes them of whole messages.
    pub datagram_bytes_max: u64,
    /// How fast the link sends; 0: as fast as it goes.
    pub bytes_per_second: u64,
    /// Messages that may come in in a second; 0: as many as come.
    pub received_per_second_max: u32,
    /// rlan: the first seals, all open; none: nothing is sealed.
    pub keys: Vec<RlanKey>,
    /// rlan: what is kept to be sent again, in bytes.
    pub repair_bytes_max: u64,
    /// Retained values sent again in a second; 0: none.
    pub carousel_per_second: u16,
    /// Whether each line of a raw datagram is a message.
    pub split_lines: bool,
    /// UADP: the publisher's id.
    pub publisher_id: u16,
    /// UADP: the writer group's id.
    pub writer_group_id: u16,
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
    Address(IpAddr),
    /// By its name, `eth0`.
    Name(String),
}

/// Where the datagrams of a link go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To all on the network, `10.77.0.255`.
    Broadcast(IpAddr),
    /// To those who joined the group, `239.192.0.1` or `ff15::1`.
    Group(IpAddr),
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
    /// LCM's UDP multicast.
    Lcm,
    /// MQTT-SN 1.2: PUBLISH with QoS -1.
    MqttSn,
    /// MQTT-SN 2.0: PUBWOS.
    MqttSn2,
    /// The payload is the datagram.
    Raw,
    /// Reliable multicast, `docs/rlan.md`.
    Rlan,
    /// OPC UA `PubSub`.
    Uadp,
}

impl Codec {
    /// Whether its datagrams name their topic.
    pub fn has_topics(self) -> bool {
        self != Self::Raw
    }

    /// Whether its messages say where they entered the LAN, so that none goes in a circle.
    pub fn breaks_loops(self) -> bool {
        self == Self::Rlan
    }

    /// Whether receivers answer.
    pub fn answers(self) -> bool {
        self == Self::Rlan
    }

    /// Whether it cuts a message into several datagrams.
    fn cuts(self) -> bool {
        matches!(self, Self::Lcm | Self::Rlan)
    }
}

impl Destination {
    /// The address itself.
    pub fn address(self) -> IpAddr {
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

const DIRECTIONS: [(&str, Direction); 3] = [
    ("in", Direction::In),
    ("out", Direction::Out),
    ("both", Direction::Both),
];

const CODECS: [(&str, Codec); 6] = [
    ("raw", Codec::Raw),
    ("mqtt-sn", Codec::MqttSn),
    ("mqtt-sn-2", Codec::MqttSn2),
    ("lcm", Codec::Lcm),
    ("uadp", Codec::Uadp),
    ("rlan", Codec::Rlan),
];

/// What a LAN takes in milliseconds.
const WAITING_MAX: u32 = 10_000;

/// A datagram that fits an Ethernet frame: 1500 less the headers of IPv4 and UDP.
const ONE_FRAME_BYTES: u64 = 1472;

/// The same for IPv6.
const ONE_FRAME_BYTES_V6: u64 = 1452;

/// The most that UDP over IPv4 carries. Above one frame the network fragments, and one lost
/// fragment loses the whole.
const DATAGRAM_BYTES_MAX: u64 = 65_507;

/// The largest message of a codec that cuts, unless told otherwise.
const CUT_MESSAGE_BYTES: u64 = 1 << 20;

/// The largest of all.
const CUT_MESSAGE_BYTES_MAX: u64 = 16 << 20;

/// What is sent in five seconds at the usual pace.
const REPAIR_BYTES: u64 = 64 << 20;

/// A tenth of what gigabit Ethernet carries.
const BYTES_PER_SECOND: u64 = 12_500_000;

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
        let interface = section.parsed("interface", "an interface", unset(), read_interface);
        let destination = read_destination(section, &interface);
        let codec = section.choice("codec", &CODECS, Codec::Raw);
        let sizes = Sizes::read(section, codec, destination);
        Self {
            name: section.text("name", ""),
            interface,
            destination,
            source: read_source_key(section, destination),
            port: section.integer("port", 1..=u16::MAX, 1),
            direction,
            codec,
            vhost: section.text("vhost", "/"),
            topic: read_template(section, codec),
            topics: read_topics(section),
            filters: section.parsed_list("filters", "a topic filter", Vec::new(), read_filter),
            message_bytes_max: sizes.message_bytes_max,
            datagram_bytes_max: sizes.datagram_bytes_max,
            bytes_per_second: section.size("bytes_per_second", 0..=1 << 40, BYTES_PER_SECOND),
            received_per_second_max: section.integer("received_per_second_max", 0..=10_000_000, 0),
            keys: read_keys(section, codec),
            repair_bytes_max: section.size("repair_bytes_max", 1 << 16..=1 << 32, REPAIR_BYTES),
            carousel_per_second: section.integer("carousel_per_second", 0..=1000, 0),
            split_lines: section.boolean("split_lines", false),
            publisher_id: section.integer("publisher_id", 1..=u16::MAX, 1),
            writer_group_id: section.integer("writer_group_id", 1..=u16::MAX, 1),
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

struct Sizes {
    message_bytes_max: u64,
    datagram_bytes_max: u64,
}

impl Sizes {
    fn read(section: &mut Section<'_>, codec: Codec, destination: Destination) -> Self {
        let one_frame = match destination.address() {
            IpAddr::V4(_) => ONE_FRAME_BYTES,
            IpAddr::V6(_) => ONE_FRAME_BYTES_V6,
        };
        let (largest, usual) = match codec.cuts() {
            true => (CUT_MESSAGE_BYTES_MAX, CUT_MESSAGE_BYTES),
            false => (DATAGRAM_BYTES_MAX, one_frame),
        };
        let datagram = 128..=DATAGRAM_BYTES_MAX;
        Self {
            message_bytes_max: section.size("message_bytes_max", 1..=largest, usual),
            datagram_bytes_max: section.size("datagram_bytes_max", datagram, one_frame),
        }
    }
}

/// What a destination reads as that was refused.
const UNSET: Destination = Destination::Broadcast(IpAddr::V4(Ipv4Addr::BROADCAST));

fn unset() -> Interface {
    Interface::Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// A codec with topics of its own keeps them, unless told otherwise.
fn read_template(section: &mut Section<'_>, codec: Codec) -> TopicTemplate {
    let usual = match codec.has_topics() {
        true => TopicTemplate::carried(),
        false => TopicTemplate::default(),
    };
    let template = section.parsed("topic", "a topic", usual, |text| {
        TopicTemplate::parse(text).map_err(|reason| reason.to_string())
    });
    if template.has_topic() && !codec.has_topics() {
        let right = "use {group}, {port} and {src}, or a fixed topic";
        section.refuse_key("topic", "raw datagrams carry no topic", right);
    }
    template
}

fn read_topics(section: &mut Section<'_>) -> Vec<MappedTopic> {
    section.tables("topics", read_topic).unwrap_or_default()
}

/// Exactly one of `group` and `broadcast`, of the interface's family.
fn read_destination(section: &mut Section<'_>, interface: &Interface) -> Destination {
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
    let destination = group.or(broadcast).unwrap_or(UNSET);
    if destination.address().is_ipv6() && matches!(interface, Interface::Address(_)) {
        let right = "must be the interface's name, such as \"eth0\"";
        section.refuse_key("interface", "IPv6 groups are joined by name", right);
    }
    destination
}

/// The sender of a source-specific group.
fn read_source_key(section: &mut Section<'_>, destination: Destination) -> Option<IpAddr> {
    let source = section.parsed("source", "a sender's address", None, read_source)?;
    let is_same_family = source.is_ipv4() == destination.address().is_ipv4();
    if !is_same_family || matches!(destination, Destination::Broadcast(_)) {
        let right = "must be a sender's address of the same family as `group`";
        section.refuse_key("source", "only groups have a source", right);
    }
    Some(source)
}

fn read_filter(text: &str) -> Result<TopicFilter, String> {
    let filter = TopicFilter::parse(Bytes::copy_from_slice(text.as_bytes()));
    filter
        .map_err(|reason| format!("{reason}: write, for example, \"plant/+/temp\" or \"plant/#\""))
}
