// @ts-check
// What an operator does to the relay: disconnects a user, reloads the settings. Neither happens without a click.

import { find, setText } from "../dashboard/dom.js";
import { disconnect, reload } from "./api.js";

/** @typedef {import("./outcome.js").Outcome} Outcome */

export class Actions {
  #outcome;
  #failed;
  #done;
  #dialog = find("#confirm");
  #user = "";

  /**
   * @param {object} page
   * @param {Outcome} page.outcome
   * @param {(error: any) => void} page.failed called with the error before it is shown
   * @param {() => void} page.done something may have changed
   */
  constructor({ outcome, failed, done }) {
    this.#outcome = outcome;
    this.#failed = failed;
    this.#done = done;
    this.#dialog.addEventListener("close", () => {
      if (this.#dialog.returnValue === "disconnect") this.#disconnect();
    });
    const button = find("#reload");
    button.addEventListener("click", () => {
      if (button.ariaDisabled !== "true") this.#reload(button);
    });
  }

  /** @param {string} user */
  askToDisconnect(user) {
    this.#user = user;
    setText(find("h2", this.#dialog), `Disconnect ${user}?`);
    this.#dialog.returnValue = "";
    this.#dialog.showModal();
  }

  async #disconnect() {
    const user = this.#user;
    await this.#try(async () => {
      const { disconnected, unanswered = [] } = await disconnect(user);
      const isPartial = unanswered.length > 0;
      const rest = isPartial ? ` Some workers did not answer (${unanswered.join(", ")}): disconnect again.` : "";
      this.#outcome.show(ended(user, disconnected) + rest, { isError: isPartial });
    }, `${user} may not be disconnected.`);
  }

  /** @param {Element} button */
  async #reload(button) {
    button.ariaDisabled = "true"; // not `disabled`, which would take the focus away
    await this.#try(async () => {
      const { changed, needRestart } = await reload();
      const items = [];
      if (changed.length > 0) items.push(`In force now: ${changed.join(", ")}.`);
      if (needRestart.length > 0) items.push(`Changed, and in force only after a restart: ${needRestart.join(", ")}.`);
      this.#outcome.show(items.length > 0 ? "The settings are reloaded." : "The settings are reloaded: nothing has changed.", { items });
    }, "The settings are not reloaded.");
    button.ariaDisabled = null;
  }

  /**
   * @param {() => Promise<void>} act
   * @param {string} otherwise what a failure means
   */
  async #try(act, otherwise) {
    try {
      await act();
    } catch (error) {
      this.#failed(error);
      const reason = error instanceof Error ? error.message : "";
      this.#outcome.show(`${otherwise} ${reason}`, { isError: true });
    }
    this.#done();
  }
}

/**
 * @param {string} user
 * @param {number} count
 */
function ended(user, count) {
  // A client that polls has no connection for half a second after each answer with news.
  if (count === 0) return `${user} had nothing open just now. Look whether a connection comes, and disconnect again.`;
  return `${user} is disconnected: ${count === 1 ? "1 connection" : `${count.toLocaleString()} connections`} ended.`;
}
