//! The two UDP sockets of a LAN link. Separate from the task that drives them because everything
//! that goes wrong with multicast goes wrong here.
//!
//! The network is always named, never left to the system, which would choose by route. An interface
//! given by name is used by its index, so that a new address (DHCP) changes nothing; one given by
//! address is lost with it. Sending and receiving have a socket each, so that what we sent comes
//! back from a port that we know.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover,
    set_ip_multicast_if_with_ifindex, set_ipv6_mtu_discover,
};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use super::membership::{index, join};
use crate::config::{Codec, Destination, Interface, LanLink};

/// Room for bursts: 4 MiB held 5000 datagrams of 200 bytes where the default of 208 KiB lost some.
/// The system may grant less (`net.core.rmem_max`).
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// Opens the socket that hears the link's group or broadcast address, on its interface only.
///
/// # Errors
/// What the system says, with what was tried.
pub(super) fn open_receiver(link: &LanLink) -> io::Result<UdpSocket> {
    let socket = open(link.destination.address())?;
    // Several programs on one machine may listen to one group: each gets every datagram.
    socket.set_reuse_address(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    // Bound to the group, not to any address: other groups and unicast at this port stay out.
    let address = SockAddr::from(destination(link)?);
    let bound = socket.bind(&address);
    bound.map_err(|error| explain(&error, "bind", link))?;
    match link.destination {
        Destination::Group(IpAddr::V4(_)) => socket.set_multicast_all_v4(false)?,
        Destination::Group(IpAddr::V6(_)) => {
            socket.set_multicast_all_v6(false)?;
            // The kernel asks which groups a socket has joined; for IPv6, not on which interface.
            bind_device(&socket, link)?;
        }
        Destination::Broadcast(_) => bind_device(&socket, link)?,
    }
    let joined = join(&SockRef::from(&socket), link);
    joined.map_err(|error| explain(&error, "join", link))?;
    UdpSocket::from_std(socket.into())
}

/// Opens the socket that sends to the link's group or broadcast address, out of its interface.
///
/// # Errors
/// What the system says, with what was tried.
pub(super) fn open_sender(link: &LanLink) -> io::Result<UdpSocket> {
    let to = link.destination.address();
    let socket = open(to)?;
    let local = match (&link.interface, to) {
        // 255.255.255.255 has no route of its own: the bound address decides.
        (Interface::Address(address), _) => *address,
        (Interface::Name(_), IpAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
        (Interface::Name(_), IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let bound = socket.bind(&SockAddr::from(SocketAddr::new(local, 0)));
    bound.map_err(|error| explain(&error, "bind", link))?;
    if link.codec != Codec::Raw {
        forbid_fragments(&socket, to)?;
    }
    match link.destination {
        Destination::Group(group) => choose_interface(&socket, link, group)?,
        Destination::Broadcast(_) => {
            socket.set_broadcast(true)?;
            bind_device(&socket, link)?;
        }
    }
    UdpSocket::from_std(socket.into())
}

/// Where the link's datagrams go. A group of IPv6 means one interface's.
///
/// # Errors
/// There is no such interface.
pub(super) fn destination(link: &LanLink) -> io::Result<SocketAddr> {
    Ok(match link.destination.address() {
        address @ IpAddr::V4(_) => SocketAddr::new(address, link.port),
        IpAddr::V6(group) => {
            let scope = interface_index(link)?.unwrap_or(0);
            SocketAddrV6::new(group, link.port, 0, scope).into()
        }
    })
}

/// The index of the link's interface, if it is given by name.
///
/// # Errors
/// There is no such interface.
pub(super) fn interface_index(link: &LanLink) -> io::Result<Option<u32>> {
    match &link.interface {
        Interface::Address(_) => Ok(None),
        Interface::Name(_) => index(&open(IpAddr::V4(Ipv4Addr::UNSPECIFIED))?, link),
    }
}

/// Whether `address` is one of this machine's: only such can be bound.
pub(super) fn is_local(address: SocketAddr) -> bool {
    let mut address = address;
    address.set_port(0);
    let probe = || open(address.ip())?.bind(&SockAddr::from(address));
    probe().is_ok()
}

fn open(family: IpAddr) -> io::Result<Socket> {
    let domain = match family {
        IpAddr::V4(_) => Domain::IPV4,
        IpAddr::V6(_) => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if family.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A codec that cuts knows where; what the network cuts is lost with any of its pieces.
fn forbid_fragments(socket: &Socket, to: IpAddr) -> io::Result<()> {
    match to {
        IpAddr::V4(_) => set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DO)?,
        IpAddr::V6(_) => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DO)?,
    }
    Ok(())
}

fn choose_interface(socket: &Socket, link: &LanLink, group: IpAddr) -> io::Result<()> {
    match (group, &link.interface) {
        (IpAddr::V6(_), _) => {
            socket.set_multicast_hops_v6(link.ttl.into())?;
            socket.set_multicast_if_v6(index(socket, link)?.unwrap_or(0))?;
        }
        (IpAddr::V4(_), Interface::Address(IpAddr::V4(own))) => {
            socket.set_multicast_ttl_v4(link.ttl.into())?;
            socket.set_multicast_if_v4(own)?;
        }
        (IpAddr::V4(group), _) => {
            socket.set_multicast_ttl_v4(link.ttl.into())?;
            let (any, index) = (Ipv4Addr::UNSPECIFIED, index(socket, link)?.unwrap_or(0));
            set_ip_multicast_if_with_ifindex(socket, &group, &any, index)?;
        }
    }
    Ok(())
}

/// An interface given by address needs no device: the address is on one network only.
fn bind_device(socket: &Socket, link: &LanLink) -> io::Result<()> {
    match &link.interface {
        Interface::Address(_) => Ok(()),
        Interface::Name(name) => {
            let bound = socket.bind_device(Some(name.as_bytes()));
            bound.map_err(|error| explain(&error, "bind to the device", link))
        }
    }
}

fn explain(error: &io::Error, what: &str, link: &LanLink) -> io::Error {
    let address = SocketAddr::new(link.destination.address(), link.port);
    let interface = match &link.interface {
        Interface::Address(address) => address.to_string(),
        Interface::Name(name) => name.clone(),
    };
    io::Error::new(
        error.kind(),
        format!("{what} {address} on {interface}: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;

    /// A link on loopback to `to`, by name or by address, at a port nobody else in this process
    /// has.
    fn link(interface: &str, to: &str, port: u16) -> LanLink {
        let text = format!(
            "[[lan]]\nname = \"test\"\ninterface = \"{interface}\"\n{to}\nport = {port}\n\
             direction = \"both\"\nfilters = \"#\"\n"
        );
        let config = Config::parse(Some(("test.toml", &text)), &[]);
        config
            .unwrap_or_else(|report| panic!("{report}"))
            .lan
            .remove(0)
    }

    fn free_port() -> u16 {
        std::net::UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
    }

    /// What `receiver` gets within a moment that is long enough on loopback.
    async fn receive(receiver: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
        let mut buffer = [0; 64];
        let received = receiver.recv_from(&mut buffer);
        let (bytes, from) = tokio::time::timeout(Duration::from_secs(2), received)
            .await
            .ok()?
            .unwrap();
        Some((buffer[..bytes].to_vec(), from))
    }

    #[tokio::test]
    async fn a_datagram_goes_through_group_and_broadcast_by_name_and_address() {
        for (interface, to) in [
            ("127.0.0.1", "group = \"239.192.7.1\""),
            ("lo", "group = \"239.192.7.2\""),
            ("127.0.0.1", "broadcast = \"127.255.255.255\""),
            ("lo", "broadcast = \"127.255.255.255\""),
        ] {
            let link = link(interface, to, free_port());
            let receiver = open_receiver(&link).unwrap();
            let sender = open_sender(&link).unwrap();
            sender
                .send_to(b"21.5", (link.destination.address(), link.port))
                .await
                .unwrap();
            let (datagram, from) = receive(&receiver)
                .await
                .unwrap_or_else(|| panic!("{link:?}"));
            assert_eq!(datagram, b"21.5");
            assert_eq!(from.port(), sender.local_addr().unwrap().port());
        }
    }

    #[tokio::test]
    async fn two_receivers_of_one_group_get_a_copy_each() {
        let link = link("127.0.0.1", "group = \"239.192.7.3\"", free_port());
        let receivers = [open_receiver(&link).unwrap(), open_receiver(&link).unwrap()];
        let sender = open_sender(&link).unwrap();
        sender
            .send_to(b"x", (link.destination.address(), link.port))
            .await
            .unwrap();
        for receiver in &receivers {
            assert!(receive(receiver).await.is_some());
        }
    }

    #[tokio::test]
    async fn other_groups_and_unicast_at_the_port_stay_out() {
        let ours = link("127.0.0.1", "group = \"239.192.7.4\"", free_port());
        let other = link("127.0.0.1", "group = \"239.192.7.5\"", ours.port);
        let receiver = open_receiver(&ours).unwrap();
        let _other_membership = open_receiver(&other).unwrap();
        let sender = open_sender(&ours).unwrap();
        for to in ["239.192.7.5", "127.0.0.1"] {
            sender
                .send_to(to.as_bytes(), (to, ours.port))
                .await
                .unwrap();
        }
        sender
            .send_to(b"ours", (ours.destination.address(), ours.port))
            .await
            .unwrap();
        assert_eq!(receive(&receiver).await.unwrap().0, b"ours");
    }

    #[tokio::test]
    async fn an_interface_that_is_not_there_is_named() {
        let link = link("nowhere0", "group = \"239.192.7.6\"", free_port());
        for error in [
            open_receiver(&link).unwrap_err(),
            open_sender(&link).unwrap_err(),
        ] {
            assert!(error.to_string().contains("nowhere0"), "{error}");
        }
    }

    #[test]
    fn only_addresses_of_this_machine_are_local() {
        assert!(is_local(SocketAddr::from(([127, 0, 0, 1], 5000))));
        // TEST-NET-1 (RFC 5737) belongs to nobody.
        assert!(!is_local(SocketAddr::from(([192, 0, 2, 1], 0))));
    }
}
