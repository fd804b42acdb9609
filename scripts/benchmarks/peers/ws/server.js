// The same work on bare ws: one change stream without a lookup, a set of sockets per task. Each change is
// encoded once, and the frames of all changes that the driver hands over in one turn of the loop leave each
// socket in one write (cork).
//
//   node server.js URL DATABASE        prints "listening on PORT"

import { createServer } from "node:http";
import jwt from "jsonwebtoken";
import { MongoClient } from "mongodb";
import { WebSocketServer } from "ws";

const [url, database] = process.argv.slice(2);
const secret = process.env.RELAY_JWT_SECRET;

const rooms = new Map(); // the sockets of each task
const http = createServer();
const server = new WebSocketServer({ noServer: true, perMessageDeflate: false });
http.on("upgrade", (request, socket, head) => {
  const { authorization } = request.headers; // only the benchmark of handshakes sends one
  let sub;
  if (authorization !== undefined) {
    try {
      ({ sub } = jwt.verify(authorization.slice("Bearer ".length), secret, { algorithms: ["HS256"] }));
    } catch {
      socket.end("HTTP/1.1 401 Unauthorized\r\n\r\n");
      return;
    }
  }
  server.handleUpgrade(request, socket, head, (opened) => server.emit("connection", opened, sub));
});
server.on("connection", (socket, sub) => {
  if (sub !== undefined) socket.send(JSON.stringify({ type: "welcome", data: { sub } }));
  socket.on("message", (text) => {
    const { taskId } = JSON.parse(text);
    if (!rooms.has(taskId)) rooms.set(taskId, new Set());
    rooms.get(taskId).add(socket);
    socket.on("close", () => rooms.get(taskId).delete(socket));
    socket.send('{"type":"joined"}');
  });
});

const corked = new Set();
function cork(socket) {
  if (corked.size === 0) setImmediate(uncork);
  corked.add(socket);
  socket._socket.cork();
}
function uncork() {
  for (const socket of corked) socket._socket.uncork();
  corked.clear();
}

const client = await MongoClient.connect(url);
const stream = client
  .db(database)
  .collection("tasks")
  .watch([{ $match: { operationType: "update" } }]);
await stream.tryNext(); // opened before the line below invites clients to connect

http.listen(0, "127.0.0.1", () => console.log(`listening on ${http.address().port}`));

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
    const frame = Buffer.from(JSON.stringify({ type: "task:event_added", data, at }));
    for (const socket of rooms.get(taskId) ?? []) {
      if (!corked.has(socket)) cork(socket);
      socket.send(frame, { binary: false });
    }
  }
}
