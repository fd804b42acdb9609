// @ts-check
// One event of a timeline: its line, and its data as JSON when the reader asks for it.

import { contentOf, parseTime, readable, stageOfEvent } from "../view/index.js";
import { blockElement } from "./block.js";
import { setDocumentText, setText, stamp } from "./dom.js";
import { showExactTime } from "./facts.js";
import { say } from "./language.js";
import { setRichText } from "./rich-text.js";
import { shortTime } from "./time.js";

/** @import { Event } from "../client/index.js" */

/**
 * Makes the element of an event.
 * @param {Event | null} event null for a hole in the array
 * @param {number} index
 */
export function entryElement(event, index) {
  const element = stamp("entry-template");
  element.dataset.eventIndex = String(index);
  const [number, time, type, line] = /** @type {HTMLElement[]} */ ([...element.children]);
  const ms = parseTime(event?.at);
  setText(number, String(index));
  setText(time, ms === undefined ? "" : shortTime(ms));
  showExactTime(time, ms);
  setDocumentText(type, typeText(event));
  const stage = stageOfEvent(event?.type);
  if (stage) element.dataset.stage = stage;
  const { text, glance, more } = contentOf(event?.data);
  setRichText(line, text || glance);
  line.classList.toggle("glance", text === "");
  if (more) element.append(stamp("more-template"));
  return element;
}

/**
 * Shows or hides the JSON of an event. It is built only when the reader asks for it, because events may be large.
 * @param {HTMLElement} element the entry
 * @param {Event | null} event
 */
export function toggleData(element, event) {
  const shown = element.querySelector(".entry-data");
  const json = JSON.stringify(event?.data, null, 2);
  if (shown) shown.remove();
  else element.append(dataElement(json));
  element.querySelector(".entry-more")?.setAttribute("aria-expanded", String(!shown));
}

/** @param {string} json */
function dataElement(json) {
  const element = blockElement(json, { label: say("timeline.data"), folds: false });
  element.classList.add("entry-data");
  return element;
}

/** @param {Event | null} event */
function typeText(event) {
  if (event === null) return "Empty";
  return event.type === null ? "Event" : readable(event.type);
}
