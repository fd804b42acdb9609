// Names of which nothing can be seen.

import assert from "node:assert/strict";
import test from "node:test";
import { readable, stageOf, visible } from "../../relay/web/view/index.js";

const UNSEEN = ["", " ", "\n\t", "\u200b", "\u00ad\u2060", "\ufeff", "\u202e", "\u3164", "\u2800", "\u0000", "\ufe0f"];

test("blanks, controls and zero-width characters are no name", () => {
  for (const text of UNSEEN) assert.equal(visible(text), undefined, JSON.stringify(text));
  for (const text of ["a", " a ", ".", "-", "\u200bx", "🚀", "م", "\u0301", "0"]) assert.equal(visible(text), text);
  assert.equal(visible(undefined), undefined);
});

test("a status or type without a name has no words", () => {
  for (const text of UNSEEN) {
    assert.equal(readable(text), "", JSON.stringify(text));
    assert.deepEqual(stageOf({ taskId: "1", eventCount: 0, status: text }), { stage: "created", label: "Created", hasOwnLabel: false });
  }
  assert.equal(readable("🚀"), "🚀");
  assert.equal(stageOf({ taskId: "1", eventCount: 0, status: "🚀" }).label, "🚀");
});
