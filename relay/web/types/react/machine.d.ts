/**
 * @param {number | undefined} moment in ms since the epoch
 * @returns {number | undefined} full seconds, at least 0
 */
export function secondsUntil(moment: number | undefined): number | undefined;
/** @param {() => void} call */
export function everyTick(call: () => void): () => void;
export function isOnline(): boolean;
/** @param {() => void} call */
export function onOnlineChange(call: () => void): () => void;
/**
 * Calls back once: with the next frame, or after 100 ms where no frames are drawn.
 * @param {() => void} call
 */
export function nextFrame(call: () => void): void;
