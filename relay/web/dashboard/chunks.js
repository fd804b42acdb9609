// @ts-check
// A long list in chunks: the browser passes over those that are out of sight as a whole, which
// keeps thousands of rows as cheap as the few that are seen.

const CAN_TELL = "oncontentvisibilityautostatechange" in document.documentElement;
const ROOM = 40; // rows of a chunk; one of twice as many is split

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
    const chunk = this.#chunkFor(before);
    move(row, chunk, before?.parentElement === chunk ? before : null);
    if (from && from !== chunk) settle(from);
    settle(chunk);
  }

  /** A chunk at the beginning. */
  prepend() {
    const chunk = newChunk();
    this.#list.prepend(chunk);
    return chunk;
  }

  /**
   * One with room, where rows before this one belong. Rows are moved only out of a full one.
   * @param {Element | null} before
   */
  #chunkFor(before) {
    const holder = before?.parentElement ?? null;
    if (holder && hasRoom(holder)) return holder;
    if (holder && before !== holder.firstElementChild) {
      if (holder.childElementCount > 2 * ROOM) splitAt(before);
      return holder;
    }
    const neighbour = holder ? holder.previousElementSibling : this.#list.lastElementChild;
    if (neighbour && hasRoom(neighbour)) return neighbour;
    const chunk = newChunk();
    this.#list.insertBefore(chunk, holder);
    return chunk;
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

/** @param {Element} chunk */
function hasRoom(chunk) {
  return chunk.childElementCount < ROOM;
}

/** @param {any} row the first of a new chunk */
function splitAt(row) {
  const holder = row.parentElement;
  const rest = newChunk();
  holder.after(rest);
  while (row) {
    const next = row.nextElementSibling;
    move(row, rest, null);
    row = next;
  }
  settle(rest);
}

/**
 * @param {Element} row
 * @param {Element} chunk
 * @param {Element | null} before
 */
function move(row, chunk, before) {
  if (row.isConnected && "moveBefore" in chunk) /** @type {any} */ (chunk).moveBefore(row, before);
  else chunk.insertBefore(row, before);
}

function newChunk() {
  const chunk = document.createElement("div");
  chunk.className = CAN_TELL ? "chunk" : "chunk in-sight";
  chunk.setAttribute("role", "none");
  return chunk;
}
