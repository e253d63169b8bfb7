//! Datagrams of anybody at a LAN link of the codec `uadp`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::fuzz::lan_uadp(data));
