//! `basic.publish`, read where it lies: the hottest method of a broker.
//!
//! ```text
//! +----------+----------+-------------+------+
//! | reserved | exchange | routing key | bits |   bit 0 mandatory, bit 1 immediate
//! +----------+----------+-------------+------+
//!    u16      shortstr    shortstr      u8        AMQP 0-9-1 §1.8.3.7
//! ```
//!
//! Names here may be any bytes: RabbitMQ checks UTF-8 in methods without content only, and clients
//! rely on binary routing keys. An exchange of such a name cannot have been declared, so it is
//! simply not found.

use super::{Malformed, reader::Reader};

const MANDATORY: u8 = 1;
const IMMEDIATE: u8 = 2;

/// The arguments of `basic.publish`, borrowed from the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Exchange name; empty is the default exchange.
    pub exchange: &'a [u8],
    /// Routing key.
    pub routing_key: &'a [u8],
    /// Return the message if no queue gets it.
    pub mandatory: bool,
    /// Return the message if no consumer can take it at once. Refused by RabbitMQ since 3.0.
    pub immediate: bool,
}

impl<'a> Publish<'a> {
    /// Reads the arguments behind the method's number.
    ///
    /// # Errors
    /// [`Malformed::Fields`] when they are shorter or longer than they say.
    pub fn parse(arguments: &'a [u8]) -> Result<Self, Malformed> {
        Self::read(Reader::new(arguments)).ok_or(Malformed::Fields)
    }

    #[inline]
    fn read(mut reader: Reader<'a>) -> Option<Self> {
        let _reserved = reader.u16()?;
        let exchange = reader.short_string()?;
        let routing_key = reader.short_string()?;
        let bits = reader.u8()?;
        reader.is_empty().then_some(Self {
            exchange,
            routing_key,
            mandatory: bits & MANDATORY != 0,
            immediate: bits & IMMEDIATE != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"\0\0\x02ex\x03a.b\x03";

    #[test]
    fn the_arguments_are_read_where_they_lie() {
        let publish = Publish::parse(WHOLE).unwrap();
        let expected = Publish {
            exchange: b"ex",
            routing_key: b"a.b",
            mandatory: true,
            immediate: true,
        };
        assert_eq!(publish, expected);
        assert_eq!(publish.routing_key.as_ptr(), WHOLE[6..].as_ptr());
    }

    #[test]
    fn arguments_may_be_neither_short_nor_long() {
        for len in 0..WHOLE.len() {
            assert_eq!(Publish::parse(&WHOLE[..len]), Err(Malformed::Fields));
        }
        assert_eq!(
            Publish::parse(&[WHOLE, b"\0"].concat()),
            Err(Malformed::Fields)
        );
    }

    #[test]
    fn a_routing_key_may_be_any_bytes() {
        let publish = Publish::parse(b"\0\0\0\x02\xff\0\0").unwrap();
        assert_eq!(publish.routing_key, b"\xff\0");
    }
}
