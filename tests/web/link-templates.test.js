// The links of a deployment: an address is made only of the fields of a task, and never leaves the template's path.

import assert from "node:assert/strict";
import { test } from "node:test";

import { filled } from "../../relay/web/view/index.js";

const task = (fields) => ({ taskId: "65f0", eventCount: 0, ...fields });
const TEMPLATE = "https://tracker.example/by/{creator}/{taskId}?pr={prNumber}";

test("a template gets the fields of the task, percent-encoded", () => {
  assert.equal(
    filled(TEMPLATE, task({ creator: "ann/lee & co?#", prNumber: 0 })),
    "https://tracker.example/by/ann%2Flee%20%26%20co%3F%23/65f0?pr=0",
  );
  assert.equal(filled("https://tracker.example/", task({})), "https://tracker.example/");
  assert.equal(filled("https://t.example/{creator}", task({ creator: "مرحبا\ud800" })),
    `https://t.example/${encodeURIComponent("مرحبا\ufffd")}`);
});

test("a value that holds a place gets nothing more", () => {
  const address = filled("https://t.example/{title}/{taskId}", task({ title: "{taskId}$&$1" }));
  assert.equal(address, "https://t.example/%7BtaskId%7D%24%26%241/65f0");
});

test("without a template or without one of its fields there is no link", () => {
  assert.equal(filled(undefined, task({})), undefined);
  assert.equal(filled(TEMPLATE, task({ creator: "ann" })), undefined);
  assert.equal(filled(TEMPLATE, task({ creator: "", prNumber: 1 })), undefined);
  for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"]) {
    assert.equal(filled(`https://t.example/{${name}}`, task({})), undefined);
  }
});

test("no value leaves the path of the template", () => {
  for (const creator of [".", "..", "%2e%2e"]) {
    const address = filled("https://tracker.example/by/{creator}/x", task({ creator }));
    assert.ok(address === undefined || new URL(address).pathname.startsWith("/by/%252e"), address);
  }
  assert.equal(filled("https://t.example/{taskId}{creator}", task({ taskId: ".", creator: "." })), undefined);
  assert.equal(filled("https://t.example/?by={creator}", task({ creator: ".." })), "https://t.example/?by=..");
  assert.equal(new URL(filled("https://t.example/{creator}", task({ creator: "\\\\evil.example" }))).host, "t.example");
});
