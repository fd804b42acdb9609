// @ts-check
// Finds the text in the data of an event. Pure.

import { readable } from "./stages.js";

/**
 * `text`: the text of the event. `glance`: without a text, its first fields. `more`: the data has more than these show.
 * `questions`: the questions it asks. `block`: a traceback, or an error of several lines; then `text` is what failed.
 * `bytes`: the size of data that the relay left out because it is too large, otherwise 0.
 * @typedef {{text: string, glance: string, more: boolean, questions: string[], block: string, bytes: number}} Content
 */

const TEXT_FIELDS = ["message", "text", "summary", "title", "error"];
const PAYLOAD_FIELDS = ["data", "payload", "metadata", "details"];
const QUESTIONS_FIELDS = ["questions", "clarificationQuestions"];
const QUESTION_FIELDS = ["question", "text", "title", "message"];
const TRACE_FIELDS = ["traceback", "stack", "stackTrace", "stack_trace", "stacktrace", "backtrace"];
const TYPE_AND_TIME_FIELDS = new Set(["type", "eventType", "event", "kind", "at", "timestamp", "createdAt", "time"]);
const ERROR_LEVELS = new Set(["error", "critical", "fatal"]);
// The beginning of a traceback in Python, and lines of one in JavaScript, Java and Go.
const PYTHON_TRACEBACK = "Traceback (most recent call last):";
const TRACE_LINE = /^[ \t]+at \S.*(:\d+|\))\r?$|^goroutine \d+ \[/m;
const LONG_TEXT_CHARACTERS = 240; // a longer text does not fit into its line
const CUT_MIDDLE = "\n…\n"; // what the relay puts in place of the middle of a traceback
const ERROR_EVENTS_MAX = 100; // an error is written with one of the last events
const GLANCE_FIELDS = 4;
const GLANCE_VALUE_CHARACTERS = 60;
const KB = 1000;

/**
 * What to show of an event.
 * @param {any} data of an event
 * @param {{isError?: boolean}} [event] `isError`: whether the type of the event means an error, so that a text of
 *   several lines is shown as a block
 * @returns {Content}
 */
export function contentOf(data, { isError = false } = {}) {
  const content = { text: "", glance: "", more: false, questions: questionsOf(data), block: "", bytes: 0 };
  if (data === null || data === undefined) return content;
  if (typeof data !== "object") return divided({ ...content, text: String(data), more: isLong(String(data)) }, isError);
  if (data.truncated === true && typeof data.bytes === "number" && Object.keys(data).length === 2) {
    return { ...content, text: `Too large to send (${size(data.bytes)})`, bytes: data.bytes };
  }
  const { text, holder, field } = textIn(data);
  const trace = traceIn(data);
  const shown = [...(holder === data ? [field] : []), ...(data[trace.field] === trace.text ? [trace.field] : [])];
  if (content.questions.length > 0) shown.push(...QUESTIONS_FIELDS);
  const rest = fieldsOf(data, shown);
  if (text !== "") {
    const isWhole = holder === data && rest.length === 0;
    return divided({ ...content, text, more: isLong(text) || !isWhole, block: trace.text }, isError || trace.text !== "");
  }
  if (trace.text !== "") return divided({ ...content, text: trace.text, more: rest.length > 0 }, true);
  const inner = PAYLOAD_FIELDS.map((name) => data[name]).find((value) => value && typeof value === "object") ?? data;
  const glance = content.questions.length > 0 ? "" : glanceAt(inner, fieldsOf(inner, []));
  return { ...content, glance, more: rest.length > 0 };
}

/**
 * The error that the data of an event has, whatever the type of the event; "" without one.
 * @param {any} data
 * @returns {string}
 */
export function faultOf(data) {
  for (const holder of holdersIn(data)) {
    const { error } = holder;
    if (typeof error === "string" && error !== "") return error;
    if (typeof error?.message === "string" && error.message !== "") return error.message;
    if (typeof holder.level === "string" && ERROR_LEVELS.has(holder.level.toLowerCase())) return holder.level;
  }
  return traceIn(data).text;
}

/**
 * The questions in the data of an event.
 * @param {any} data
 * @returns {string[]}
 */
export function questionsOf(data) {
  for (const holder of holdersIn(data)) {
    const list = QUESTIONS_FIELDS.map((name) => holder[name]).find(Array.isArray);
    const questions = list?.map(questionIn).filter((/** @type {string} */ question) => question !== "") ?? [];
    if (questions.length > 0) return questions;
  }
  return [];
}

/**
 * All texts and numbers in the data of an event, in the order of its fields, without its type and time.
 * @param {any} data
 * @returns {string[]}
 */
export function textsIn(data) {
  if (data === null || data === undefined) return [];
  if (typeof data !== "object") return [String(data)];
  const isList = Array.isArray(data);
  return Object.keys(data).flatMap((key) => (isList || !TYPE_AND_TIME_FIELDS.has(key) ? leavesOf(data[key]) : []));
}

/**
 * @param {any} value
 * @returns {string[]}
 */
function leavesOf(value) {
  if (value === null || value === undefined) return [];
  return typeof value === "object" ? Object.values(value).flatMap(leavesOf) : [String(value)];
}

/** @param {any} value */
function questionIn(value) {
  if (typeof value === "string") return value;
  return QUESTION_FIELDS.map((name) => value?.[name]).find((text) => typeof text === "string") ?? "";
}

/**
 * The objects whose fields count as those of the event: its data, and what is nested in it as a payload.
 * @param {any} data
 * @returns {any[]}
 */
function holdersIn(data) {
  if (typeof data !== "object" || data === null) return [];
  return [data, ...PAYLOAD_FIELDS.map((name) => data[name])].filter((holder) => typeof holder === "object" && holder);
}

/** @param {any} data */
function textIn(data) {
  for (const holder of holdersIn(data)) {
    const field = TEXT_FIELDS.find((name) => typeof holder[name] === "string" && holder[name] !== "");
    if (field) return { text: String(holder[field]), holder, field };
    if (typeof holder.error?.message === "string") return { text: String(holder.error.message), holder: null, field: "" };
  }
  return { text: "", holder: null, field: "" };
}

/** @param {any} data */
function traceIn(data) {
  for (const holder of holdersIn(data).flatMap((each) => [each, each.error ?? {}])) {
    const field = TRACE_FIELDS.find((name) => typeof holder[name] === "string" && holder[name] !== "");
    if (field) return { text: String(holder[field]), field };
  }
  return { text: "", field: "" };
}

/**
 * Makes a block of a text that is a traceback, or an error of several lines.
 * @param {Content} content
 * @param {boolean} isError
 */
function divided(content, isError) {
  const { text } = content;
  if (content.block !== "" || !text.includes("\n")) return content;
  if (!isError && !text.includes(PYTHON_TRACEBACK) && !TRACE_LINE.test(text)) return content;
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const ends = lines[0]?.startsWith(PYTHON_TRACEBACK); // Python says what failed in the last line
  return { ...content, block: text, text: (ends ? lines.at(-1) : lines[0])?.trim() ?? "" };
}

/**
 * What failed, where an error does not begin with it: Python says it in the last line of a traceback.
 * @param {string} error
 * @returns {string} "" where the error begins with it, and where the last line is missing because the relay cut the text
 */
export function failureIn(error) {
  const lines = error.trim().split("\n");
  const last = lines[lines.length - 1].trim();
  const isThere = !last.endsWith("…") || (lines.includes("…") && last !== "…"); // the relay cuts a middle or an end
  return lines.length > 1 && lines[0].startsWith(PYTHON_TRACEBACK) && isThere ? last : "";
}

/**
 * The whole error of a task. The relay cuts long texts of a summary and ends them with "…", or puts it in a line of its
 * own in place of the middle of a traceback; an event may have all of it.
 * @param {string} error of a summary
 * @param {readonly ({data?: any} | null)[]} events of the task
 * @returns {string} the error as it is, where no event has more of it
 */
export function wholeError(error, events) {
  const kept = error.endsWith("…") ? error.slice(0, -1) : error;
  const [beginning, ...rest] = kept.split(CUT_MIDDLE);
  if (kept === error && rest.length === 0) return error;
  const ending = rest.join(CUT_MIDDLE);
  for (const event of events.slice(-ERROR_EVENTS_MAX).reverse()) {
    const { text, block } = contentOf(event?.data, { isError: true });
    const whole = [block, text, faultOf(event?.data)]
      .find((each) => each.startsWith(beginning) && each.includes(ending, beginning.length));
    if (whole !== undefined) return whole;
  }
  return error;
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
  const isNested = (/** @type {string} */ field) => typeof data[field] === "object" && data[field] !== null;
  const plainFirst = [...fields.filter((field) => !isNested(field)), ...fields.filter(isNested)];
  return plainFirst.slice(0, GLANCE_FIELDS).map((field) => {
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
