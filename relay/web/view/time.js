// @ts-check
// Reads the times of messages, and writes durations for people. Pure.

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const SYMBOLS = { second: "s", minute: "min", hour: "h", day: "d" };

/**
 * A time of a message in ms since the epoch; undefined where there is none, or none that can be read.
 * @param {string | null | undefined} time RFC 3339
 * @returns {number | undefined}
 */
export function parseTime(time) {
  const ms = time ? Date.parse(time) : NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

/**
 * A duration in its largest whole unit, for a page that has words of its own.
 * @param {number} ms
 * @returns {{count: number, unit: "second" | "minute" | "hour" | "day"}}
 */
export function inLargestUnit(ms) {
  if (ms < MINUTE_MS) return { count: Math.max(0, Math.floor(ms / SECOND_MS)), unit: "second" };
  if (ms < HOUR_MS) return { count: Math.floor(ms / MINUTE_MS), unit: "minute" };
  if (ms < DAY_MS) return { count: Math.floor(ms / HOUR_MS), unit: "hour" };
  return { count: Math.floor(ms / DAY_MS), unit: "day" };
}

/**
 * A duration in its largest whole unit, as in "5 min".
 * @param {number} ms
 */
export function duration(ms) {
  const { count, unit } = inLargestUnit(ms);
  return `${count} ${SYMBOLS[unit]}`;
}
