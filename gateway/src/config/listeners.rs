//! `[listeners.*]`: where clients connect, by which transport, and whom a listener lets in.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::section::Section;
use super::value::DAY;

/// The listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// AMQP 0-9-1, port 5672.
    pub amqp: Listener,
    /// MQTT 3.1, 3.1.1 and 5, port 1883.
    pub mqtt: Listener,
    /// MQTT in WebSockets, port 15675, which is that of RabbitMQ's Web MQTT; off by default.
    pub mqtt_ws: WebSocketListener,
    /// Redis, RESP2 and RESP3, port 6379.
    pub resp: Listener,
    /// Health and metrics, port 15672.
    pub http: HttpListener,
}

/// Where a listener is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bind {
    /// A TCP address. Port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket's path.
    Unix(PathBuf),
}

impl Bind {
    /// Whether only this machine reaches it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Whether it is `[::1]` beside `127.0.0.1` of the same port: a machine without IPv6 does
    /// without it.
    #[must_use]
    pub fn is_dispensable(&self, beside: &[Self]) -> bool {
        let Self::Tcp(address) = self else {
            return false;
        };
        let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
        address.ip() == Ipv6Addr::LOCALHOST && beside.contains(&Self::Tcp(v4))
    }

    fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.len() {
                1..=SOCKET_PATH_BYTES_MAX => Ok(Self::Unix(path.into())),
                _ => Err(format!(
                    "the path must have 1 to {SOCKET_PATH_BYTES_MAX} bytes"
                )),
            };
        }
        let example =
            "must be like \"127.0.0.1:5672\", \"[::1]:5672\" or \"unix:/run/busbar.sock\"";
        let address = text.parse().map_err(|_not_an_address| example.to_owned())?;
        Ok(Self::Tcp(address))
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What `sun_path` of Linux holds, less its final NUL and the name under which the socket is made
/// before it is moved to its place.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// One listener for messaging clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Whether the listener runs at all.
    pub enabled: bool,
    /// The addresses it binds.
    pub bind: Vec<Bind>,
    /// The permission bits of the Unix sockets among them.
    pub socket_mode: u32,
    /// Whether each connection begins with a PROXY header, which says who the client is.
    pub proxy_protocol: bool,
    /// The virtual host of everybody who connects here; `None`: that of the user.
    pub vhost: Option<String>,
    /// Whether clients without credentials are let in from other machines too. From this machine
    /// they always are, as long as the anonymous user exists.
    pub allow_anonymous: bool,
    /// How many clients may be connected at a time.
    pub connections_max: u32,
    /// A client that takes nothing of what waits for it for so long is cut off; zero: never.
    pub write_timeout: Duration,
}

/// A listener that takes WebSockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocketListener {
    /// What it has in common with all listeners.
    pub base: Listener,
    /// The only path that is served; `None`: any.
    pub path: Option<String>,
    /// Web pages that may connect, by their `Origin`; `*` is any.
    pub origins: Vec<String>,
}

/// The listener for `/health` and `/metrics`, which are read only and need no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpListener {
    /// Whether the listener runs at all.
    pub enabled: bool,
    /// The addresses it binds.
    pub bind: Vec<Bind>,
    /// The permission bits of the Unix sockets among them.
    pub socket_mode: u32,
    /// How many clients may be connected at a time.
    pub connections_max: u32,
}

impl Default for Listeners {
    fn default() -> Self {
        Self {
            amqp: Listener::on_loopback(5672),
            mqtt: Listener::on_loopback(1883),
            mqtt_ws: WebSocketListener {
                base: Listener {
                    enabled: false,
                    ..Listener::on_loopback(15675)
                },
                path: None,
                origins: Vec::new(),
            },
            resp: Listener {
                // Redis waits for ever; its limits of output are what ends a connection.
                write_timeout: Duration::ZERO,
                ..Listener::on_loopback(6379)
            },
            http: HttpListener {
                enabled: true,
                bind: loopback(15672),
                socket_mode: SOCKET_MODE,
                connections_max: 100,
            },
        }
    }
}

