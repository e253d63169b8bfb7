// MQTT.js, both versions and every QoS, with a retained value and a user property.
import assert from "node:assert";
import mqtt from "mqtt";

for (const protocolVersion of [4, 5]) {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${process.argv[2]}`, { protocolVersion });
  for (const qos of [0, 1, 2]) {
    const topic = `node/mqttjs/${protocolVersion}/${qos}`;
    const properties = protocolVersion === 5 ? { userProperties: { unit: "C" } } : undefined;
    await client.publishAsync(topic, "21.5", { qos, retain: true, properties });
    const received = new Promise((resolve) => client.once("message", (...message) => resolve(message)));
    await client.subscribeAsync(topic, { qos });
    const [gotTopic, body, packet] = await received;
    assert.deepEqual([gotTopic, body.toString(), packet.qos, packet.retain], [topic, "21.5", qos, true]);
    assert.equal(packet.properties?.userProperties?.unit, protocolVersion === 5 ? "C" : undefined);
    await client.publishAsync(topic, "", { qos, retain: true });
    await client.unsubscribeAsync(topic);
  }
  await client.endAsync();
}
