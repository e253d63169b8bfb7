//! What a channel has delivered and the client has not settled, by delivery tag.

use std::{collections::VecDeque, sync::Arc};

use routing::{Queue, Seq, Timestamp};

use super::shared::Token;
use crate::wire::settle::DeliveryTag;

/// Settled places are kept up to this number before they are counted against the live ones.
const SETTLED_KEPT: usize = 64;

/// One delivery.
#[derive(Clone, Debug)]
pub(super) struct Outstanding {
    pub(super) tag: DeliveryTag,
    pub(super) queue: Arc<Queue>,
    pub(super) seq: Seq,
    /// The consumer it went to; none if it was taken by `basic.get`.
    pub(super) token: Option<Token>,
    /// When it was sent.
    pub(super) sent_at: Timestamp,
}

/// Deliveries in the order of their tags.
///
/// Most are settled at the front; one in the middle leaves its place empty, so that no settlement
/// moves the others. Empty places never outnumber the live ones for long.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    places: VecDeque<(DeliveryTag, Option<Outstanding>)>,
    live: usize,
}

impl Unsettled {
    /// Adds a delivery whose tag is higher than all before it.
    pub(super) fn push(&mut self, delivery: Outstanding) {
        self.places.push_back((delivery.tag, Some(delivery)));
        self.live += 1;
    }

    /// Takes the delivery of that tag; none if it is unknown or settled.
    pub(super) fn take(&mut self, tag: DeliveryTag) -> Option<Outstanding> {
        let at = self
            .places
            .binary_search_by_key(&tag, |(tag, _)| *tag)
            .ok()?;
        let delivery = self.places.get_mut(at)?.1.take()?;
        self.live -= 1;
        self.tidy();
        Some(delivery)
    }

    /// Takes all deliveries up to and with that tag; none if the tag is unknown or settled.
    pub(super) fn take_up_to(&mut self, tag: DeliveryTag) -> Option<Vec<Outstanding>> {
        let at = self
            .places
            .binary_search_by_key(&tag, |(tag, _)| *tag)
            .ok()?;
        self.places.get(at)?.1.as_ref()?;
        let taken: Vec<_> = self
            .places
            .drain(..=at)
            .filter_map(|(_, place)| place)
            .collect();
        self.live -= taken.len();
        self.tidy();
        Some(taken)
    }

    /// Takes all.
    pub(super) fn take_all(&mut self) -> Vec<Outstanding> {
        self.live = 0;
        std::mem::take(&mut self.places)
            .into_iter()
            .filter_map(|(_, place)| place)
            .collect()
    }

    /// Puts deliveries back that were taken, in any order.
    pub(super) fn put_back(&mut self, deliveries: Vec<Outstanding>) {
        let mut all = self.take_all();
        all.extend(deliveries);
        all.sort_by_key(|delivery| delivery.tag);
        all.into_iter().for_each(|delivery| self.push(delivery));
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Outstanding> {
        self.places.iter().filter_map(|(_, place)| place.as_ref())
    }

    fn tidy(&mut self) {
        while self
            .places
            .front()
            .is_some_and(|(_, place)| place.is_none())
        {
            self.places.pop_front();
        }
        if self.places.len() > 2 * self.live + SETTLED_KEPT {
            self.places.retain(|(_, place)| place.is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use routing::{Broker, Name, QueueOptions};

    use super::*;

    fn queue() -> Arc<Queue> {
        let broker = Broker::in_memory(Vec::new());
        let vhost = broker.vhost("/").unwrap();
        let name = Name::from("q");
        let id = routing::ConnectionId::unique();
        vhost
            .declare_queue(Timestamp(0), id, &name, QueueOptions::default())
            .unwrap()
            .0
    }

    fn unsettled(queue: &Arc<Queue>, tags: impl Iterator<Item = u64>) -> Unsettled {
        let mut unsettled = Unsettled::default();
        for tag in tags {
            let (seq, tag) = (Seq(tag), DeliveryTag(tag));
            unsettled.push(Outstanding {
                tag,
                queue: Arc::clone(queue),
                seq,
                token: None,
                sent_at: Timestamp(0),
            });
        }
        unsettled
    }

    fn tags(deliveries: &[Outstanding]) -> Vec<u64> {
        deliveries.iter().map(|delivery| delivery.tag.0).collect()
    }

    #[test]
    fn each_delivery_is_settled_once() {
        let mut unsettled = unsettled(&queue(), [2, 3, 7].into_iter());
        assert_eq!(unsettled.take(DeliveryTag(3)).unwrap().seq, Seq(3));
        assert!(unsettled.take(DeliveryTag(3)).is_none());
        assert!(unsettled.take(DeliveryTag(4)).is_none());
        assert_eq!(unsettled.live, 2);
        assert_eq!(tags(&unsettled.take_all()), [2, 7]);
    }

    #[test]
    fn multiple_takes_all_up_to_a_known_tag() {
        let mut unsettled = unsettled(&queue(), 1..=5);
        unsettled.take(DeliveryTag(2)).unwrap();
        assert!(unsettled.take_up_to(DeliveryTag(2)).is_none());
        assert!(unsettled.take_up_to(DeliveryTag(9)).is_none());
        assert_eq!(
            tags(&unsettled.take_up_to(DeliveryTag(4)).unwrap()),
            [1, 3, 4]
        );
        assert_eq!(unsettled.live, 1);
    }

    #[test]
    fn what_is_put_back_is_found_again() {
        let mut unsettled = unsettled(&queue(), 1..=4);
        let taken = unsettled.take_up_to(DeliveryTag(2)).unwrap();
        unsettled.put_back(taken);
        assert!(unsettled.take(DeliveryTag(1)).is_some());
        assert_eq!(tags(&unsettled.take_all()), [2, 3, 4]);
    }

    #[test]
    fn settled_places_behind_an_unsettled_one_do_not_pile_up() {
        let queue = queue();
        let mut unsettled = unsettled(&queue, 1..=1);
        for tag in 2..10_000 {
            let (seq, tag) = (Seq(tag), DeliveryTag(tag));
            unsettled.push(Outstanding {
                tag,
                queue: Arc::clone(&queue),
                seq,
                token: None,
                sent_at: Timestamp(0),
            });
            unsettled.take(tag).unwrap();
            assert!(unsettled.places.len() <= 2 + SETTLED_KEPT);
        }
    }
}
