//! The consistent hash exchange (RabbitMQ: `x-consistent-hash`): each message goes to one binding,
//! messages with the same key to the same one, and bindings get shares by their weights.
//!
//! Weighted rendezvous hashing: every binding draws a number from the key, and the best draw wins.
//! So a binding that comes or goes moves only what it gets or had, where RabbitMQ's ring of
//! numbered buckets moves a part of everything; and weights cost no memory. A message costs a draw
//! per binding. The draws depend on names alone, so a restart changes nothing.

use bytes::Bytes;
use imbl::OrdMap;

use super::random::mixed;
use crate::binding::{Binding, BindingId, Destination};
use crate::message::Message;
use crate::value::{Table, Value};

/// The largest weight, as RabbitMQ has it.
const WEIGHT_MAX: u32 = 10_000;

/// What of a message is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HashOn {
    RoutingKey,
    /// `hash-header`
    Header(Bytes),
    /// `hash-property`
    CorrelationId,
    MessageId,
    Timestamp,
}

impl HashOn {
    /// What an exchange's arguments ask for.
    ///
    /// # Errors
    /// In RabbitMQ's words, for arguments that contradict each other or cannot be.
    pub(super) fn of(arguments: &Table) -> Result<Self, String> {
        let text = |argument| arguments.get(argument).and_then(Value::as_str);
        match (text("hash-header"), text("hash-property")) {
            (None, None) => Ok(Self::RoutingKey),
            (Some(header), None) => Ok(Self::Header(Bytes::copy_from_slice(header.as_bytes()))),
            (None, Some("correlation_id")) => Ok(Self::CorrelationId),
            (None, Some("message_id")) => Ok(Self::MessageId),
            (None, Some("timestamp")) => Ok(Self::Timestamp),
            (None, Some(other)) => Err(format!("Unsupported property: {other}")),
            (Some(_), Some(_)) => {
                Err("hash-header and hash-property are mutually exclusive".into())
            }
        }
    }

    /// The hash of a message at this address; what it lacks is like what others lack.
    fn hash(&self, address: &[u8], message: &Message) -> u64 {
        match self {
            Self::RoutingKey => hash(address),
            Self::Header(name) => {
                let header = message
                    .properties()
                    .headers
                    .0
                    .iter()
                    .find(|(n, _)| n == name);
                match header {
                    Some((_, Value::Text(text))) => hash(text),
                    Some((_, value)) => hash(format!("{value:?}").as_bytes()),
                    None => 0,
                }
            }
            Self::CorrelationId => message
                .properties()
                .correlation_id
                .as_deref()
                .map_or(0, hash),
            Self::MessageId => message.properties().message_id.as_deref().map_or(0, hash),
            Self::Timestamp => message.properties().timestamp.map_or(0, mixed),
        }
    }
}

/// The bindings of a consistent hash exchange.
#[derive(Clone, Debug)]
pub(super) struct ConsistentHash {
    pub(super) on: HashOn,
    shares: OrdMap<BindingId, Share>,
}

#[derive(Clone, Debug)]
struct Share {
    binding: Binding,
    /// Of the destination, so that binding it with another weight does not shuffle everything.
    hash: u64,
    weight: f64,
}

