/** @param {Connection} connection */
export function stateWord({ state, reason }: Connection): "Connecting" | "Reconnecting" | "Live" | "Live, by polling" | "Behind" | "Offline" | "Not connected";
/** @param {Connection} connection "" where there is none */
export function reasonWords({ state, reason }: Connection): string;
/**
 * Since when what is shown may be old, why, and what happens next.
 * @param {Connection} connection
 * @param {boolean} networkOnline
 */
export function bannerWords(connection: Connection, networkOnline: boolean): string;
/** @param {number} seconds */
export function countdownWords(seconds: number): string;
export type Connection = import("./snapshots.js").Connection;
