/**
 * @param {string | null | undefined} time RFC 3339
 * @returns {number | undefined} ms since the epoch
 */
export function parseTime(time: string | null | undefined): number | undefined;
/** @param {number} ms */
export function duration(ms: number): string;