impl ConsistentHash {
    pub(super) fn new(on: HashOn) -> Self {
        Self {
            on,
            shares: OrdMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.shares.values().map(|share| &share.binding)
    }

    /// Returns whether it was there.
    pub(super) fn insert(&mut self, id: BindingId, binding: Binding) -> bool {
        let name = match &binding.destination {
            Destination::Queue(name) | Destination::Exchange(name) => name,
        };
        let share = Share {
            hash: hash(name.as_bytes()),
            // Checked when it was bound.
            weight: weight(&binding.key).map_or(1.0, f64::from),
            binding,
        };
        self.shares.insert(id, share).is_some()
    }

    /// Returns whether it was there.
    pub(super) fn remove(&mut self, id: &BindingId) -> bool {
        self.shares.remove(id).is_some()
    }

    /// The binding whose turn it is.
    pub(super) fn choose(&self, address: &[u8], message: &Message) -> Option<&Binding> {
        let key = self.on.hash(address, message);
        let drawn = self
            .shares
            .values()
            .map(|share| (share.draw(key), &share.binding));
        let best = drawn.min_by(|(a, _), (b, _)| a.total_cmp(b));
        best.map(|(_, binding)| binding)
    }
}

impl Share {
    /// The smaller the better. An exponential variable with the weight as its rate is the smallest
    /// of several with a probability proportional to its rate.
    fn draw(&self, key: u64) -> f64 {
        #[expect(
            clippy::as_conversions,
            clippy::cast_precision_loss,
            reason = "53 bits are exact in a float"
        )]
        let uniform = ((mixed(self.hash ^ key) >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
        -uniform.ln() / self.weight
    }
}

/// The weight that a binding key names.
///
/// # Errors
/// In RabbitMQ's words, for a key that is none.
pub(super) fn weight(key: &[u8]) -> Result<u32, String> {
    let text = String::from_utf8_lossy(key);
    match text.parse::<i128>() {
        Ok(..1) => Err("The binding key must be greater than 0".into()),
        Ok(number) => u32::try_from(number)
            .ok()
            .filter(|weight| *weight <= WEIGHT_MAX)
            .ok_or_else(|| format!("The binding key must not exceed {WEIGHT_MAX}")),
        Err(_) if text.is_empty() => Err("The binding key must be an integer: <<>>".into()),
        Err(_) => Err(format!(
            "The binding key must be an integer: <<\"{text}\">>"
        )),
    }
}

/// FNV-1a, mixed: the same in every process, which the standard library's hash is not.
fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    });
    mixed(fnv)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::testing::ORIGIN;
    use crate::{Address, MessageBuilder};

    fn binding(queue: &str, weight: &'static str) -> Binding {
        Binding {
            destination: Destination::Queue(queue.into()),
            key: weight.into(),
            arguments: Table::default(),
        }
    }

    fn exchange(bindings: &[(&str, &'static str)]) -> ConsistentHash {
        let mut exchange = ConsistentHash::new(HashOn::RoutingKey);
        for (queue, weight) in bindings {
            let binding = binding(queue, weight);
            assert!(!exchange.insert(binding.id(), binding));
        }
        exchange
    }

    fn choices(exchange: &ConsistentHash, keys: u32) -> Vec<String> {
        let address = Address::new("".into());
        let message = MessageBuilder::new(address, "x".into(), Bytes::new(), &ORIGIN).build();
        (0..keys)
            .map(|key| {
                let chosen = exchange.choose(key.to_string().as_bytes(), &message);
                format!("{:?}", chosen.unwrap().destination)
            })
            .collect()
    }

    #[test]
    fn shares_are_as_the_weights() {
        let exchange = exchange(&[("a", "1"), ("b", "2"), ("c", "5")]);
        let mut counts = HashMap::new();
        for choice in choices(&exchange, 80_000) {
            *counts.entry(choice).or_insert(0) += 1;
        }
        let mut counts: Vec<i32> = counts.into_values().collect();
        counts.sort_unstable();
        for (count, expected) in counts.iter().zip([10_000, 20_000, 50_000]) {
            assert!((count - expected).abs() < expected / 20, "{counts:?}");
        }
    }

    #[test]
    fn a_binding_that_goes_moves_only_what_it_had() {
        let all = exchange(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]);
        let mut less = all.clone();
        assert!(less.remove(&binding("b", "1").id()));
        let before = choices(&all, 4_000);
        for (before, after) in before.iter().zip(choices(&less, 4_000)) {
            assert!(*before == after || before.contains("\"b\""), "{before}");
        }
    }

    #[test]
    fn a_weight_is_a_number_from_1_to_10000() {
        assert_eq!(weight(b"10000"), Ok(10_000));
        let words = |key: &[u8]| weight(key).unwrap_err();
        assert_eq!(words(b"0"), "The binding key must be greater than 0");
        assert_eq!(words(b"10001"), "The binding key must not exceed 10000");
        let not_a_number = "The binding key must be an integer: <<\"a.b\">>";
        assert_eq!(words(b"a.b"), not_a_number);
        assert_eq!(words(b""), "The binding key must be an integer: <<>>");
    }
}
