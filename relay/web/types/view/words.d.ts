/**
 * Whether the connection waits until the user signs in.
 * @param {Status} status
 */
export function isSignedOut({ state, reason }: Status): boolean;
/**
 * Whether an operator has disconnected the user: the connection waits for another token, or until the user reconnects.
 * @param {Status} status
 */
export function isDisconnected({ state, reason }: Status): boolean;
/**
 * The name of the state, for pages that have words of their own.
 * @param {Status} status
 * @returns {StateName}
 */
export function stateName(status: Status): StateName;
/**
 * The state in a word or two, as for a chip.
 * @param {Status} status
 */
export function stateWord(status: Status): string;
/**
 * Why the connection is in its state, as part of a sentence.
 * @param {Status} status
 * @returns {string} "" where there is nothing to explain; a reason that is not known here is its own text
 */
export function reasonWords({ state, reason }: Status): string;
/**
 * What happens next while the connection is not current, as a sentence.
 * @param {Status} status
 * @param {boolean} networkOnline what the browser says of this machine's network
 */
export function whatNext({ state, reason }: Status, networkOnline: boolean): string;
/**
 * Since when what is shown may be out of date, why, and what happens next.
 * @param {Status & {since?: number}} connection `since` in ms since the epoch
 * @param {boolean} networkOnline
 */
export function bannerWords(connection: Status & {
    since?: number;
}, networkOnline: boolean): string;
/** @param {number} seconds until the next try */
export function countdownWords(seconds: number): string;
/**
 * A reason as a sentence of its own.
 * @param {string} words
 */
export function sentence(words: string): string;
import type { Status } from "../client/connection.js";
export type { Status };
/**
 * A name for what a page says of the connection: its state, divided where people need other words.
 */
export type StateName = import("../client/connection.js").State | "reconnecting" | "disconnected" | "signed-out" | "switched-off";
