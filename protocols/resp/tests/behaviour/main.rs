//! Whole connections over a real core, without sockets: what clients send, what they receive.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step of a test is its end"
)]

mod admin;
mod bus;
mod clients;
mod durable;
mod limits;
mod login;
mod room;
mod slow;
mod splits;
mod topics;
mod transcripts;
mod world;
