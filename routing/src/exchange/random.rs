//! The random exchange (RabbitMQ: `x-random`): each message goes to one binding, whichever.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use imbl::OrdMap;

use crate::binding::{Binding, BindingId};

/// The bindings of a random exchange.
#[derive(Clone, Debug)]
pub(super) struct Random {
    pub(super) bindings: OrdMap<BindingId, Binding>,
    /// Shared by all versions of the exchange, as is the luck.
    throws: Arc<AtomicU64>,
}

impl Random {
    pub(super) fn new() -> Self {
        // The one source of randomness in the standard library.
        let start = RandomState::new().hash_one(0);
        Self {
            bindings: OrdMap::new(),
            throws: Arc::new(AtomicU64::new(start)),
        }
    }

    pub(super) fn choose(&self) -> Option<&Binding> {
        let throw = mixed(self.throws.fetch_add(1, Ordering::Relaxed));
        let count = u64::try_from(self.bindings.len()).ok()?;
        let index = usize::try_from(throw.checked_rem(count)?).ok()?;
        self.bindings.values().nth(index)
    }
}

/// Spreads a number's bits over all others (the finalizer of SplitMix64).
pub(super) const fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::binding::Destination;
    use crate::value::Table;

    #[test]
    fn every_binding_has_its_turns() {
        let mut random = Random::new();
        assert!(random.choose().is_none());
        for queue in ["a", "b", "c"] {
            let binding = Binding {
                destination: Destination::Queue(queue.into()),
                key: "".into(),
                arguments: Table::default(),
            };
            random.bindings.insert(binding.id(), binding);
        }
        // The chance that one of three is missed in 200 throws is below 10^-34.
        let chosen: HashSet<_> = (0..200)
            .filter_map(|_| Some(random.choose()?.destination.clone()))
            .collect();
        assert_eq!(chosen.len(), 3);
    }
}
