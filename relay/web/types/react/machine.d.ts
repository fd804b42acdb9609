/**
 * @param {number | undefined} moment in ms since the epoch
 * @returns {number | undefined} whole seconds, never negative
 */
export function secondsUntil(moment: number | undefined): number | undefined;
/** @param {() => void} call */
export function everyTick(call: () => void): () => void;
export function isOnline(): boolean;
/** @param {() => void} call */
export function onOnlineChange(call: () => void): () => void;
/**
 * Calls once: with the next frame, or soon where there are none.
 * @param {() => void} call
 */
export function nextFrame(call: () => void): void;
