// @ts-check
// One event of a timeline: its line, and its data for who asks.

import { setDocumentText, setText, stamp } from "./dom.js";
import { showExactTime } from "./facts.js";
import { readable, stageOfEvent } from "./stages.js";
import { moment, shortTime, size } from "./time.js";

/** @typedef {import("/client/index.js").Event} Event */
/**
 * What of a payload is for people: a line of text, or a glance at its fields; and whether there
 * is more.
 * @typedef {{text: string, glance: string, more: boolean}} Content
 */

const TEXT_FIELDS = ["message", "text", "summary", "title", "error"];
const PAYLOAD_FIELDS = ["data", "payload", "metadata", "details"];
const TYPE_AND_TIME_FIELDS = new Set(["type", "eventType", "event", "kind", "at", "timestamp", "createdAt", "time"]);
const LONG_TEXT_CHARACTERS = 240; // what is cut off is in the data
const GLANCE_FIELDS = 4;
const GLANCE_VALUE_CHARACTERS = 60;
const COPIED_MS = 1_500;

/**
 * @param {Event | null} event
 * @param {number} index
 */
export function entryElement(event, index) {
  const element = stamp("entry-template");
  element.dataset.eventIndex = String(index);
  const [number, time, type, line] = /** @type {HTMLElement[]} */ ([...element.children]);
  const ms = moment(event?.at);
  setText(number, String(index));
  setText(time, ms === undefined ? "" : shortTime(ms));
  showExactTime(time, ms);
  setDocumentText(type, typeText(event));
  const stage = stageOfEvent(event?.type);
  if (stage) element.dataset.stage = stage;
  const { text, glance, more } = contentOf(event?.data);
  setDocumentText(line, text || glance);
  line.classList.toggle("glance", text === "");
  if (more) element.append(dataButton());
  return element;
}

/**
 * Shows or hides the JSON, which is written out only when someone looks: events may be large.
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

function dataButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "entry-more";
  button.textContent = "Data";
  button.setAttribute("aria-expanded", "false");
  return button;
}

/** @param {string} json */
function dataElement(json) {
  const element = document.createElement("div");
  const pre = document.createElement("pre");
  const copy = document.createElement("button");
  const label = document.createElement("span");
  const icon = document.createElement("span");
  element.className = "entry-data";
  pre.tabIndex = 0;
  setDocumentText(pre, json);
  icon.className = "icon";
  icon.dataset.icon = "copy";
  label.textContent = "Copy";
  copy.type = "button";
  copy.className = "button copy";
  copy.append(icon, label);
  copy.addEventListener("click", async () => {
    label.textContent = await write(json, pre);
    setTimeout(() => (label.textContent = "Copy"), COPIED_MS);
  });
  element.append(pre, copy);
  return element;
}

/**
 * To the clipboard; where the browser keeps that for secure pages, the reader's own keys do it.
 * @param {string} text
 * @param {Element} element
 */
async function write(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied";
  } catch {
    getSelection()?.selectAllChildren(element);
    return "Selected";
  }
}

/** @param {Event | null} event */
function typeText(event) {
  if (event === null) return "Empty";
  return event.type === null ? "Event" : readable(event.type);
}

/**
 * @param {any} data
 * @returns {Content}
 */
function contentOf(data) {
  if (data === null || data === undefined) return { text: "", glance: "", more: false };
  if (typeof data !== "object") return { text: String(data), glance: "", more: isLong(String(data)) };
  if (data.truncated === true && typeof data.bytes === "number" && Object.keys(data).length === 2) {
    return { text: `Too large to send (${size(data.bytes)})`, glance: "", more: false };
  }
  for (const holder of [data, ...PAYLOAD_FIELDS.map((field) => data[field])]) {
    const field = TEXT_FIELDS.find((name) => typeof holder?.[name] === "string" && holder[name] !== "");
    if (!field) continue;
    const own = holder === data ? [field] : [];
    return { text: holder[field], glance: "", more: isLong(holder[field]) || holder !== data || fieldsOf(data, own).length > 0 };
  }
  const fields = fieldsOf(data, []);
  return { text: "", glance: glanceAt(data, fields), more: fields.length > 0 };
}

/** @param {string} text */
function isLong(text) {
  return text.length > LONG_TEXT_CHARACTERS || text.includes("\n");
}

/**
 * @param {object} data
 * @param {string[]} shown
 */
function fieldsOf(data, shown) {
  if (Array.isArray(data)) return Object.keys(data);
  return Object.keys(data).filter((key) => !TYPE_AND_TIME_FIELDS.has(key) && !shown.includes(key));
}

/**
 * @param {any} data
 * @param {string[]} fields
 */
function glanceAt(data, fields) {
  return fields.slice(0, GLANCE_FIELDS).map((field) => {
    const value = typeof data[field] === "string" ? data[field] : briefly(data[field]);
    const cut = value.length > GLANCE_VALUE_CHARACTERS ? `${value.slice(0, GLANCE_VALUE_CHARACTERS)}…` : value;
    return `${readable(field)} ${cut}`;
  }).join(" · ");
}

/** @param {unknown} value */
function briefly(value) {
  if (Array.isArray(value)) return `[${value.length}]`;
  return typeof value === "object" && value !== null ? "{…}" : String(value);
}
