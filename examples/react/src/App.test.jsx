// The application over a fake relay, which runs inside of the test: no network, no database.

import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { RelayProvider } from "task-relay-client/react";
import { fakeRelay } from "task-relay-client/testing";
import { App } from "./App.jsx";

const tasks = [
  { taskId: "t1", title: "Export invoices", status: "analyzing", events: [{ type: "analysis_started" }] },
  { taskId: "t2", title: "Round totals", status: "failed", error: "Out of memory" },
];

/** Shows the application. The list is there when this resolves. */
async function open(fake) {
  render(<RelayProvider {...fake.options}><App /></RelayProvider>);
  await act(() => fake.settled());
}

beforeEach(() => void vi.spyOn(console, "error")); // where React warns, as of an update outside of `act`
afterEach(() => {
  cleanup();
  expect(console.error.mock.calls).toEqual([]);
  vi.restoreAllMocks();
});

test("a task shows what its writer does, as it happens", async () => {
  const fake = fakeRelay({ tasks });
  await open(fake);
  fireEvent.click(screen.getByText("Export invoices"));
  await screen.findByText("1 events");

  await act(() => fake.push("t1", { type: "pr_opened", message: "To review" }, { status: "pr_opened" }));

  expect(screen.getByText("To review")).toBeTruthy();
  expect(screen.getAllByText("pr opened")).toHaveLength(2); // in the list and in the heading
});

test("a page that was offline catches up", async () => {
  const fake = fakeRelay({ tasks });
  await open(fake);

  await act(() => fake.offline());
  await fake.add({ taskId: "t3", title: "Added meanwhile" });
  expect(screen.queryByText("Added meanwhile")).toBeNull();
  expect(screen.getAllByText("Retry now")).toHaveLength(2); // of the status and of the banner

  await act(() => fake.online());
  expect(screen.getByText("Added meanwhile")).toBeTruthy();
});

test("a task that is gone, or that the user may no longer see, says so", async () => {
  const fake = fakeRelay({ tasks });
  await open(fake);
  fireEvent.click(screen.getByText("Round totals"));
  await act(() => fake.settled());

  await act(() => fake.revoke("t2"));

  expect(screen.getByText("This task is revoked.")).toBeTruthy();
});

test("a list that is refused says why", async () => {
  const fake = fakeRelay();
  fake.failNextJoin("forbidden");
  await open(fake);
  expect(screen.getByText("No list: forbidden")).toBeTruthy();
});

test("fake timers change nothing, and nothing is left when the page is closed", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "requestAnimationFrame"] });
  const fake = fakeRelay({ tasks });
  await open(fake);
  await act(() => fake.push("t1", { type: "note" }, { title: "Export all invoices" }));
  expect(screen.getByText("Export all invoices")).toBeTruthy();
  cleanup();
  await fake.advance(2_000);
  expect(fake.joined).toEqual({ list: false, tasks: [] });
  vi.useRealTimers();
});
