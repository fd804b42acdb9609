// The same work on Socket.IO: one change stream without a lookup, a room per task, WebSocket only. Each change
// is one broadcast, which the library encodes and frames once.
//
//   node server.js URL DATABASE        prints "listening on PORT"

import { createServer } from "node:http";
import { MongoClient } from "mongodb";
import { Server } from "socket.io";

const [url, database] = process.argv.slice(2);

const http = createServer();
const io = new Server(http, { transports: ["websocket"], allowUpgrades: false, serveClient: false });
// What Socket.IO's documents advise for memory: the request of the handshake is not needed any more.
io.engine.on("connection", (raw) => {
  raw.request = null;
});
io.on("connection", (socket) => {
  socket.on("join", (taskId, joined) => {
    socket.join(taskId);
    joined();
  });
});

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
    io.to(taskId).emit("task:event_added", {
      at,
      taskId,
      index,
      event: { type: event.type, at: null, data: event },
      next: index + 1,
      head: "1.00000000000000000000000000000000", // as long as the relay's, but not a digest
    });
  }
}
