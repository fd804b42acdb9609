// @ts-check
// How fresh the page is: the chip in the header and the banner while it is not live.

import { find, setText } from "./dom.js";

/** @typedef {import("/client/index.js").Status} Status */

const SIGNED_OUT = new Set(["no_token", "bad_token", "unauthenticated", "token_expired"]);
const SWITCHED_OFF = "feature_disabled";

export class FreshnessView {
  #chip = /** @type {HTMLButtonElement} */ (find("#connection"));
  #banner = find("#banner");
  /** @type {Status} */
  #status = { state: "connecting" };

  /** @param {() => void} tryNow */
  constructor(tryNow) {
    this.#chip.addEventListener("click", tryNow);
    find("button", this.#banner).addEventListener("click", tryNow);
  }

  /**
   * @param {Status} status
   * @param {boolean} hasList without a list the page itself says what is going on
   */
  render(status, hasList) {
    this.#status = status;
    const { state } = status;
    this.#chip.dataset.connection = state;
    this.#chip.disabled = state !== "offline";
    // A first try, and the moment of each further one, change nothing for the reader.
    if (state !== "connecting") {
      const trouble = troubleOf(status);
      this.#banner.hidden = trouble === "" || (state === "refused" && !hasList);
      setText(find("p", this.#banner), trouble);
      find("button", this.#banner).hidden = state !== "offline";
      document.body.classList.toggle("not-live", trouble !== "" && hasList);
    }
    this.tick();
  }

  /** The countdown moves on without a render. */
  tick() {
    setText(find(".chip-label", this.#chip), wordOf(this.#status));
  }
}

/**
 * Why there is nothing to show at all, for a person.
 * @param {string | undefined} reason
 * @returns {{title: string, text: string}}
 */
export function refusal(reason = "") {
  if (reason === SWITCHED_OFF) {
    return { title: "Switched off", text: "Live updates are not switched on for you." };
  }
  if (SIGNED_OUT.has(reason)) {
    const text = reason === "no_token"
      ? "Open this page with a sign-in link: its address ends in #token=…"
      : "This sign-in has ended or is not accepted. Open a fresh sign-in link.";
    return { title: "Signed out", text };
  }
  return { title: "Refused", text: `The relay does not accept this connection (${reason}).` };
}

/** @param {Status} status */
function wordOf({ state, reason, nextTryAt = 0 }) {
  switch (state) {
    case "connecting":
      return reason === undefined ? "Connecting" : "Reconnecting";
    case "offline": {
      const seconds = Math.ceil((nextTryAt - Date.now()) / 1000);
      return seconds > 0 ? `Reconnecting in ${seconds} s` : "Reconnecting";
    }
    case "refused":
      return refusal(reason).title;
    default:
      return state[0].toUpperCase() + state.slice(1);
  }
}

/** @param {Status} status "" while all is well */
function troubleOf({ state, reason }) {
  switch (state) {
    case "stale":
      return "The relay is behind the database. What you see may be old; it catches up by itself.";
    case "offline":
      return "Not connected. You see what was known last; the page reconnects by itself.";
    case "refused":
      return refusal(reason).text;
    default:
      return "";
  }
}
