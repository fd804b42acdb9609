/**
 * A time of a message in ms since the epoch; undefined where there is none, or none that can be read.
 * @param {string | null | undefined} time RFC 3339
 * @returns {number | undefined}
 */
export function parseTime(time: string | null | undefined): number | undefined;
/**
 * A duration in its largest whole unit, for a page that has words of its own.
 * @param {number} ms
 * @returns {{count: number, unit: "second" | "minute" | "hour" | "day"}}
 */
export function inLargestUnit(ms: number): {
    count: number;
    unit: "second" | "minute" | "hour" | "day";
};
/**
 * A duration in its largest whole unit, as in "5 min".
 * @param {number} ms
 */
export function duration(ms: number): string;
