// @ts-check
// Animations: of transforms and opacity only, and none where the reader prefers reduced motion.

const MOTION_MS = 200;
const CALM_MS = 250;
const reduced = matchMedia("(prefers-reduced-motion: reduce)");

/** Allows an animation only after a pause, because an eye cannot follow more. In a burst nothing is animated. */
export class Pace {
  #lastAt = -Infinity;

  /** Whether the current change may be animated. */
  allows() {
    const now = performance.now();
    const calm = now - this.#lastAt > CALM_MS;
    this.#lastAt = now;
    return calm && moves();
  }
}

/** Whether anything may be animated. */
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
 * Animates an element from its earlier position to where it is now.
 * @param {Element} element
 * @param {number} px the distance of its earlier position: positive if it was below
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
