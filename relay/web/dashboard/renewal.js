// @ts-check
// The time between two tokens of an application: a token that ended a moment before the next one came is no sign-out.

import { isSignedOut } from "../view/index.js";

/** @import { Status } from "../client/index.js" */

const PATIENCE_MS = 8_000; // the client asks three or four times within it

export class Renewal {
  #wasCurrent = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #waiting;
  #isOver = false;
  #onOver;

  /** @param {() => void} onOver called when the next token has not come in time: then the reader is to know */
  constructor(onOver) {
    this.#onOver = onOver;
  }

  /**
   * The status to show while the next token is on its way: "connecting" in place of "signed out".
   * @param {Status} status of the connection
   * @param {boolean} isRenewed whether an application renews the token, and has not said that nobody is signed in
   * @returns {Status}
   */
  shown(status, isRenewed) {
    if (status.state === "live" || status.state === "polling") {
      this.clear();
      this.#wasCurrent = true;
    }
    if (!isSignedOut(status) || !this.#wasCurrent || !isRenewed || this.#isOver) return status;
    this.#waiting ??= setTimeout(() => {
      this.#isOver = true;
      this.#onOver();
    }, PATIENCE_MS);
    return { state: "connecting", reason: status.reason };
  }

  /** Forgets the connection, as for another user. */
  clear() {
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
    this.#isOver = this.#wasCurrent = false;
  }
}
