//! From the configuration's words to what each part of the gateway is told: the one place where a
//! key meets the field that it sets.

use std::sync::Arc;
use std::time::Duration;

use lan::{Codec, Lcm, MqttSn, Raw, Rlan, RlanSettings, SnVersion, TopicMap, Uadp};
use regex::Regex;
use routing::queue::{QueueLimits, QueueOverflow};
use routing::{Glob, Name, OutboxLimits, Policies, RetainedLimits};

use crate::config::{self, Config, LanLink, Listener, MqttSnGateway, Policy, SyncPolicy, WhenFull};
use crate::net::lan::Identity;
use crate::net::websocket::Terms;

/// The core's settings.
#[must_use]
pub fn core(config: &Config) -> routing::Settings {
    routing::Settings {
        vhosts: config
            .vhosts
            .iter()
            .map(|vhost| vhost.name.as_str().into())
            .collect(),
        retained: RetainedLimits {
            values_max: count(config.mqtt.retained_max),
            bytes_max: bytes(config.mqtt.retained_bytes_max),
        },
        shared_strategy: config.mqtt.shared_strategy,
        // As in Mosquitto, a full session takes nothing new.
        session_queue_limits: QueueLimits {
            messages_max: Some(count(config.mqtt.queued_max)),
            bytes_max: queued_bytes_max(config),
            overflow: QueueOverflow::Reject,
            ..QueueLimits::default()
        },
        policies: policies(config),
    }
}

/// The policies in the core's words.
#[must_use]
pub fn policies(config: &Config) -> Policies {
    let all = |policies: &[Policy]| policies.iter().filter_map(policy).collect();
    Policies {
        users: all(&config.policies),
        operators: all(&config.operator_policies),
    }
}

/// None for a pattern that does not compile, which a checked configuration does not have.
fn policy(policy: &Policy) -> Option<routing::Policy> {
    let definition = &policy.definition;
    Some(routing::Policy {
        vhost: policy.vhost.as_str().into(),
        pattern: Regex::new(&policy.pattern).ok()?,
        applies_to: policy.apply_to,
        priority: policy.priority,
        queue: definition.queue.clone(),
        alternate_exchange: definition.alternate_exchange.as_deref().map(Name::from),
    })
}

/// The journal's settings.
#[must_use]
pub fn storage(config: &Config) -> storage::Settings {
    let keys = &config.storage;
    let mut settings = storage::Settings::new(&keys.data_dir);
    settings.segment_bytes = keys.segment_bytes;
    settings.segment_count_max = keys.segment_count_max;
    settings.pending_bytes_max = keys.pending_bytes_max;
    settings.io_nice = keys.io_nice;
    settings.disk_min_free_bytes = keys.disk_free_min;
    // Half a segment, so that little is lost where a frame does not fit; larger messages are
    // written in parts.
    settings.frame_bytes_max = settings.frame_bytes_max.min(keys.segment_bytes / 2);
    settings.sync = match keys.sync {
        SyncPolicy::Fsync => storage::SyncPolicy::Fsync,
        SyncPolicy::Os => storage::SyncPolicy::Os,
    };
    settings
}

/// Bytes of messages that may be in memory.
#[must_use]
pub fn message_memory_bytes(config: &Config) -> usize {
    bytes(config.storage.message_memory_bytes)
}

/// What AMQP connections are told.
#[must_use]
pub fn amqp(config: &Config) -> amqp::Settings {
    let keys = &config.amqp;
    amqp::Settings {
        vhost: vhost(&config.listeners.amqp),
        product: keys.product.clone(),
        version: keys.version.clone(),
        cluster_name: keys.cluster_name.clone(),
        frame_bytes_max: u32_of(keys.frame_max),
        channels_max: keys.channel_max,
        consumers_per_channel_max: count(keys.channel_consumers_max),
        consumer_timeout_ms: ms(keys.consumer_timeout),
        message_bytes_max: keys.message_bytes_max,
        transaction_bytes_max: bytes(keys.transaction_bytes_max),
        heartbeat_secs: u16_of(keys.heartbeat.as_secs()),
        handshake_timeout_ms: ms(keys.handshake_timeout),
        close_timeout_ms: ms(keys.close_timeout),
        outbox: waiting(keys.waiting_max, keys.waiting_bytes_max),
    }
}

