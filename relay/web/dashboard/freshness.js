// @ts-check
// Shows how current the page is: the chip in the header, the dialog it opens, and the banner while it is not live.

import { duration, isDisconnected, isSignedOut, reasonWords, sentence, stateWord, whatNext } from "../view/index.js";
import { find, setText } from "./dom.js";

/** @import { Relay, Status } from "../client/index.js" */

const MARKING_MS = 3_000; // changes this soon after a reconnect happened while the page was not connected

export class FreshnessView {
  #chip = find("#connection");
  #banner = find("#banner");
  #about = find("#about-connection");
  /** @type {Relay["stats"] | undefined} */
  #stats;
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

  /** @param {Relay} relay the new connection, which replaces the last one */
  follow(relay) {
    this.#stats = relay.stats;
    this.#wasAway = false;
  }

  /** Whether changes now happened while the page was not connected, so that they are marked. */
  get isReturning() {
    return this.#wasAway || performance.now() - this.#backAt < MARKING_MS;
  }

  /**
   * @param {Status} status
   * @param {boolean} hasList without a list, the notice in its place explains the status
   */
  render(status, hasList) {
    this.#status = status;
    const { state } = status;
    this.#chip.dataset.connection = state;
    this.#followReturn(isCurrent(status), hasList);
    // Keep the banner during an attempt: it would only flicker.
    if (state !== "connecting") {
      const trouble = troubleOf(status) || this.#expiry();
      this.#banner.hidden = trouble === "" || (isBlocked(status) && !hasList);
      setText(find("p", this.#banner), trouble);
      const button = find("button", this.#banner);
      button.hidden = state !== "offline" || isSignedOut(status);
      setText(button, isDisconnected(status) ? "Reconnect" : "Try now");
      document.body.classList.toggle("not-live", !isCurrent(status) && hasList);
    }
    this.tick();
  }

  /** Updates the countdown and the ages. */
  tick() {
    setText(find(".chip-label", this.#chip), chipWord(this.#status));
    if (!this.#about.matches(":popover-open")) return;
    const { state } = this.#status;
    setText(find(".about-words"), aboutOf(this.#status));
    find(".try-now").hidden = state !== "offline" && state !== "refused";
    const { heardAt = 0, delayMs, reconnects = 0, sub } = this.#stats ?? {};
    this.#show("heard", heardAt ? `${duration(Date.now() - heardAt)} ago` : "none yet");
    this.#show("delay", delayMs === undefined ? "not measured yet" : `${Math.round(delayMs)} ms`);
    this.#show("transport", state === "polling" ? "Long polling" : "WebSocket");
    this.#show("reconnects", String(Math.max(0, reconnects)));
    this.#show("sub", sub || "nobody yet");
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
    if ((this.#stats?.endsAt ?? 0) < Date.now()) return "";
    return "This sign-in ends in a moment. With a fresh sign-in link, here or in another tab, the page goes on.";
  }

  /**
   * @param {string} fact
   * @param {string} text
   */
  #show(fact, text) {
    setText(find(`[data-fact="${fact}"]`, this.#about), text);
  }
}

/** @param {Status} status */
function isCurrent({ state }) {
  return state === "live" || state === "polling";
}

/**
 * Whether the connection rests until its user does something.
 * @param {Status} status
 */
export function isBlocked(status) {
  return status.state === "refused" || isSignedOut(status) || isDisconnected(status);
}

/**
 * Why there is no list at all.
 * @param {Status} status
 * @returns {{title: string, text: string}}
 */
export function refusal(status) {
  return { title: stateWord(status), text: troubleOf(status) };
}

/** @param {Status} status */
function chipWord(status) {
  const { state, nextTryAt = 0 } = status;
  if (state !== "offline" || isBlocked(status) || !navigator.onLine) return stateWord(status);
  const seconds = Math.ceil((nextTryAt - Date.now()) / 1000);
  return seconds > 0 ? `Reconnecting in ${seconds} s` : "Reconnecting";
}

/**
 * What is wrong, and what the reader of this page can do about it.
 * @param {Status} status
 * @returns {string} "" while all is well
 */
function troubleOf(status) {
  const { state, reason } = status;
  if (state === "stale") return `${sentence(reasonWords(status))} What you see may be old. ${whatNext(status, true)}`;
  if (state === "refused") {
    if (reason === "feature_disabled") return sentence(reasonWords(status));
    return `The relay does not accept this connection: ${reasonWords(status)}.`;
  }
  if (state !== "offline") return "";
  if (isDisconnected(status)) return sentence(reasonWords(status));
  if (reason === "no_token") return "Open this page with a sign-in link: its address ends in #token=…";
  if (isSignedOut(status)) {
    return "This sign-in has ended or is not accepted. "
      + "With a fresh sign-in link, here or in another tab, the page goes on.";
  }
  if (reason === "origin_not_allowed") {
    return `The relay does not know the origin ${location.origin}: `
      + "RELAY_PUBLIC_URL or RELAY_ALLOWED_ORIGINS has to name it.";
  }
  return `Not connected: ${reasonWords(status)}. You see what was known last. ${whatNext(status, navigator.onLine)}`;
}

/** @param {Status} status */
function aboutOf(status) {
  if (status.state === "live") return "Every change comes the moment the database has it.";
  if (status.state === "polling") return "WebSocket does not get through from here; changes come by long polling.";
  return troubleOf(status) || "Connecting to the relay.";
}
