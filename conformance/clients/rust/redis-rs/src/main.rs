//! redis-rs: `redis-rs-client PORT resp2|resp3` publishes to a channel and a pattern of its own.

use redis::{Commands, RedisResult};

fn main() -> RedisResult<()> {
    let mut args = std::env::args().skip(1);
    let (port, protocol) = (args.next().unwrap(), args.next().unwrap());
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/?protocol={protocol}"))?;
    let (channel, pattern) = (
        format!("rust/{protocol}/value"),
        format!("rust/{protocol}/*"),
    );

    let mut receiving = client.get_connection()?;
    let mut subscriber = receiving.as_pubsub();
    subscriber.subscribe(&channel)?;
    subscriber.psubscribe(&pattern)?;

    let mut publisher = client.get_connection()?;
    for number in 0..100 {
        let receivers: i64 = publisher.publish(&channel, number)?;
        assert_eq!(receivers, 2);
    }
    for number in 0..100 {
        let exact = subscriber.get_message()?;
        assert_eq!(
            (exact.get_channel_name(), exact.from_pattern()),
            (channel.as_str(), false)
        );
        assert_eq!(exact.get_payload::<i64>()?, number);
        let matched = subscriber.get_message()?;
        assert_eq!(matched.get_pattern::<String>()?, pattern);
        assert_eq!(matched.get_payload::<i64>()?, number);
    }
    subscriber.unsubscribe(&channel)?;
    subscriber.punsubscribe(&pattern)?;

    let (first, second): (String, i64) = redis::pipe()
        .atomic()
        .set(&channel, "text")
        .ignore()
        .get(&channel)
        .publish(&channel, "nobody")
        .query(&mut publisher)?;
    assert_eq!((first.as_str(), second), ("text", 0));
    println!("redis-rs {protocol}: 200 messages");
    Ok(())
}
