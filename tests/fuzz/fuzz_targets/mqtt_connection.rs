//! Two MQTT connections on one broker, told what happens to them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::fuzz::mqtt_connection(data));
