// amqplib: a confirm channel, a work queue, a mandatory return, and an RPC over direct reply-to.
import assert from "node:assert";
import amqp from "amqplib";

const connection = await amqp.connect(`amqp://guest:guest@127.0.0.1:${process.argv[2]}`);
const channel = await connection.createConfirmChannel();
const next = (queue, options) =>
  new Promise((resolve) => channel.consume(queue, (message) => message && resolve(message), options));

const { queue } = await channel.assertQueue("", { exclusive: true });
await channel.bindQueue(queue, "amq.topic", "node.amqplib.#");
await channel.prefetch(1);
channel.publish("amq.topic", "node.amqplib.x", Buffer.from("body"), { headers: { zone: 3, tags: ["a", "b"] }, persistent: true });
await channel.waitForConfirms();
const message = await next(queue);
assert.deepEqual(
  [message.content.toString(), message.fields.routingKey, message.properties.headers, message.properties.deliveryMode],
  ["body", "node.amqplib.x", { zone: 3, tags: ["a", "b"] }, 2],
);
channel.ack(message);

const returned = new Promise((resolve) => channel.once("return", resolve));
channel.publish("amq.direct", "nowhere", Buffer.from("back"), { mandatory: true });
assert.equal((await returned).fields.replyText, "NO_ROUTE");

const requests = (await channel.assertQueue("", { exclusive: true })).queue;
const answer = next("amq.rabbitmq.reply-to", { noAck: true });
channel.sendToQueue(requests, Buffer.from("6*7"), { replyTo: "amq.rabbitmq.reply-to", correlationId: "17" });
const request = await next(requests, { noAck: true });
channel.sendToQueue(request.properties.replyTo, Buffer.from("42"), { correlationId: request.properties.correlationId });
const { content, properties } = await answer;
assert.deepEqual([content.toString(), properties.correlationId], ["42", "17"]);
await connection.close();
