// @ts-check
// A panel for developers who look for a fault: the state of the connection and how it came about. It updates itself.
//
//   const close = mountInspector(relay);                     // as a dialog
//   const remove = mountInspector(relay, { into: element }); // as part of a page
//
// It needs no dependency, no style sheet of the page and no exception of a content security policy.

import { reasonWords } from "../view/words.js";
import { Panel } from "./panel.js";
import { addStyle } from "./style.js";
import { make } from "./table.js";
import { textsOf } from "./texts.js";

/** @typedef {import("../client/index.js").DebugReport} DebugReport */
/** @typedef {import("../client/index.js").Status} Status */

const UPDATE_MS = 500;

/**
 * @typedef {object} InspectorOptions
 * @property {Element} [into] the element that gets the panel at its end; without one, the panel is a modal dialog
 * @property {string} [lang] the language of the panel, as in HTML: `en` or `de`. That of the page without it
 * @property {(status: Status) => string} [explain] why the connection is as it is, as a sentence for people
 * @property {() => void} [onClose] called when the panel was closed, by its user or by the function that is returned
 */

/**
 * Shows a panel with what `relay.debug()` reports.
 * @param {{debug: () => DebugReport | undefined}} relay what `connect` returned, or another object with its `debug`,
 *   which returns undefined while there is no connection
 * @param {InspectorOptions} [options]
 * @returns {() => void} closes and removes the panel
 */
export function mountInspector(relay, { into, lang = document.documentElement.lang || "en", explain, onClose } = {}) {
  const texts = textsOf(lang);
  const host = make("div", { lang });
  const root = host.attachShadow({ mode: "open" });
  addStyle(root);
  const close = make("button", { type: "button" }, [texts.close]);
  const panel = new Panel({
    debug: () => relay.debug(),
    texts,
    lang,
    explain: explain ?? ((status) => (texts === textsOf("en") ? reasonWords(status) : "")),
    buttons: into ? [] : [close],
  });
  const tag = into ? "section" : "dialog";
  const frame = make(tag, { class: "panel", "aria-labelledby": "title" }, panel.elements);
  root.append(frame);
  const timer = setInterval(() => panel.update(), UPDATE_MS);
  let isOpen = true;
  const end = () => {
    if (!isOpen) return;
    isOpen = false;
    clearInterval(timer);
    host.remove();
    onClose?.();
  };
  (into ?? document.body).append(host);
  panel.update();
  if (!(frame instanceof HTMLDialogElement)) return end;
  // A key that is meant for the dialog is none of the page behind it.
  frame.addEventListener("keydown", (event) => event.stopPropagation());
  frame.addEventListener("close", end);
  close.addEventListener("click", () => frame.close());
  frame.showModal();
  return () => {
    frame.close(); // gives the focus back, and then calls `end`
    end();
  };
}
