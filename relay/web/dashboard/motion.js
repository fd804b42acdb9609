// @ts-check
// Everything that moves: transforms and opacity only, and nothing where motion is off.

const MOTION_MS = 200;
const reduced = matchMedia("(prefers-reduced-motion: reduce)");

const CALM_MS = 250;

/** Lets a place move only as often as an eye can follow: in a burst things are where they belong. */
export class Pace {
  #lastAt = -Infinity;

  /** Whether what changes now may move. */
  allows() {
    const now = performance.now();
    const calm = now - this.#lastAt > CALM_MS;
    this.#lastAt = now;
    return calm && moves();
  }
}

/** Whether things may move. */
export function moves() {
  return !reduced.matches && !document.hidden;
}

/** @param {Element} element */
export function pulse(element) {
  animate(element, [{ transform: "scale(1)" }, { transform: "scale(1.08)" }, { transform: "scale(1)" }]);
}

/** @param {Element} element */
export function slideIn(element) {
  animate(element, [{ opacity: 0, transform: "translateY(-8px)" }, { opacity: 1, transform: "none" }]);
}

/**
 * From where it was to where it is now.
 * @param {Element} element
 * @param {number} px how far above its place it was, negative for below
 */
export function travel(element, px) {
  animate(element, [{ transform: `translateY(${px}px)`, zIndex: 1 }, { transform: "none", zIndex: 1 }]);
}

/**
 * @param {Element} element
 * @param {Keyframe[]} frames
 */
function animate(element, frames) {
  if (moves()) element.animate(frames, { duration: MOTION_MS, easing: "cubic-bezier(.2, 0, .2, 1)" });
}
