//! MQTT 3.1, 3.1.1 and 5.0: bytes in, calls on the core, bytes out. No socket, no clock, no task.

pub mod wire;
