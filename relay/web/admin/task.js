// @ts-check
// Who listens to one task.

import { find, setAttribute, setText, stamp } from "../dashboard/dom.js";

/** @typedef {import("./api.js").TaskListeners} TaskListeners */

const SHOWN_MAX = 200;
const STATES = new Map([["live", "live"], ["catching_up", "catching up"]]);

export class TaskView {
  #section = find("#task");
  #list = find("ul", this.#section);

  /** @param {{close: () => void, filter: (user: string) => void}} page */
  constructor({ close, filter }) {
    find(".close", this.#section).addEventListener("click", close);
    this.#list.addEventListener("click", (/** @type {any} */ { target }) => {
      if (target.matches("button")) filter(target.textContent);
    });
  }

  /** @param {string} taskId "" for none */
  open(taskId) {
    this.#section.hidden = taskId === "";
    setText(find("h2", this.#section), `Task ${taskId}`);
    setText(find("p", this.#section), "");
    this.#list.replaceChildren();
  }

  clear() {
    this.open("");
  }

  focus() {
    find("h2", this.#section).focus();
  }

  /** @param {TaskListeners} answer */
  render({ listeners, total }) {
    const shown = listeners.slice(0, SHOWN_MAX);
    setText(find("p", this.#section), sentenceOf(total, shown.length));
    while (this.#list.children.length > shown.length) this.#list.lastElementChild.remove();
    shown.forEach(({ user, state, transport, connection }, index) => {
      const item = this.#list.children[index] ?? stamp("listener-template");
      if (!item.isConnected) this.#list.append(item);
      const [name, stateWord, way, id] = item.children;
      setText(name, user);
      setAttribute(name, "title", `Show only ${user}`);
      setText(stateWord, STATES.get(state) ?? state);
      stateWord.dataset.state = state;
      setText(way, transport);
      setText(id, connection);
    });
  }
}

/**
 * @param {number} total
 * @param {number} shown
 */
function sentenceOf(total, shown) {
  if (total === 0) return "Nobody listens to it at this relay.";
  const listeners = total === 1 ? "1 listener." : `${total.toLocaleString()} listeners.`;
  return shown < total ? `${listeners} The first ${shown} are:` : listeners;
}