impl Listeners {
    /// The messaging listeners with their section names.
    pub fn messaging(&self) -> [(&'static str, &Listener); 4] {
        [
            ("amqp", &self.amqp),
            ("mqtt", &self.mqtt),
            ("mqtt_ws", &self.mqtt_ws.base),
            ("resp", &self.resp),
        ]
    }

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            amqp: section.table("amqp", |section| Listener::read(section, default.amqp)),
            mqtt: section.table("mqtt", |section| Listener::read(section, default.mqtt)),
            mqtt_ws: section.table("mqtt_ws", |section| {
                WebSocketListener::read(section, default.mqtt_ws)
            }),
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
            socket_mode: SOCKET_MODE,
            proxy_protocol: false,
            vhost: None,
            allow_anonymous: false,
            // 10,000 is the limit Redis ships with; each needs a file descriptor.
            connections_max: 10_000,
            write_timeout: Duration::from_secs(60),
        }
    }

    fn read(section: &mut Section<'_>, default: Self) -> Self {
        Self {
            enabled: section.boolean("enabled", default.enabled),
            bind: read_bind(section, default.bind),
            socket_mode: read_socket_mode(section),
            proxy_protocol: section.boolean("proxy_protocol", default.proxy_protocol),
            vhost: Some(section.text("vhost", "")).filter(|vhost| !vhost.is_empty()),
            allow_anonymous: section.boolean("allow_anonymous", default.allow_anonymous),
            connections_max: read_connections_max(section, default.connections_max),
            write_timeout: section.duration(
                "write_timeout",
                Duration::ZERO..=DAY,
                default.write_timeout,
            ),
        }
    }
}

impl WebSocketListener {
    fn read(section: &mut Section<'_>, default: Self) -> Self {
        let wanted = "must begin with \"/\"; \"\" is any path";
        Self {
            base: Listener::read(section, default.base),
            path: section.parsed("path", "a path", default.path, |text| match text {
                "" => Ok(None),
                path if path.starts_with('/') => Ok(Some(path.to_owned())),
                _ => Err(wanted.to_owned()),
            }),
            origins: section.parsed_list("origins", "an origin", default.origins, read_origin),
        }
    }
}

impl HttpListener {
    fn read(section: &mut Section<'_>, default: Self) -> Self {
        Self {
            enabled: section.boolean("enabled", default.enabled),
            bind: read_bind(section, default.bind),
            socket_mode: read_socket_mode(section),
            connections_max: read_connections_max(section, default.connections_max),
        }
    }
}

/// Owner and group: who may connect is then a matter of the group.
const SOCKET_MODE: u32 = 0o660;

fn loopback(port: u16) -> Vec<Bind> {
    let addresses = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ];
    addresses.map(Bind::Tcp).to_vec()
}

fn read_bind(section: &mut Section<'_>, default: Vec<Bind>) -> Vec<Bind> {
    section.parsed_list("bind", "an address with a port", default, Bind::parse)
}

fn read_socket_mode(section: &mut Section<'_>) -> u32 {
    section.parsed("socket_mode", "permission bits", SOCKET_MODE, |text| {
        let bits = u32::from_str_radix(text, 8)
            .ok()
            .filter(|bits| *bits <= 0o777);
        bits.ok_or_else(|| "must be three octal digits such as \"660\"".to_owned())
    })
}

fn read_origin(text: &str) -> Result<String, String> {
    if text == "*" || text == "null" || text.contains("://") {
        // Browsers write scheme and host in lower case. RFC 6454 §6.2
        Ok(text.trim_end_matches('/').to_ascii_lowercase())
    } else {
        Err("must be like \"https://plant.example\", or \"*\" for any".to_owned())
    }
}

fn read_connections_max(section: &mut Section<'_>, default: u32) -> u32 {
    section.integer("connections_max", 1..=1_000_000, default)
}
