//! Datagrams of anybody at a LAN link of the codec `mqtt-sn`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::fuzz::lan_mqtt_sn(data));
