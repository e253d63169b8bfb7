//! A stream of AMQP frames, cut anywhere.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::fuzz::amqp_frames(data));
