//! lapin: publishes with confirms, consumes with a prefetch, asks and answers, lets a message die. One line for each.

use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, options::*,
    types::{AMQPValue, FieldTable, LongString},
};

type Failure = Box<dyn std::error::Error>;

const MESSAGES: usize = 100;
const QUEUE: &str = "clients.lapin";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let port = std::env::args().nth(1).ok_or("say the port")?;
    let uri = format!("amqp://guest:guest@127.0.0.1:{port}/%2f");
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    publish(&channel).await?;
    consume(&channel).await?;
    call(&connection).await?;
    die(&channel).await?;
    connection.close(200, "done".into()).await?;
    Ok(())
}

async fn publish(channel: &Channel) -> Result<(), Failure> {
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(QUEUE.into(), durable, FieldTable::default()).await?;
    channel.confirm_select(Default::default()).await?;
    let mut confirms = Vec::new();
    for number in 0..MESSAGES {
        let body = number.to_string();
        let persistent = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        confirms.push(channel.basic_publish("".into(), QUEUE.into(), options, body.as_bytes(), persistent).await?);
    }
    for confirm in confirms {
        assert!(matches!(confirm.await?, Confirmation::Ack(None)));
    }
    println!("confirmed {MESSAGES}");
    Ok(())
}

async fn consume(channel: &Channel) -> Result<(), Failure> {
    channel.basic_qos(10, Default::default()).await?;
    let mut consumer =
        channel.basic_consume(QUEUE.into(), "reader".into(), Default::default(), FieldTable::default()).await?;
    for number in 0..MESSAGES {
        let delivery = consumer.next().await.ok_or("the consumer ended")??;
        assert_eq!(delivery.data, number.to_string().as_bytes());
        delivery.ack(Default::default()).await?;
    }
    channel.basic_cancel("reader".into(), Default::default()).await?;
    channel.queue_delete(QUEUE.into(), Default::default()).await?;
    println!("consumed {MESSAGES}");
    Ok(())
}

/// A request answered over direct reply-to.
async fn call(connection: &Connection) -> Result<(), Failure> {
    let (client, server) = (connection.create_channel().await?, connection.create_channel().await?);
    let queue = server.queue_declare("".into(), Default::default(), FieldTable::default()).await?;
    let no_ack = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let mut requests =
        server.basic_consume(queue.name().clone(), "server".into(), no_ack, FieldTable::default()).await?;
    let mut answers =
        client.basic_consume("amq.rabbitmq.reply-to".into(), "client".into(), no_ack, FieldTable::default()).await?;
    let asking = BasicProperties::default().with_reply_to("amq.rabbitmq.reply-to".into()).with_correlation_id("1".into());
    client.basic_publish("".into(), queue.name().clone(), Default::default(), b"41", asking).await?.await?;
    let request = requests.next().await.ok_or("no request")??;
    let number: u32 = std::str::from_utf8(&request.data)?.parse()?;
    let address = request.properties.reply_to().clone().ok_or("no reply-to")?;
    let body = (number + 1).to_string();
    server.basic_publish("".into(), address, Default::default(), body.as_bytes(), request.properties.clone()).await?.await?;
    let answer = answers.next().await.ok_or("no answer")??;
    println!("answered {}", std::str::from_utf8(&answer.data)?);
    server.queue_delete(queue.name().clone(), Default::default()).await?;
    Ok(())
}

/// A rejected message, and what is written on it.
async fn die(channel: &Channel) -> Result<(), Failure> {
    let graves = channel.queue_declare("".into(), Default::default(), FieldTable::default()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
    let key = LongString::from(graves.name().as_str());
    arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(key));
    let queue = channel.queue_declare("".into(), Default::default(), arguments).await?;
    channel.basic_publish("".into(), queue.name().clone(), Default::default(), b"bad", Default::default()).await?.await?;
    let message = channel.basic_get(queue.name().clone(), Default::default()).await?.ok_or("no message")?;
    message.delivery.reject(BasicRejectOptions { requeue: false }).await?;
    let dead = loop {
        if let Some(dead) = channel.basic_get(graves.name().clone(), BasicGetOptions { no_ack: true }).await? {
            break dead.delivery;
        }
    };
    let headers = dead.properties.headers().clone().ok_or("no headers")?;
    let Some(AMQPValue::LongString(reason)) = headers.inner().get("x-first-death-reason") else {
        return Err("no reason".into());
    };
    println!("died {reason}");
    channel.queue_delete(graves.name().clone(), Default::default()).await?;
    channel.queue_delete(queue.name().clone(), Default::default()).await?;
    Ok(())
}
