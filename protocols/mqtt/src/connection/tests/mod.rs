//! Two ends and more on one broker, with a clock that stands still until it is moved, and the exact
//! bytes that each client sees.

mod connect;
mod deliver;
mod durability;
mod limits;
mod publish;
mod retained;
mod session;
mod subscribe;
mod support;
mod will;
