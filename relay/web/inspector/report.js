// @ts-check
// A report of a connection as text, to be pasted into a report of a fault. Pure. Always in English, with times in UTC:
// it is for the developer who mends the fault.

/** @typedef {import("../client/index.js").DebugReport} DebugReport */

/**
 * @param {DebugReport} report
 * @param {string} environment the browser, in its own words
 */
export function reportText(report, environment) {
  const { state, why, code, nextTryAt, transport, token, heardAt, delaysMs } = report;
  const lines = [
    `Relay client, ${time(report.at)}`,
    `state: ${words(state, why, code)}, transport: ${transport ?? "none"}`,
    ...(nextTryAt === undefined ? [] : [`next attempt: ${time(nextTryAt)}`]),
    token === null
      ? "token: none yet"
      : `token: ${token.length} characters, issued ${time(token.issuedAt)}, ends ${time(token.expiresAt)}`,
    `received: ${report.received} messages, the last ${time(heardAt)}; reconnects: ${report.reconnects}`,
    `delays in ms: ${delaysMs.map(Math.round).join(" ") || "not measured"}`,
    `environment: ${environment}`,
  ];
  const rooms = report.rooms.map(({ room, state: shown, phase, held, since, head }) => (
    words(room === null ? "the list" : JSON.stringify(room), shown, phase, `${held} held`, since, head)
  ));
  const statuses = report.statuses.map((one) => words(time(one.at), one.state, one.reason, one.code));
  const messages = report.messages.map(({ at, type, size, room }) => (
    words(time(at), type, size, room === null ? "the list" : room && JSON.stringify(room))
  ));
  for (const [title, rows] of /** @type {const} */ ([["joined", rooms], ["states", statuses], ["messages", messages]])) {
    lines.push(`${title}:`, ...(rows.length === 0 ? ["  none"] : rows.map((row) => `  ${row}`)));
  }
  return `${lines.join("\n")}\n`;
}

/** @param {(string | number | undefined)[]} all */
function words(...all) {
  return all.filter((word) => word !== undefined && word !== "").join("  ");
}

/** @param {number} [ms] since the epoch */
function time(ms) {
  const moment = new Date(ms ?? NaN);
  return Number.isNaN(moment.getTime()) ? "unknown" : moment.toISOString();
}
