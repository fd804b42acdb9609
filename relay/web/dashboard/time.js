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
const day = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
const dayOfYear = new Intl.DateTimeFormat(locale, { dateStyle: "full" });
const inMegabytes = new Intl.NumberFormat(locale, { style: "unit", unit: "megabyte", maximumFractionDigits: 1 });
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
 * The time of day.
 * @param {number} ms
 */
export function clockTime(ms) {
  return clock.format(ms);
}

/**
 * The day, as in "Yesterday" or "Friday, May 1".
 * @param {number} ms
 */
export function dayText(ms) {
  const [date, now] = [new Date(ms), new Date()];
  if (isSameDay(date, now)) return say("day.today");
  if (isSameDay(date, new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1))) return say("day.yesterday");
  return (date.getFullYear() === now.getFullYear() ? day : dayOfYear).format(date);
}

/**
 * @param {Date} a
 * @param {Date} b
 */
function isSameDay(a, b) {
  return a.toDateString() === b.toDateString();
}

/**
 * A size, as in "1.2 MB".
 * @param {number} bytes
 */
export function megabytes(bytes) {
  return inMegabytes.format(bytes / 1_000_000);
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
