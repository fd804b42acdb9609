// @ts-check
// Times and durations as people read them. Pure but for the reader's locale and time zone.

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
// 24 hours, as in logs: every time is as wide as the next.
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayAndClock = new Intl.DateTimeFormat(undefined, {
  day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});

/** @param {number} ms */
export function duration(ms) {
  if (ms < MINUTE_MS) return `${Math.max(0, Math.floor(ms / SECOND_MS))} s`;
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min`;
  if (ms < DAY_MS) return `${Math.floor(ms / HOUR_MS)} h`;
  return `${Math.floor(ms / DAY_MS)} d`;
}

/**
 * @param {string | null | undefined} time RFC 3339
 * @returns {number | undefined} ms since the epoch
 */
export function moment(time) {
  const ms = time ? Date.parse(time) : NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

/** @param {number} ms */
export function exactTime(ms) {
  return exact.format(ms);
}

/**
 * The time of day, with the day where it is not today.
 * @param {number} ms
 */
export function shortTime(ms) {
  const today = new Date(ms).toDateString() === new Date().toDateString();
  return today ? clock.format(ms) : dayAndClock.format(ms);
}
