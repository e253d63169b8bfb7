//! From the outbox to the wire: published messages as pushed frames.

use std::sync::Arc;

use routing::outbox::Item;
use routing::{Delivery, Event, Matched, Message, OutBuf, Source, WireForm};

use super::Session;
use crate::command::Kind;
use crate::wire::push;

/// From this size on the output references a payload and does not copy it.
const REFERENCE_BYTES_MIN: usize = 4096;

/// Who holds a message that has one receiver: its publisher, for a moment, and the receiver.
const SOLE_HOLDERS: usize = 2;

/// Handles one item of the outbox.
pub(super) fn write(session: &mut Session, item: &Item, out: &mut OutBuf) {
    match item {
        Item::Delivery(Delivery {
            message,
            source: Source::Subscription(matched),
        }) => {
            write_message(session, message, matched, out);
        }
        // Redis connections consume from no queue.
        Item::Delivery(_) | Item::Event(Event::ConsumerCancelled { .. }) => {}
        Item::Event(Event::Close { reason }) => {
            tracing::debug!(%reason, "connection ended");
            session.is_closing = true;
        }
    }
}

/// A message that was on its way when its subscription ended is dropped: the client has been told
/// that nothing more will come.
fn write_message(session: &Session, message: &Arc<Message>, matched: &Matched, out: &mut OutBuf) {
    let subscriptions = &session.subscriptions;
    let channel = message.address.as_bytes();
    match matched {
        Matched::Channel if subscriptions.has(Kind::Channel, channel) => {
            out.put_slice(push::message_head(session.version));
        }
        Matched::ShardChannel if subscriptions.has(Kind::ShardChannel, channel) => {
            out.put_slice(push::shard_message_head(session.version));
        }
        Matched::Glob(glob) if subscriptions.has(Kind::Pattern, glob.as_bytes()) => {
            push::put_pattern_head(session.version, glob.as_bytes(), out);
        }
        _ => return,
    }
    // Alone with it, or with a payload that is not copied, encoding costs less than sharing.
    let has_others = Arc::strong_count(message) > SOLE_HOLDERS;
    if has_others && message.payload.len() < REFERENCE_BYTES_MIN {
        let encode = || push::tail(channel, &message.payload);
        out.put_slice(message.wire_form(WireForm::Resp, encode));
    } else {
        push::put_tail(channel, &message.payload, out);
    }
}
