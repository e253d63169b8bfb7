// node-redis, in both protocol versions.
import assert from "node:assert";
import { createClient } from "redis";

for (const RESP of [2, 3]) {
  const options = { url: `redis://127.0.0.1:${process.argv[2]}`, RESP };
  const [subscriber, publisher] = await Promise.all([createClient(options).connect(), createClient(options).connect()]);
  const channel = `node/redis/${RESP}`;
  const received = new Promise((resolve) => subscriber.subscribe(channel, (...message) => resolve(message)));
  const matched = new Promise((resolve) => subscriber.pSubscribe(`${channel}*`, (...message) => resolve(message)));
  await subscriber.ping();
  assert.equal(await publisher.publish(channel, "body"), 2);
  assert.deepEqual(await received, ["body", channel]);
  assert.deepEqual(await matched, ["body", channel]);
  await subscriber.unsubscribe(channel);
  assert.equal(await publisher.publish(channel, "body"), 1);
  await Promise.all([subscriber.close(), publisher.close()]);
}
