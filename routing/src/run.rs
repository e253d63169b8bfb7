//! Messages that one publisher sent to one address, one after the other: handed to each live
//! receiver in one piece, and encoded once for all receivers of one dialect.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::message::Message;

/// Runs that cost more are handed over message by message: what a receiver takes at once stays
/// near the bound that it asks for, and large payloads are not copied together.
pub(crate) const RUN_BYTES_MAX: usize = 64 * 1024;

/// Messages with longer payloads are copied to each receiver's output as they are: a shared form
/// of them would hold as much memory again for as long as the slowest receiver takes.
const SHARED_PAYLOAD_BYTES_MAX: usize = 512;

/// Who holds a run that has one receiver: the publisher, for a moment, and the receiver.
const SOLE_HOLDERS: usize = 2;

/// The dialects for which the encoded form of a run is kept and shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunForm {
    /// MQTT 3.1 and 3.1.1 PUBLISH packets of QoS 0.
    Mqtt3,
    /// MQTT 5 PUBLISH packets of QoS 0, without anything for one receiver alone.
    Mqtt5,
    /// RESP2 messages of an exact channel.
    Resp2,
    /// RESP3 messages of an exact channel.
    Resp3,
}

const RUN_FORMS: usize = 4;

/// Messages for live receivers: at least one, all to one address, none of them retained.
#[derive(Debug)]
pub struct Run {
    messages: Vec<Arc<Message>>,
    cost_bytes: usize,
    payload_bytes: usize,
    can_expire: bool,
    forms: [OnceLock<Bytes>; RUN_FORMS],
}

impl Run {
    /// A run of these messages.
    #[must_use]
    pub fn new(messages: Vec<Arc<Message>>) -> Arc<Self> {
        Arc::new(Self {
            cost_bytes: messages.iter().map(|it| it.cost_bytes()).sum(),
            payload_bytes: messages.iter().map(|it| it.payload.len()).sum(),
            can_expire: messages.iter().any(|it| it.expires_at.is_some()),
            messages,
            forms: Default::default(),
        })
    }

    /// The messages, in order.
    #[must_use]
    pub fn messages(&self) -> &[Arc<Message>] {
        &self.messages
    }

    /// What the messages cost together, as [`Message::cost_bytes`] counts them.
    #[must_use]
    pub const fn cost_bytes(&self) -> usize {
        self.cost_bytes
    }

    /// Bytes of all payloads.
    #[must_use]
    pub const fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Whether one of them expires some day.
    #[must_use]
    pub const fn can_expire(&self) -> bool {
        self.can_expire
    }

    /// All messages encoded for one dialect, one after the other: made by `encode` at first use and
    /// shared by all receivers. None when there is nobody to share it with or the payloads are
    /// large: then encoding into the receiver's own buffer costs less.
    pub fn form(
        self: &Arc<Self>,
        form: RunForm,
        encode: impl FnOnce(&[Arc<Message>]) -> Bytes,
    ) -> Option<&Bytes> {
        #[expect(clippy::indexing_slicing, reason = "one slot per variant")]
        let slot = &self.forms[form as usize];
        let is_large = self.payload_bytes > self.messages.len() * SHARED_PAYLOAD_BYTES_MAX;
        if slot.get().is_none() && (is_large || Arc::strong_count(self) <= SOLE_HOLDERS) {
            return None;
        }
        Some(slot.get_or_init(|| encode(&self.messages)))
    }
}
