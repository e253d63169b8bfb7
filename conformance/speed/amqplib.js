// One publisher and its consumers by amqplib: PORT KIND COUNT BODY, with KIND `transient`, `durable` or `fanout`. It prints
// `ready`, waits for a line, publishes, and prints how many messages came when all have.
"use strict";
const amqp = require("amqplib");

const [port, kind, count, text] = [process.argv[2], process.argv[3], Number(process.argv[4]), process.argv[5]];
const [consumers, windowMax] = kind === "fanout" ? [50, 1000] : [1, kind === "durable" ? 500 : 1000];
const body = Buffer.from(text);

async function main() {
  const connect = () => amqp.connect(`amqp://guest:guest@127.0.0.1:${port}`);
  const publishing = await connect();
  const publisher = kind === "durable" ? await publishing.createConfirmChannel() : await publishing.createChannel();
  let [delivered, sent] = [0, 0];
  await publisher.assertExchange("news", "fanout", { durable: false });
  for (let number = 0; number < consumers; number += 1) {
    const channel = await (await connect()).createChannel();
    const durable = kind === "durable";
    const { queue } = await channel.assertQueue(`news${number}`, { durable });
    await channel.bindQueue(queue, "news", "");
    await channel.prefetch(200);
    const receive = (message) => {
      delivered += 1;
      if (durable) channel.ack(message);
      if (delivered === count * consumers) console.log(delivered);
      else pump();
    };
    await channel.consume(queue, receive, { noAck: !durable });
  }
  // As many under way as the window has room for, written in one piece.
  const pump = () => {
    if (windowMax - (sent - delivered / consumers) < 50) return;
    for (; sent < count && sent - delivered / consumers < windowMax; sent += 1) {
      publisher.publish("news", "", body, { persistent: kind === "durable" });
    }
  };
  console.log("ready");
  process.stdin.once("data", pump);
}

main();
