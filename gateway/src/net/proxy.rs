//! The PROXY protocol, versions 1 and 2: a proxy's first bytes say who its client is.
//!
//! ```text
//! v1  "PROXY TCP4 192.0.2.7 192.0.2.1 56324 1883\r\n"              at most 107 bytes
//! v2  0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A | version, command | family | length (2) | addresses
//! ```
//!
//! Exactly the header is read, so that what follows is untouched and the stream needs no buffer of
//! ours. A version 1 header is read byte by byte for that, once per connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How long a proxy may take over its header.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// The signature, the command, the family and the length of a version 2 header.
const V2_FIXED_BYTES: usize = 16;

/// Bytes of a version 2 header's addresses and extensions that are taken; certificates' names and
/// the like go in a few hundred.
const V2_REST_BYTES_MAX: u16 = 4096;

/// The longest version 1 header with its line end.
const V1_BYTES_MAX: usize = 107;

/// The shortest version 1 header is `PROXY UNKNOWN\r\n`, so that many bytes may be read at once.
const V1_BYTES_MIN: usize = 15;

/// Whom a header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The proxy itself, for a check of health.
    Proxy,
    /// Somebody whose address it does not know or cannot say.
    Unknown,
    /// This address; the second is the one that the client connected to.
    At(SocketAddr, SocketAddr),
}

/// Reads a header.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] when it is none, or whatever the socket says.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Client> {
    let mut header = vec![0; V1_BYTES_MIN];
    stream.read_exact(&mut header).await?;
    if header.starts_with(v1::PROTOCOL_PREFIX.as_bytes()) {
        read_line(stream, &mut header).await?;
        let header = v1::Header::try_from(header.as_slice()).map_err(|_| invalid())?;
        Ok(client_v1(&header))
    } else if v2::PROTOCOL_PREFIX.starts_with(header.get(..12).unwrap_or_default()) {
        read_rest(stream, &mut header).await?;
        let header = v2::Header::try_from(header.as_slice()).map_err(|_| invalid())?;
        Ok(client_v2(&header))
    } else {
        Err(invalid())
    }
}

async fn read_line(stream: &mut (impl AsyncRead + Unpin), header: &mut Vec<u8>) -> io::Result<()> {
    while !header.ends_with(b"\r\n") {
        if header.len() >= V1_BYTES_MAX {
            return Err(invalid());
        }
        header.push(stream.read_u8().await?);
    }
    Ok(())
}

async fn read_rest(stream: &mut (impl AsyncRead + Unpin), header: &mut Vec<u8>) -> io::Result<()> {
    header.push(stream.read_u8().await?);
    let [.., hi, lo] = header.as_slice() else {
        return Err(invalid());
    };
    let length = u16::from_be_bytes([*hi, *lo]);
    if length > V2_REST_BYTES_MAX {
        return Err(invalid());
    }
    header.resize(V2_FIXED_BYTES + usize::from(length), 0);
    let rest = header.get_mut(V2_FIXED_BYTES..).unwrap_or_default();
    stream.read_exact(rest).await.map(drop)
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a PROXY header")
}

fn client_v1(header: &v1::Header<'_>) -> Client {
    match header.addresses {
        v1::Addresses::Unknown => Client::Unknown,
        v1::Addresses::Tcp4(ip) => Client::At(
            (ip.source_address, ip.source_port).into(),
            (ip.destination_address, ip.destination_port).into(),
        ),
        v1::Addresses::Tcp6(ip) => Client::At(
            (ip.source_address, ip.source_port).into(),
            (ip.destination_address, ip.destination_port).into(),
        ),
    }
}

fn client_v2(header: &v2::Header<'_>) -> Client {
    if header.command == v2::Command::Local {
        return Client::Proxy;
    }
    match header.addresses {
        v2::Addresses::IPv4(ip) => Client::At(
            (ip.source_address, ip.source_port).into(),
            (ip.destination_address, ip.destination_port).into(),
        ),
        v2::Addresses::IPv6(ip) => Client::At(
            (ip.source_address, ip.source_port).into(),
            (ip.destination_address, ip.destination_port).into(),
        ),
        v2::Addresses::Unspecified | v2::Addresses::Unix(_) => Client::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    /// What a header of `bytes` says, and what is left after it.
    async fn read_all(bytes: &[u8]) -> (io::Result<Client>, Vec<u8>) {
        let mut input = bytes;
        let client = read(&mut input).await;
        (client, input.to_vec())
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    }

    #[tokio::test]
    async fn a_header_names_the_client_and_leaves_what_follows() {
        let client = Client::At(
            "192.0.2.7:56324".parse().unwrap(),
            "192.0.2.1:1883".parse().unwrap(),
        );
        let addresses = [192, 0, 2, 7, 192, 0, 2, 1, 0xDC, 0x04, 0x07, 0x5B];
        let extended = [&addresses[..], &[0x04, 0, 1, 9]].concat();
        let headers = [
            b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 1883\r\n".to_vec(),
            v2(0x21, 0x11, &addresses),
            v2(0x21, 0x11, &extended),
        ];
        for mut header in headers {
            header.extend(b"\x10\x00");
            let (read, rest) = read_all(&header).await;
            assert_eq!((read.unwrap(), rest), (client, b"\x10\x00".to_vec()));
        }
    }

    #[tokio::test]
    async fn version_6_addresses_are_read() {
        let client = Client::At(
            "[2001:db8::1]:1".parse().unwrap(),
            "[2001:db8::2]:2".parse().unwrap(),
        );
        let (read, _) = read_all(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n").await;
        assert_eq!(read.unwrap(), client);
    }

    #[tokio::test]
    async fn who_is_not_named_is_unknown_or_the_proxy() {
        for (header, client) in [
            (b"PROXY UNKNOWN\r\n".to_vec(), Client::Unknown),
            (v2(0x21, 0x00, b""), Client::Unknown),
            (v2(0x20, 0x00, b""), Client::Proxy),
        ] {
            assert_eq!(read_all(&header).await.0.unwrap(), client);
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused_within_bounds() {
        let endless = [b"PROXY ".to_vec(), vec![b'x'; 1000]].concat();
        let (read, rest) = read_all(&endless).await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(rest.len(), endless.len() - V1_BYTES_MAX);
        let huge = [SIGNATURE, &[0x21, 0x11, 0xFF, 0xFF]].concat();
        let mqtt = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a";
        let cut = &v2(0x21, 0x11, &[0; 12])[..20];
        for (bytes, kind) in [
            (&huge[..], io::ErrorKind::InvalidData),
            (&mqtt[..], io::ErrorKind::InvalidData),
            (&v2(0x31, 0x11, &[0; 12]), io::ErrorKind::InvalidData),
            (b"PROXY TCP4 a b c d\r\n", io::ErrorKind::InvalidData),
            (cut, io::ErrorKind::UnexpectedEof),
        ] {
            assert_eq!(read_all(bytes).await.0.unwrap_err().kind(), kind);
        }
    }
}