/// What MQTT connections of a listener are told.
#[must_use]
pub fn mqtt(
    config: &Config,
    listener: &Listener,
    counters: &Arc<mqtt::Counters>,
) -> mqtt::Settings {
    let keys = &config.mqtt;
    let defaults = mqtt::Settings::default();
    mqtt::Settings {
        vhost: vhost(listener),
        sizes: mqtt::wire::SizeLimits {
            packet: u32_of(keys.packet_bytes_max),
            connect: u32_of(keys.connect_bytes_max),
            subscribe: u32_of(keys.subscribe_bytes_max),
            ..defaults.sizes
        },
        topics: mqtt::TopicLimits {
            levels_max: keys.topic_levels_max.into(),
            bytes_max: bytes(keys.topic_bytes_max),
        },
        receive_max: keys.receive_max,
        inflight_max: keys.inflight_max,
        packet_timeout_ms: ms(keys.packet_timeout),
        reason_strings: keys.reason_strings,
        tell_missing_rights: keys.tell_missing_rights,
        counters: Arc::clone(counters),
        topic_alias_max: keys.topic_alias_max,
        topic_alias_out_max: keys.topic_alias_out_max,
        session_expiry_max_secs: match u32_of(keys.session_expiry_max.as_secs()) {
            // No limit, which MQTT writes as the largest number.
            0 => u32::MAX,
            expiry_secs => expiry_secs,
        },
        keep_alive_max_secs: u16_of(keys.keep_alive_max.as_secs()),
        connect_timeout_ms: ms(keys.connect_timeout),
        subscriptions_max: count(keys.subscriptions_max),
        unconfirmed_max: count(keys.unconfirmed_max),
        response_prefix: keys.response_prefix.as_deref().map(Name::from),
        client_id_prefix: keys.client_id_prefix.as_str().into(),
        outbox: waiting(keys.waiting_max, keys.waiting_bytes_max),
    }
}

/// What WebSocket clients are held to. A message may be as large as a packet.
#[must_use]
pub fn web_socket(config: &Config) -> Terms {
    let listener = &config.listeners.mqtt_ws;
    Terms {
        path: listener.path.clone(),
        origins: listener.origins.clone(),
        message_bytes_max: bytes(config.mqtt.packet_bytes_max),
    }
}

/// What Redis connections are told.
#[must_use]
pub fn resp(config: &Config) -> resp::Settings {
    let keys = &config.resp;
    let defaults = resp::Settings::default();
    resp::Settings {
        clients_max: count(config.listeners.resp.connections_max),
        vhost: vhost(&config.listeners.resp),
        requests: resp::wire::request::Limits {
            bulk_bytes_max: bytes(keys.bulk_bytes_max),
            request_bytes_max: bytes(keys.request_bytes_max),
            ..defaults.requests
        },
        version: keys.version.clone(),
        subscriber_output: resp::OutputLimit {
            hard_bytes: bytes(keys.output_bytes_hard),
            soft_bytes: bytes(keys.output_bytes_soft),
            soft_ms: ms(keys.output_soft_time),
        },
        normal_output: resp::OutputLimit {
            hard_bytes: bytes(keys.normal_output_bytes_hard),
            ..defaults.normal_output
        },
        subscriptions_max: count(keys.subscriptions_max),
        transaction_bytes_max: bytes(keys.transaction_bytes_max),
        watched_keys_max: count(keys.watched_keys_max),
        databases: keys.databases,
        keys_max: count(keys.strings_max),
        key_bytes_max: bytes(keys.strings_bytes_max),
        list_empty_expires_ms: ms(keys.list_empty_expires),
        queues_max: count(keys.queues_max),
        waits_for_disk: keys.waits_for_disk,
        when_full: when_full(keys.when_full),
        subscriber_rules: keys
            .subscribers
            .iter()
            .map(|rule| resp::SubscriberRule {
                user: Glob::new(rule.user.clone().into()),
                name: Glob::new(rule.name.clone().into()),
                when_full: when_full(rule.when_full),
            })
            .collect(),
        durable: resp::Durable {
            messages_max: count(keys.durable_messages_max),
            bytes_max: bytes(keys.durable_bytes_max),
            expiry_s: u32_of(keys.durable_expiry.as_secs()),
            window_bytes: keys.durable_window_bytes,
            settle_ms: ms(keys.durable_settle_time),
        },
        has_debug: keys.debug_commands,
        idle_timeout_ms: ms(keys.idle_timeout),
    }
}

/// What a LAN link is told.
#[must_use]
pub fn lan(link: &LanLink, identity: &Identity) -> lan::Settings {
    let defaults = lan::Settings::default();
    lan::Settings {
        codec: lan_codec(link, identity),
        topic: link.topic.clone(),
        filters: match link.direction.sends() {
            true => link.filters.clone(),
            false => Vec::new(),
        },
        message_bytes_max: bytes(link.message_bytes_max),
        carousel_per_second: link.carousel_per_second,
        waiting: OutboxLimits {
            items_max: count(link.waiting_max),
            ..defaults.waiting
        },
    }
}

