// @ts-check
// A long list in chunks: the browser passes over those that are out of sight as a whole, which
// keeps thousands of rows as cheap as the few that are seen.

const CAN_TELL = "oncontentvisibilityautostatechange" in document.documentElement;
const ROOM = 40; // rows of a chunk; one twice as long is split

export class Chunks {
  #list;
  #onSeen;

  /**
   * @param {HTMLElement} list
   * @param {(chunk: Element) => void} [onSeen] a chunk came into sight
   */
  constructor(list, onSeen) {
    this.#list = list;
    this.#onSeen = onSeen;
    list.addEventListener("contentvisibilityautostatechange", (event) => this.#seen(event), true);
  }

  /**
   * @param {Element} row one that is in the document keeps its focus where the browser can do that
   * @param {Element | null} before null for the end
   */
  insert(row, before) {
    const from = row.parentElement;
    const chunk = before?.parentElement ?? this.#last();
    if (row.isConnected && "moveBefore" in chunk) /** @type {any} */ (chunk).moveBefore(row, before);
    else chunk.insertBefore(row, before);
    if (from && from !== chunk) settle(from);
    if (chunk.childElementCount > 2 * ROOM) this.#split(chunk);
    settle(chunk);
  }

  /** A chunk at the beginning. */
  prepend() {
    const chunk = newChunk();
    this.#list.prepend(chunk);
    return chunk;
  }

  #last() {
    const last = this.#list.lastElementChild;
    if (last && last.childElementCount < ROOM) return last;
    const chunk = newChunk();
    this.#list.append(chunk);
    return chunk;
  }

  /** @param {Element} chunk */
  #split(chunk) {
    const rest = newChunk();
    chunk.after(rest);
    for (const row of [...chunk.children].slice(ROOM)) {
      if ("moveBefore" in rest) /** @type {any} */ (rest).moveBefore(row, null);
      else rest.append(row);
    }
    settle(rest);
  }

  /** @param {Event} event */
  #seen(event) {
    const chunk = /** @type {HTMLElement} */ (event.target);
    if (chunk.parentElement !== this.#list) return;
    chunk.classList.toggle("in-sight", !(/** @type {any} */ (event).skipped));
    if (isInSight(chunk)) this.#onSeen?.(chunk);
  }
}

/**
 * Takes a row out of its chunk.
 * @param {Element} row
 */
export function takeOut(row) {
  const chunk = row.parentElement;
  row.remove();
  if (chunk) settle(chunk);
}

/**
 * Whether a chunk is on the screen, or nearly.
 * @param {Element | null | undefined} chunk
 */
export function isInSight(chunk) {
  return chunk?.classList.contains("in-sight") ?? false;
}

/**
 * How many rows a chunk stands for while it is passed over; an empty one goes.
 * @param {Element} chunk
 */
export function settle(chunk) {
  const count = chunk.childElementCount;
  if (count === 0) chunk.remove();
  else /** @type {HTMLElement} */ (chunk).style.setProperty("--rows", String(count));
}

function newChunk() {
  const chunk = document.createElement("div");
  chunk.className = CAN_TELL ? "chunk" : "chunk in-sight";
  chunk.setAttribute("role", "none");
  return chunk;
}
