//! The three protocols as a load generator speaks them: prebuilt frames out, as little as possible
//! read of what comes in. They share nothing with the server's code, so that neither's
//! misunderstanding hides the other's.

pub(crate) mod amqp;
pub(crate) mod mqtt;
pub(crate) mod resp;

use std::sync::Arc;

use crate::scenario::{Protocol, Scenario};
use crate::stamp::Stamp;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Publishes to its topics.
    Publisher,
    /// Subscribes to its topics and counts what comes.
    Subscriber,
    /// Subscribes to its topics, if any, and expects nothing.
    Idle,
}

/// What a connection needs to know before it says anything.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) role: Role,
    pub(crate) scenario: Arc<Scenario>,
    /// Distinguishes runs, so that nobody's leftovers are found.
    pub(crate) run: u32,
    /// Number among all connections.
    pub(crate) number: usize,
    /// Its group.
    pub(crate) group: usize,
    /// Its topics: those of a publisher are its own, subscribers of a group share one list.
    pub(crate) topics: Arc<[String]>,
}

impl Part {
    /// The first level of everything a group publishes to.
    pub(crate) fn prefix(&self) -> String {
        format!("l{:x}/{}", self.run, self.group)
    }
}

/// What a frame of the server means to the load generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Nothing that it counts.
    Other,
    /// The connection has all it asked for.
    Ready,
    /// A message.
    Delivery(Stamp),
    /// The server accepted so many messages of this publisher.
    Accepted(u32),
}

/// The server said something that ends the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) String);

/// One connection's side of a protocol.
pub(crate) trait Dialect {
    /// The first words.
    fn open(&mut self, out: &mut Vec<u8>);

    /// Reads one frame from the front of `input`: its length and meaning, `None` if it has not
    /// arrived whole. Answers go to `out`.
    ///
    /// # Errors
    /// When the server refuses something or says what this client does not understand.
    fn handle(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<(usize, Event)>, Refusal>;

    /// Publishes to the topic of this number.
    fn publish(&mut self, topic: usize, stamp: Stamp, out: &mut Vec<u8>);

    /// Consumes what has gathered, where that waits to be told.
    fn start(&mut self, out: &mut Vec<u8>);

    /// The last words; takes away what would stay.
    fn close(&mut self, out: &mut Vec<u8>);

    /// The most messages that the server lets this publisher have unaccepted.
    fn window_max(&self) -> u32;
}

/// A connection's dialect.
pub(crate) fn of(part: Part) -> Box<dyn Dialect> {
    match part.scenario.protocol {
        Protocol::Amqp => Box::new(amqp::Amqp::new(part)),
        Protocol::Mqtt3 | Protocol::Mqtt5 => Box::new(mqtt::Mqtt::new(part)),
        Protocol::Resp => Box::new(resp::Resp::new(part)),
    }
}

/// A prebuilt publish: all that changes is the stamp, and an identifier in some protocols.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    pub(crate) frame: Vec<u8>,
    /// Where the payload starts.
    pub(crate) payload_at: usize,
}

impl Template {
    /// Appends a copy with this stamp; returns where the copy starts.
    pub(crate) fn put(&self, stamp: Stamp, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.extend_from_slice(&self.frame);
        stamp.patch(out, start + self.payload_at);
        start
    }
}

/// A shared length as a 16-bit field.
pub(crate) fn length16(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}

/// A length as a 32-bit field.
pub(crate) fn length32(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}
