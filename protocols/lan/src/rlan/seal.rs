//! The seal of a datagram: ChaCha20-Poly1305 under a key of the stream, which is made of the link's
//! key. What does not open is never parsed.

use std::fmt;

use bytes::{Bytes, BytesMut};
use hmac::{Hmac, KeyInit, Mac};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
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
    key: Option<LessSafeKey>,
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
            return (id == 0).then_some(Self { id, key: None });
        }
        let key = keys.iter().find(|key| key.id == id)?;
        let origin = stream.origin.to_be_bytes();
        let digest = hmac(
            &key.secret,
            &[b"rlan1", &origin, &stream.epoch.to_be_bytes()],
        )?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, &digest).ok()?;
        let key = Some(LessSafeKey::new(key));
        Some(Self { id, key })
    }

    /// No seal.
    pub(super) const fn none() -> Self {
        Self { id: 0, key: None }
    }

    /// The sealed datagram.
    pub(super) fn seal(&self, header: &Header, body: &[&[u8]]) -> Bytes {
        let bytes = body.iter().map(|part| part.len()).sum::<usize>();
        let mut datagram = BytesMut::with_capacity(HEADER_BYTES + bytes + TAG_BYTES);
        let head = header.encode();
        datagram.extend_from_slice(&head);
        body.iter()
            .for_each(|part| datagram.extend_from_slice(part));
        if let Some(key) = &self.key {
            let (_, plain) = datagram.split_at_mut(HEADER_BYTES);
            let tag = key.seal_in_place_separate_tag(nonce(header), Aad::from(head), plain);
            // Only what exceeds 256 GiB cannot be sealed.
            tag.into_iter()
                .for_each(|tag| datagram.extend_from_slice(tag.as_ref()));
        }
        datagram.freeze()
    }

    /// The body of a datagram; `None` if the seal is broken.
    pub(super) fn open(&self, header: &Header, datagram: &[u8]) -> Option<Bytes> {
        let (head, body) = datagram.split_at_checked(HEADER_BYTES)?;
        let Some(key) = &self.key else {
            return Some(Bytes::copy_from_slice(body));
        };
        let mut body = BytesMut::from(body);
        let plain = key.open_in_place(nonce(header), Aad::from(head), &mut body);
        let plain_bytes = plain.ok()?.len();
        body.truncate(plain_bytes);
        Some(body.freeze())
    }
}

/// Numbers of DATA and of the other types are counted apart, and a number comes once in an epoch.
fn nonce(header: &Header) -> Nonce {
    let mut nonce = [0; 12];
    let (space, number) = nonce.split_at_mut(4);
    space.copy_from_slice(&u32::from(header.kind != Kind::Data).to_be_bytes());
    number.copy_from_slice(&header.number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// HMAC-SHA256. `None` never: it takes keys of any length.
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Option<[u8; 32]> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().into())
}
