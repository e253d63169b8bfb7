//! A message in a queue.

use std::sync::Arc;

use crate::delivery::Matched;
use crate::ids::Seq;
use crate::journal::Lsn;
use crate::message::{Message, QoS};

/// A message and its place in one queue.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) seq: Seq,
    pub(super) message: Arc<Message>,
    pub(super) qos: QoS,
    pub(super) matched: Option<Arc<Matched>>,
    /// The journal record with its body; none when the message need not survive.
    pub(super) body: Option<Lsn>,
    pub(super) redeliveries: u32,
}
