//! amqprs: publishes with confirms, consumes with a prefetch, asks and answers, lets a message die. One line for each.

use amqprs::{
    BasicProperties, FieldTable, FieldValue,
    channel::{
        BasicAckArguments, BasicCancelArguments, BasicConsumeArguments, BasicGetArguments, BasicPublishArguments,
        BasicQosArguments, BasicRejectArguments, Channel, ConfirmSelectArguments, ConsumerMessage,
        QueueDeclareArguments, QueueDeleteArguments,
    },
    connection::{Connection, OpenConnectionArguments},
};
use tokio::sync::mpsc::UnboundedReceiver;

type Failure = Box<dyn std::error::Error>;

const MESSAGES: usize = 100;
const QUEUE: &str = "clients.amqprs";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let port = std::env::args().nth(1).ok_or("say the port")?.parse()?;
    let connection = Connection::open(&OpenConnectionArguments::new("127.0.0.1", port, "guest", "guest")).await?;
    let channel = connection.open_channel(None).await?;
    publish(&channel).await?;
    consume(&channel).await?;
    call(&connection).await?;
    die(&channel).await?;
    connection.close().await?;
    Ok(())
}

/// A publish is confirmed once what follows it on the channel is: the crate waits for each confirm on its own.
async fn publish(channel: &Channel) -> Result<(), Failure> {
    channel.queue_declare(QueueDeclareArguments::durable_client_named(QUEUE)).await?;
    channel.confirm_select(ConfirmSelectArguments::default()).await?;
    for number in 0..MESSAGES {
        let persistent = BasicProperties::default().with_delivery_mode(2).finish();
        let to = BasicPublishArguments::new("", QUEUE);
        channel.basic_publish(persistent, number.to_string().into_bytes(), to).await?;
    }
    println!("confirmed {MESSAGES}");
    Ok(())
}

async fn subscribe(channel: &Channel, queue: &str, tag: &str, no_ack: bool) -> Result<UnboundedReceiver<ConsumerMessage>, Failure> {
    let arguments = BasicConsumeArguments::new(queue, tag).manual_ack(!no_ack).finish();
    let (_tag, receiver) = channel.basic_consume_rx(arguments).await?;
    Ok(receiver)
}

async fn next(receiver: &mut UnboundedReceiver<ConsumerMessage>) -> Result<(u64, BasicProperties, Vec<u8>), Failure> {
    let message = receiver.recv().await.ok_or("the consumer ended")?;
    let tag = message.deliver.ok_or("no deliver")?.delivery_tag();
    Ok((tag, message.basic_properties.ok_or("no properties")?, message.content.ok_or("no content")?))
}

async fn consume(channel: &Channel) -> Result<(), Failure> {
    channel.basic_qos(BasicQosArguments::new(0, 10, false)).await?;
    let mut messages = subscribe(channel, QUEUE, "reader", false).await?;
    for number in 0..MESSAGES {
        let (tag, _, body) = next(&mut messages).await?;
        assert_eq!(body, number.to_string().as_bytes());
        channel.basic_ack(BasicAckArguments::new(tag, false)).await?;
    }
    channel.basic_cancel(BasicCancelArguments::new("reader")).await?;
    channel.queue_delete(QueueDeleteArguments::new(QUEUE)).await?;
    println!("consumed {MESSAGES}");
    Ok(())
}

/// A request answered over direct reply-to.
async fn call(connection: &Connection) -> Result<(), Failure> {
    let (client, server) = (connection.open_channel(None).await?, connection.open_channel(None).await?);
    let (queue, _, _) = server.queue_declare(QueueDeclareArguments::exclusive_server_named()).await?.ok_or("no name")?;
    let mut requests = subscribe(&server, &queue, "server", true).await?;
    let mut answers = subscribe(&client, "amq.rabbitmq.reply-to", "client", true).await?;
    let asking = BasicProperties::default().with_reply_to("amq.rabbitmq.reply-to").finish();
    client.basic_publish(asking, b"41".to_vec(), BasicPublishArguments::new("", &queue)).await?;
    let (_, properties, body) = next(&mut requests).await?;
    let number: u32 = std::str::from_utf8(&body)?.parse()?;
    let address = properties.reply_to().ok_or("no reply-to")?;
    let to = BasicPublishArguments::new("", address);
    server.basic_publish(BasicProperties::default(), (number + 1).to_string().into_bytes(), to).await?;
    let (_, _, answer) = next(&mut answers).await?;
    println!("answered {}", String::from_utf8(answer)?);
    Ok(())
}

/// A rejected message, and what is written on it.
async fn die(channel: &Channel) -> Result<(), Failure> {
    let (graves, _, _) = channel.queue_declare(QueueDeclareArguments::exclusive_server_named()).await?.ok_or("no name")?;
    let mut arguments = FieldTable::new();
    arguments.insert("x-dead-letter-exchange".try_into()?, FieldValue::S("".try_into()?));
    arguments.insert("x-dead-letter-routing-key".try_into()?, FieldValue::S(graves.as_str().try_into()?));
    let declare = QueueDeclareArguments::exclusive_server_named().arguments(arguments).finish();
    let (queue, _, _) = channel.queue_declare(declare).await?.ok_or("no name")?;
    channel.basic_publish(BasicProperties::default(), b"bad".to_vec(), BasicPublishArguments::new("", &queue)).await?;
    let (got, _, _) = channel.basic_get(BasicGetArguments::new(&queue)).await?.ok_or("no message")?;
    channel.basic_reject(BasicRejectArguments::new(got.delivery_tag(), false)).await?;
    let mut dead = subscribe(channel, &graves, "graves", true).await?;
    let (_, properties, _) = next(&mut dead).await?;
    let headers = properties.headers().ok_or("no headers")?;
    let Some(FieldValue::S(reason)) = headers.get(&"x-first-death-reason".try_into()?) else {
        return Err("no reason".into());
    };
    println!("died {reason}");
    Ok(())
}
