//! DNS-SD by multicast DNS (RFC 6762, RFC 6763): tells the network which listeners there are, and
//! at the end that they are gone. Off unless interfaces are named.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mdns_sd::{Error, IfKind, ServiceDaemon, ServiceInfo};
use tracing::debug;

use crate::config::{Bind, Discovery};
use crate::gateway::Shared;

/// What clients look for, by listener. WebSockets have no registered name, and a gateway for
/// MQTT-SN is found by MQTT-SN's own means.
const SERVICES: [(&str, &str); 4] = [
    ("amqp", "_amqp._tcp.local."),
    ("mqtt", "_mqtt._tcp.local."),
    ("resp", "_redis._tcp.local."),
    ("http", "_http._tcp.local."),
];

/// How long a goodbye may take to be sent.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);

/// Announces the listeners that other machines reach, until the gateway stops.
///
/// # Errors
/// What the responder says: no thread, a name that is none.
pub fn announce(
    config: &Discovery,
    addresses: &[(&'static str, Bind)],
    shared: &Arc<Shared>,
) -> Result<(), Error> {
    if config.mdns.is_empty() {
        return Ok(());
    }
    let daemon = ServiceDaemon::new()?;
    daemon.disable_interface(IfKind::All)?;
    let interfaces: Vec<_> = config.mdns.iter().cloned().map(IfKind::Name).collect();
    daemon.enable_interface(interfaces)?;
    let mut announced = Vec::new();
    for (protocol, address) in addresses {
        if let Some(service) = service(config, protocol, address)? {
            announced.push(service.get_fullname().to_owned());
            daemon.register(service)?;
        }
    }
    let stop = shared.shutdown.token().clone();
    shared.shutdown.spawn("discovery", async move {
        stop.cancelled().await;
        let leaving = tokio::task::spawn_blocking(move || say_goodbye(&daemon, &announced));
        leaving.await.unwrap_or_default();
    });
    Ok(())
}

/// What is said of a listener; nothing of one that only this machine reaches.
fn service(
    config: &Discovery,
    protocol: &str,
    address: &Bind,
) -> Result<Option<ServiceInfo>, Error> {
    let known = SERVICES.iter().find(|(name, _)| *name == protocol);
    let (Some((_, kind)), Bind::Tcp(address)) = (known, address) else {
        return Ok(None);
    };
    if address.ip().is_loopback() {
        return Ok(None);
    }
    let host = host_name();
    let node = match config.name.is_empty() {
        true => host.as_str(),
        false => config.name.as_str(),
    };
    // No secrets: anybody on the network reads them.
    let mut properties = vec![
        ("txtvers", "1"),
        ("v", env!("CARGO_PKG_VERSION")),
        ("node", node),
    ];
    if protocol == "http" {
        properties.push(("path", "/metrics"));
    }
    let addresses = addresses_of(*address);
    let host = format!("{host}.local.");
    let service = ServiceInfo::new(kind, node, &host, &*addresses, address.port(), &*properties)?;
    Ok(Some(match addresses.is_empty() {
        true => service.enable_addr_auto(),
        false => service,
    }))
}

/// The address that was bound; of one that means all, those of the interfaces, as they change.
fn addresses_of(address: SocketAddr) -> String {
    match address.ip() {
        ip if ip.is_unspecified() => String::new(),
        ip => ip.to_string(),
    }
}

/// This machine's name, as far as it may stand in a host name.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let first = name.split('.').next().unwrap_or_default();
    let is_letter = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '-';
    let name: String = first.chars().filter(is_letter).take(63).collect();
    if name.is_empty() {
        "busbar".to_owned()
    } else {
        name
    }
}

fn say_goodbye(daemon: &ServiceDaemon, announced: &[String]) {
    for name in announced {
        let gone = daemon.unregister(name);
        if !gone.is_ok_and(|gone| gone.recv_timeout(GOODBYE_TIMEOUT).is_ok()) {
            debug!(name, "no goodbye was sent");
        }
    }
    let ended = daemon.shutdown();
    drop(ended.map(|ended| ended.recv_timeout(GOODBYE_TIMEOUT)));
}
