//! A cursor over the bytes of one packet. Every read is checked; nothing here can panic.
//!
//! ```text
//! Two Byte Integer   | hi | lo |                          big endian, MQTT 5 §1.5.2
//! Four Byte Integer  | 3 | 2 | 1 | 0 |                    big endian, MQTT 5 §1.5.3
//! Variable Byte Int. | 1vvvvvvv | ... | 0vvvvvvv |        low 7 bits first, 1 to 4 bytes, §1.5.5
//! Binary Data        | length (2) | bytes |               MQTT 5 §1.5.6
//! ```

use std::num::NonZeroU16;

use super::{Malformed, utf8};

/// The largest value of a variable byte integer. MQTT 5 §1.5.5
pub const VARINT_MAX: u32 = 268_435_455;

/// What is left of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes that have not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// True when everything has been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Ends the packet.
    ///
    /// # Errors
    /// [`Malformed::TrailingBytes`] if bytes are left.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed::TrailingBytes)
        }
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] at the end.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// Takes a Two Byte Integer.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] at the end.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes a Four Byte Integer.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] at the end.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes a Variable Byte Integer.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] at the end, [`Malformed::NotMinimal`] if fewer bytes would do, and
    /// [`Malformed::VarintTooLong`] past the fourth byte.
    pub fn varint(&mut self) -> Result<u32, Malformed> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                let is_minimal = byte != 0 || shift == 0;
                return if is_minimal {
                    Ok(value)
                } else {
                    Err(Malformed::NotMinimal)
                };
            }
        }
        Err(Malformed::VarintTooLong)
    }

    /// Takes a packet identifier.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] at the end, [`Malformed::PacketIdZero`] for 0. \[MQTT-2.2.1-3\]
    pub fn packet_id(&mut self) -> Result<NonZeroU16, Malformed> {
        NonZeroU16::new(self.u16()?).ok_or(Malformed::PacketIdZero)
    }

    /// Takes `count` bytes.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] if there are fewer.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes Binary Data.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] if there are fewer bytes than its length says.
    pub fn binary(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u16()?;
        self.bytes(usize::from(length))
    }

    /// Takes a UTF-8 encoded string.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] if there are fewer bytes than its length says, and those of
    /// [`utf8::check`].
    pub fn string(&mut self) -> Result<&'a str, Malformed> {
        utf8::check(self.binary()?)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::writer;
    use super::*;

    #[test]
    fn variable_byte_integers_of_the_standard() {
        let table: [(&[u8], u32); 8] = [
            (&[0x00], 0),
            (&[0x7F], 127),
            (&[0x80, 0x01], 128),
            (&[0xFF, 0x7F], 16_383),
            (&[0x80, 0x80, 0x01], 16_384),
            (&[0xFF, 0xFF, 0x7F], 2_097_151),
            (&[0x80, 0x80, 0x80, 0x01], 2_097_152),
            (&[0xFF, 0xFF, 0xFF, 0x7F], VARINT_MAX),
        ];
        for (bytes, value) in table {
            assert_eq!(Reader::new(bytes).varint(), Ok(value));
            let mut out = Vec::new();
            writer::varint(&mut out, value);
            assert_eq!(out, bytes);
            assert_eq!(writer::varint_len(value), bytes.len());
        }
    }

    #[test]
    fn variable_byte_integers_that_are_refused() {
        let table: [(&[u8], Malformed); 6] = [
            (&[], Malformed::Truncated),
            (&[0x80], Malformed::Truncated),
            (&[0x80, 0x00], Malformed::NotMinimal),
            (&[0xFF, 0x80, 0x00], Malformed::NotMinimal),
            (&[0x80, 0x80, 0x80, 0x80], Malformed::VarintTooLong),
            (&[0x80, 0x80, 0x80, 0x80, 0x01], Malformed::VarintTooLong),
        ];
        for (bytes, why) in table {
            assert_eq!(Reader::new(bytes).varint(), Err(why), "{bytes:02x?}");
        }
    }

    #[test]
    fn fields_that_are_cut_short_are_refused() {
        assert_eq!(Reader::new(&[1]).u16(), Err(Malformed::Truncated));
        assert_eq!(Reader::new(&[1, 2, 3]).u32(), Err(Malformed::Truncated));
        assert_eq!(
            Reader::new(&[0, 2, b'a']).string(),
            Err(Malformed::Truncated)
        );
        assert_eq!(
            Reader::new(&[0, 0]).packet_id(),
            Err(Malformed::PacketIdZero)
        );
        assert_eq!(Reader::new(&[0]).finish(), Err(Malformed::TrailingBytes));
    }

    proptest! {
        #[test]
        fn every_variable_byte_integer_round_trips(value in 0..=VARINT_MAX) {
            let mut out = Vec::new();
            writer::varint(&mut out, value);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert!(reader.is_empty());
        }
    }
}
