//! AMQP 0-9-1 frames and the methods that the load generator sends.
//!
//! ```text
//! | type u8 | channel u16 | size u32 | payload | 0xCE |
//! ```

use crate::cursor::Cursor;
use crate::dialect::length32;

/// Bytes before a frame's payload.
pub(crate) const FRAME_HEAD_BYTES: usize = 7;

/// Bytes around a frame's payload.
pub(crate) const FRAME_OVERHEAD_BYTES: usize = 8;

const FRAME_END: u8 = 0xce;

/// A method's payload.
#[derive(Debug)]
pub(crate) struct Arguments(Vec<u8>);

impl Arguments {
    fn new(class: u8, method: u8) -> Self {
        Self(vec![0, class, 0, method])
    }

    fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    fn u16(mut self, value: u16) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn short(mut self, text: &str) -> Self {
        self.0.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn long(mut self, text: &[u8]) -> Self {
        self.0.extend_from_slice(&length32(text.len()));
        self.0.extend_from_slice(text);
        self
    }

    /// A table without fields.
    fn table(self) -> Self {
        self.u32(0)
    }

    pub(crate) fn put_frame(&self, channel: u16, out: &mut Vec<u8>) {
        put_frame(1, channel, &self.0, out);
    }
}

/// Appends a frame.
pub(crate) fn put_frame(kind: u8, channel: u16, payload: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&length32(payload.len()));
    out.extend_from_slice(payload);
    out.push(FRAME_END);
}

/// A whole frame: type, payload, length of all.
pub(crate) fn split(input: &[u8]) -> Option<(u8, &[u8], usize)> {
    let mut cursor = Cursor(input);
    let kind = cursor.u8()?;
    cursor.u16()?;
    let size = usize::try_from(cursor.u32()?).ok()?;
    let payload = cursor.take(size)?;
    cursor.u8()?;
    Some((kind, payload, size + FRAME_OVERHEAD_BYTES))
}

/// Appends the content header of a message with a delivery mode and nothing else.
pub(crate) fn put_header(body_bytes: usize, is_persistent: bool, out: &mut Vec<u8>) {
    const HAS_DELIVERY_MODE: u16 = 0x1000;
    let payload = Arguments::new(60, 0)
        .u32(0)
        .u32(u32::try_from(body_bytes).unwrap_or(u32::MAX))
        .u16(HAS_DELIVERY_MODE)
        .u8(1 + u8::from(is_persistent));
    put_frame(2, 1, &payload.0, out);
}

pub(crate) fn start_ok(user: &str, password: &str) -> Arguments {
    Arguments::new(10, 11)
        .table()
        .short("PLAIN")
        .long(format!("\0{user}\0{password}").as_bytes())
        .short("en_US")
}

/// Without heartbeats: an idle connection is to be idle.
pub(crate) fn tune_ok(channel_max: u16, frame_bytes: u32) -> Arguments {
    Arguments::new(10, 31)
        .u16(channel_max)
        .u32(frame_bytes)
        .u16(0)
}

pub(crate) fn connection_open(vhost: &str) -> Arguments {
    Arguments::new(10, 40).short(vhost).short("").u8(0)
}

pub(crate) fn connection_close() -> Arguments {
    Arguments::new(10, 50).u16(200).short("done").u32(0)
}

pub(crate) fn channel_open() -> Arguments {
    Arguments::new(20, 10).short("")
}

pub(crate) fn exchange_declare(name: &str, kind: &str) -> Arguments {
    Arguments::new(40, 10)
        .u16(0)
        .short(name)
        .short(kind)
        .u8(0)
        .table()
}

pub(crate) fn exchange_delete(name: &str) -> Arguments {
    const NO_WAIT: u8 = 2;
    Arguments::new(40, 20).u16(0).short(name).u8(NO_WAIT)
}

pub(crate) fn queue_declare(name: &str, is_durable: bool) -> Arguments {
    const DURABLE: u8 = 2;
    let flags = if is_durable { DURABLE } else { 0 };
    Arguments::new(50, 10).u16(0).short(name).u8(flags).table()
}

pub(crate) fn queue_bind(queue: &str, exchange: &str, key: &str) -> Arguments {
    Arguments::new(50, 20)
        .u16(0)
        .short(queue)
        .short(exchange)
        .short(key)
        .u8(0)
        .table()
}

pub(crate) fn queue_delete(name: &str) -> Arguments {
    const NO_WAIT: u8 = 4;
    Arguments::new(50, 40).u16(0).short(name).u8(NO_WAIT)
}

pub(crate) fn basic_qos(prefetch: u16) -> Arguments {
    Arguments::new(60, 10).u32(0).u16(prefetch).u8(0)
}

pub(crate) fn basic_consume(queue: &str, is_automatic: bool) -> Arguments {
    const NO_ACK: u8 = 2;
    let flags = if is_automatic { NO_ACK } else { 0 };
    Arguments::new(60, 20)
        .u16(0)
        .short(queue)
        .short("")
        .u8(flags)
        .table()
}

pub(crate) fn basic_publish(exchange: &str, key: &str) -> Arguments {
    Arguments::new(60, 40)
        .u16(0)
        .short(exchange)
        .short(key)
        .u8(0)
}

pub(crate) fn confirm_select() -> Arguments {
    Arguments::new(85, 10).u8(0)
}

/// Appends a `basic.ack`.
pub(crate) fn put_ack(tag: u64, is_multiple: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(&[1, 0, 1, 0, 0, 0, 13, 0, 60, 0, 80]);
    out.extend_from_slice(&tag.to_be_bytes());
    out.extend_from_slice(&[u8::from(is_multiple), FRAME_END]);
}
