// @ts-check
// Times as people read them. Pure but for the reader's locale and time zone.

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
// 24 hours, as in logs: every time is as wide as the next.
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayAndClock = new Intl.DateTimeFormat(undefined, {
  day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});

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
