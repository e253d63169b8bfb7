//! Servers that the comparison starts and stops by itself: on ports and directories of their own,
//! with settings that cost none of them more than its task asks for.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process;
use crate::scenario::Protocol;

/// How long a server may take until it listens, and until it ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where Debian keeps the script that starts a broker without changing the user.
const RABBITMQ: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The one this is about.
    Busbar,
    Mosquitto,
    RabbitMq,
    Redis,
    Valkey,
}

/// All kinds, Busbar first.
pub(crate) const KINDS: [Kind; 5] = [
    Kind::Busbar,
    Kind::RabbitMq,
    Kind::Mosquitto,
    Kind::Redis,
    Kind::Valkey,
];

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Busbar => "Busbar",
            Self::Mosquitto => "Mosquitto",
            Self::RabbitMq => "RabbitMQ",
            Self::Redis => "Redis",
            Self::Valkey => "Valkey",
        }
    }

    pub(crate) const fn speaks(self, protocol: Protocol) -> bool {
        match self {
            Self::Busbar => true,
            Self::Mosquitto => matches!(protocol, Protocol::Mqtt3 | Protocol::Mqtt5),
            Self::RabbitMq => matches!(protocol, Protocol::Amqp),
            Self::Redis | Self::Valkey => matches!(protocol, Protocol::Resp),
        }
    }

    /// What it is started with, in words.
    pub(crate) const fn settings(self) -> &'static str {
        match self {
            Self::Busbar => "the built-in defaults: durable means fsync",
            Self::Mosquitto => {
                "no persistence, no limit on messages in flight or queued, `set_tcp_nodelay`"
            }
            Self::RabbitMq => "defaults, no plugins, classic queues",
            Self::Redis | Self::Valkey => {
                "no snapshots, no append-only file, no output limit for subscribers"
            }
        }
    }

    /// Whether the program is there.
    pub(crate) fn is_installed(self, busbar: &Path) -> bool {
        let program = self.program(busbar);
        let candidates = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&candidates).collect::<Vec<_>>();
        folders.push(PathBuf::from("/usr/sbin"));
        folders.iter().any(|folder| folder.join(&program).is_file())
    }

    /// The version that it calls itself.
    pub(crate) fn version(self, busbar: &Path) -> String {
        let (program, argument) = match self {
            Self::Busbar => (busbar.to_owned(), "--version"),
            Self::Mosquitto => (self.program(busbar), "-h"),
            Self::RabbitMq => (
                PathBuf::from("/usr/lib/rabbitmq/bin/rabbitmqctl"),
                "version",
            ),
            Self::Redis | Self::Valkey => (self.program(busbar), "--version"),
        };
        let output = Command::new(program).arg(argument).output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = text.lines().next().unwrap_or("unknown");
        // Redis goes on about its build.
        let words = line
            .split_whitespace()
            .filter(|word| !word.contains("sha="));
        words.take(4).collect::<Vec<_>>().join(" ")
    }

    fn program(self, busbar: &Path) -> PathBuf {
        match self {
            Self::Busbar => busbar.to_owned(),
            Self::Mosquitto => PathBuf::from("mosquitto"),
            Self::RabbitMq => PathBuf::from(RABBITMQ),
            Self::Redis => PathBuf::from("redis-server"),
            Self::Valkey => PathBuf::from("valkey-server"),
        }
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    child: Child,
    /// By protocol: AMQP, MQTT, RESP.
    ports: [u16; 3],
    pid: u32,
    /// RabbitMQ's port mapper, which would stay.
    epmd_port: Option<u16>,
    _data: TempDir,
}

