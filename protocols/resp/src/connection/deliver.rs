//! From the outbox to the wire: published messages as pushed frames.

use std::sync::Arc;

use routing::{Matched, Message, OutBuf, Run, RunForm, WireForm};

use super::Session;
use super::session::Subscriptions;
use crate::command::Kind;
use crate::monitor;
use crate::wire::{Version, push};

/// Longer payloads are not part of a form that receivers share: it would hold as much memory again
/// for as long as the slowest takes.
const SHARED_PAYLOAD_BYTES_MAX: usize = 512;

/// Who holds a message that has one receiver: its publisher, for a moment, and the receiver.
const SOLE_HOLDERS: usize = 2;

/// Whether a message is for one of the subscriptions.
pub(super) fn is_subscribed(subs: &Subscriptions, message: &Message, matched: &Matched) -> bool {
    let channel = message.address.as_bytes();
    match matched {
        Matched::Channel => subs.has(Kind::Channel, channel),
        Matched::ShardChannel => subs.has(Kind::ShardChannel, channel),
        Matched::Glob(glob) => subs.has(Kind::Pattern, glob.as_bytes()),
        Matched::Filters { .. } => false,
    }
}

/// Writes the messages of a run, all at once if they look the same to other receivers.
pub(super) fn write_run(session: &Session, run: &Arc<Run>, matched: &Matched, out: &mut OutBuf) {
    let is_plain = *matched == Matched::Channel && !session.is_monitor && !may_be_over(session);
    let (version, form) = match session.version {
        Version::Resp2 => (Version::Resp2, RunForm::Resp2),
        Version::Resp3 => (Version::Resp3, RunForm::Resp3),
    };
    let encode = |messages: &[Arc<Message>]| push::run(version, messages);
    match is_plain.then(|| run.form(form, encode)).flatten() {
        Some(encoded) => out.put_bytes(encoded),
        None => run.messages().iter().for_each(|message| {
            write(session, message, matched, out);
        }),
    }
}

/// Whether a subscription may have ended while its messages were on their way.
fn may_be_over(session: &Session) -> bool {
    session.subscriptions.have_ended() || session.kept.is_some()
}

/// Writes a message, unless its subscription has ended while it was on its way: the client has been
/// told that nothing more will come. Returns whether it is done with; so is one that the user may
/// not read.
pub(super) fn write(
    session: &Session,
    message: &Arc<Message>,
    matched: &Matched,
    out: &mut OutBuf,
) -> bool {
    if session.is_monitor && monitor::is_line(message.address.as_bytes()) {
        out.put_u8(b'+');
        out.put_slice(&message.payload);
        out.put_slice(b"\r\n");
        return true;
    }
    if may_be_over(session) && !is_subscribed(&session.subscriptions, message, matched) {
        return false;
    }
    let channel = message.address.as_bytes();
    match matched {
        Matched::Channel => out.put_slice(push::message_head(session.version)),
        Matched::ShardChannel => out.put_slice(push::shard_message_head(session.version)),
        // A pattern may match what its user may not read.
        Matched::Glob(_) if !session.may_receive(channel) => return true,
        Matched::Glob(glob) => push::put_pattern_head(session.version, glob.as_bytes(), out),
        Matched::Filters { .. } => return false,
    }
    // Alone with it, encoding costs less than sharing.
    let has_others = Arc::strong_count(message) > SOLE_HOLDERS;
    if has_others && message.payload.len() <= SHARED_PAYLOAD_BYTES_MAX {
        let encode = || push::tail(channel, &message.payload);
        out.put_slice(message.wire_form(WireForm::Resp, encode));
    } else {
        push::put_tail(channel, &message.payload, out);
    }
    true
}
