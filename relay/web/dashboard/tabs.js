// @ts-check
// The tabs in which one user has this page open: whether the reader looks at any of them, and which one speaks for all.
//
// Both are Web Locks: a tab that crashes or is closed holds none, so nothing has to be cleaned up. Where a browser has
// no locks, as on a page without https, each tab speaks for itself; there are no notifications there anyway.

import { pagePath } from "./page-path.js";

export class Tabs {
  /** Whether this tab speaks for all tabs of the user. */
  isSpeaker = false;

  /** The user; "" for nobody. */
  #sub = "";
  #channel = channel(`relay.looked ${pagePath}`);
  #stopSpeaking = () => {};
  #stopLooking = () => {};

  /** @param {() => void} onLooked called when the reader looks at this or another tab of the user */
  constructor(onLooked) {
    document.addEventListener("visibilitychange", () => {
      this.#look();
      if (!document.hidden) onLooked();
    });
    this.#channel?.addEventListener("message", ({ data }) => {
      if (data === this.#sub) onLooked();
    });
    // A page that holds a lock cannot be kept for the way back.
    addEventListener("pagehide", () => this.#release());
    addEventListener("pageshow", ({ persisted }) => persisted && this.#take());
  }

  /**
   * Joins the tabs of a user, and leaves those of the user before.
   * @param {string} sub "" for nobody
   */
  open(sub) {
    if (sub === this.#sub) return;
    this.#release();
    this.#sub = sub;
    this.#take();
  }

  /** Whether the reader looks at a tab of this user. */
  async isLookedAt() {
    if (!navigator.locks) return !document.hidden;
    return (await heldLocks()).has(nameOf(this.#sub, "looking"));
  }

  /**
   * Whether some tab here has a user.
   * @param {string} sub
   */
  async has(sub) {
    return sub === this.#sub || (await heldLocks()).has(nameOf(sub, "speaking"));
  }

  #take() {
    if (this.#sub === "") return;
    this.isSpeaker = !navigator.locks;
    this.#stopSpeaking = hold(nameOf(this.#sub, "speaking"), "exclusive", () => (this.isSpeaker = true));
    this.#look();
  }

  #release() {
    this.isSpeaker = false;
    this.#stopSpeaking();
    this.#stopLooking();
  }

  #look() {
    this.#stopLooking();
    if (document.hidden || this.#sub === "") return;
    this.#stopLooking = hold(nameOf(this.#sub, "looking"), "shared");
    this.#channel?.postMessage(this.#sub);
  }

}

/**
 * @param {string} sub
 * @param {string} what
 */
function nameOf(sub, what) {
  return `relay.v1 ${pagePath} ${sub}.${what}`;
}

/** @returns {Promise<Set<string | undefined>>} by name, none where the browser refuses locks, as in some frames */
async function heldLocks() {
  const { held = [] } = (await navigator.locks?.query().catch(() => ({ held: [] }))) ?? {};
  return new Set(held.map(({ name }) => name));
}

/** @param {string} name */
function channel(name) {
  try {
    return new BroadcastChannel(name);
  } catch {
    return null; // refused, as in some frames
  }
}

/**
 * Holds a lock as soon as it can be had.
 * @param {string} name
 * @param {LockMode} mode
 * @param {() => void} [granted]
 * @returns {() => void} gives it back, or stops asking for it
 */
function hold(name, mode, granted = () => {}) {
  if (!navigator.locks) return () => {};
  const asked = new AbortController();
  const ended = new Promise((end) => asked.signal.addEventListener("abort", end));
  const held = navigator.locks.request(name, { mode, signal: asked.signal }, () => {
    granted();
    return ended;
  });
  held.catch(() => {}); // aborted, or refused by the browser
  return () => asked.abort();
}
