// node-redis: node_redis.mjs PORT PACKAGE RESP.
import assert from "node:assert";

const [port, name, RESP] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];
const { createClient } = await import(name);
const url = `redis://127.0.0.1:${port}`;
const publisher = await createClient({ url, RESP }).connect();
const subscriber = await publisher.duplicate().connect();

const received = [];
let wake = () => {};
const listener = (message, channel) => (received.push([channel, message]), wake());
const until = async (count) => {
  while (received.length < count) await new Promise((resolve) => (wake = resolve));
};
await subscriber.subscribe(["node/a", "node/b"], listener);
await subscriber.pSubscribe("node/*", listener);
await subscriber.sSubscribe("node/shard", listener);
assert.equal(await publisher.publish("node/a", "body"), 2);
assert.equal(await publisher.sPublish("node/shard", "shard"), 1);
await until(3);
assert.deepEqual(received, [["node/a", "body"], ["node/a", "body"], ["node/shard", "shard"]]);
assert.equal((await publisher.pubSubNumSub(["node/a"]))["node/a"], 1);
assert.deepEqual([...(await publisher.pubSubChannels("node/*"))].sort(), ["node/a", "node/b"]);
assert.equal(await publisher.pubSubNumPat(), 1);

const bytes = new Promise((resolve) => subscriber.subscribe("node/bytes", resolve, true));
while ((await publisher.publish("node/bytes", Buffer.from([0, 255, 13, 10]))) < 2);
assert.deepEqual([...(await bytes)], [0, 255, 13, 10]);

const numbers = () => received.filter(([channel]) => channel === "node/b").map(([, text]) => Number(text));
for (let number = 0; number < 1000; number++) publisher.publish("node/b", String(number));
while (numbers().length < 2000) await new Promise((resolve) => (wake = resolve));
assert.deepEqual(numbers(), Array.from({ length: 2000 }, (_, at) => at >> 1));

// By name: node-redis 5 waits for ever otherwise, for Redis too.
await subscriber.unsubscribe(["node/a", "node/b", "node/bytes"]);
await subscriber.pUnsubscribe("node/*");
await subscriber.sUnsubscribe("node/shard");
assert.equal(await publisher.publish("node/a", "nobody"), 0);
assert.deepEqual(await publisher.multi().set("node/key", "1").get("node/key").publish("node/a", "x").exec(), ["OK", "1", 0]);
await Promise.all([subscriber.close(), publisher.close()]);
console.log(`${name} ${RESP}: ok`);
