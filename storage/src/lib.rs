//! The journal: a write-ahead log of opaque records.