/// QoS 1 and 2 messages that may be on their way from or to one MQTT-SN device. MQTT-SN 1.2 §6.12
/// asks devices for one at a time.
const SN_INFLIGHT_MAX: u16 = 16;

/// What an MQTT-SN gateway is told.
#[must_use]
pub fn mqtt_sn(gateway: &MqttSnGateway, seed: u64) -> lan::sn::Settings {
    lan::sn::Settings {
        gateway: gateway.gateway_id,
        advertise_ms: match gateway.group.or(gateway.broadcast) {
            Some(_) => ms(gateway.advertise_interval),
            None => 0,
        },
        topics: Arc::new(TopicMap::new(gateway.topics.clone())),
        clients_max: count(gateway.clients_max),
        topics_max: gateway.client_topics_max.into(),
        waiting_max: count(gateway.waiting_max),
        inflight_max: SN_INFLIGHT_MAX.into(),
        datagram_bytes_max: bytes(gateway.datagram_bytes_max),
        retry_ms: ms(gateway.retry_interval),
        retries_max: gateway.retries_max,
        keep_alive_max_ms: ms(gateway.keep_alive_max),
        seed,
    }
}

/// What the MQTT connections of its devices are told: the limits of `[mqtt]`, but for those that
/// the gateway keeps itself.
#[must_use]
pub fn mqtt_of_sn(
    config: &Config,
    gateway: &MqttSnGateway,
    counters: &Arc<mqtt::Counters>,
) -> mqtt::Settings {
    let settings = mqtt(config, &config.listeners.mqtt, counters);
    mqtt::Settings {
        vhost: Some(Name::from(gateway.vhost.as_str())),
        receive_max: settings.receive_max.max(SN_INFLIGHT_MAX),
        keep_alive_max_secs: 0,
        ..settings
    }
}

fn lan_codec(link: &LanLink, identity: &Identity) -> Codec {
    let topics = Arc::new(TopicMap::new(link.topics.clone()));
    let message_bytes_max = bytes(link.message_bytes_max);
    let datagram_bytes_max = bytes(link.datagram_bytes_max);
    let mqtt_sn = |version| {
        Codec::MqttSn(MqttSn {
            version,
            topics: Arc::clone(&topics),
            datagram_bytes_max,
        })
    };
    match link.codec {
        config::Codec::Raw => Codec::Raw(Raw {
            payload_bytes_max: message_bytes_max,
            split_lines: link.split_lines,
        }),
        config::Codec::MqttSn => mqtt_sn(SnVersion::V1),
        config::Codec::MqttSn2 => mqtt_sn(SnVersion::V2),
        config::Codec::Lcm => Codec::Lcm(Lcm::new(topics, datagram_bytes_max, message_bytes_max)),
        config::Codec::Uadp => {
            let ids = (link.publisher_id, link.writer_group_id);
            Codec::Uadp(Uadp::new(topics, ids, datagram_bytes_max))
        }
        config::Codec::Rlan => Codec::Rlan(Box::new(Rlan::new(rlan(link, identity)))),
    }
}

fn rlan(link: &LanLink, identity: &Identity) -> RlanSettings {
    RlanSettings {
        origin: identity.origin(&link.name),
        epoch: identity.epoch,
        node: identity.node,
        keys: link.keys.clone(),
        secret: identity.secret,
        seed: identity.node ^ u64::from(identity.epoch),
        sends: link.direction.sends(),
        receives: link.direction.receives(),
        datagram_bytes_max: bytes(link.datagram_bytes_max),
        message_bytes_max: bytes(link.message_bytes_max),
        repair_bytes_max: bytes(link.repair_bytes_max),
        bytes_per_second: link.bytes_per_second,
    }
}

/// Zero is no limit.
fn queued_bytes_max(config: &Config) -> Option<usize> {
    Some(bytes(config.mqtt.queued_bytes_max)).filter(|bytes_max| *bytes_max > 0)
}

const fn when_full(word: WhenFull) -> resp::WhenFull {
    match word {
        WhenFull::Disconnect => resp::WhenFull::Disconnect,
        WhenFull::DropOldest => resp::WhenFull::DropOldest,
        WhenFull::PausePublisher => resp::WhenFull::PausePublisher,
        WhenFull::Durable => resp::WhenFull::Durable,
    }
}

fn vhost(listener: &Listener) -> Option<Name> {
    listener.vhost.as_deref().map(Name::from)
}

fn waiting(items_max: u32, bytes_max: u64) -> OutboxLimits {
    OutboxLimits {
        items_max: count(items_max),
        bytes_max: bytes(bytes_max),
        ..OutboxLimits::default()
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn count(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn bytes(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn u32_of(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn u16_of(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
