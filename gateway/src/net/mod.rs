//! The sockets, and what may stand between one and a protocol's state machine.

pub mod lan;
pub mod mqtt_sn;
pub mod proxy;
pub mod stream;
pub mod unix;
pub mod websocket;
