//! From the configuration's words to what each part of the gateway is told: the one place where a
//! key meets the field that it sets.

use std::time::Duration;

use routing::Name;
use routing::queue::{QueueLimits, QueueOverflow};

use crate::config::{Config, Listener, SyncPolicy};

/// The journal's settings.
#[must_use]
pub fn storage(config: &Config) -> storage::Settings {
    let keys = &config.storage;
    let mut settings = storage::Settings::new(&keys.data_dir);
    settings.segment_bytes = keys.segment_bytes;
    settings.segment_count_max = keys.segment_count_max;
    settings.disk_min_free_bytes = keys.disk_free_min;
    settings.frame_bytes_max = settings.frame_bytes_max.min(keys.segment_bytes / 2);
    settings.sync = match keys.sync {
        SyncPolicy::Fsync => storage::SyncPolicy::Fsync,
        SyncPolicy::Os => storage::SyncPolicy::Os,
    };
    settings
}

/// What an MQTT session keeps while its client is away or behind. As in Mosquitto, a full queue
/// takes nothing new.
#[must_use]
pub fn session_queue(config: &Config) -> QueueLimits {
    QueueLimits {
        messages_max: usize::try_from(config.mqtt.queued_max).ok(),
        overflow: QueueOverflow::Reject,
        ..QueueLimits::default()
    }
}

/// What Redis connections are told.
#[must_use]
pub fn resp(config: &Config) -> resp::Settings {
    let keys = &config.resp;
    let defaults = resp::Settings::default();
    resp::Settings {
        vhost: vhost(&config.listeners.resp),
        requests: resp::wire::request::Limits {
            bulk_bytes_max: bytes(keys.bulk_bytes_max),
            ..defaults.requests
        },
        version: keys.version.clone(),
        subscriber_output: resp::OutputLimit {
            hard_bytes: bytes(keys.output_bytes_hard),
            soft_bytes: bytes(keys.output_bytes_soft),
            soft_ms: ms(keys.output_soft_time),
        },
        key_bytes_max: bytes(keys.strings_bytes_max),
        idle_timeout_ms: ms(keys.idle_timeout),
        ..defaults
    }
}

fn vhost(listener: &Listener) -> Option<Name> {
    listener.vhost.as_deref().map(Name::from)
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn bytes(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
