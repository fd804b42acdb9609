// @ts-check
// What every application shows of its connection: a chip, and a banner while it is not live. Unstyled.
//
// The countdown stands outside of what screen readers are told: they would read every second of it.

import { createElement as h, Fragment } from "react";
import { useOfflineDetection, useWebSocket } from "./hooks.js";
import { bannerWords, countdownWords, reasonWords, stateWord } from "../view/words.js";

/** @typedef {import("react").ComponentProps<"div">} DivProps */

/**
 * The state, the reason if there is one, and while it is not connected, when the next try comes and
 * a button not to wait for it. Takes the properties of a `div`; its parts are
 * `.relay-connection-state`, `-reason`, `-countdown` and `-retry`, and its `data-connection` is the
 * state.
 * @param {DivProps} props
 * @returns {import("react").ReactElement}
 */
export function ConnectionStatus({ className, ...rest }) {
  const connection = useWebSocket();
  const { secondsLeft } = useOfflineDetection();
  const reason = reasonWords(connection);
  return h(
    "div",
    { ...rest, className: joined("relay-connection", className), "data-connection": connection.state },
    h(
      "span",
      { role: "status" },
      h("span", { className: "relay-connection-state" }, stateWord(connection)),
      reason && h("span", { className: "relay-connection-reason" }, ` (${reason})`),
    ),
    h(Retry, { prefix: "relay-connection", connection, secondsLeft }),
  );
}

/**
 * While what is shown may be out of date: since when and why, and what happens next. Takes the
 * properties of a `div`; the banner itself is `.relay-banner`, and there is none while all is well.
 * @param {DivProps} props
 * @returns {import("react").ReactElement}
 */
export function OfflineBanner({ className, ...rest }) {
  const connection = useWebSocket();
  const { offline, networkOnline, secondsLeft } = useOfflineDetection();
  const banner = offline && h(
    "div",
    { ...rest, className: joined("relay-banner", className), "data-connection": connection.state },
    h("p", { className: "relay-banner-text" }, bannerWords(connection, networkOnline)),
    h(Retry, { prefix: "relay-banner", connection, secondsLeft }),
  );
  // The region is there before it says anything: only then is it read out when it does.
  return h("div", { role: "status" }, banner);
}

/**
 * When the next try comes, and a button not to wait for it.
 * @param {{prefix: string, connection: import("./hooks.js").WebSocketState, secondsLeft?: number}} props
 */
function Retry({ prefix, connection: { state, since, retry }, secondsLeft }) {
  // It stays through the tries themselves: a button that vanishes takes the focus with it.
  if (since === undefined || state === "stale") return null;
  return h(
    Fragment,
    null,
    secondsLeft !== undefined
      && h("span", { className: `${prefix}-countdown`, "aria-hidden": true }, countdownWords(secondsLeft)),
    h("button", { type: "button", className: `${prefix}-retry`, onClick: retry }, "Retry now"),
  );
}

/**
 * @param {string} own
 * @param {string | undefined} given
 */
function joined(own, given) {
  return given ? `${own} ${given}` : own;
}
