// @ts-check
// What the page shows, as its address says: so it can be reloaded, linked to, and left with Back.

import { COLUMNS } from "./columns.js";
import { OLDEST_FIRST } from "./table.js";

/** @typedef {import("./table.js").Sorting} Sorting */
/** @typedef {{user: string, task: string, sorting: Sorting}} Shown `user` and `task`: "" for none */

/** @returns {Shown} */
export function shownByAddress() {
  const query = new URLSearchParams(location.search);
  const key = query.get("sort") ?? "";
  const order = query.get("order") === "ascending" ? "ascending" : "descending";
  const isKnown = COLUMNS.some((column) => column.key === key);
  return {
    user: query.get("user") ?? "",
    task: query.get("task") ?? "",
    sorting: isKnown ? { key, order } : OLDEST_FIRST,
  };
}

/**
 * @param {Shown} shown
 * @param {{isStep: boolean}} how whether Back leads to what was shown before
 */
export function rememberShown({ user, task, sorting }, { isStep }) {
  const query = new URLSearchParams({
    ...(user && { user }),
    ...(task && { task }),
    ...(sorting.key !== OLDEST_FIRST.key || sorting.order !== OLDEST_FIRST.order
      ? { sort: sorting.key, order: sorting.order } : {}),
  });
  const search = query.size > 0 ? `?${query}` : "";
  if (search === location.search) return;
  history[isStep ? "pushState" : "replaceState"](null, "", location.pathname + search);
}
