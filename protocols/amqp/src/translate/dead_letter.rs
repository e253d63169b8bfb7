//! The headers of dead letters, as RabbitMQ writes them.
//!
//! ```text
//! x-death:  array of tables, latest first, one per queue and reason:
//!           [original-expiration S,] count l, reason S, queue S, time T, exchange S,
//!           routing-keys A
//! x-first-death-queue, -reason, -exchange: never change
//! x-last-death-queue, -reason, -exchange:  the latest
//! ```

use routing::{Death, Deaths};

use crate::wire::table::{ArrayBuf, TableBuf, Value};

/// What a client sends under these names says nothing of what happened here.
const NAMES: [&str; 7] = [
    "x-death",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
    "x-last-death-exchange",
    "x-last-death-queue",
    "x-last-death-reason",
];

/// Adds what a message has died of.
pub(super) fn put_headers(headers: &mut TableBuf, deaths: &Deaths) {
    for name in NAMES {
        headers.remove(name.as_bytes());
    }
    let mut list = ArrayBuf::new();
    for death in &deaths.list {
        list.push(Value::Table(table(death).table()));
    }
    let first = &deaths.first;
    put(headers, "x-death", Value::Array(list.array()));
    put(headers, "x-first-death-exchange", text(&first.exchange));
    put(headers, "x-first-death-queue", text(&first.queue));
    put(headers, "x-first-death-reason", text(first.reason.as_str()));
    if let Some(last) = deaths.list.first() {
        put(
            headers,
            "x-last-death-exchange",
            text(&deaths.last_exchange),
        );
        put(headers, "x-last-death-queue", text(&last.queue));
        put(headers, "x-last-death-reason", text(last.reason.as_str()));
    }
}

fn table(death: &Death) -> TableBuf {
    let mut table = TableBuf::new();
    if let Some(expiration_ms) = death.expiration_ms {
        let expiration = expiration_ms.to_string();
        put(&mut table, "original-expiration", text(&expiration));
    }
    let mut keys = ArrayBuf::new();
    for key in &death.routing_keys {
        keys.push(Value::LongString(key));
    }
    let count = i64::try_from(death.count).unwrap_or(i64::MAX);
    put(&mut table, "count", Value::I64(count));
    put(&mut table, "reason", text(death.reason.as_str()));
    put(&mut table, "queue", text(&death.queue));
    put(
        &mut table,
        "time",
        Value::Timestamp(death.first_at.0 / 1000),
    );
    put(&mut table, "exchange", text(&death.exchange));
    put(&mut table, "routing-keys", Value::Array(keys.array()));
    table
}

const fn text(text: &str) -> Value<'_> {
    Value::LongString(text.as_bytes())
}

/// All names here are short, so they always fit.
fn put(table: &mut TableBuf, name: &str, value: Value<'_>) {
    let put = table.push(name.as_bytes(), value);
    debug_assert!(put.is_ok());
}
