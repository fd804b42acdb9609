// @ts-check
// Finds the text in the data of an event. Pure.

import { readable } from "./stages.js";

/**
 * `text`: the text of the event. `glance`: without a text, its first fields. `more`: the data has more than these show.
 * @typedef {{text: string, glance: string, more: boolean}} Content
 */

const TEXT_FIELDS = ["message", "text", "summary", "title", "error"];
const PAYLOAD_FIELDS = ["data", "payload", "metadata", "details"];
const TYPE_AND_TIME_FIELDS = new Set(["type", "eventType", "event", "kind", "at", "timestamp", "createdAt", "time"]);
const LONG_TEXT_CHARACTERS = 240; // a longer text does not fit into its line
const GLANCE_FIELDS = 4;
const GLANCE_VALUE_CHARACTERS = 60;
const KB = 1000;

/**
 * What to show of an event in one line.
 * @param {any} data of an event
 * @returns {Content}
 */
export function contentOf(data) {
  if (data === null || data === undefined) return { text: "", glance: "", more: false };
  if (typeof data !== "object") return { text: String(data), glance: "", more: isLong(String(data)) };
  if (data.truncated === true && typeof data.bytes === "number" && Object.keys(data).length === 2) {
    return { text: `Too large to send (${size(data.bytes)})`, glance: "", more: false };
  }
  for (const holder of [data, ...PAYLOAD_FIELDS.map((field) => data[field])]) {
    const field = TEXT_FIELDS.find((name) => typeof holder?.[name] === "string" && holder[name] !== "");
    if (!field) continue;
    const own = holder === data ? [field] : [];
    const more = isLong(holder[field]) || holder !== data || fieldsOf(data, own).length > 0;
    return { text: holder[field], glance: "", more };
  }
  const inner = PAYLOAD_FIELDS.map((field) => data[field]).find((value) => value && typeof value === "object") ?? data;
  return { text: "", glance: glanceAt(inner, fieldsOf(inner, [])), more: fieldsOf(data, []).length > 0 };
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

/** @param {number} bytes */
function size(bytes) {
  if (bytes < KB) return `${bytes} bytes`;
  return bytes < KB * KB ? `${Math.round(bytes / KB)} KB` : `${(bytes / KB / KB).toFixed(1)} MB`;
}
