// amqplib: publishes with confirms, consumes with a prefetch, asks and answers, lets a message die. One line for each.
import amqp from "amqplib";

const MESSAGES = 100;
const connection = await amqp.connect(`amqp://guest:guest@127.0.0.1:${process.argv[2]}`);

const channel = await connection.createConfirmChannel();
const queue = "clients.amqplib";
await channel.assertQueue(queue, { durable: true });
for (let number = 0; number < MESSAGES; number++) {
  channel.sendToQueue(queue, Buffer.from(`${number}`), { persistent: true });
}
await channel.waitForConfirms();
console.log(`confirmed ${MESSAGES}`);

await channel.prefetch(10);
let next = 0;
await new Promise((resolve, reject) => {
  channel.consume(queue, (message) => {
    if (message.content.toString() !== `${next}`) return reject(new Error(`${message.content} at ${next}`));
    channel.ack(message);
    if (++next === MESSAGES) resolve();
  }, { consumerTag: "reader" });
});
await channel.cancel("reader");
await channel.deleteQueue(queue);
console.log(`consumed ${MESSAGES}`);

const server = await connection.createChannel();
const client = await connection.createChannel();
const requests = (await server.assertQueue("", { exclusive: true })).queue;
await server.consume(requests, (message) => {
  const { replyTo, correlationId } = message.properties;
  server.sendToQueue(replyTo, Buffer.from(`${Number(message.content) + 1}`), { correlationId });
}, { noAck: true });
const answer = new Promise((resolve) => client.consume("amq.rabbitmq.reply-to", resolve, { noAck: true }));
client.sendToQueue(requests, Buffer.from("41"), { replyTo: "amq.rabbitmq.reply-to", correlationId: "1" });
console.log(`answered ${(await answer).content}`);

const graves = (await channel.assertQueue("", { exclusive: true })).queue;
const work = (await channel.assertQueue("", { exclusive: true, deadLetterExchange: "", deadLetterRoutingKey: graves })).queue;
const dead = new Promise((resolve) => channel.consume(graves, resolve, { noAck: true }));
await channel.consume(work, (message) => channel.reject(message, false));
channel.sendToQueue(work, Buffer.from("bad"));
console.log(`died ${(await dead).properties.headers["x-first-death-reason"]}`);

await connection.close();
