//! `[listeners.*]`: where clients connect, and whom a listener lets in.

use std::net::{Ipv4Addr, SocketAddr};

use super::section::Section;

/// The four listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// AMQP 0-9-1, port 5672.
    pub amqp: Listener,
    /// MQTT 3.1, 3.1.1 and 5, port 1883.
    pub mqtt: Listener,
    /// Redis, RESP2 and RESP3, port 6379.
    pub resp: Listener,
    /// Health and metrics, port 15672.
    pub http: HttpListener,
}

/// One listener for messaging clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Whether the listener runs at all.
    pub enabled: bool,
    /// The addresses it binds. Port 0 lets the system choose.
    pub bind: Vec<SocketAddr>,
    /// The virtual host of everybody who connects here; `None`: that of the user.
    pub vhost: Option<String>,
    /// Whether clients without credentials are let in from other machines too. From this machine
    /// they always are, as long as the anonymous user exists.
    pub allow_anonymous: bool,
    /// How many clients may be connected at a time.
    pub connections_max: u32,
}

/// The listener for `/health` and `/metrics`, which are read only and need no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpListener {
    /// Whether the listener runs at all.
    pub enabled: bool,
    /// The addresses it binds. Port 0 lets the system choose.
    pub bind: Vec<SocketAddr>,
    /// How many clients may be connected at a time.
    pub connections_max: u32,
}

impl Default for Listeners {
    fn default() -> Self {
        Self {
            amqp: Listener::on_loopback(5672),
            mqtt: Listener::on_loopback(1883),
            resp: Listener::on_loopback(6379),
            http: HttpListener {
                enabled: true,
                bind: loopback(15672),
                connections_max: 100,
            },
        }
    }
}

impl Listeners {
    /// The messaging listeners with their section names.
    pub fn messaging(&self) -> [(&'static str, &Listener); 3] {
        [
            ("amqp", &self.amqp),
            ("mqtt", &self.mqtt),
            ("resp", &self.resp),
        ]
    }

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            amqp: section.table("amqp", |section| Listener::read(section, default.amqp)),
            mqtt: section.table("mqtt", |section| Listener::read(section, default.mqtt)),
            resp: section.table("resp", |section| Listener::read(section, default.resp)),
            http: section.table("http", |section| HttpListener::read(section, default.http)),
        }
    }
}

impl Listener {
    fn on_loopback(port: u16) -> Self {
        Self {
            enabled: true,
            bind: loopback(port),
            vhost: None,
            allow_anonymous: false,
            // 10,000 is the limit Redis ships with; each needs a file descriptor.
            connections_max: 10_000,
        }
    }

    fn read(section: &mut Section<'_>, default: Self) -> Self {
        Self {
            enabled: section.boolean("enabled", default.enabled),
            bind: read_bind(section, default.bind),
            vhost: Some(section.text("vhost", "")).filter(|vhost| !vhost.is_empty()),
            allow_anonymous: section.boolean("allow_anonymous", default.allow_anonymous),
            connections_max: read_connections_max(section, default.connections_max),
        }
    }
}

impl HttpListener {
    fn read(section: &mut Section<'_>, default: Self) -> Self {
        Self {
            enabled: section.boolean("enabled", default.enabled),
            bind: read_bind(section, default.bind),
            connections_max: read_connections_max(section, default.connections_max),
        }
    }
}

fn loopback(port: u16) -> Vec<SocketAddr> {
    vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]
}

fn read_bind(section: &mut Section<'_>, default: Vec<SocketAddr>) -> Vec<SocketAddr> {
    section.parsed_list("bind", "an address with a port", default, |text| {
        let example = "must be like \"127.0.0.1:5672\", \"0.0.0.0:5672\" or \"[::1]:5672\"";
        text.parse().map_err(|_not_an_address| example.to_owned())
    })
}

fn read_connections_max(section: &mut Section<'_>, default: u32) -> u32 {
    section.integer("connections_max", 1..=1_000_000, default)
}
