//! The codec `raw`: the payload is the datagram, and nothing else is.
//!
//! ```text
//! UDP payload   0 ..= payload_bytes_max bytes of message body
//! ```
//!
//! It serves what sends bare datagrams (statsd, syslog, NMEA, own sensors) and what shows them.
//! Topic, headers, expiry and retain are not on the wire. Loss, repetition and order are the
//! network's.

use bytes::Bytes;

/// One link's codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The largest payload in bytes, both ways.
    pub payload_bytes_max: usize,
}

/// A message that does not fit the link: it is counted and dropped whole, never cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes are more than the {bytes_max} of this link")]
pub struct TooLarge {
    /// The payload's size.
    pub bytes: usize,
    /// What the link takes.
    pub bytes_max: usize,
}

impl Raw {
    /// The payload of a datagram.
    ///
    /// # Errors
    /// [`TooLarge`] if the datagram exceeds the link's limit.
    pub fn decode(self, datagram: &[u8]) -> Result<Bytes, TooLarge> {
        self.check(datagram.len())?;
        Ok(Bytes::copy_from_slice(datagram))
    }

    /// The datagram of a message with this payload, without a copy.
    ///
    /// # Errors
    /// [`TooLarge`] if the payload exceeds the link's limit.
    pub fn encode(self, payload: &Bytes) -> Result<Bytes, TooLarge> {
        self.check(payload.len())?;
        Ok(payload.clone())
    }

    fn check(self, bytes: usize) -> Result<(), TooLarge> {
        let bytes_max = self.payload_bytes_max;
        if bytes > bytes_max {
            Err(TooLarge { bytes, bytes_max })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: Raw = Raw {
        payload_bytes_max: 4,
    };

    #[test]
    fn the_payload_is_the_datagram_both_ways() {
        for payload in [&b""[..], b"\0\xff", b"21.5"] {
            assert_eq!(RAW.encode(&Bytes::from_static(payload)).unwrap(), payload);
            assert_eq!(RAW.decode(payload).unwrap(), payload);
        }
    }

    #[test]
    fn what_is_too_large_is_refused_whole() {
        let refused = TooLarge {
            bytes: 5,
            bytes_max: 4,
        };
        assert_eq!(RAW.encode(&Bytes::from_static(b"21.55")), Err(refused));
        assert_eq!(RAW.decode(b"21.55"), Err(refused));
    }
}
