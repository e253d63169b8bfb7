//! Support for the whole-gateway tests.
