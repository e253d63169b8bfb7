//! The command line, and how it becomes a scenario.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::process;
use crate::scenario::{Protocol, Scenario, Target};

/// Loads a server with AMQP 0-9-1, MQTT or Redis publish/subscribe clients, checks that nothing is
/// lost, doubled or out of order, and measures latency and the server's CPU time and memory.
///
/// It holds a bounded number of messages in flight, so that no server has a reason to drop one,
/// and runs on one thread. A server on this machine is found by its port and measured too.
#[derive(Debug, Parser)]
#[command(name = "busbar-load", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// AMQP 0-9-1 clients.
    Amqp(AmqpLoad),
    /// MQTT clients.
    Mqtt(MqttLoad),
    /// Redis publish/subscribe clients.
    Resp(Load),
    /// Runs one table of cases against Busbar and the other servers of this machine, in turn.
    Compare(Compare),
    /// Runs Busbar with ever more connections, topics, subscriptions, queues, bytes.
    Scale(Compare),
}

/// What all protocols have.
#[derive(Args, Clone, Debug)]
pub(crate) struct Load {
    /// The server, HOST:PORT [default: the protocol's port on 127.0.0.1]
    #[arg(long)]
    address: Option<String>,
    /// The server's process [default: who listens on the port, if on this machine]
    #[arg(long)]
    pid: Option<u32>,
    /// User name
    #[arg(long)]
    user: Option<String>,
    /// Password
    #[arg(long)]
    password: Option<String>,
    /// Independent copies of publishers, subscribers and topics (pairs: --groups N)
    #[arg(long, default_value_t = 1)]
    groups: usize,
    /// Publishers of a group
    #[arg(long, default_value_t = 1)]
    publishers: usize,
    /// Subscribers of a group
    #[arg(long, default_value_t = 1)]
    subscribers: usize,
    /// Topics of a group, dealt out to its publishers
    #[arg(long, default_value_t = 1)]
    topics: usize,
    /// Subscribe to all topics of the group by one pattern
    #[arg(long)]
    wildcard: bool,
    /// More connections that do nothing
    #[arg(long, default_value_t = 0)]
    idle: usize,
    /// Subscriptions of the idle connections together
    #[arg(long, default_value_t = 0)]
    idle_subscriptions: usize,
    /// Payload in bytes, at least 16
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(16..))]
    payload: u32,
    /// Messages of one publisher in flight
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1000000))]
    window: u32,
    /// Messages of one write
    #[arg(long, default_value_t = 50)]
    batch: u32,
    /// Messages per second of one publisher [default: as many as the window allows]
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds before the measurement
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Seconds of the measurement
    #[arg(long, default_value_t = 10.0)]
    duration: f64,
    /// New connections per second [default: as fast as the server answers]
    #[arg(long)]
    ramp: Option<u32>,
    /// Connections that may be in their handshake at a time
    #[arg(long, default_value_t = 32)]
    connecting: usize,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// AMQP's own.
#[derive(Args, Clone, Debug)]
pub(crate) struct AmqpLoad {
    #[command(flatten)]
    pub(crate) load: Load,
    /// Virtual host
    #[arg(long, default_value = "/")]
    vhost: String,
    /// Where messages go
    #[arg(long, value_enum, default_value_t = Target::Queue)]
    target: Target,
    /// Durable queues and persistent messages
    #[arg(long)]
    durable: bool,
    /// Publisher confirms
    #[arg(long)]
    confirm: bool,
    /// Consumers acknowledge
    #[arg(long)]
    ack: bool,
    /// Deliveries that one acknowledgement covers
    #[arg(long, default_value_t = 1)]
    ack_every: u32,
    /// Unacknowledged deliveries of one consumer
    #[arg(long, default_value_t = 200)]
    prefetch: u16,
    /// Messages that each publisher leaves in the queues before anybody consumes (with --confirm)
    #[arg(long, default_value_t = 0)]
    prefill: u32,
}

