// @ts-check
// How fresh the page is: the chip in the header, what it opens, and the banner while it is not live.

import { duration } from "/client/time.js";
import { find, setText } from "./dom.js";
import { isSignedOut } from "./session.js";

/** @import { Relay, Status } from "/client/index.js" */

const MARKING_MS = 3_000; // what changes so soon after a return happened meanwhile

export class FreshnessView {
  #chip = find("#connection");
  #banner = find("#banner");
  #about = find("#about-connection");
  /** @type {Relay["vitals"] | undefined} */
  #vitals;
  /** @type {Status} */
  #status = { state: "connecting" };
  #wasAway = false;
  #backAt = -Infinity;

  /** @param {() => void} tryNow */
  constructor(tryNow) {
    find("button", this.#banner).addEventListener("click", tryNow);
    find(".try-now").addEventListener("click", tryNow);
    this.#about.addEventListener("toggle", () => this.tick());
  }

  /** @param {Relay} relay another one: nothing of the last one counts */
  follow(relay) {
    this.#vitals = relay.vitals;
    this.#wasAway = false;
  }

  /** Whether what changes now is news to a reader who saw an older state. */
  get isReturning() {
    return this.#wasAway || performance.now() - this.#backAt < MARKING_MS;
  }

  /**
   * @param {Status} status
   * @param {boolean} hasList without a list the page itself says what is going on
   */
  render(status, hasList) {
    this.#status = status;
    const { state } = status;
    const signedOut = isSignedOut(status);
    this.#chip.dataset.connection = state;
    this.#followReturn(isCurrent(status), hasList);
    // When tries are made changes nothing for the reader.
    if (state !== "connecting") {
      const trouble = troubleOf(status) || this.#expiry();
      this.#banner.hidden = trouble === "" || ((state === "refused" || signedOut) && !hasList);
      setText(find("p", this.#banner), trouble);
      find("button", this.#banner).hidden = state !== "offline" || signedOut;
      document.body.classList.toggle("not-live", !isCurrent(status) && hasList);
    }
    this.tick();
  }

  /** Countdown and ages move on without a render. */
  tick() {
    setText(find(".chip-label", this.#chip), wordOf(this.#status));
    if (!this.#about.matches(":popover-open")) return;
    const { state } = this.#status;
    setText(find(".about-words"), aboutOf(this.#status));
    find(".try-now").hidden = state !== "offline" && state !== "refused";
    const { heardAt = 0, delayMs, reconnects = 0, sub } = this.#vitals ?? {};
    this.#tell("heard", heardAt ? `${duration(Date.now() - heardAt)} ago` : "none yet");
    this.#tell("delay", delayMs === undefined ? "not measured yet" : `${Math.round(delayMs)} ms`);
    this.#tell("transport", state === "polling" ? "Long polling" : "WebSocket");
    this.#tell("reconnects", String(Math.max(0, reconnects)));
    this.#tell("sub", sub || "nobody yet");
  }

  /**
   * @param {boolean} current
   * @param {boolean} hasList
   */
  #followReturn(current, hasList) {
    if (!current && hasList) this.#wasAway = true;
    if (!current || !this.#wasAway) return;
    this.#wasAway = false;
    this.#backAt = performance.now();
  }

  #expiry() {
    if ((this.#vitals?.endsAt ?? 0) < Date.now()) return "";
    return "This sign-in ends in a moment. With a fresh sign-in link, here or in another tab, the page goes on.";
  }

  /**
   * @param {string} fact
   * @param {string} text
   */
  #tell(fact, text) {
    setText(find(`[data-fact="${fact}"]`, this.#about), text);
  }
}

/** @param {Status} status */
function isCurrent({ state }) {
  return state === "live" || state === "polling";
}

/**
 * Why there is nothing to show at all, for a person.
 * @param {string | undefined} reason
 * @returns {{title: string, text: string}}
 */
export function refusal(reason = "") {
  if (reason === "feature_disabled") {
    return { title: "Switched off", text: "Live updates are not switched on for you." };
  }
  if (isSignedOut({ state: "offline", reason })) {
    const text = reason === "no_token"
      ? "Open this page with a sign-in link: its address ends in #token=…"
      : "This sign-in has ended or is not accepted. With a fresh sign-in link, here or in another tab, the page goes on.";
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
      if (isSignedOut({ state, reason })) return refusal(reason).title;
      if (!navigator.onLine) return "Offline";
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
      if (isSignedOut({ state, reason })) return refusal(reason).text;
      if (reason === "origin_not_allowed") return `The relay does not know the origin ${location.origin}: RELAY_PUBLIC_URL or RELAY_ALLOWED_ORIGINS has to name it.`;
      return `Not connected${navigator.onLine ? "" : ": this device is offline"}. You see what was known last; the page reconnects by itself.`;
    case "refused":
      return refusal(reason).text;
    default:
      return "";
  }
}

/** @param {Status} status */
function aboutOf(status) {
  if (status.state === "live") return "Every change comes the moment the database has it.";
  if (status.state === "polling") return "WebSocket does not get through from here; changes come by long polling.";
  return troubleOf(status) || "Connecting to the relay.";
}
