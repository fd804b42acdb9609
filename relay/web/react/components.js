// @ts-check
// Components that show the connection: its status, and a banner while it is not live. Unstyled.
//
// The countdown is outside of the live region: a screen reader would announce every second of it.

import { createElement as h, Fragment } from "react";
import { useOfflineDetection, useWebSocket } from "./hooks.js";
import { bannerWords, countdownWords, reasonWords, stateWord } from "../view/words.js";

/** @typedef {import("react").ComponentProps<"div">} DivProps */

/**
 * Shows the state of the connection and its reason; while it is not connected, also a countdown to the next attempt and
 * a button to try now.
 *
 * Takes the properties of a `div`. Its parts have the classes `.relay-connection-state`, `-reason`, `-countdown` and
 * `-retry`; the attribute `data-connection` holds the state.
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
 * Shows since when and why the page may be out of date, and what happens next. Renders no banner while the page is
 * current. Takes the properties of a `div`; the banner has the class `.relay-banner`.
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
  // Render the live region even while it is empty: a screen reader announces only changes of a region it knows.
  return h("div", { role: "status" }, banner);
}

/**
 * The countdown to the next attempt, and a button to try now.
 * @param {{prefix: string, connection: import("./hooks.js").WebSocketState, secondsLeft?: number}} props
 */
function Retry({ prefix, connection: { state, since, retry }, secondsLeft }) {
  // Keep the button during an attempt: removing it would also remove the keyboard focus.
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
