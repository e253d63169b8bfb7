//! Two ends and more on one broker, with a clock that stands still until it is moved, and the exact
//! bytes that each client sees.

mod allocations;
mod authenticate;
mod connect;
mod crash;
mod deliver;
mod durability;
mod limits;
mod publish;
mod reasons;
mod requirements;
mod retained;
mod session;
mod shared;
mod slow;
mod subscribe;
mod support;
mod will;
