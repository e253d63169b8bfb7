//! What a client may call a topic.

use bytes::Bytes;
use routing::{Address, TopicFilter};

/// Whether it is a topic that devices may publish to. The bus's own begin with `$`.
pub(super) fn is_topic(name: &[u8]) -> bool {
    !name.starts_with(b"$") && Address::new(Bytes::copy_from_slice(name)).is_topic()
}

/// Whether it is a filter that they may subscribe to. MQTT-SN 1.2 knows no shared subscriptions.
pub(super) fn is_filter(filter: &[u8]) -> bool {
    !filter.starts_with(b"$share/") && TopicFilter::parse(Bytes::copy_from_slice(filter)).is_ok()
}

/// Whether a filter means more than one topic.
pub(super) fn has_wildcard(filter: &[u8]) -> bool {
    filter.contains(&b'+') || filter.contains(&b'#')
}
