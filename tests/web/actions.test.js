// What a person can do about a task: one action for each stage, to the first safe address.

import assert from "node:assert/strict";
import { test } from "node:test";

import { actionOf, enteredAt, webAddress } from "../../relay/web/view/index.js";

const TASK = "https://tracker.example/t/{taskId}";
const OWN = "https://tracker.example/t/65f0";
const task = (fields) => ({ taskId: "65f0", eventCount: 0, ...fields });
const addressOf = (fields, links) => actionOf(task(fields), links)?.address;

test("a review leads to the pull request, and without one quietly to the task", () => {
  const prUrl = "https://git.example/pull/9";
  assert.deepEqual(actionOf(task({ stage: "pr_opened", prUrl })), { name: "review", address: prUrl });
  assert.deepEqual(actionOf(task({ stage: "pr_opened" }), { task: TASK }), { name: "task", address: OWN });
  assert.equal(actionOf(task({ stage: "pr_opened" })), null);
});

test("questions lead to where they are answered, else to the issue, else to the task", () => {
  const asked = { stage: "clarification_needed", issueUrl: "https://tracker.example/12" };
  assert.equal(addressOf(asked, { answer: `${TASK}/answer`, task: TASK }), `${OWN}/answer`);
  assert.equal(addressOf(asked, { answer: `${TASK}/{prNumber}`, task: TASK }), asked.issueUrl);
  assert.equal(addressOf({ ...asked, issueUrl: "javascript:alert(1)" }, { task: TASK }), OWN);
  assert.equal(actionOf(task({ stage: "clarification_needed" })), null);
});

test("a failed task is retried where that is possible, and its failure is shown otherwise", () => {
  assert.deepEqual(actionOf(task({ stage: "failed" }), { retry: TASK }), { name: "retry", address: OWN });
  assert.deepEqual(actionOf(task({ stage: "failed" }), { task: TASK }), { name: "failure" });
});

test("any other task leads quietly to itself", () => {
  for (const stage of [undefined, "analyzing", "dispatched", "pr_merged", "constructor"]) {
    assert.equal(actionOf(task({ stage }), { task: TASK, retry: TASK, answer: TASK })?.name, "task");
    assert.equal(actionOf(task({ stage, issueUrl: "https://tracker.example/12" })), null);
  }
});

test("only addresses of the web are led to, and none with a user name", () => {
  assert.equal(webAddress("HTTPS://Tracker.example/a b"), "https://tracker.example/a%20b");
  for (const text of [undefined, "", "tracker.example", "/tasks", "javascript:alert(1)", "data:text/html,x", "ftp://a.example/",
    "https://bank.example@evil.example/", "https://:pw@evil.example/", "https://"]) {
    assert.equal(webAddress(text), undefined, text);
  }
});

test("a task is in its stage since the first event of the last run of it", () => {
  const at = (minute) => `2026-01-01T10:0${minute}:00.000Z`;
  const ms = (minute) => Date.parse(at(minute));
  const events = (...types) => types.map((type, minute) => type && { type, at: at(minute), data: {} });
  const asked = task({ stage: "clarification_needed", createdAt: at(0), updatedAt: at(9) });
  assert.equal(enteredAt(asked, events("created", "questions_asked", "analyzing", "questions_asked", null, "note",
    "needs_clarification", "log")), ms(3));
  assert.equal(enteredAt(asked, events("created", "analyzing", "log")), ms(9));
  assert.equal(enteredAt(asked, []), ms(9));
  assert.equal(enteredAt(task({ stage: "clarification_needed" }), [{ type: "questions_asked", at: null, data: {} }]), undefined);
});
