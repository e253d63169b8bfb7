// MQTT.js, MQTT 5, with enhanced authentication. It takes the port and knows no SCRAM: what it is asked it prints
// as `<what> <base64>`, and what to answer it reads as a line of base64. `ok connected` and `ok again` follow the
// proofs of the server, `refused <code>` its refusal.
import { createInterface } from "node:readline";
import mqtt from "mqtt";

const authenticationMethod = "SCRAM-SHA-256";
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const tell = (what, data) => console.log(`${what} ${Buffer.from(data ?? "").toString("base64")}`);
const ask = async (what, data) => {
  tell(what, data);
  return Buffer.from((await lines.next()).value, "base64");
};
const words = (authenticationData) => ({ authenticationMethod, authenticationData });

const client = mqtt.connect(`mqtt://127.0.0.1:${process.argv[2]}`, {
  protocolVersion: 5,
  clientId: "js-scram",
  reconnectPeriod: 0,
  manualConnect: true,
  properties: words(await ask("first")),
});
let again;
const proven = new Promise((resolve) => (again = resolve));
client.handleAuth = async (packet, callback) => {
  const data = packet.properties.authenticationData;
  if (packet.reasonCode === 0) {
    tell("proof", data);
    callback();
    return again();
  }
  callback(null, { cmd: "auth", reasonCode: 0x18, properties: words(await ask("challenge", data)) });
};
const connack = await new Promise((resolve) => {
  client.once("connect", resolve).once("error", (error) => {
    console.log(`refused ${error.code}`);
    process.exit();
  });
  client.connect();
});
tell("proof", connack.properties.authenticationData);
console.log("ok connected");
// MQTT.js has a packet for it and no call.
client._sendPacket({ cmd: "auth", reasonCode: 0x19, properties: words(await ask("first")) });
await proven;
console.log("ok again");
// The connection is as good as before.
await client.subscribeAsync("js/scram", { qos: 1 });
const echo = new Promise((resolve) => client.once("message", (_topic, payload) => resolve(payload)));
await client.publishAsync("js/scram", "x", { qos: 1 });
console.log(`ok ${await echo}`);
await client.endAsync();
process.exit();
