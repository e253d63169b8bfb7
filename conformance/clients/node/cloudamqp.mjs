// @cloudamqp/amqp-client: publishes with confirms, consumes with a prefetch, asks and answers, lets a message die.
// One line for each.
import { AMQPClient } from "@cloudamqp/amqp-client";

const MESSAGES = 100;

/** A promise with its ends. */
function once() {
  const ends = {};
  ends.promise = new Promise((resolve, reject) => Object.assign(ends, { resolve, reject }));
  return ends;
}

const client = new AMQPClient(`amqp://guest:guest@127.0.0.1:${process.argv[2]}`);
const connection = await client.connect();

const channel = await connection.channel();
await channel.confirmSelect();
const queue = "clients.cloudamqp";
await channel.queueDeclare(queue, { durable: true });
await channel.prefetch(10);
let next = 0;
const all = once();
// Before anything is published: this client drops what comes in one read with the answer to consume.
await channel.basicConsume(queue, { noAck: false, tag: "reader" }, async (message) => {
  if (message.bodyString() !== `${next}`) return all.reject(new Error(`${message.bodyString()} at ${next}`));
  await message.ack();
  if (++next === MESSAGES) all.resolve();
});
for (let number = 0; number < MESSAGES; number++) {
  await channel.basicPublish("", queue, `${number}`, { deliveryMode: 2 });
}
console.log(`confirmed ${MESSAGES}`);
await all.promise;
await channel.basicCancel("reader");
await channel.queueDelete(queue);
console.log(`consumed ${MESSAGES}`);

const server = await connection.channel();
const requests = (await server.queueDeclare("", { exclusive: true })).name;
await server.basicConsume(requests, { noAck: true }, async (message) => {
  const { replyTo, correlationId } = message.properties;
  await server.basicPublish("", replyTo, `${Number(message.bodyString()) + 1}`, { correlationId });
});
const asking = await connection.channel();
const answer = once();
await asking.basicConsume("amq.rabbitmq.reply-to", { noAck: true }, answer.resolve);
await asking.basicPublish("", requests, "41", { replyTo: "amq.rabbitmq.reply-to", correlationId: "1" });
console.log(`answered ${(await answer.promise).bodyString()}`);

const graves = (await channel.queueDeclare("", { exclusive: true })).name;
const work = (await channel.queueDeclare("", { exclusive: true },
  { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": graves })).name;
const dead = once();
await channel.basicConsume(graves, { noAck: true }, dead.resolve);
await channel.basicConsume(work, { noAck: false }, (message) => message.reject(false));
await channel.basicPublish("", work, "bad");
console.log(`died ${(await dead.promise).properties.headers["x-first-death-reason"]}`);

await connection.close();
