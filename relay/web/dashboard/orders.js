// @ts-check
// The orders that the rows of a section can have, and the reader's choice for each section, which is remembered.

import { SECTIONS } from "../view/index.js";
import { memory } from "./memory.js";

/** @import { Section } from "../view/index.js" */
/** @import { Row } from "./row.js" */
/** @typedef {"latest" | "waiting" | "newest" | "changed"} Order */

/** @type {Order[]} The first is the default: what entered the section last comes first. */
export const ORDERS = ["latest", "waiting", "newest", "changed"];

const NAME = "orders";

/** @type {Record<Order, (a: Row, b: Row) => number>} */
const COMPARE = {
  latest: (a, b) => b.stay.sectionAt - a.stay.sectionAt || newest(a, b),
  waiting: (a, b) => a.stay.stageAt - b.stay.stageAt || newest(b, a),
  newest,
  changed: (a, b) => b.changedAt - a.changedAt || newest(a, b),
};

export class Orders {
  /** @type {Map<Section, Order>} Only what is not the default. */
  #chosen = new Map();
  /** @type {(() => void)[]} */
  #listeners = [];

  constructor() {
    memory.onChange(NAME, () => this.#read());
  }

  /** @param {() => void} listener called after every change, here or in another tab */
  onChange(listener) {
    this.#listeners.push(listener);
  }

  /** @param {Section} section */
  of(section) {
    return this.#chosen.get(section) ?? ORDERS[0];
  }

  /** All orders that are not the default, for an address: `failed:newest,completed:changed`. */
  get text() {
    return [...this.#chosen].filter(([, order]) => order !== ORDERS[0]).map((pair) => pair.join(":")).join(",");
  }

  /**
   * Takes the orders of an address. They are not remembered: who opens the link of somebody else keeps their own.
   * @param {string} text untrusted; what is not in it has the default
   */
  take(text) {
    const wanted = new Map(text.split(",").map((pair) => /** @type {[string, string]} */ (pair.split(":", 2))));
    const known = SECTIONS.filter((section) => ORDERS.some((order) => order === wanted.get(section)));
    this.#chosen = new Map(known.map((section) => [section, orderOf(wanted.get(section))]));
    this.#changed();
  }

  /**
   * @param {Section} section
   * @param {string} order untrusted; anything but an order means the default
   */
  choose(section, order) {
    const known = orderOf(order);
    if (known === this.of(section)) return;
    if (known === ORDERS[0]) this.#chosen.delete(section);
    else this.#chosen.set(section, known);
    memory.set(NAME, Object.fromEntries(this.#chosen));
    this.#changed();
  }

  /**
   * How to sort the rows of a section. Among failures, the reader's own come first.
   * @param {Section} section
   * @returns {(a: Row, b: Row) => number}
   */
  comparison(section) {
    const compare = COMPARE[this.of(section)];
    if (section !== "failed") return compare;
    return (a, b) => Number(b.isMine) - Number(a.isMine) || compare(a, b);
  }

  #changed() {
    for (const listener of this.#listeners) listener();
  }

  #read() {
    const stored = memory.get(NAME);
    const entries = /** @type {[Section, unknown][]} */ (Object.entries(stored ?? {}));
    this.#chosen = new Map(entries.map(([section, order]) => [section, orderOf(order)]));
    this.#changed();
  }
}

/** The orders of this page. */
export const orders = new Orders();

/**
 * @param {unknown} order
 * @returns {Order}
 */
function orderOf(order) {
  return ORDERS.find((known) => known === order) ?? ORDERS[0];
}

/**
 * @param {Row} a
 * @param {Row} b
 */
function newest(a, b) {
  return b.bornAt - a.bornAt || (a.taskId < b.taskId ? 1 : -1);
}
