// @ts-check
"use client";
// The hooks of lists and tasks for `Suspense`: a component waits until its list or task is there, so it never sees the
// state `loading`. The `Suspense` has to stand below the `RelayProvider`, which connects when it is mounted.
//
//   <RelayProvider …>
//     <Suspense fallback={<Spinner />}><Tasks /></Suspense>
//   </RelayProvider>
//
// On a server React renders the fallback, because there is no connection, and the browser renders the rest.

import { useChosen, useList, useTask } from "./joins.js";
import { useSelected } from "./selector.js";

/** @typedef {import("./snapshots.js").DashboardSnapshot} DashboardSnapshot */
/** @typedef {import("./snapshots.js").TaskSnapshot} TaskSnapshot */
/** @typedef {import("../client/index.js").SelectOptions} SelectOptions */

/**
 * As `useDashboardSubscription`, but waits for the list.
 * @template [S=DashboardSnapshot]
 * @param {{limit?: number | undefined}} [options]
 * @param {(list: DashboardSnapshot) => S} [select]
 * @returns {S}
 */
export function useDashboardSubscription({ limit } = {}, select) {
  const { store, watch, read } = useList(limit);
  const part = useSelected(watch, read, notOnServer, select);
  waitFor(read(), () => store.whenDashboardLoaded(limit));
  return part;
}

/**
 * As `useTasks`, but waits for the list.
 * @param {SelectOptions} [options]
 * @returns {DashboardSnapshot}
 */
export function useTasks(options) {
  return useDashboardSubscription({}, useChosen(options));
}

/**
 * As `useTaskSubscription`, but waits for the task.
 * @template [S=TaskSnapshot]
 * @param {string | null | undefined} taskId
 * @param {(task: TaskSnapshot) => S} [select]
 * @returns {S}
 */
export function useTaskSubscription(taskId, select) {
  const { store, watch, read } = useTask(taskId);
  const part = useSelected(watch, read, notOnServer, select);
  waitFor(read(), () => store.whenTaskLoaded(taskId ?? ""));
  return part;
}

/**
 * Lets React render the fallback on a server. Next.js knows by the digest that it is not an error of the page.
 * @returns {never}
 */
function notOnServer() {
  const reason = new Error("Lists and tasks are there in a browser only: the server renders the fallback.");
  throw Object.assign(reason, { digest: "BAILOUT_TO_CLIENT_SIDE_RENDERING" });
}

/**
 * @param {{state: string}} snapshot
 * @param {() => Promise<void>} load
 */
function waitFor({ state }, load) {
  if (state === "loading") throw load(); // React renders the component again when the promise is resolved
}
