//! fred: `fred-client PORT resp2|resp3` publishes to a subscriber by channel, pattern and shard.

use std::time::Duration;

use fred::prelude::*;
use fred::types::{MessageKind, RespVersion};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let (port, protocol) = (args.next().unwrap(), args.next().unwrap());
    let mut config = Config::from_url(&format!("redis://127.0.0.1:{port}"))?;
    config.version = match protocol.as_str() {
        "resp3" => RespVersion::RESP3,
        _ => RespVersion::RESP2,
    };
    let subscriber = Builder::from_config(config.clone()).build_subscriber_client()?;
    let publisher = Builder::from_config(config).build()?;
    subscriber.init().await?;
    publisher.init().await?;

    let (channel, pattern) = (
        format!("fred/{protocol}/value"),
        format!("fred/{protocol}/*"),
    );
    let mut messages = subscriber.message_rx();
    subscriber.subscribe(&channel).await?;
    subscriber.psubscribe(&pattern).await?;
    subscriber.ssubscribe(&channel).await?;
    for number in 0..100 {
        assert_eq!(publisher.publish::<i64, _, _>(&channel, number).await?, 2);
        assert_eq!(publisher.spublish::<i64, _, _>(&channel, number).await?, 1);
        for kind in [
            MessageKind::Message,
            MessageKind::PMessage,
            MessageKind::SMessage,
        ] {
            let next = tokio::time::timeout(Duration::from_secs(5), messages.recv());
            let message = next.await.expect("a message in time").expect("no gap");
            assert_eq!(
                (&message.kind, &*message.channel),
                (&kind, channel.as_str())
            );
            assert_eq!(message.value.convert::<i64>()?, number);
        }
    }
    subscriber.unsubscribe_all().await?;
    subscriber.quit().await?;
    publisher.quit().await?;
    println!("fred {protocol}: 300 messages");
    Ok(())
}
