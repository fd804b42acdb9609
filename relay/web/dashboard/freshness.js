// @ts-check
// Shows how current the page is: the chip in the header, the dialog it opens, and the banner while it is not live.

import { mountInspector } from "../inspector/index.js";
import { isDisconnected, isSignedOut, stateName } from "../view/index.js";
import { find, setText } from "./dom.js";
import { canSay, say } from "./language.js";
import { pageSettings } from "./page-settings.js";
import { SignInLink } from "./sign-in-link.js";
import { ago } from "./time.js";

/** @import { Relay, Status } from "../client/index.js" */

const MARKING_MS = 3_000; // changes this soon after a reconnect happened while the page was not connected

export class FreshnessView {
  #chip = find("#connection");
  #banner = find("#banner");
  #signIn = new SignInLink(find(".sign-in", this.#banner));
  #about = find("#about-connection");
  #lacksSuccessor;
  /** @type {Relay | undefined} */
  #relay;
  /** @type {Status} */
  #status = { state: "connecting" };
  #wasAway = false;
  #backAt = -Infinity;

  /**
   * @param {() => void} tryNow
   * @param {() => boolean} lacksSuccessor whether the sign-in ends soon, and none that follows it can be had now
   */
  constructor(tryNow, lacksSuccessor) {
    this.#lacksSuccessor = lacksSuccessor;
    find("button", this.#banner).addEventListener("click", tryNow);
    find(".try-now").addEventListener("click", tryNow);
    find(".inspect", this.#about).addEventListener("click", () => this.#inspect());
    this.#about.addEventListener("toggle", () => this.tick());
  }

  /** @param {Relay} relay the new connection, which replaces the last one */
  follow(relay) {
    this.#relay = relay;
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
      const trouble = troubleOf(status, hasList) || this.#expiry();
      this.#banner.hidden = trouble === "" || !hasList;
      setText(find("p", this.#banner), trouble);
      const button = find("button", this.#banner);
      button.hidden = state !== "offline" || isSignedOut(status);
      setText(button, isDisconnected(status) ? say("connection.reconnect") : say("connection.try-now"));
      this.#signIn.show(isSignedOut(status));
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
    const { heardAt = 0, delayMs, reconnects = 0, sub } = this.#relay?.stats ?? {};
    this.#show("heard", heardAt ? ago(Date.now() - heardAt) : say("connection.no-message"));
    this.#show("delay", delayMs === undefined ? say("connection.no-delay") : say("connection.ms", { count: Math.round(delayMs) }));
    this.#show("transport", transportOf(this.#status));
    this.#show("reconnects", String(Math.max(0, reconnects)));
    this.#show("sub", sub || say("connection.nobody"));
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

  /** Shows how the connection came to be as it is, also that of another user who signs in meanwhile. */
  #inspect() {
    this.#about.hidePopover();
    mountInspector({ debug: () => this.#relay?.debug() }, { lang: document.documentElement.lang, explain: aboutOf });
  }

  #expiry() {
    if (!this.#lacksSuccessor()) return "";
    return pageSettings.tokenUrl ? say("trouble.ends.application") : say("trouble.ends");
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

/** @param {Status} status */
export function stateText(status) {
  return say(`state.${stateName(status)}`);
}

/** @param {Status} status */
function chipWord(status) {
  const { nextTryAt = 0 } = status;
  if (stateName(status) !== "offline" || !navigator.onLine) return stateText(status);
  const seconds = Math.ceil((nextTryAt - Date.now()) / 1000);
  return seconds > 0 ? say("state.reconnecting-in", { seconds }) : say("state.reconnecting");
}

/**
 * What is wrong, and what the reader of this page can do about it.
 * @param {Status} status
 * @param {boolean} [hasList] whether a list is shown, which is then an earlier one
 * @returns {string} "" while all is well
 */
export function troubleOf(status, hasList = false) {
  const { state, reason } = status;
  if (state === "stale") return say("trouble.stale");
  if (state === "refused" && reason === "feature_disabled") return say("trouble.switched-off");
  if (state === "refused") return say("trouble.refused", { reason: reasonOf(status) });
  if (state !== "offline") return "";
  if (isDisconnected(status)) return say("trouble.disconnected");
  if (isSignedOut(status)) return signedOut(status);
  if (reason === "origin_not_allowed") return say("trouble.origin", { origin: location.origin });
  if (reason === "mixed_content") return say("trouble.mixed-content");
  const trouble = navigator.onLine ? say("trouble.offline", { reason: reasonOf(status) }) : say("trouble.no-network");
  return hasList ? `${trouble} ${say("trouble.shown")}` : trouble;
}

/** @param {Status} status */
function signedOut({ reason }) {
  if (pageSettings.signInUrl) return say("trouble.signed-out");
  if (pageSettings.tokenUrl) return say("trouble.signed-out.application");
  return reason === "no_token" ? say("trouble.no-link") : say("trouble.link-ended");
}

/** @param {Status} status */
function reasonOf({ reason = "" }) {
  const word = reason.split(":")[0];
  return canSay(`reason.${word}`) ? say(`reason.${word}`) : reason;
}

/** @param {Status} status */
function transportOf({ state }) {
  if (state === "polling") return say("connection.long-polling");
  return state === "live" || state === "stale" ? "WebSocket" : say("connection.no-transport");
}

/** @param {Status} status */
function aboutOf(status) {
  if (status.state === "live") return say("connection.about.live");
  if (status.state === "polling") return say(`connection.about.${status.reason ?? "blocked"}`);
  return troubleOf(status) || say("connection.about.connecting");
}
