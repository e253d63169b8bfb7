//! Datagrams of anybody at an MQTT-SN gateway.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::fuzz::mqtt_sn_gateway(data));
