// @ts-check
// Whether somebody's hand is on the list: then what would move there waits.

const REST_MS = 2_500; // a hand that rests for so long aims at nothing
const AIM_MS = 500; // a click so soon after things moved was meant for what was there before

export class PointerGuard {
  #list;
  #pointer = false;
  #focus = false;
  #movedAt = 0;
  /** @type {number | null} */
  #heldSince = null;
  /** @type {{x: number, y: number} | null} */
  #at = null;
  /** @type {{row: Element | null, until: number}} */
  #aimed = { row: null, until: 0 };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #waiting;

  /**
   * @param {HTMLElement} list
   * @param {() => void} release what waited may go on
   */
  constructor(list, release) {
    this.#list = list;
    this.release = release;
    const moved = (/** @type {Event} */ event) => this.#moved(event);
    for (const type of ["pointerenter", "pointermove", "pointerdown", "wheel", "keydown", "focusin"]) {
      list.addEventListener(type, moved, { passive: true });
    }
    list.addEventListener("pointerleave", () => {
      this.#pointer = false;
      this.#at = null;
      this.#let();
    });
    list.addEventListener("focusout", ({ relatedTarget }) => {
      this.#focus = relatedTarget instanceof Node && list.contains(relatedTarget);
      this.#let();
    });
    list.addEventListener("click", (event) => this.#redirect(event), { capture: true });
  }

  /** Whether to wait now. Says so again, by `release`, when that is over. */
  holds() {
    if (!this.#pointer && !this.#focus) return false;
    const now = performance.now();
    this.#heldSince ??= now;
    const leftMs = Math.max(this.#movedAt, this.#heldSince) + REST_MS - now;
    if (leftMs <= 0) return false;
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(this.release, leftMs);
    return true;
  }

  /** Things are about to move: remember what the pointer is on. */
  beforeMoving() {
    this.#heldSince = null;
    clearTimeout(this.#waiting);
    const under = this.#at && document.elementFromPoint(this.#at.x, this.#at.y);
    this.#aimed = { row: under?.closest("[data-task-id]") ?? null, until: performance.now() + AIM_MS };
  }

  /** @param {Event} event */
  #moved(event) {
    this.#movedAt = performance.now();
    if (event.type === "focusin") this.#focus = true;
    if (!(event instanceof PointerEvent) || event.pointerType === "touch") return;
    this.#pointer = true;
    this.#at = { x: event.clientX, y: event.clientY };
  }

  #let() {
    if (this.#heldSince !== null && !this.#pointer && !this.#focus) this.release();
  }

  /** @param {any} event a click */
  #redirect(event) {
    const { row, until } = this.#aimed;
    const clicked = event.target.closest("[data-task-id]");
    if (!row?.isConnected || !clicked || clicked === row || performance.now() > until) return;
    event.preventDefault();
    event.stopPropagation();
    /** @type {HTMLElement | null} */ (row.querySelector(".row-title"))?.click();
  }
}
