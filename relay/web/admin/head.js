// @ts-check
// The head of the page: how the relay is, and its figures.

import { duration } from "../view/index.js";
import { find, setText } from "../dashboard/dom.js";

/** @typedef {import("./api.js").Stats} Stats */
/** @typedef {import("./api.js").Worker} Worker */

/** @type {[string, (stats: Stats) => string | undefined][]} The figures and their texts; undefined where there is none. */
const FIGURES = [
  ["Lag", ({ lagMs }) => span(lagMs)],
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
  #workers = find("#workers");
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
    this.#showWorkers(stats.workers ?? [], stats.unanswered ?? []);
  }

  /**
   * @param {Worker[]} workers
   * @param {number[]} unanswered the numbers of those of which nothing is known now
   */
  #showWorkers(workers, unanswered) {
    this.#workers.hidden = workers.length === 0;
    while (this.#workers.children.length > workers.length) this.#workers.lastElementChild.remove();
    workers.forEach((worker, index) => {
      if (index === this.#workers.children.length) this.#workers.append(document.createElement("li"));
      const item = this.#workers.children[index];
      const isSilent = unanswered.includes(worker.worker);
      const [health, word] = isSilent ? ["not-ready", "No answer"] : healthOf(worker);
      item.dataset.health = health;
      const figures = isSilent ? "" : `, ${count(worker.connections)} connections, lag ${span(worker.lagMs)}`;
      setText(item, `Worker ${worker.worker}: ${word.toLowerCase()}${figures}`);
    });
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

/** @param {{ready: boolean, stale: boolean}} relay */
function healthOf({ ready, stale }) {
  if (stale) return ["stale", "Stale"];
  return ready ? ["ready", "Ready"] : ["not-ready", "Not ready"];
}

/** @param {number} number */
function count(number) {
  return typeof number === "number" ? number.toLocaleString() : "unknown";
}

/** @param {number | null} ms null while it is not known */
function span(ms) {
  if (typeof ms !== "number") return "unknown";
  return ms < 10_000 ? `${Math.round(ms).toLocaleString()} ms` : duration(ms);
}
