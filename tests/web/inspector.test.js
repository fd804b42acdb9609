// The text of a report, and the languages of the panel.

import assert from "node:assert/strict";
import test from "node:test";
import { connect } from "../../relay/web/client/index.js";
import { reportText } from "../../relay/web/inspector/report.js";
import { de, en, textsOf } from "../../relay/web/inspector/texts.js";
import { settled } from "./fake-host.js";
import { FakeRelay } from "./fake-relay.js";
import { rawToken } from "./fake-token.js";

test("a report has what happened, with times in UTC, and neither a token nor what a task holds", async () => {
  const relay = new FakeRelay("t");
  relay.world.time = Date.UTC(2026, 4, 1, 12);
  const token = rawToken(JSON.stringify({ sub: "alice", exp: Date.UTC(2026, 4, 1, 13) / 1_000 }));
  const client = connect({ url: "ws://relay.test/ws", token: () => token, host: relay.host });
  client.joinTask("t");
  client.joinDashboard();
  await settled();
  client.debug({ payloads: true });
  await relay.append("t", { message: "a secret plan" });
  relay.world.sockets.at(-1).ends(4430, "at_capacity");
  const report = client.debug({ payloads: true });
  report.rooms.forEach((room) => room.head && (room.head = "1.a06b42c9")); // a digest, of a real relay
  const text = reportText(report, "A browser");
  for (const line of [
    "Relay client, 2026-05-01T12:00:00.000Z",
    "state: offline  at_capacity  4430, transport: none",
    `token: ${token.length} characters, issued unknown, ends 2026-05-01T13:00:00.000Z`,
    "delays in ms: not measured",
    "environment: A browser",
    "  the list  ready  joined  1 held",
    '  "t"  ready  joined  1 held  1  1.a06b42c9',
    "  2026-05-01T12:00:00.000Z  offline  at_capacity  4430",
  ]) {
    assert.ok(text.split("\n").includes(line), `${line}\nis not in\n${text}`);
  }
  assert.match(text, /task:event_added {2}\d+ {2}"t"\n/);
  assert.ok(!text.includes("secret") && !text.includes(token.split(".")[1]));
  client.close();
});

test("the panel has the same words in each language, and English where it has none", () => {
  assert.deepEqual(Object.keys(de), Object.keys(en));
  assert.ok(Object.values(de).every((text) => text.trim() === text && text !== ""));
  assert.deepEqual(["de", "de-AT", "DE", "en", "fr", "", "den"].map((lang) => textsOf(lang) === de), [true, true, true, false, false, false, false]);
});
