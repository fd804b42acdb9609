// @ts-check
// Which task lies next to another in the list, as the reader sees it: in the order of the rows on the page.

const ROWS = ".row[data-task-id]";

/**
 * The task that lies so many rows further, or the last one in that direction.
 * @param {ParentNode} list
 * @param {string | null} from a task; where it has no row, the first task is meant
 * @param {number} by negative for back
 * @returns {string | undefined} undefined in an empty list
 */
export function neighbour(list, from, by) {
  const shown = idsIn(list, `.section[open]:not([hidden]) ${ROWS}`);
  const at = shown.indexOf(from ?? "");
  return shown[at < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, at + by))];
}

/**
 * The next task in a section, and after the last one the first again. The section may be folded.
 * @param {ParentNode} list
 * @param {string} section
 * @param {string | null} from a task; where it is not in the section, the first one is meant
 * @returns {string | undefined} undefined if the section shows no task
 */
export function nextIn(list, section, from) {
  const ids = idsIn(list, `.section[data-section="${section}"] ${ROWS}`);
  return ids[(ids.indexOf(from ?? "") + 1) % ids.length];
}

/**
 * @param {ParentNode} list
 * @param {string} rows
 */
function idsIn(list, rows) {
  return [...list.querySelectorAll(rows)].map((row) => row.getAttribute("data-task-id") ?? "");
}
