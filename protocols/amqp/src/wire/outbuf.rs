//! A stand-in until the core's output buffer exists.
use bytes::{BufMut, Bytes, BytesMut};

/// Output bytes.
#[derive(Debug, Default)]
pub struct OutBuf(BytesMut);

impl OutBuf {
    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// Bytes.
    pub fn put_slice(&mut self, slice: &[u8]) {
        self.0.put_slice(slice);
    }
    /// u8
    pub fn put_u8(&mut self, n: u8) {
        self.0.put_u8(n);
    }
    /// u16
    pub fn put_u16(&mut self, n: u16) {
        self.0.put_u16(n);
    }
    /// u32
    pub fn put_u32(&mut self, n: u32) {
        self.0.put_u32(n);
    }
    /// u64
    pub fn put_u64(&mut self, n: u64) {
        self.0.put_u64(n);
    }
    /// Bytes.
    #[expect(clippy::needless_pass_by_value, reason = "the real one keeps it")]
    pub fn put_bytes(&mut self, bytes: Bytes) {
        self.0.put_slice(&bytes);
    }
    /// Content, for tests.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.0.to_vec()
    }
    /// Length.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Empty?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
