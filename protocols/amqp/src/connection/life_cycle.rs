//! Opening and closing channels, and cancelling consumers: what reaches beyond one channel.

use routing::{OutBuf, Timestamp};

use super::{
    Connection, State,
    channel::{Channel, ChannelState},
};
use crate::{
    error::{Refused, ReplyCode},
    wire::{
        frame::{ChannelId, Frame, FrameType},
        method_id::MethodId,
        methods::{BasicMethod, ChannelMethod, Method},
        replies::{BasicReply, ChannelReply, Reply, put_reply},
    },
};

impl Connection {
    /// Opens, closes and cancels: what reaches beyond one channel. False if the frame is none of
    /// it.
    pub(super) fn handle_life_cycle(
        &mut self,
        now: Timestamp,
        frame: Frame<'_>,
        out: &mut OutBuf,
    ) -> bool {
        let id = match MethodId::split(frame.payload) {
            Some((id, _)) if frame.kind == FrameType::Method => id,
            _ => return false,
        };
        let is_life_cycle = matches!(
            id,
            MethodId::CHANNEL_OPEN
                | MethodId::CHANNEL_CLOSE
                | MethodId::CHANNEL_CLOSE_OK
                | MethodId::BASIC_CANCEL
                | MethodId::BASIC_CANCEL_OK
        );
        let is_in_content = self
            .channels
            .get(&frame.channel)
            .is_some_and(|channel| channel.incoming.is_some());
        if !is_life_cycle || is_in_content {
            return false;
        }
        if let State::Open(shared) = &mut self.state {
            shared.publisher.end_run();
        }
        match Method::parse(id, frame.payload) {
            Ok(Method::Channel(ChannelMethod::Open)) => self.open_channel(now, frame.channel, out),
            Ok(Method::Channel(ChannelMethod::Close(_))) => {
                self.close_channel(now, frame.channel, out);
            }
            Ok(Method::Channel(ChannelMethod::CloseOk)) => {
                let awaited = |channel: &mut Channel| channel.state == ChannelState::AwaitCloseOk;
                let _gone = self
                    .channels
                    .extract_if(|id, channel| *id == frame.channel && awaited(channel))
                    .count();
            }
            Ok(Method::Basic(BasicMethod::Cancel {
                consumer_tag,
                nowait,
            })) => {
                return self.cancel(now, frame.channel, (&consumer_tag, nowait), out);
            }
            Ok(_) => return false,
            Err(malformed) => self.fail(now, &malformed.into(), id, out),
        }
        true
    }

    fn open_channel(&mut self, now: Timestamp, id: ChannelId, out: &mut OutBuf) {
        if let Some(channel) = self.channels.get(&id) {
            if channel.state == ChannelState::Open {
                let refused = Refused::new(ReplyCode::ChannelError, "second 'channel.open' seen");
                self.fail(now, &refused, MethodId::CHANNEL_OPEN, out);
            }
            return;
        }
        let (open, max) = (self.channels.len(), usize::from(self.limits.channel_max));
        if max != 0 && open >= max {
            let text = format!(
                "number of channels opened ({open}) has reached the negotiated channel_max ({max})"
            );
            let refused = Refused::new(ReplyCode::NotAllowed, text);
            return self.fail(now, &refused, MethodId::NONE, out);
        }
        self.channels.insert(id, Channel::new(id));
        put_reply(out, id, Reply::Channel(ChannelReply::OpenOk));
    }

    fn close_channel(&mut self, now: Timestamp, id: ChannelId, out: &mut OutBuf) {
        let State::Open(shared) = &mut self.state else {
            return;
        };
        match self.channels.get_mut(&id) {
            Some(channel) if channel.state == ChannelState::AwaitCloseOk => {
                // Both sides close at once: the client's answer to ours is still to come.
                let close_ok = Reply::Channel(ChannelReply::CloseOk);
                put_reply(channel.held.behind(out), id, close_ok);
            }
            Some(channel) => {
                channel.release(shared, now);
                self.channels.remove(&id);
                put_reply(out, id, Reply::Channel(ChannelReply::CloseOk));
            }
            None => {
                let refused = Refused::new(ReplyCode::ChannelError, "expected 'channel.open'");
                self.fail(now, &refused, MethodId::CHANNEL_CLOSE, out);
            }
        }
    }

    /// `basic.cancel`. What the queue has given already is delivered first: nobody may expect
    /// deliveries after `cancel-ok`, and without acknowledgements they would be lost.
    fn cancel(
        &mut self,
        now: Timestamp,
        id: ChannelId,
        (tag, nowait): (&str, bool),
        out: &mut OutBuf,
    ) -> bool {
        let (State::Open(shared), Some(channel)) = (&mut self.state, self.channels.get(&id)) else {
            return false;
        };
        if channel.state == ChannelState::AwaitCloseOk {
            return true;
        }
        shared.flush_settlements(now);
        if let Some(consumer) = channel
            .tags
            .get(tag)
            .and_then(|token| shared.consumers.get(token))
        {
            // Off the queue first, so that nothing follows what is taken now.
            let wakes = &mut shared.publisher.wakes;
            shared
                .vhost
                .cancel_consumer(now, &consumer.queue, consumer.id, wakes);
            self.write_outbox(now, usize::MAX, out);
        }
        if let (State::Open(shared), Some(channel)) = (&mut self.state, self.channels.get_mut(&id))
        {
            channel.remove_consumer(shared, now, tag);
        }
        if !nowait {
            put_reply(
                out,
                id,
                Reply::Basic(BasicReply::CancelOk { consumer_tag: tag }),
            );
        }
        true
    }
}
