//! `[[mqtt_sn]]`: gateways by which MQTT-SN devices are MQTT clients. None is active unless
//! configured.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use lan::MappedTopic;

use super::lan::{Destination, Interface, SourceRange};
use super::lan::{read_broadcast, read_group, read_interface, read_topic_name};
use super::section::Section;

/// One gateway: a UDP port and what devices may do by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttSnGateway {
    /// The name in logs and metrics, unlike any other's.
    pub name: String,
    /// Where devices reach it.
    pub bind: SocketAddr,
    /// The network that it is found on; none: it is not to be found.
    pub interface: Option<Interface>,
    /// Where it tells of itself and is asked for, at the port of `bind`.
    pub group: Option<IpAddr>,
    /// The same by IPv4 broadcast.
    pub broadcast: Option<IpAddr>,
    /// Its number in ADVERTISE and GWINFO.
    pub gateway_id: u8,
    /// How often it advertises itself; 0: never.
    pub advertise_interval: Duration,
    /// Whose rights all devices have.
    pub user: String,
    /// Their virtual host.
    pub vhost: String,
    /// What their names begin with among MQTT clients.
    pub client_id_prefix: String,
    /// The predefined topic ids.
    pub topics: Vec<MappedTopic>,
    /// Devices at a time, asleep ones included.
    pub clients_max: u32,
    /// Topics that one device may have ids for.
    pub client_topics_max: u16,
    /// Messages that wait for one device.
    pub waiting_max: u32,
    /// The largest datagram in bytes that a device is sent.
    pub datagram_bytes_max: u64,
    /// When what a device does not answer is sent again.
    pub retry_interval: Duration,
    /// How often; then the device is lost.
    pub retries_max: u8,
    /// The longest silence of a device that is awake.
    pub keep_alive_max: Duration,
    /// Senders that are listened to; empty: all.
    pub allow_sources: Vec<SourceRange>,
}

/// 18 hours, 12 minutes and 15 seconds: what CONNECT can say.
const KEEP_ALIVE_MAX: Duration = Duration::from_secs(65_535);

impl MqttSnGateway {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        for (key, example) in [
            ("name", "\"sensors\""),
            ("bind", "\"0.0.0.0:1884\""),
            ("user", "\"sensors\""),
        ] {
            section.require(key, example);
        }
        let unset = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let bind = section.parsed("bind", "an address with a port", unset, |text| {
            let right = "must be an address and a UDP port, such as \"0.0.0.0:1884\"";
            text.parse().map_err(|_not_an_address| right.to_owned())
        });
        let (interface, group, broadcast) = read_discovery(section, bind);
        let seconds = Duration::from_secs;
        let datagram_bytes = 64..=65_507;
        Self {
            name: section.text("name", ""),
            bind,
            interface,
            group,
            broadcast,
            gateway_id: section.integer("gateway_id", 1..=u8::MAX, 1),
            advertise_interval: section.duration(
                "advertise_interval",
                Duration::ZERO..=KEEP_ALIVE_MAX,
                seconds(900),
            ),
            user: section.text("user", ""),
            vhost: section.text("vhost", "/"),
            client_id_prefix: section.text("client_id_prefix", "sn/"),
            topics: section
                .tables("topics", read_predefined)
                .unwrap_or_default(),
            clients_max: section.integer("clients_max", 1..=100_000, 1000),
            client_topics_max: section.integer("client_topics_max", 1..=65_534, 1000),
            waiting_max: section.integer("waiting_max", 32..=100_000, 100),
            datagram_bytes_max: section.size("datagram_bytes_max", datagram_bytes, 1472),
            retry_interval: section.duration(
                "retry_interval",
                Duration::from_millis(100)..=seconds(300),
                seconds(10),
            ),
            retries_max: section.integer("retries_max", 1..=20, 3),
            keep_alive_max: section.duration(
                "keep_alive_max",
                seconds(1)..=KEEP_ALIVE_MAX,
                KEEP_ALIVE_MAX,
            ),
            allow_sources: section.parsed_list(
                "allow_sources",
                "a range of addresses",
                Vec::new(),
                str::parse,
            ),
        }
    }
}

/// A topic and its id.
fn read_predefined(section: &mut Section<'_>) -> MappedTopic {
    section.require("topic", "\"plant/line1/temp\"");
    section.require("id", "7");
    MappedTopic {
        topic: read_topic_name(section),
        id: Some(section.integer("id", 1..=u16::MAX, 1)),
        ..MappedTopic::default()
    }
}

/// Where it is to be found: an interface, and a group, a broadcast address or both.
fn read_discovery(
    section: &mut Section<'_>,
    bind: SocketAddr,
) -> (Option<Interface>, Option<IpAddr>, Option<IpAddr>) {
    let interface = section.parsed("interface", "an interface", None, |text| {
        read_interface(text).map(Some)
    });
    let group = section.parsed("group", "a multicast group", None, read_group);
    let broadcast = section.parsed("broadcast", "a broadcast address", None, read_broadcast);
    let (group, broadcast) = (
        group.map(Destination::address),
        broadcast.map(Destination::address),
    );
    for key in ["group", "broadcast"] {
        if section.has(key) {
            section.require("interface", "\"eth0\"");
            if !bind.ip().is_unspecified() {
                let right =
                    "must be \"0.0.0.0:PORT\" or \"[::]:PORT\"; `interface` says which network";
                section.refuse_key("bind", "one address hears no group and no broadcast", right);
            }
        }
    }
    let family = bind.is_ipv4();
    if group.is_some_and(|group| group.is_ipv4() != family) {
        section.refuse_key(
            "group",
            "not of the family of `bind`",
            "take one of its family",
        );
    }
    if broadcast.is_some() && !family {
        section.refuse_key("broadcast", "IPv6 has none", "bind \"0.0.0.0:PORT\"");
    }
    if group.is_some_and(|it| it.is_ipv6()) && matches!(interface, Some(Interface::Address(_))) {
        let right = "must be the interface's name, such as \"eth0\"";
        section.refuse_key("interface", "IPv6 groups are joined by name", right);
    }
    (interface, group, broadcast)
}
