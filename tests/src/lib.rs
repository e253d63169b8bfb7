//! A whole gateway inside a test, and clients that speak raw bytes.

pub mod fuzz;
pub mod many;

pub mod amqp;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use gateway::config::{Bind, Config, Overlay};
use gateway::gateway::ReloadError;
use gateway::{Gateway, StartError};
use tokio::runtime::Runtime;

/// How long a client waits for bytes before the test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// A gateway on ports of its own.
#[derive(Debug)]
pub struct TestGateway {
    runtime: Runtime,
    gateway: Gateway,
}

impl TestGateway {
    /// Starts one on a data directory, with more settings, a line of TOML each.
    ///
    /// # Panics
    /// When it does not start: the test is over.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's set-up")]
    pub fn start(data_dir: &Path, settings: &[&str]) -> Self {
        let config = config(data_dir, settings);
        let runtime = Runtime::new().expect("a runtime");
        let gateway = {
            let _inside = runtime.enter();
            start_when_unlocked(&config).expect("a gateway")
        };
        Self { runtime, gateway }
    }

    /// The address of a protocol's listener.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's set-up")]
    pub fn address(&self, protocol: &str) -> SocketAddr {
        let found = self
            .gateway
            .addresses
            .iter()
            .find_map(|(name, address)| match address {
                Bind::Tcp(address) if *name == protocol => Some(*address),
                _ => None,
            });
        found.expect("a listener")
    }

    /// The path of a protocol's Unix socket.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's set-up")]
    pub fn socket(&self, protocol: &str) -> &Path {
        let mut found = self.gateway.addresses.iter();
        let found = found.find_map(|(name, address)| match address {
            Bind::Unix(path) if *name == protocol => Some(path),
            _ => None,
        });
        found.expect("a Unix socket")
    }

    /// A raw connection to a protocol's listener.
    #[must_use]
    pub fn connect(&self, protocol: &str) -> RawClient {
        RawClient::connect(self.address(protocol))
    }

    /// Gives it another configuration, as SIGHUP does.
    ///
    /// # Errors
    /// When it refuses.
    pub fn reload(&mut self, data_dir: &Path, settings: &[&str]) -> Result<(), ReloadError> {
        self.gateway.reload(&config(data_dir, settings))
    }

    /// Stops it as SIGTERM does.
    ///
    /// # Panics
    /// When the journal cannot be closed.
    #[expect(clippy::expect_used, reason = "a test's assertion")]
    pub fn stop(self) {
        self.runtime
            .block_on(self.gateway.stop())
            .expect("a clean stop");
    }

    /// Ends it as a crash does: nobody is told, nothing is tidied up.
    pub fn crash(self) {
        // The tasks let go of the data directory as they are dropped.
        self.runtime.shutdown_timeout(PATIENCE);
        drop(self.gateway);
    }
}

/// A configuration with ports and a data directory of its own.
#[expect(clippy::expect_used, reason = "a test's set-up")]
fn config(data_dir: &Path, settings: &[&str]) -> Config {
    let binds = ["amqp", "mqtt", "resp", "http"]
        .map(|protocol| format!("listeners.{protocol}.bind = \"127.0.0.1:0\""));
    let data_dir = format!("storage.data_dir = '{}'", data_dir.display());
    let lines = binds.into_iter().chain([data_dir]);
    let lines = lines.chain(settings.iter().map(|line| (*line).to_owned()));
    let overlays = lines
        .map(|text| Overlay {
            option: "test",
            text,
        })
        .collect::<Vec<_>>();
    Config::parse(None, &overlays).expect("valid settings")
}

/// Starts a gateway; waits for one that crashed in this process to let go of the data directory,
/// which its journal's threads do as they end.
fn start_when_unlocked(config: &Config) -> Result<Gateway, StartError> {
    for _ in 0..PATIENCE.as_millis() {
        match Gateway::start(config) {
            Err(StartError::Open(storage::Error::Locked { .. })) => {
                std::thread::sleep(Duration::from_millis(1));
            }
            started => return started,
        }
    }
    Gateway::start(config)
}

/// A client that writes and expects bytes.
#[derive(Debug)]
pub struct RawClient(TcpStream);

impl RawClient {
    /// Connects.
    ///
    /// # Panics
    /// When it cannot.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's set-up")]
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self(stream)
    }

    /// Sends bytes.
    ///
    /// # Panics
    /// When the gateway has closed the connection.
    #[expect(clippy::expect_used, reason = "a test's assertion")]
    pub fn send(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.write_all(bytes).expect("an open connection");
        self
    }

    /// Expects exactly these bytes next.
    ///
    /// # Panics
    /// When others come, or none.
    #[expect(clippy::expect_used, reason = "a test's assertion")]
    pub fn expect(&mut self, bytes: &[u8]) -> &mut Self {
        let mut got = vec![0; bytes.len()];
        self.0.read_exact(&mut got).expect("as many bytes");
        assert_eq!(
            got.escape_ascii().to_string(),
            bytes.escape_ascii().to_string()
        );
        self
    }

    /// Fills the buffer with what comes next.
    ///
    /// # Panics
    /// When not enough comes.
    #[expect(clippy::expect_used, reason = "a test's assertion")]
    pub fn receive(&mut self, into: &mut [u8]) {
        self.0.read_exact(into).expect("as many bytes");
    }

    /// Sends bytes one by one, each after `pace` without a word of the gateway, until it ends the
    /// connection. Returns how many it took and what it said.
    ///
    /// # Panics
    /// When it waits for all of them.
    #[expect(clippy::expect_used, clippy::panic, reason = "a test's assertion")]
    pub fn drip(&mut self, bytes: &[u8], pace: Duration) -> (usize, Vec<u8>) {
        self.0.set_read_timeout(Some(pace)).expect("a timeout");
        let mut said = Vec::new();
        for (sent, byte) in bytes.iter().enumerate() {
            self.send(&[*byte]);
            let mut next = [0; 256];
            while let Ok(count) = self.0.read(&mut next) {
                if count == 0 {
                    return (sent + 1, said);
                }
                said.extend(next.iter().take(count));
            }
        }
        panic!("the gateway waited for all {} bytes", bytes.len());
    }

    /// Sends the same bytes again and again and reads nothing, until the gateway ends the
    /// connection or `bytes_max` are sent. Returns how many were.
    pub fn pour(&mut self, bytes: &[u8], bytes_max: usize) -> usize {
        let mut sent = 0;
        while sent < bytes_max && self.0.write_all(bytes).is_ok() {
            sent += bytes.len();
        }
        sent
    }

    /// Expects the gateway to end the connection, whatever it says before and however it does it.
    ///
    /// # Panics
    /// When it does not.
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        if let Err(error) = self.0.read_to_end(&mut rest) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
    }
}