impl Server {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// When it cannot be started or does not listen in time.
    pub(crate) fn start(kind: Kind, busbar: &Path) -> io::Result<Self> {
        let data = tempfile::tempdir()?;
        let ports = [free_port()?, free_port()?, free_port()?];
        let epmd_port = if kind == Kind::RabbitMq {
            Some(free_port()?)
        } else {
            None
        };
        let mut command = Command::new(kind.program(busbar));
        match kind {
            Kind::Busbar => busbar_arguments(&mut command, ports, data.path()),
            Kind::Mosquitto => mosquitto_arguments(&mut command, ports, data.path())?,
            Kind::RabbitMq => {
                let [port, dist_port, _] = ports;
                let mapped = [port, dist_port, epmd_port.unwrap_or_default()];
                rabbitmq_arguments(&mut command, mapped, data.path())?;
            }
            Kind::Redis | Kind::Valkey => redis_arguments(&mut command, ports, data.path()),
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn()?;
        let mut server = Self {
            kind,
            pid: child.id(),
            child,
            ports,
            epmd_port,
            _data: data,
        };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    /// Where it speaks this protocol.
    pub(crate) fn address(&self, protocol: Protocol) -> SocketAddr {
        let [amqp, mqtt, resp] = self.ports;
        let port = match protocol {
            Protocol::Amqp => amqp,
            Protocol::Mqtt3 | Protocol::Mqtt5 => mqtt,
            Protocol::Resp => resp,
        };
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    fn wait_until_it_listens(&mut self) -> io::Result<()> {
        let protocols = [Protocol::Amqp, Protocol::Mqtt3, Protocol::Resp];
        let spoken = protocols
            .into_iter()
            .find(|protocol| self.kind.speaks(*protocol));
        let address = self.address(spoken.unwrap_or_default());
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if started.elapsed() > PATIENCE || self.child.try_wait()?.is_some() {
                return Err(io::Error::other(format!(
                    "{} did not start",
                    self.kind.name()
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // RabbitMQ's script starts the broker as a child.
        self.pid = process::listener_of(address.port()).unwrap_or(self.pid);
        Ok(())
    }
}

impl Drop for Server {
    /// Stops it; a server that does not end in time is killed.
    fn drop(&mut self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself.
            kill_process(pid, Signal::TERM).ok();
        }
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if asked.elapsed() > PATIENCE {
                drop(self.child.kill());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if let Some(port) = self.epmd_port {
            let mut epmd = Command::new("epmd");
            epmd.args(["-port", &port.to_string(), "-kill"]);
            drop(epmd.stdout(Stdio::null()).stderr(Stdio::null()).status());
        }
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

fn busbar_arguments(command: &mut Command, [amqp, mqtt, resp]: [u16; 3], data: &Path) {
    for (protocol, port) in [("amqp", amqp), ("mqtt", mqtt), ("resp", resp)] {
        let bind = format!("listeners.{protocol}.bind=\"127.0.0.1:{port}\"");
        command.args(["--set", &bind]);
        command.args([
            "--set",
            &format!("listeners.{protocol}.connections_max=100000"),
        ]);
    }
    command.args(["--set", "listeners.http.enabled=false"]);
    command.args(["--set", "amqp.channel_consumers_max=100000"]);
    command.args(["--set", "log.level=\"error\""]);
    command.args([
        "--set",
        &format!("storage.data_dir='{}'", data.join("data").display()),
    ]);
}

fn mosquitto_arguments(command: &mut Command, ports: [u16; 3], data: &Path) -> io::Result<()> {
    let [_, port, _] = ports;
    let settings = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n\
         max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\nlog_dest none\n\
         user root\n"
    );
    let file = data.join("mosquitto.conf");
    fs::write(&file, settings)?;
    command.arg("-c").arg(file);
    Ok(())
}

fn redis_arguments(command: &mut Command, [_, _, port]: [u16; 3], data: &Path) {
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    command.args(["--save", "", "--appendonly", "no"]);
    command.args(["--client-output-buffer-limit", "pubsub 0 0 0"]);
    command.arg("--dir").arg(data);
}

fn rabbitmq_arguments(command: &mut Command, ports: [u16; 3], data: &Path) -> io::Result<()> {
    let [port, dist_port, epmd_port] = ports;
    let plugins = data.join("enabled_plugins");
    fs::write(&plugins, "[].\n")?;
    command
        .env("RABBITMQ_NODENAME", format!("load{port}@localhost"))
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", port.to_string())
        .env("RABBITMQ_DIST_PORT", dist_port.to_string())
        .env("RABBITMQ_MNESIA_BASE", data)
        .env("RABBITMQ_LOG_BASE", data)
        .env("RABBITMQ_CONFIG_FILE", data.join("none"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins)
        .env("ERL_EPMD_PORT", epmd_port.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("HOME", data);
    Ok(())
}
