// @ts-check
// How hooks join the list or a task in the store, and read it.

import { useCallback } from "react";
import { chosen } from "../client/selection.js";
import { useStore } from "./provider.js";
import { LOADING_DASHBOARD, LOADING_TASK, NO_TASK } from "./snapshots.js";

/** @typedef {import("./snapshots.js").DashboardSnapshot} DashboardSnapshot */
/** @typedef {import("./snapshots.js").TaskSnapshot} TaskSnapshot */
/** @typedef {import("../client/index.js").SelectOptions} SelectOptions */

export const loadingList = () => LOADING_DASHBOARD;
export const loadingTask = () => LOADING_TASK;
export const noTask = () => NO_TASK;
const nothing = () => {};

/** @param {number} [limit] */
export function useList(limit) {
  const store = useStore();
  const watch = useCallback(
    (/** @type {() => void} */ listener) => store.watchDashboard(listener, limit),
    [store, limit],
  );
  return { store, watch, read: useCallback(() => store.dashboard, [store]) };
}

/** @param {string | null | undefined} taskId */
export function useTask(taskId) {
  const store = useStore();
  const watch = useCallback(
    (/** @type {() => void} */ listener) => (taskId ? store.watchTask(taskId, listener) : nothing),
    [store, taskId],
  );
  const read = useCallback(() => (taskId ? store.task(taskId) : NO_TASK), [store, taskId]);
  return { store, watch, read };
}

/**
 * A function that chooses tasks of a list. Its result keeps its identity while the tasks are the same.
 * @param {SelectOptions} [options]
 */
export function useChosen({ where, orderBy, limit } = {}) {
  return useCallback((/** @type {DashboardSnapshot} */ list) => {
    /** @type {readonly import("../client/index.js").TaskSummary[]} */
    const tasks = chosen(list.tasks, { where, orderBy, limit });
    return { state: list.state, tasks };
  }, [where, orderBy, limit]);
}
