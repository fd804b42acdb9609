// @ts-check
// The environment of the hooks: the time, the network, and the next animation frame.

const TICK_MS = 250;
const FRAME_AT_LATEST_MS = 100; // a hidden page draws no frames, and still has to stay current

/**
 * @param {number | undefined} moment in ms since the epoch
 * @returns {number | undefined} full seconds, at least 0
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
 * Calls back once: with the next frame, or after 100 ms where no frames are drawn.
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
