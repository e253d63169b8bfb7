//! The three filter syntaxes, each a type of its own, and the indexes that find matches fast.
//!
//! | type | syntax | index |
//! | --- | --- | --- |
//! | [`TopicFilter`] | MQTT: `+` one level, `#` the rest | [`Trie`] |
//! | [`TopicPattern`] | AMQP: `*` one word, `#` any number of words | [`Trie`] |
//! | [`Glob`] | Redis: `*`, `?`, `[…]` over bytes | [`GlobIndex`] |

mod filter;
mod glob;
mod glob_index;
mod pattern;
mod trie;

pub use filter::{FilterError, TopicFilter};
pub use glob::Glob;
pub use glob_index::GlobIndex;
pub use pattern::TopicPattern;
pub use trie::Trie;

use bytes::Bytes;

/// One level of a filter or pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Exactly these bytes.
    Literal(Bytes),
    /// Any one level: MQTT `+`, AMQP `*`.
    One,
    /// Any number of levels, none included: `#`.
    Many,
}
