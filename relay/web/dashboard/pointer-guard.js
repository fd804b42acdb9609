// @ts-check
// Notices that the reader is about to click or type in the list, so that rows wait before they move.

const REST_MS = 2_500; // a pointer that rested for this long is not about to click
const AIM_MS = 500; // a click this soon after rows moved was meant for the row that was there before

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
   * @param {() => void} release called when waiting rows may move
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
      this.#releaseIfFree();
    });
    list.addEventListener("focusout", ({ relatedTarget }) => {
      this.#focus = relatedTarget instanceof Node && list.contains(relatedTarget);
      this.#releaseIfFree();
    });
    list.addEventListener("click", (event) => this.#redirect(event), { capture: true });
  }

  /** Whether rows have to wait now. If so, `release` is called when the wait is over. */
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

  /** Rows are about to move: remember the row under the pointer. */
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

  #releaseIfFree() {
    if (this.#heldSince !== null && !this.#pointer && !this.#focus) this.release();
  }

  /**
   * Passes a click on to the row that was under the pointer before rows moved.
   * @param {any} event a click
   */
  #redirect(event) {
    const { row, until } = this.#aimed;
    const clicked = event.target.closest("[data-task-id]");
    if (!row?.isConnected || !clicked || clicked === row || performance.now() > until) return;
    event.preventDefault();
    event.stopPropagation();
    /** @type {HTMLElement | null} */ (row.querySelector(".row-title"))?.click();
  }
}
