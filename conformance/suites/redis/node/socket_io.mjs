// Two socket.io servers joined by the Redis adapter: what is emitted at one reaches the clients of the other.
// socket_io.mjs PORT classic|sharded
import assert from "node:assert";
import { createServer } from "node:http";
import { once } from "node:events";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";
import { io } from "socket.io-client";

const [port, kind] = [Number(process.argv[2]), process.argv[3]];
const opened = [];

async function connection() {
  const client = await createClient({ url: `redis://127.0.0.1:${port}` }).connect();
  opened.push(client);
  return client;
}

async function startServer() {
  const [publisher, subscriber] = [await connection(), await connection()];
  const create = kind === "sharded" ? createShardedAdapter : createAdapter;
  const http = createServer();
  const server = new Server(http, { adapter: create(publisher, subscriber) });
  server.on("connection", (socket) => socket.on("sum", (a, b, answer) => answer(a + b)));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  return { server, port: http.address().port };
}

async function startClient(server) {
  const client = io(`http://127.0.0.1:${server.port}`, { transports: ["websocket"] });
  client.on("ask", (question, answer) => answer(`${question}!`));
  await once(client, "connect");
  return client;
}

const servers = [await startServer(), await startServer()];
const clients = [await startClient(servers[0]), await startClient(servers[1])];
const [first, second] = servers.map((each) => each.server);

// Everybody, from the server where they are not; binary data keeps its bytes.
const told = clients.map((client) => once(client, "news"));
first.emit("news", "all", Buffer.from([0, 255, 13, 10]));
for (const [text, bytes] of await Promise.all(told)) {
  assert.equal(text, "all");
  assert.deepEqual([...new Uint8Array(bytes)], [0, 255, 13, 10]);
}

// A room with members at both.
first.socketsJoin("line1");
while ((await second.in("line1").fetchSockets()).length < 2);
const inRoom = clients.map((client) => once(client, "line"));
second.to("line1").emit("line", 1);
assert.deepEqual(await Promise.all(inRoom), [[1], [1]]);

// Requests with answers from the clients of the other server.
assert.deepEqual((await first.timeout(5000).emitWithAck("ask", "ready")).sort(), ["ready!", "ready!"]);

// Servers among themselves.
second.on("server-ask", (number, answer) => answer(number * 2));
assert.deepEqual(await first.serverSideEmitWithAck("server-ask", 21), [42]);

clients.forEach((client) => client.disconnect());
await Promise.all(servers.map(({ server }) => server.close()));
await Promise.all(opened.map((client) => client.close()));
console.log(`socket.io ${kind}: ok`);
process.exit(0);
