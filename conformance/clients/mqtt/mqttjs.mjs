// MQTT.js, MQTT 5. The second argument is another scheme than mqtt: ws for WebSockets.
import assert from "node:assert";
import mqtt from "mqtt";

const url = `${process.argv[3] ?? "mqtt"}://127.0.0.1:${process.argv[2]}`;

// A connected client whose messages wait until `receive` asks for them.
async function connect(clientId, options = {}) {
  const client = mqtt.connect(url, { protocolVersion: 5, clientId, reconnectPeriod: 0, ...options });
  const inbox = [];
  const waiting = [];
  client.on("message", (topic, payload, packet) => {
    const message = { topic, payload: payload.toString(), packet };
    waiting.length ? waiting.shift()(message) : inbox.push(message);
  });
  client.receive = () => (inbox.length ? inbox.shift() : new Promise((resolve) => waiting.push(resolve)));
  client.connack = await new Promise((resolve, reject) => client.once("connect", resolve).once("error", reject));
  client.on("error", () => {});
  return client;
}

const [client, other] = [await connect("js-a"), await connect("js-b")];
console.log("ok connect");
for (const qos of [0, 1, 2]) {
  await client.subscribeAsync(`js/qos${qos}`, { qos });
  await other.publishAsync(`js/qos${qos}`, "x", { qos });
  const { payload, packet } = await client.receive();
  assert.deepEqual([payload, packet.qos, packet.retain], ["x", qos, false]);
  console.log(`ok qos${qos}`);
}
await other.publishAsync("js/retained", "kept", { qos: 1, retain: true });
await client.subscribeAsync("js/retained", { qos: 1 });
const kept = await client.receive();
assert.deepEqual([kept.payload, kept.packet.retain], ["kept", true]);
console.log("ok retained");
await client.subscribeAsync("js/will", { qos: 1 });
(await connect("js-will", { will: { topic: "js/will", payload: "gone", qos: 1 } })).stream.destroy();
assert.equal((await client.receive()).payload, "gone");
console.log("ok will");
const session = { clean: false, properties: { sessionExpiryInterval: 60 } };
let sleeper = await connect("js-session", session);
await sleeper.subscribeAsync("js/away", { qos: 1 });
await sleeper.endAsync();
await other.publishAsync("js/away", "while away", { qos: 1 });
sleeper = await connect("js-session", session);
assert.equal(sleeper.connack.sessionPresent, true);
assert.equal((await sleeper.receive()).payload, "while away");
await sleeper.endAsync();
console.log("ok resume");
for (const member of [client, other]) await member.subscribeAsync("$share/group/js/shared", { qos: 1 });
const publisher = await connect("js-c");
for (let number = 0; number < 10; number++) await publisher.publishAsync("js/shared", `${number}`, { qos: 1 });
const got = [];
for (const member of [client, other]) for (let n = 0; n < 5; n++) got.push((await member.receive()).payload);
assert.deepEqual(got.sort(), [..."0123456789"]);
console.log("ok shared");
await client.subscribeAsync("js/request", { qos: 1 });
await other.subscribeAsync("js/answer", { qos: 1 });
const asks = { responseTopic: "js/answer", correlationData: Buffer.from("7") };
await other.publishAsync("js/request", "6*7", { qos: 1, properties: asks });
const { responseTopic, correlationData } = (await client.receive()).packet.properties;
await client.publishAsync(responseTopic, "42", { qos: 1, properties: { correlationData } });
const answer = await other.receive();
assert.deepEqual([answer.payload, answer.packet.properties.correlationData.toString()], ["42", "7"]);
console.log("ok request_response");
for (const one of [client, other, publisher]) await one.endAsync();
