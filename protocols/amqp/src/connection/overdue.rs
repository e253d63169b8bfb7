//! Deliveries that nobody acknowledges in time: their channel is closed, so that a stuck consumer
//! does not keep messages from others for ever (RabbitMQ: consumer timeout).

use routing::{OutBuf, Timestamp};

use super::{Connection, State, channel::Channel, shared::Shared};
use crate::{
    error::Refused,
    wire::{frame::ChannelId, method_id::MethodId},
};

/// The first delivery of a channel that may be overdue.
struct Deadline {
    at: Timestamp,
    timeout_ms: u64,
}

impl Connection {
    /// Closes the channels with a delivery that is overdue, and looks again when the next may be.
    pub(super) fn close_overdue(&mut self, now: Timestamp, out: &mut OutBuf) {
        let State::Open(shared) = &mut self.state else {
            return;
        };
        if shared.settle_by.is_none_or(|at| at > now) {
            return;
        }
        let deadlines = self
            .channels
            .values()
            .filter_map(|channel| Some((channel.id, channel.deadline(shared)?)));
        let (overdue, later): (Vec<_>, Vec<_>) = deadlines.partition(|(_, first)| first.at <= now);
        shared.settle_by = later.iter().map(|(_, first)| first.at).min();
        for (channel, Deadline { timeout_ms, .. }) in overdue {
            self.fail_channel(
                now,
                channel,
                (&timed_out(channel, timeout_ms), MethodId::NONE),
                out,
            );
        }
    }
}

impl Channel {
    fn deadline(&self, shared: &Shared) -> Option<Deadline> {
        let deadlines = self.unsettled.iter().filter_map(|delivery| {
            let timeout_ms = shared.settle_timeout_ms(&delivery.queue)?;
            let at = delivery.sent_at.plus_ms(timeout_ms);
            Some(Deadline { at, timeout_ms })
        });
        deadlines.min_by_key(|deadline| deadline.at)
    }
}

fn timed_out(channel: ChannelId, timeout_ms: u64) -> Refused {
    Refused::precondition(format!(
        "delivery acknowledgement on channel {} timed out. Timeout value used: {timeout_ms} ms. \
         This timeout value can be configured, see consumers doc guide to learn more",
        channel.0
    ))
}
