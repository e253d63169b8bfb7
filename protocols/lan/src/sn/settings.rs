//! What an MQTT-SN gateway is told; the values come from the gateway's configuration.

use std::sync::Arc;

use crate::TopicMap;

/// One MQTT-SN gateway. Times are milliseconds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its number in ADVERTISE and GWINFO.
    pub gateway: u8,
    /// How often it says that it is there; 0: never.
    pub advertise_ms: u64,
    /// The predefined ids.
    pub topics: Arc<TopicMap>,
    /// Clients at a time, asleep ones included.
    pub clients_max: usize,
    /// Topics that one client may have ids for.
    pub topics_max: usize,
    /// Messages that wait for one client, asleep or slow.
    pub waiting_max: usize,
    /// Messages of QoS 1 and 2 that one client may have on their way at a time.
    pub inflight_max: usize,
    /// The largest datagram that is sent.
    pub datagram_bytes_max: usize,
    /// When what is not answered is sent again (`T_retry`).
    pub retry_ms: u64,
    /// How often (`N_retry`); then the client is lost.
    pub retries_max: u8,
    /// The longest silence of a client that is awake.
    pub keep_alive_max_ms: u64,
    /// What random delays begin with.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            gateway: 1,
            advertise_ms: 900_000,
            topics: Arc::default(),
            clients_max: 1000,
            topics_max: 1000,
            waiting_max: 100,
            inflight_max: 16,
            datagram_bytes_max: 1472,
            retry_ms: 10_000,
            retries_max: 3,
            keep_alive_max_ms: 65_535_000,
            seed: 1,
        }
    }
}