/// MQTT's own.
#[derive(Args, Clone, Debug)]
pub(crate) struct MqttLoad {
    #[command(flatten)]
    pub(crate) load: Load,
    /// Quality of service of publishes and subscriptions
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    qos: u8,
    /// Version
    #[arg(long, value_enum, default_value_t = MqttVersion::V311)]
    version: MqttVersion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MqttVersion {
    #[value(name = "3.1.1")]
    V311,
    #[value(name = "5")]
    V5,
}

/// Of the commands that start servers themselves.
#[derive(Args, Clone, Debug)]
pub(crate) struct Compare {
    /// The busbar binary [default: beside this one]
    #[arg(long)]
    pub(crate) busbar: Option<PathBuf>,
    /// The page to write the tables into, between its markers
    #[arg(long)]
    pub(crate) page: Option<PathBuf>,
    /// Rounds; the table shows their medians
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Seconds of one measurement
    #[arg(long, default_value_t = 3.0)]
    pub(crate) duration: f64,
    /// Only cases whose name contains this
    #[arg(long, default_value = "")]
    pub(crate) only: String,
    /// Only Busbar
    #[arg(long)]
    pub(crate) alone: bool,
}

/// The server's name means nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}: not an address")]
pub(crate) struct NoAddress(String);

impl Load {
    fn scenario(&self, protocol: Protocol, port: u16) -> Result<Scenario, NoAddress> {
        let text = self.address.clone();
        let text = text.unwrap_or_else(|| format!("127.0.0.1:{port}"));
        let mut found = text.to_socket_addrs().into_iter().flatten();
        let address = found.next().ok_or(NoAddress(text))?;
        Ok(Scenario {
            protocol,
            address,
            server_pid: self.pid.or_else(|| local_server(address)),
            user: self.user.clone(),
            password: self.password.clone(),
            groups: self.groups,
            publishers: self.publishers,
            subscribers: self.subscribers,
            topics: self.topics.max(1),
            wildcard: self.wildcard,
            idle: self.idle,
            idle_subscriptions: self.idle_subscriptions,
            payload_bytes: usize::try_from(self.payload).unwrap_or(usize::MAX),
            window: self.window,
            batch: self.batch,
            rate: self.rate.filter(|rate| *rate > 0.0),
            warm_up: seconds(self.warm_up),
            duration: seconds(self.duration),
            ramp: self.ramp,
            connecting_max: self.connecting.max(1),
            ..Scenario::default()
        })
    }

    pub(crate) fn resp_scenario(&self) -> Result<Scenario, NoAddress> {
        self.scenario(Protocol::Resp, 6379)
    }
}

impl AmqpLoad {
    pub(crate) fn scenario(&self) -> Result<Scenario, NoAddress> {
        let common = self.load.scenario(Protocol::Amqp, 5672)?;
        Ok(Scenario {
            vhost: self.vhost.clone(),
            target: self.target,
            durable: self.durable,
            confirm: self.confirm || self.prefill > 0,
            acknowledges: self.ack,
            ack_every: self.ack_every.clamp(1, u32::from(self.prefetch / 2).max(1)),
            prefetch: self.prefetch,
            prefill: self.prefill,
            ..common
        })
    }
}

impl MqttLoad {
    pub(crate) fn scenario(&self) -> Result<Scenario, NoAddress> {
        let protocol = match self.version {
            MqttVersion::V311 => Protocol::Mqtt3,
            MqttVersion::V5 => Protocol::Mqtt5,
        };
        let common = self.load.scenario(protocol, 1883)?;
        Ok(Scenario {
            qos: self.qos,
            ..common
        })
    }
}

/// A day at most; nonsense is nothing.
pub(crate) fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.min(86_400.0)).unwrap_or_default()
}

fn local_server(address: SocketAddr) -> Option<u32> {
    address
        .ip()
        .is_loopback()
        .then(|| process::listener_of(address.port()))
        .flatten()
}
