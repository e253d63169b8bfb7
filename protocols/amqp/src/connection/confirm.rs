//! Publisher confirms: which publishes are answered, in their order, and by as few frames as it
//! takes (RabbitMQ: publisher confirms).

use std::collections::VecDeque;

use routing::{Lsn, OutBuf};

use crate::wire::{
    frame::ChannelId,
    settle::{DeliveryTag, Extent, put_ack, put_nack},
};

/// The publishes of a confirming channel that are not answered.
#[derive(Debug)]
pub(super) struct Confirms {
    next: u64,
    pending: VecDeque<Pending>,
}

#[derive(Debug)]
struct Pending {
    tag: DeliveryTag,
    /// Safe once the journal is durable up to here; none when nothing needs to be.
    lsn: Option<Lsn>,
    is_refused: bool,
}

impl Confirms {
    /// A channel that confirms from now on; its first publish is number 1.
    pub(super) fn new() -> Self {
        Self {
            next: 1,
            pending: VecDeque::new(),
        }
    }

    /// Numbers a publish: safe at `lsn`, or refused by a full queue.
    pub(super) fn push(&mut self, lsn: Option<Lsn>, is_refused: bool) {
        let tag = DeliveryTag(self.next);
        self.next += 1;
        self.pending.push_back(Pending {
            tag,
            lsn,
            is_refused,
        });
    }

    /// Answers every publish that is safe, up to the first that is not; returns what that one waits
    /// for. Everything before a publish is answered before it, so one answer may stand for several.
    pub(super) fn flush(
        &mut self,
        channel: ChannelId,
        durable: Lsn,
        out: &mut OutBuf,
    ) -> Option<Lsn> {
        let mut run: Option<Run> = None;
        while let Some(pending) = self
            .pending
            .pop_front_if(|pending| pending.lsn.is_none_or(|lsn| lsn <= durable))
        {
            match &mut run {
                Some(run) if run.is_refused == pending.is_refused => run.extend(pending.tag),
                _ => {
                    put(run.take(), channel, out);
                    run = Some(Run::new(&pending));
                }
            }
        }
        put(run, channel, out);
        self.pending.front().and_then(|pending| pending.lsn)
    }
}

/// Neighbouring publishes with the same answer.
struct Run {
    last: DeliveryTag,
    extent: Extent,
    is_refused: bool,
}

impl Run {
    fn new(pending: &Pending) -> Self {
        Self {
            last: pending.tag,
            extent: Extent::One,
            is_refused: pending.is_refused,
        }
    }

    fn extend(&mut self, tag: DeliveryTag) {
        self.last = tag;
        self.extent = Extent::Multiple;
    }
}

fn put(run: Option<Run>, channel: ChannelId, out: &mut OutBuf) {
    match run {
        Some(run) if run.is_refused => put_nack(out, channel, run.last, run.extent),
        Some(run) => put_ack(out, channel, run.last, run.extent),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flushed(confirms: &mut Confirms, durable: u64) -> (Vec<(u8, u8, u8)>, Option<Lsn>) {
        let mut out = OutBuf::default();
        let waits = confirms.flush(ChannelId(1), Lsn(durable), &mut out);
        let frames = out.to_vec();
        // Method, tag and bits of each 21 octet frame.
        (
            frames
                .chunks(21)
                .map(|frame| (frame[10], frame[18], frame[19]))
                .collect(),
            waits,
        )
    }

    #[test]
    fn an_ack_waits_for_its_record_and_for_those_before_it() {
        let mut confirms = Confirms::new();
        confirms.push(None, false);
        confirms.push(Some(Lsn(10)), false);
        confirms.push(None, false);
        assert_eq!(flushed(&mut confirms, 9), (vec![(80, 1, 0)], Some(Lsn(10))));
        assert_eq!(flushed(&mut confirms, 10), (vec![(80, 3, 1)], None));
    }

    #[test]
    fn neighbours_are_answered_by_one_frame_and_refusals_apart() {
        let mut confirms = Confirms::new();
        for is_refused in [false, false, true, false] {
            confirms.push(None, is_refused);
        }
        let frames = vec![(80, 2, 1), (120, 3, 2), (80, 4, 0)];
        assert_eq!(flushed(&mut confirms, 0), (frames, None));
    }
}
