// A task service on Mongoose, told over standard input what to write next and in which of its styles.
//
//   node writer.js URL DATABASE
//   {"create": {title, status, createdBy, …}}            -> {"id": "…"}
//   {"style": "save", "id": "…", "event": {…}, "sets": {…}} -> {"done": true}

import { createInterface } from "node:readline";
import mongoose from "mongoose";

const [url, dbName] = process.argv.slice(2);
await mongoose.connect(url, { dbName });

const event = new mongoose.Schema({ type: { type: String } }, { strict: false, _id: false });
const schema = new mongoose.Schema(
  {
    title: String,
    status: String,
    createdBy: mongoose.Schema.Types.ObjectId,
    teamId: String,
    issueUrl: String,
    issueNumber: Number,
    prUrl: String,
    mergeCommitSha: String,
    questions: { type: [String], default: undefined },
    events: [event],
  },
  { collection: "tasks" },
);
const Task = mongoose.model("Task", schema);

const styles = {
  // Load, change, save: an update with $push, $set and the version key.
  async save(id, event, sets) {
    const task = await Task.findById(id);
    task.events.push(event);
    task.set(sets);
    await task.save();
  },
  async findByIdAndUpdate(id, event, sets) {
    await Task.findByIdAndUpdate(id, { $push: { events: event }, $set: sets });
  },
  async bulkWrite(id, event, sets) {
    const update = { $push: { events: event }, $set: sets };
    await Task.bulkWrite([{ updateOne: { filter: { _id: id }, update } }]);
  },
  // The whole document written again, the way a full save of an ODM does it.
  async replace(id, event, sets) {
    const task = (await Task.findById(id)).toObject();
    await Task.replaceOne({ _id: id }, { ...task, ...sets, events: [...task.events, event] });
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  if (order.create) {
    const task = await Task.create(order.create);
    console.log(JSON.stringify({ id: task.id }));
  } else {
    await styles[order.style](order.id, order.event, order.sets);
    console.log(JSON.stringify({ done: true }));
  }
}
await mongoose.disconnect();
