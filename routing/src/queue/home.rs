//! What a queue needs of the virtual host that it belongs to.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::Queue;
use crate::message::Message;
use crate::outbox::Wakes;
use crate::route::Route;
use crate::time::Timestamp;
use crate::timer::Timers;

/// A queue's virtual host, seen from the queue.
///
/// A trait though there is one implementation: a queue's type would otherwise contain the whole
/// broker's, and the compiler gives up on finding out whether it may be shared between threads.
pub(crate) trait Home: fmt::Debug + Send + Sync {
    /// The broker's timers.
    fn timers(&self) -> &Timers;

    /// Who receives a message published to an exchange by these keys; none without the exchange.
    fn route_by_keys(&self, exchange: &str, keys: &[Bytes], message: &Message) -> Option<Route>;

    /// Looks at a queue whose time has come.
    fn queue_due(&self, now: Timestamp, queue: &Arc<Queue>, wakes: &mut Wakes);
}
