//! MQTT packets of either end, whole and byte by byte.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::fuzz::mqtt_packets(data));
