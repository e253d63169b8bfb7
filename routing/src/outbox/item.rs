//! What waits in an outbox.

use std::sync::Arc;

use crate::delivery::{Delivery, Matched, Source};
use crate::message::Message;
use crate::run::Run;

/// One thing for a connection.
#[derive(Clone, Debug)]
pub enum Item {
    /// A message.
    Delivery(Delivery),
    /// Messages for a live subscription: nothing to settle.
    Run(Arc<Run>, Arc<Matched>),
    /// Messages of a queue for a consumer that does not acknowledge, none of them handed out
    /// before: nothing to settle.
    QueueRun {
        /// The messages.
        run: Arc<Run>,
        /// The front's own key of the consumer.
        token: u64,
    },
    /// News.
    Event(Event),
}

/// News for a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The queue of a consumer is gone.
    ConsumerCancelled {
        /// The front's own key of the consumer.
        token: u64,
    },
    /// An administrator or another client ends this connection.
    Close {
        /// Why, for the log and where the protocol can say it.
        reason: String,
    },
}

impl Item {
    /// The messages in it.
    #[must_use]
    pub fn messages(&self) -> &[Arc<Message>] {
        match self {
            Self::Delivery(delivery) => std::slice::from_ref(&delivery.message),
            Self::Run(run, _) | Self::QueueRun { run, .. } => run.messages(),
            Self::Event(_) => &[],
        }
    }

    /// Messages' bytes, as [`crate::Message::cost_bytes`] counts them.
    pub(super) fn cost_bytes(&self) -> usize {
        match self {
            Self::Delivery(delivery) => delivery.message.cost_bytes(),
            Self::Run(run, _) | Self::QueueRun { run, .. } => run.cost_bytes(),
            Self::Event(_) => 0,
        }
    }

    /// Messages and news.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Delivery(_) | Self::Event(_) => 1,
            Self::Run(run, _) | Self::QueueRun { run, .. } => run.messages().len(),
        }
    }

    /// Whether a queue has put it in, which may want it back if it is not sent.
    pub(super) const fn is_from_queue(&self) -> bool {
        matches!(
            self,
            Self::Delivery(Delivery {
                source: Source::Queue(_),
                ..
            })
        )
    }

    /// Whether it is of a live subscription.
    pub(super) const fn is_live(&self) -> bool {
        !self.is_from_queue() && !matches!(self, Self::QueueRun { .. } | Self::Event(_))
    }
}

/// The deliveries of a run, one for each message.
pub(super) fn deliveries<'a>(
    run: &'a Run,
    matched: &'a Arc<Matched>,
) -> impl DoubleEndedIterator<Item = Delivery> + 'a {
    run.messages().iter().map(|message| Delivery {
        message: Arc::clone(message),
        source: Source::Subscription(Arc::clone(matched)),
    })
}
