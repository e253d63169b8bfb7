// ioredis: ioredis.mjs PORT PACKAGE PROTOCOL. Its own pub/sub tests, said again: events, buffers and counts.
import assert from "node:assert";
import { once } from "node:events";

const [port, name, protocol] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];
const { Redis } = await import(name);
const options = { port, protocol, retryStrategy: () => 10 };
const make = async (more = {}) => {
  const client = new Redis({ ...options, ...more });
  await once(client, "ready");
  return client;
};
const publisher = await make();

// A channel, a pattern, a shard channel, as strings and as buffers.
const subscriber = await make();
assert.equal(await subscriber.subscribe("io/a", "io/b"), 2);
assert.equal(await subscriber.psubscribe("io/*"), 3);
assert.equal(await subscriber.ssubscribe("io/shard"), 1);
const events = ["message", "messageBuffer", "pmessage", "pmessageBuffer"].map((event) => once(subscriber, event));
assert.equal(await publisher.publish("io/a", "body"), 2);
const [message, buffers, matched, matchedBuffers] = await Promise.all(events);
assert.deepEqual(message, ["io/a", "body"]);
assert.deepEqual(buffers, [Buffer.from("io/a"), Buffer.from("body")]);
assert.deepEqual(matched, ["io/*", "io/a", "body"]);
assert.deepEqual(matchedBuffers, ["io/*", Buffer.from("io/a"), Buffer.from("body")]);
const shard = ["smessage", "smessageBuffer"].map((event) => once(subscriber, event));
assert.equal(await publisher.spublish("io/shard", Buffer.from([0, 255])), 1);
assert.deepEqual((await shard[1])[1], Buffer.from([0, 255]));
await shard[0];

// Subscribed twice is subscribed once; left, the counts go down.
assert.equal(await subscriber.subscribe("io/a"), 3);
assert.equal(await subscriber.unsubscribe("io/a"), 2);
assert.equal(await subscriber.punsubscribe("io/*"), 1);
assert.equal(await subscriber.sunsubscribe("io/shard"), 0);

// In RESP2 a subscriber may say nothing else; in RESP3 it may.
await subscriber.subscribe("io/b");
const set = subscriber.set("io/key", "1");
if (protocol === 3 && name === "ioredis") {
  assert.equal(await set, "OK");
} else {
  await assert.rejects(set, /subscriber mode/);
}
await subscriber.unsubscribe();

// Many channels at once, and the end.
const many = Array.from({ length: 5000 }, (_, number) => `io/many/${number}`);
assert.equal(await subscriber.subscribe(...many), 5000);
assert.deepEqual(await publisher.pubsub("NUMSUB", many[4999]), [many[4999], 1]);
await Promise.all([subscriber.quit(), publisher.quit()]);
console.log(`${name} ${protocol}: ok`);
