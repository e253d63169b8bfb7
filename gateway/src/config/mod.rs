//! The configuration: every key, its limits and its default.
//!
//! `document` is the file and the `--set` overlays as one tree with places; `section` reads typed
//! values out of it; the files named after sections hold these values; `rules` checks what concerns
//! more than one key. All faults are collected and shown together by `diagnostic`.
//!
//! Invariant: a [`Config`] that [`Config::load`] returned is valid: names resolve, limits fit each
//! other, patterns compile. What only the machine knows (is the interface there, is the port free)
//! is found at start.

mod amqp;
mod diagnostic;
mod discovery;
mod document;
mod lan;
mod listeners;
mod mqtt;
mod mqtt_sn;
mod policies;
mod resp;
mod rules;
mod section;
mod storage;
mod units;
mod users;
mod value;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

pub use amqp::Amqp;
pub use diagnostic::Invalid;
pub use discovery::Discovery;
pub use lan::{Codec, Destination, Direction, Interface, LanLink, SourceRange};
pub use listeners::{Bind, HttpListener, Listener, Listeners, WebSocketListener};
pub use mqtt::Mqtt;
pub use mqtt_sn::MqttSnGateway;
pub use policies::{Definition, Policy};
pub use resp::{Resp, Subscribers, WhenFull};
pub use storage::{Storage, SyncPolicy};
pub use users::{ADMINISTRATOR, Authentication, GUEST, Permission, TopicPermission, User, Vhost};

use diagnostic::Diagnostic;
use document::Document;
use section::{Reader, Section};

/// Everything the gateway is told from outside. `Default` is what `busbar` alone runs with, and
/// what `configs/busbar.toml` spells out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where clients connect, `[listeners]`.
    pub listeners: Listeners,
    /// Limits of AMQP 0-9-1, `[amqp]`.
    pub amqp: Amqp,
    /// Limits of MQTT, `[mqtt]`.
    pub mqtt: Mqtt,
    /// Limits of Redis pub/sub, `[resp]`.
    pub resp: Resp,
    /// The data directory and the journal, `[storage]`.
    pub storage: Storage,
    /// How clients prove who they are, `[authentication]`.
    pub authentication: Authentication,
    /// The virtual hosts, `[[vhosts]]`.
    pub vhosts: Vec<Vhost>,
    /// The users, `[[users]]`.
    pub users: Vec<User>,
    /// What queues and exchanges are told by pattern, `[[policies]]`.
    pub policies: Vec<Policy>,
    /// Limits laid over arguments and policies, `[[operator_policies]]`.
    pub operator_policies: Vec<Policy>,
    /// The LAN links, `[[lan]]`.
    pub lan: Vec<LanLink>,
    /// The gateways for MQTT-SN devices, `[[mqtt_sn]]`.
    pub mqtt_sn: Vec<MqttSnGateway>,
    /// How the gateway is found, `[discovery]`.
    pub discovery: Discovery,
    /// What is logged, `[log]`.
    pub log: Log,
    /// How the gateway stops, `[shutdown]`.
    pub shutdown: Shutdown,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listeners: Listeners::default(),
            amqp: Amqp::default(),
            mqtt: Mqtt::default(),
            resp: Resp::default(),
            storage: Storage::default(),
            authentication: Authentication::default(),
            vhosts: vec![Vhost {
                name: "/".to_owned(),
            }],
            users: vec![User::guest()],
            policies: Vec::new(),
            operator_policies: Vec::new(),
            lan: Vec::new(),
            mqtt_sn: Vec::new(),
            discovery: Discovery::default(),
            log: Log::default(),
            shutdown: Shutdown::default(),
        }
    }
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`), or a list of levels per target as
    /// `tracing` writes it: `info,amqp=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
        }
    }
}

impl Log {
    fn read(section: &mut Section<'_>) -> Self {
        let expected = "a log level such as \"info\" or \"info,amqp=debug\"";
        let level = section.parsed("level", expected, Self::default().level, |text| {
            // The filter takes any other word for a target, and would log all of it.
            let is_level = |part: &str| !part.is_empty() && part.parse::<LevelFilter>().is_ok();
            if !text
                .split(',')
                .all(|part| part.contains('=') || is_level(part.trim()))
            {
                return Err("levels are: error, warn, info, debug, trace, off".to_owned());
            }
            let levels = EnvFilter::try_new(text).map(|_| text.to_owned());
            levels.map_err(|reason| reason.to_string())
        });
        Self { level }
    }
}

