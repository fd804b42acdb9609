/** @typedef {import("../client/index.js").DebugReport} DebugReport */
/**
 * @param {DebugReport} report
 * @param {string} environment the browser, in its own words
 */
export function reportText(report: DebugReport, environment: string): string;
import type { DebugReport } from "../client/index.js";
export type { DebugReport };
