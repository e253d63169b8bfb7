//! The carousel: retained values sent again and again, one at a time, for receivers that cannot ask
//! (devices that only listen) and for those that came late.

use std::sync::Arc;

use routing::{Message, RetainedCursor, RetainedStep, Timestamp, TopicFilter, VHost};

/// Where the carousel of a link is.
#[derive(Debug)]
pub(super) struct Carousel {
    period_ms: u64,
    /// When the next value is to be sent.
    pub(super) due: Timestamp,
    /// The filter whose values are being sent.
    filter: usize,
    cursor: Option<RetainedCursor>,
}

impl Carousel {
    /// A carousel of so many values a second; none for 0.
    pub(super) fn new(per_second: u16) -> Option<Self> {
        let period_ms = 1000_u64.checked_div(per_second.into())?.max(1);
        Some(Self {
            period_ms,
            due: Timestamp(0),
            filter: 0,
            cursor: None,
        })
    }

    /// The value whose turn it is, if it is time and the round is not over.
    pub(super) fn turn(
        &mut self,
        now: Timestamp,
        vhost: &VHost,
        filters: &[TopicFilter],
    ) -> Option<Arc<Message>> {
        if now < self.due {
            return None;
        }
        self.due = now.plus_ms(self.period_ms);
        let filter = filters.get(self.filter)?;
        let cursor = self.cursor.get_or_insert_with(|| vhost.retained(filter));
        match cursor.step(now) {
            RetainedStep::Found(message) => Some(message),
            RetainedStep::Pause => None,
            RetainedStep::End => {
                self.cursor = None;
                self.filter = (self.filter + 1) % filters.len();
                None
            }
        }
    }
}