/// `[shutdown]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// How long clients may take to receive what is written to them before they are cut off.
    pub drain_timeout: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl Shutdown {
    fn read(section: &mut Section<'_>) -> Self {
        let range = Duration::ZERO..=Duration::from_secs(3600);
        let drain_timeout = section.duration("drain_timeout", range, Self::default().drain_timeout);
        Self { drain_timeout }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read, or is not UTF-8.
    #[error("cannot read the configuration file {}", path.display())]
    Io {
        /// The file that was named.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file or an overlay is wrong; the report names every fault.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// One setting from the command line, laid over the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The option it came from, as messages name it: `--set`.
    pub option: &'static str,
    /// One or more lines of TOML: `storage.sync = "os"`.
    pub text: String,
}

impl Config {
    /// Reads `file`, or the built-in defaults without one, and lays `overlays` over it in their
    /// order, so that the last one to name a key wins.
    ///
    /// # Errors
    /// [`LoadError`] if the file cannot be read, or if anything in it or in the overlays is wrong.
    pub fn load(file: Option<&Path>, overlays: &[Overlay]) -> Result<Self, LoadError> {
        let Some(path) = file else {
            return Ok(Self::parse(None, overlays)?);
        };
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(
                Some((&path.display().to_string(), &text)),
                overlays,
            )?),
            Err(source) => Err(LoadError::Io {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// The same from memory: `file` is a name for messages and the text.
    ///
    /// # Errors
    /// [`Invalid`] with every fault there is.
    pub fn parse(file: Option<(&str, &str)>, overlays: &[Overlay]) -> Result<Self, Invalid> {
        let mut document = Document::default();
        let mut diagnostics = Vec::new();
        let overlays = overlays
            .iter()
            .map(|overlay| (overlay.option, overlay.text.as_str()));
        for (name, text) in file.into_iter().chain(overlays) {
            document.add(name, text, &mut diagnostics);
        }
        let reader = Reader::new(&document);
        let config = reader.root(Self::read);
        rules::check(&config, &document, &reader);
        let follows = |found: &Diagnostic| found.at().is_some_and(|at| document.is_unread(at));
        diagnostics.extend(reader.finish().into_iter().filter(|found| !follows(found)));
        if diagnostics.is_empty() {
            Ok(config)
        } else {
            Err(Invalid::new(document.sources, diagnostics))
        }
    }

    /// The sections, but for users, policies and authentication, in which this configuration
    /// differs from another.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let sections = [
            ("[listeners]", self.listeners == other.listeners),
            ("[amqp]", self.amqp == other.amqp),
            ("[mqtt]", self.mqtt == other.mqtt),
            ("[resp]", self.resp == other.resp),
            ("[storage]", self.storage == other.storage),
            ("[[vhosts]]", self.vhosts == other.vhosts),
            ("[[lan]]", self.lan == other.lan),
            ("[[mqtt_sn]]", self.mqtt_sn == other.mqtt_sn),
            ("[discovery]", self.discovery == other.discovery),
            ("[log]", self.log == other.log),
            ("[shutdown]", self.shutdown == other.shutdown),
        ];
        sections
            .into_iter()
            .filter(|(_, same)| !same)
            .map(|(name, _)| name)
            .collect()
    }

    fn read(root: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            listeners: root.table("listeners", Listeners::read),
            amqp: root.table("amqp", Amqp::read),
            mqtt: root.table("mqtt", Mqtt::read),
            resp: root.table("resp", Resp::read),
            storage: root.table("storage", Storage::read),
            authentication: root.table("authentication", Authentication::read),
            vhosts: root.tables("vhosts", Vhost::read).unwrap_or(default.vhosts),
            users: root.tables("users", User::read).unwrap_or(default.users),
            policies: root.tables("policies", Policy::read).unwrap_or_default(),
            operator_policies: root
                .tables("operator_policies", Policy::read_operators)
                .unwrap_or_default(),
            lan: root.tables("lan", LanLink::read).unwrap_or_default(),
            mqtt_sn: root
                .tables("mqtt_sn", MqttSnGateway::read)
                .unwrap_or_default(),
            discovery: root.table("discovery", Discovery::read),
            log: root.table("log", Log::read),
            shutdown: root.table("shutdown", Shutdown::read),
        }
    }
}
