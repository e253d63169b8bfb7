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

use super::{Arrival, Departure, Unread, Unsendable, fits};

/// One link's codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The largest payload in bytes, both ways.
    pub payload_bytes_max: usize,
    /// Whether each line of a datagram is a message: statsd and NMEA put several into one.
    pub split_lines: bool,
}

impl Raw {
    /// The messages of a datagram.
    ///
    /// # Errors
    /// [`Unread::TooLarge`] if the datagram exceeds the link's limit.
    pub fn decode(self, datagram: &[u8], arrivals: &mut Vec<Arrival>) -> Result<(), Unread> {
        let (bytes, bytes_max) = (datagram.len(), self.payload_bytes_max);
        if bytes > bytes_max {
            return Err(Unread::TooLarge { bytes, bytes_max });
        }
        let mut arrive = |payload: &[u8]| {
            arrivals.push(Arrival {
                topic: None,
                payload: Bytes::copy_from_slice(payload),
                retain: false,
            });
        };
        if !self.split_lines {
            arrive(datagram);
            return Ok(());
        }
        let lines = datagram.split(|byte| *byte == b'\n');
        lines
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty())
            .for_each(arrive);
        Ok(())
    }

    /// The datagram of a message, without a copy.
    ///
    /// # Errors
    /// [`Unsendable::TooLarge`] if the payload exceeds the link's limit.
    pub fn encode(self, message: Departure<'_>) -> Result<Bytes, Unsendable> {
        fits(message.payload.len(), self.payload_bytes_max)?;
        Ok(message.payload.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: Raw = Raw {
        payload_bytes_max: 8,
        split_lines: false,
    };

    fn encode(payload: &'static [u8]) -> Result<Bytes, Unsendable> {
        RAW.encode(Departure {
            topic: b"a",
            payload: &Bytes::from_static(payload),
            retain: false,
        })
    }

    fn payloads(raw: Raw, datagram: &[u8]) -> Vec<Bytes> {
        let mut arrivals = Vec::new();
        raw.decode(datagram, &mut arrivals).unwrap();
        arrivals.into_iter().map(|it| it.payload).collect()
    }

    #[test]
    fn the_payload_is_the_datagram_both_ways() {
        for payload in [&b""[..], b"\0\xff", b"a\nb\n"] {
            assert_eq!(encode(payload).unwrap(), payload);
            assert_eq!(payloads(RAW, payload), [payload]);
        }
    }

    #[test]
    fn lines_are_messages_when_told_so() {
        let lines = Raw {
            split_lines: true,
            ..RAW
        };
        assert_eq!(payloads(lines, b"a\r\nb\n\nc"), [&b"a"[..], b"b", b"c"]);
        assert!(payloads(lines, b"\n\r\n").is_empty());
    }

    #[test]
    fn what_is_too_large_is_refused_whole() {
        let (bytes, bytes_max) = (9, 8);
        assert_eq!(
            encode(b"123456789"),
            Err(Unsendable::TooLarge { bytes, bytes_max })
        );
        let refused = RAW.decode(b"123456789", &mut Vec::new());
        assert_eq!(refused, Err(Unread::TooLarge { bytes, bytes_max }));
    }
}
