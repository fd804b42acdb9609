// @ts-check
// What the hooks ask the machine: the time, its network, and when the next frame is drawn.

const TICK_MS = 250;
const FRAME_AT_LATEST_MS = 100; // a page that is not seen draws no frames, and is kept current all the same

/**
 * @param {number | undefined} moment in ms since the epoch
 * @returns {number | undefined} whole seconds, never negative
 */
export function secondsUntil(moment) {
  return moment === undefined ? undefined : Math.max(0, Math.ceil((moment - Date.now()) / 1000));
}

/** @param {() => void} call */
export function everyTick(call) {
  const timer = setInterval(call, TICK_MS);
  return () => clearInterval(timer);
}

export function isOnline() {
  return globalThis.navigator?.onLine ?? true;
}

/** @param {() => void} call */
export function onOnlineChange(call) {
  addEventListener("online", call);
  addEventListener("offline", call);
  return () => {
    removeEventListener("online", call);
    removeEventListener("offline", call);
  };
}

/**
 * Calls once: with the next frame, or soon where there are none.
 * @param {() => void} call
 */
export function nextFrame(call) {
  const now = () => {
    clearTimeout(timer);
    globalThis.cancelAnimationFrame?.(frame);
    call();
  };
  const timer = setTimeout(now, FRAME_AT_LATEST_MS);
  const frame = globalThis.requestAnimationFrame?.(now);
}
