//! The codec `raw`: the payload is the datagram, and nothing else is.
//!
//! ```text
//! UDP payload   0 ..= payload_bytes_max bytes of message body
//! ```
//!
//! It serves what sends bare datagrams (statsd, syslog, NMEA, own sensors) and what shows them. The
//! topic comes from the link's template; all else of a message (headers, expiry, retain) is left
//! out. Loss, repetition and order are the network's.

use bytes::Bytes;

use crate::{Envelope, TopicTemplate};

/// One link's codec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The topic of what comes in.
    pub topic: TopicTemplate,
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
    /// The topic and the payload of a datagram.
    ///
    /// # Errors
    /// [`TooLarge`] if the datagram exceeds the link's limit.
    pub fn decode(&self, datagram: Bytes, from: Envelope) -> Result<(String, Bytes), TooLarge> {
        self.check(datagram.len())?;
        Ok((self.topic.render(from), datagram))
    }

    /// The datagram of a message with this payload, without a copy.
    ///
    /// # Errors
    /// [`TooLarge`] if the payload exceeds the link's limit.
    pub fn encode(&self, payload: &Bytes) -> Result<Bytes, TooLarge> {
        self.check(payload.len())?;
        Ok(payload.clone())
    }

    fn check(&self, bytes: usize) -> Result<(), TooLarge> {
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
    use std::net::Ipv4Addr;

    use super::*;

    fn raw() -> Raw {
        Raw {
            topic: TopicTemplate::parse("lan/{src}").unwrap(),
            payload_bytes_max: 4,
        }
    }

    fn envelope() -> Envelope {
        let group = Ipv4Addr::new(239, 192, 0, 1);
        Envelope {
            group,
            port: 5000,
            source: Ipv4Addr::new(10, 77, 0, 5),
        }
    }

    #[test]
    fn the_payload_is_the_datagram_both_ways() {
        for payload in [&b""[..], b"\0\xff", b"21.5"] {
            let payload = Bytes::from_static(payload);
            assert_eq!(raw().encode(&payload).unwrap(), payload);
            let (topic, decoded) = raw().decode(payload.clone(), envelope()).unwrap();
            assert_eq!((topic.as_str(), decoded), ("lan/10.77.0.5", payload));
        }
    }

    #[test]
    fn what_is_too_large_is_refused_whole() {
        let refused = TooLarge {
            bytes: 5,
            bytes_max: 4,
        };
        let payload = Bytes::from_static(b"21.55");
        assert_eq!(raw().encode(&payload), Err(refused));
        assert_eq!(raw().decode(payload, envelope()), Err(refused));
    }
}
