// @ts-check
// The columns of the table of connections: what each shows, and how it sorts. Pure, except for the clock.

import { duration, parseTime } from "../view/index.js";

/** @typedef {import("./api.js").Connection} Connection */

/**
 * `key` names the column in the address and in the style sheet. `first`: the order of the first click.
 * @typedef {object} Column
 * @property {string} key
 * @property {string} title
 * @property {(connection: Connection) => string} text
 * @property {(connection: Connection) => string | number} value to sort by
 * @property {"ascending" | "descending"} first
 * @property {(connection: Connection) => string} [hint] shown with a pointer
 */

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const grouped = new Intl.NumberFormat(); // `toLocaleString` is ten times slower
const BYTES = ["B", "KiB", "MiB", "GiB"];

/** @type {Column[]} */
export const COLUMNS = [
  { key: "user", title: "User", text: ({ user }) => user ?? "signing in", value: ({ user }) => user ?? "", first: "ascending" },
  text("transport", "Transport", ({ transport }) => transport),
  text("address", "Address", ({ address }) => address),
  text("path", "Path", ({ path }) => path),
  {
    key: "since",
    title: "Open for",
    text: ({ since }) => duration(Date.now() - openedAt(since)),
    value: ({ since }) => -openedAt(since),
    first: "descending",
    hint: ({ since }) => `since ${exact.format(openedAt(since))}`,
  },
  number("tasks", "Tasks", ({ tasks }) => tasks),
  { ...text("list", "List", ({ list }) => (list ? "yes" : "")), first: "descending" },
  {
    key: "outbox",
    title: "Outbox",
    text: ({ outboxBytes, lagging }) => (lagging ? `${bytes(outboxBytes)}, lagging` : bytes(outboxBytes)),
    value: ({ outboxBytes, lagging }) => outboxBytes + (lagging ? 2 ** 48 : 0),
    first: "descending",
  },
  number("in", "In", ({ messagesIn }) => messagesIn, "messages from the client"),
  number("out", "Out", ({ messagesOut }) => messagesOut, "messages to the client"),
  { ...number("worker", "Worker", ({ worker }) => worker), first: "ascending" },
];

/**
 * @param {string} key
 * @param {string} title
 * @param {(connection: Connection) => string} text
 * @returns {Column}
 */
function text(key, title, text) {
  return { key, title, text, value: text, first: "ascending" };
}

/**
 * @param {string} key
 * @param {string} title
 * @param {(connection: Connection) => number | undefined} value
 * @param {string} [hint]
 * @returns {Column}
 */
function number(key, title, value, hint) {
  const of = (/** @type {Connection} */ connection) => value(connection) ?? -1;
  const text = (/** @type {Connection} */ connection) => {
    const found = value(connection);
    return found === undefined ? "" : grouped.format(found);
  };
  return { key, title, text, value: of, first: "descending", ...(hint && { hint: () => hint }) };
}

/**
 * Orders connections by a column. Equal ones keep the order of the relay, which is the oldest first.
 * @param {Connection[]} connections
 * @param {Column} column
 * @param {"ascending" | "descending"} order
 */
export function sorted(connections, column, order) {
  const sign = order === "ascending" ? 1 : -1;
  return [...connections].sort((one, other) => sign * compare(column.value(one), column.value(other)));
}

/**
 * @param {string | number} one
 * @param {string | number} other
 */
function compare(one, other) {
  return one < other ? -1 : Number(one > other);
}

/**
 * In ms since the epoch.
 * @param {string} since RFC 3339
 */
function openedAt(since) {
  return parseTime(since) ?? Date.now();
}

/** @param {number} count */
function bytes(count) {
  let unit = 0;
  while (count >= 1024 && unit < BYTES.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${count < 10 && unit > 0 ? count.toFixed(1) : Math.round(count)} ${BYTES[unit]}`;
}
