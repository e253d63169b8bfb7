//! The seal of a datagram: ChaCha20-Poly1305 under a key of the stream, which is made of the link's
//! key. What does not open is never parsed.

use std::fmt;

use bytes::{Bytes, BytesMut};
use chacha20poly1305::aead::{AeadInOut, Nonce};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::header::{HEADER_BYTES, Header, Kind, StreamId};

/// Bytes behind a sealed body.
pub(super) const TAG_BYTES: usize = 16;

/// Keys of one link at a time, so that they can be rolled.
pub const RLAN_KEYS_MAX: usize = 2;

/// One key of a link.
#[derive(Clone, PartialEq, Eq)]
pub struct RlanKey {
    /// Its id on the wire, 1..=255.
    pub id: u8,
    /// The secret.
    pub secret: [u8; 32],
}

impl fmt::Debug for RlanKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RlanKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A stream's key; `None` on a link without keys.
pub(super) struct Cipher {
    pub(super) id: u8,
    cipher: Option<ChaCha20Poly1305>,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cipher")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Cipher {
    /// The cipher of a stream under the key `id`; `None` if the link has no such key.
    pub(super) fn new(keys: &[RlanKey], id: u8, stream: StreamId) -> Option<Self> {
        if keys.is_empty() {
            return (id == 0).then_some(Self { id, cipher: None });
        }
        let key = keys.iter().find(|key| key.id == id)?;
        let origin = stream.origin.to_be_bytes();
        let digest = hmac(
            &key.secret,
            &[b"rlan1", &origin, &stream.epoch.to_be_bytes()],
        )?;
        let cipher = Some(ChaCha20Poly1305::new(&digest.into()));
        Some(Self { id, cipher })
    }

    /// No seal.
    pub(super) const fn none() -> Self {
        Self {
            id: 0,
            cipher: None,
        }
    }

    /// The sealed datagram.
    pub(super) fn seal(&self, header: &Header, body: &[&[u8]]) -> Bytes {
        let bytes = body.iter().map(|part| part.len()).sum::<usize>();
        let mut datagram = BytesMut::with_capacity(HEADER_BYTES + bytes + TAG_BYTES);
        let head = header.encode();
        datagram.extend_from_slice(&head);
        body.iter()
            .for_each(|part| datagram.extend_from_slice(part));
        if let Some(cipher) = &self.cipher {
            let mut plain = datagram.split_off(HEADER_BYTES);
            let sealed = cipher.encrypt_inout_detached(&nonce(header), &head, (&mut *plain).into());
            // Only what exceeds 256 GiB cannot be sealed.
            let tag = sealed.unwrap_or_default();
            datagram.unsplit(plain);
            datagram.extend_from_slice(&tag);
        }
        datagram.freeze()
    }

    /// The body of a datagram; `None` if the seal is broken.
    pub(super) fn open(&self, header: &Header, datagram: &[u8]) -> Option<Bytes> {
        let (head, body) = datagram.split_at_checked(HEADER_BYTES)?;
        let Some(cipher) = &self.cipher else {
            return Some(Bytes::copy_from_slice(body));
        };
        let (body, tag) = body.split_last_chunk::<TAG_BYTES>()?;
        let mut body = BytesMut::from(body);
        let tag = (*tag).into();
        let plain = cipher.decrypt_inout_detached(&nonce(header), head, (&mut *body).into(), &tag);
        plain.ok().map(|()| body.freeze())
    }
}

/// Numbers of DATA and of the other types are counted apart, and a number comes once in an epoch.
fn nonce(header: &Header) -> Nonce<ChaCha20Poly1305> {
    let mut nonce = [0; 12];
    let (space, number) = nonce.split_at_mut(4);
    space.copy_from_slice(&u32::from(header.kind != Kind::Data).to_be_bytes());
    number.copy_from_slice(&header.number.to_be_bytes());
    nonce.into()
}

/// HMAC-SHA256. `None` never: it takes keys of any length.
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Option<[u8; 32]> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().into())
}
