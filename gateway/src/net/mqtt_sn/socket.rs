//! The one UDP socket of an MQTT-SN gateway: it hears what is sent to it, to its group and to all,
//! and knows which was which, because the system says where each datagram was sent.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use rustix::net::netdevice::name_to_index;
use rustix::net::sockopt::set_ip_multicast_if_with_ifindex;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket as System, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::config::{Interface, MqttSnGateway};

/// Room for bursts, if the system grants it.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// The socket.
#[derive(Debug)]
pub(super) struct Socket {
    udp: UdpSocket,
    state: UdpSocketState,
    /// The named interface's index when it was opened.
    interface: Option<u32>,
    /// Where it tells of itself.
    pub(super) to_all: Vec<SocketAddr>,
}

/// One read: datagrams of one sender, all of one size but the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) from: SocketAddr,
    pub(super) bytes: usize,
    /// The size.
    pub(super) stride: usize,
    /// They were sent to the group or to all.
    pub(super) is_to_all: bool,
}

impl Socket {
    /// Opens it at `address`, which is the configured one with the port that was had.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn open(config: &MqttSnGateway, address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = System::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if let Some(Interface::Name(name)) = &config.interface {
            socket.bind_device(Some(name.as_bytes()))?;
        }
        socket.bind(&address.into())?;
        let interface = index(config)?;
        let port = socket.local_addr()?.as_socket().unwrap_or(address).port();
        let mut to_all = Vec::new();
        if let Some(group) = config.group {
            choose_interface(&socket, config, group, interface)?;
            join(&socket, config, group, interface)?;
            to_all.push(match group {
                IpAddr::V4(_) => SocketAddr::new(group, port),
                IpAddr::V6(group) => {
                    SocketAddrV6::new(group, port, 0, interface.unwrap_or(0)).into()
                }
            });
        }
        if let Some(broadcast) = config.broadcast {
            socket.set_broadcast(true)?;
            to_all.push(SocketAddr::new(broadcast, port));
        }
        let udp = UdpSocket::from_std(socket.into())?;
        Ok(Self {
            state: UdpSocketState::new(UdpSockRef::from(&udp))?,
            udp,
            interface,
            to_all,
        })
    }

    /// Where it is, with the port that the system chose.
    ///
    /// # Errors
    /// None that is known.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    /// Whether its interface is still the one it was opened on.
    pub(super) fn is_current(&self, config: &MqttSnGateway) -> bool {
        index(config).ok() == Some(self.interface)
    }

    /// Leaves the group and joins it again, so that a switch that forgets hears of it.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn join_again(&self, config: &MqttSnGateway) -> io::Result<()> {
        let socket = socket2::SockRef::from(&self.udp);
        match config.group {
            None => return Ok(()),
            Some(IpAddr::V4(group)) => {
                socket.leave_multicast_v4_n(&group, &v4_interface(config, self.interface))?;
            }
            Some(IpAddr::V6(group)) => {
                socket.leave_multicast_v6(&group, self.interface.unwrap_or(0))?;
            }
        }
        let group = config.group.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        join(&socket, config, group, self.interface)
    }

    /// Waits until there is something to read; an error shows again when it is read.
    pub(super) async fn readable(&self) {
        self.udp.readable().await.unwrap_or_default();
    }

    /// Reads what has come.
    ///
    /// # Errors
    /// `WouldBlock` when nothing has; else what the system says.
    pub(super) fn receive(&self, config: &MqttSnGateway, buffer: &mut [u8]) -> io::Result<Read> {
        let mut meta = RecvMeta::default();
        self.udp.try_io(Interest::READABLE, || {
            let mut slices = [IoSliceMut::new(buffer)];
            let metas = std::slice::from_mut(&mut meta);
            self.state
                .recv(UdpSockRef::from(&self.udp), &mut slices, metas)
        })?;
        let is_to_all = meta.dst_ip.is_some_and(|to| {
            let is_broadcast =
                to == IpAddr::V4(Ipv4Addr::BROADCAST) || Some(to) == config.broadcast;
            to.is_multicast() || is_broadcast
        });
        Ok(Read {
            from: meta.addr,
            bytes: meta.len,
            stride: meta.stride.max(1),
            is_to_all,
        })
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.udp.try_send_to(datagram, to).map(drop)
    }
}

/// The index of the interface, if it is given by name.
fn index(config: &MqttSnGateway) -> io::Result<Option<u32>> {
    let Some(Interface::Name(name)) = &config.interface else {
        return Ok(None);
    };
    let probe = System::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    Ok(Some(name_to_index(probe, name)?))
}

fn v4_interface(config: &MqttSnGateway, index: Option<u32>) -> InterfaceIndexOrAddress {
    match &config.interface {
        Some(Interface::Address(IpAddr::V4(own))) => InterfaceIndexOrAddress::Address(*own),
        _ => InterfaceIndexOrAddress::Index(index.unwrap_or(0)),
    }
}

fn join(
    socket: &System,
    config: &MqttSnGateway,
    group: IpAddr,
    index: Option<u32>,
) -> io::Result<()> {
    match group {
        IpAddr::V4(group) => {
            // Groups that other programs have joined are not ours.
            socket.set_multicast_all_v4(false)?;
            socket.join_multicast_v4_n(&group, &v4_interface(config, index))
        }
        IpAddr::V6(group) => {
            socket.set_multicast_all_v6(false)?;
            socket.join_multicast_v6(&group, index.unwrap_or(0))
        }
    }
}

fn choose_interface(
    socket: &System,
    config: &MqttSnGateway,
    group: IpAddr,
    index: Option<u32>,
) -> io::Result<()> {
    match (group, &config.interface) {
        (IpAddr::V6(_), _) => {
            socket.set_multicast_hops_v6(1)?;
            socket.set_multicast_if_v6(index.unwrap_or(0))
        }
        (IpAddr::V4(_), Some(Interface::Address(IpAddr::V4(own)))) => {
            socket.set_multicast_ttl_v4(1)?;
            socket.set_multicast_if_v4(own)
        }
        (IpAddr::V4(group), _) => {
            socket.set_multicast_ttl_v4(1)?;
            let (any, index) = (Ipv4Addr::UNSPECIFIED, index.unwrap_or(0));
            Ok(set_ip_multicast_if_with_ifindex(
                socket, &group, &any, index,
            )?)
        }
    }
}
