//! Statements of the standards that no test elsewhere proves, by their chapters. Which test proves
//! which statement is written in `conformance/requirements`.

mod connect;
mod endings;
mod publish;
mod qos;
mod subscribe;
