//! RESP requests in any split, beside another implementation.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::fuzz::resp_requests(data));
