//! Whole-gateway tests: one process, real sockets on loopback, raw bytes.

#![expect(clippy::unwrap_used, reason = "a test ends where its set-up fails")]

mod across;
mod amqp;
mod corpus;
mod durability;
mod load;
mod many;
mod mqtt;
mod mqtt_sn;
mod reload;
mod requirements;
mod shutdown;
mod slow;
mod tidy;
mod transports;
