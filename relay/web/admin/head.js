// @ts-check
// The head of the page: how the relay is, and its figures.

import { duration } from "../view/index.js";
import { find, setText } from "../dashboard/dom.js";

/** @typedef {import("./api.js").Stats} Stats */

/** @type {[string, (stats: Stats) => string | undefined][]} The figures and their texts; undefined where there is none. */
const FIGURES = [
  ["Lag", ({ lagMs }) => (typeof lagMs === "number" ? span(lagMs) : "unknown")],
  ["Connections", ({ connections }) => count(connections)],
  ["Polls", ({ polls }) => count(polls)],
  ["Users", ({ users }) => count(users)],
  ["Open tasks", ({ rooms }) => count(rooms)],
  ["Known tasks", ({ knownTasks }) => count(knownTasks)],
  ["Workers", ({ workers }) => (workers === undefined ? undefined : count(workers.length))],
  ["Up for", ({ uptimeS }) => duration(uptimeS * 1000)],
  ["Version", ({ version }) => String(version)],
];

export class Head {
  #chip = find("#health");
  #list = find("#stats");
  /** @type {Map<string, Element>} the values, by name */
  #values = new Map();

  constructor() {
    for (const [name] of FIGURES) {
      const pair = document.createElement("div");
      const [term, value] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = name;
      pair.append(term, value);
      this.#list.append(pair);
      this.#values.set(name, value);
    }
  }

  /** @param {Stats} stats */
  render(stats) {
    const [health, word] = healthOf(stats);
    this.#show(health, word);
    for (const [name, text] of FIGURES) {
      const value = /** @type {Element} */ (this.#values.get(name));
      const now = text(stats);
      /** @type {HTMLElement} */ (value.parentElement).hidden = now === undefined;
      setText(value, now ?? "");
    }
  }

  /** The relay does not answer: what is shown is old. */
  lose() {
    this.#show("unknown", "No answer");
  }

  /**
   * @param {string} health
   * @param {string} word
   */
  #show(health, word) {
    this.#chip.dataset.health = health;
    setText(find(".chip-label", this.#chip), word);
  }
}

/** @param {Stats} stats */
function healthOf({ ready, stale }) {
  if (stale) return ["stale", "Stale"];
  return ready ? ["ready", "Ready"] : ["not-ready", "Not ready"];
}

/** @param {number} number */
function count(number) {
  return typeof number === "number" ? number.toLocaleString() : "unknown";
}

/** @param {number} ms */
function span(ms) {
  return ms < 10_000 ? `${Math.round(ms).toLocaleString()} ms` : duration(ms);
}
