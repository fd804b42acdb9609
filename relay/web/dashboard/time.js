// @ts-check
// Writes times for people, in the reader's locale and time zone.

import { inLargestUnit } from "../view/index.js";
import { language, locale, say } from "./language.js";

const exact = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
// 24 hours, as in logs: then all times have the same width.
const clock = new Intl.DateTimeFormat(locale, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const minutes = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayAndClock = new Intl.DateTimeFormat(locale, {
  day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});

const relative = new Intl.RelativeTimeFormat(language);

/**
 * A duration in its largest whole unit, as in "5 min".
 * @param {number} ms
 */
export function shortDuration(ms) {
  const { count, unit } = inLargestUnit(ms);
  return say(`duration.${unit}`, { count });
}

/**
 * How long ago something was, as in "5 minutes ago".
 * @param {number} ms since then
 */
export function ago(ms) {
  const { count, unit } = inLargestUnit(ms);
  return relative.format(-count, unit);
}

/**
 * The date and the time.
 * @param {number} ms
 */
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

/**
 * A duration in its largest whole unit, in words, as in "5 minutes".
 * @param {number} ms
 */
export function longDuration(ms) {
  const { count, unit } = inLargestUnit(ms);
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(count);
}

/**
 * The time of day to the minute, with the day where it is not today.
 * @param {number} ms
 */
export function hourAndMinute(ms) {
  const today = new Date(ms).toDateString() === new Date().toDateString();
  return today ? minutes.format(ms) : dayAndClock.format(ms);
}
