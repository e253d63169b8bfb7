//! The core: addresses, exchanges, queues, subscriptions, sessions, retained values.
