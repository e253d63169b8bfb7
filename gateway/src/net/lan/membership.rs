//! Groups joined, left and joined again, and what the kernel has dropped: the socket options that
//! no safe crate offers are here, and nothing else is.

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use libc::{c_int, c_void, group_source_req, socklen_t};
use rustix::net::netdevice::name_to_index;
use socket2::{InterfaceIndexOrAddress, SockAddr, SockRef, Socket};

use crate::config::{Destination, Interface, LanLink};

/// `SO_MEMINFO` of Linux's `asm-generic/socket.h`; SPARC and PA-RISC have others.
const SO_MEMINFO: c_int = 55;

/// `SK_MEMINFO_DROPS` of `linux/sock_diag.h`, the last of nine.
const DROPS: usize = 8;

/// Joins the link's group on its interface.
///
/// # Errors
/// What the system says: no such interface, too many groups.
pub(super) fn join(socket: &SockRef<'_>, link: &LanLink) -> io::Result<()> {
    let Destination::Group(group) = link.destination else {
        return Ok(());
    };
    if let Some(source) = link.source {
        return join_source(socket, link, group, source);
    }
    match group {
        IpAddr::V4(group) => socket.join_multicast_v4_n(&group, &v4_interface(socket, link)?),
        IpAddr::V6(group) => socket.join_multicast_v6(&group, index(socket, link)?.unwrap_or(0)),
    }
}

/// Leaves the link's group and joins it again, so that a switch hears of it anew: without a
/// querier it forgets who listens. What arrives in the microseconds between is lost. A
/// source-specific group is left alone: its reports need IGMPv3, and so a querier.
///
/// # Errors
/// What the system says.
pub(super) fn join_again(socket: &SockRef<'_>, link: &LanLink) -> io::Result<()> {
    let (Destination::Group(group), None) = (link.destination, link.source) else {
        return Ok(());
    };
    match group {
        IpAddr::V4(group) => {
            socket.leave_multicast_v4_n(&group, &v4_interface(socket, link)?)?;
        }
        IpAddr::V6(group) => {
            socket.leave_multicast_v6(&group, index(socket, link)?.unwrap_or(0))?;
        }
    }
    join(socket, link)
}

/// The index of the link's interface, if it is given by name.
///
/// # Errors
/// There is no such interface.
pub(super) fn index(socket: &Socket, link: &LanLink) -> io::Result<Option<u32>> {
    let Interface::Name(name) = &link.interface else {
        return Ok(None);
    };
    let found = name_to_index(socket, name).map_err(io::Error::from);
    let found =
        found.map_err(|error| io::Error::new(error.kind(), format!("interface {name}: {error}")));
    found.map(Some)
}

fn v4_interface(socket: &Socket, link: &LanLink) -> io::Result<InterfaceIndexOrAddress> {
    Ok(match (&link.interface, index(socket, link)?) {
        (Interface::Address(IpAddr::V4(address)), _) => InterfaceIndexOrAddress::Address(*address),
        (_, index) => InterfaceIndexOrAddress::Index(index.unwrap_or(0)),
    })
}

fn join_source(
    socket: &SockRef<'_>,
    link: &LanLink,
    group: IpAddr,
    source: IpAddr,
) -> io::Result<()> {
    if let (IpAddr::V4(group), IpAddr::V4(source), Interface::Address(IpAddr::V4(own))) =
        (group, source, &link.interface)
    {
        return socket.join_ssm_v4(&source, &group, own);
    }
    let request = group_source_req {
        gsr_interface: index(socket, link)?.unwrap_or(0),
        gsr_group: storage(group),
        gsr_source: storage(source),
    };
    let level = match group {
        IpAddr::V4(_) => libc::IPPROTO_IP,
        IpAddr::V6(_) => libc::IPPROTO_IPV6,
    };
    let bytes = socklen_t::try_from(size_of::<group_source_req>()).unwrap_or(0);
    let value: *const group_source_req = &raw const request;
    // SAFETY: the descriptor is open while it is borrowed, and the kernel reads `bytes` bytes of a
    // request that lives until it has.
    #[expect(unsafe_code, reason = "no safe crate joins these by interface")]
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            libc::MCAST_JOIN_SOURCE_GROUP,
            value.cast::<c_void>(),
            bytes,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn storage(address: IpAddr) -> libc::sockaddr_storage {
    let address = SockAddr::from(SocketAddr::new(address, 0));
    // SAFETY: a `SockAddr` holds a whole storage, with zeros behind the address.
    #[expect(unsafe_code, reason = "the same structure under another crate's name")]
    unsafe {
        address.as_ptr().cast::<libc::sockaddr_storage>().read()
    }
}

/// Datagrams that the kernel had no room for in this socket's buffer, since it was opened.
pub(super) fn kernel_drops(socket: &impl AsFd) -> u64 {
    let mut numbers = [0_u32; DROPS + 1];
    let mut bytes = socklen_t::try_from(size_of_val(&numbers)).unwrap_or(0);
    let value: *mut [u32; DROPS + 1] = &raw mut numbers;
    // SAFETY: the descriptor is open while it is borrowed, and the kernel writes at most `bytes`
    // bytes to numbers that live until it has.
    #[expect(unsafe_code, reason = "no safe crate reads SO_MEMINFO")]
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            value.cast::<c_void>(),
            &raw mut bytes,
        )
    };
    if result == 0 {
        numbers[DROPS].into()
    } else {
        0
    }
}
