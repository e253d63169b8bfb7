//! Two Redis connections on one broker, told what happens to them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::fuzz::resp_connection(data));
