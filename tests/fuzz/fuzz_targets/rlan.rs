//! Datagrams of rlan from anybody, with and without a key.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::fuzz::rlan(data));
