// @ts-check
// A long list in chunks. The browser skips chunks that are out of sight as a whole (CSS content-visibility), so
// thousands of rows cost no more than the visible ones.

const REPORTS_VISIBILITY = "oncontentvisibilityautostatechange" in document.documentElement;
const ROOM = 40; // rows of a chunk; a chunk of more than twice as many is split

export class Chunks {
  #list;
  #onSeen;

  /**
   * @param {HTMLElement} list
   * @param {(chunk: Element) => void} [onSeen] called when a chunk becomes visible
   */
  constructor(list, onSeen) {
    this.#list = list;
    this.#onSeen = onSeen;
    list.addEventListener("contentvisibilityautostatechange", (event) => this.#seen(event), true);
  }

  /**
   * Inserts or moves a row.
   * @param {Element} row keeps its focus if it is in the document and the browser has `moveBefore`
   * @param {Element | null} before the row that follows it; null for the end
   */
  insert(row, before) {
    const from = row.parentElement;
    const chunk = this.#chunkFor(before);
    move(row, chunk, before?.parentElement === chunk ? before : null);
    if (from && from !== chunk) settle(from);
    settle(chunk);
  }

  /** Adds a chunk at the beginning. */
  prepend() {
    const chunk = newChunk();
    this.#list.prepend(chunk);
    return chunk;
  }

  /**
   * The chunk to insert a row into. Moves rows to a new chunk only if theirs has become too large.
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
 * Removes a row from its chunk.
 * @param {Element} row
 */
export function takeOut(row) {
  const chunk = row.parentElement;
  row.remove();
  if (chunk) settle(chunk);
}

/**
 * Whether a chunk is on the screen or close to it.
 * @param {Element | null | undefined} chunk
 */
export function isInSight(chunk) {
  return chunk?.classList.contains("in-sight") ?? false;
}

/**
 * Sets how many rows high a chunk is while the browser skips it. Removes an empty chunk.
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
  chunk.className = REPORTS_VISIBILITY ? "chunk" : "chunk in-sight";
  chunk.setAttribute("role", "none");
  return chunk;
}
