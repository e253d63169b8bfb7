// ioredis, at its defaults.
import assert from "node:assert";
import { Redis } from "ioredis";

const port = Number(process.argv[2]);
const [subscriber, publisher] = [new Redis(port), new Redis(port)];
const received = new Promise((resolve) => subscriber.once("message", (...message) => resolve(message)));
const matched = new Promise((resolve) => subscriber.once("pmessage", (...message) => resolve(message)));
assert.equal(await subscriber.subscribe("node/ioredis"), 1);
assert.equal(await subscriber.psubscribe("node/io*"), 2);
assert.equal(await publisher.publish("node/ioredis", "body"), 2);
assert.deepEqual(await received, ["node/ioredis", "body"]);
assert.deepEqual(await matched, ["node/io*", "node/ioredis", "body"]);
assert.deepEqual(await publisher.pubsub("NUMSUB", "node/ioredis"), ["node/ioredis", 1]);
assert.equal(await subscriber.unsubscribe("node/ioredis"), 1);
await Promise.all([subscriber.quit(), publisher.quit()]);
