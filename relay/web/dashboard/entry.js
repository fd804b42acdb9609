// @ts-check
// One event of a timeline: its line, its questions or its traceback, and all of its data when the reader opens it.

import { contentOf, isNotable, parseTime, readable, stageOfEvent } from "../view/index.js";
import { blockElement } from "./block.js";
import { find, setAttribute, setDocumentText, setText, stamp } from "./dom.js";
import { showExactTime } from "./facts.js";
import { say } from "./language.js";
import { setRichText } from "./rich-text.js";
import { clockTime, dayText, megabytes, shortDuration } from "./time.js";

/** @import { Event } from "../client/index.js" */
/** @import { Content, Kind, Line } from "../view/index.js" */

const KIND_CHARACTERS = 20; // a longer name of a type may be cut
const LINE_CHARACTERS = 400; // more never fits into a line

/**
 * Makes the element of an event.
 * @param {Event | null} event null for a hole in the array
 * @param {number} index
 * @param {boolean} isOpen whether its data is shown
 */
export function entryElement(event, index, isOpen) {
  const element = stamp("entry-template");
  element.dataset.eventIndex = String(index);
  setText(find(".entry-index", element), String(index));
  const ms = parseTime(event?.at);
  const time = find(".entry-time", element);
  setText(time, ms === undefined ? "" : clockTime(ms));
  showExactTime(time, ms);
  const kind = kindText(event && readable(event.type ?? ""));
  setDocumentText(find(".entry-kind", element), kind);
  if (kind.length > KIND_CHARACTERS) find(".entry-kind", element).title = kind;
  const stage = shownStage(event);
  if (stage) element.dataset.stage = stage;
  const content = contentOf(event?.data, { isError: stage === "failed" });
  showLine(element, content, isOpen);
  if (content.questions.length > 0) element.append(questionList(content.questions));
  if (content.block !== "") element.append(traceback(content.block));
  if (hasData(event, content)) {
    element.append(stamp("more-template"));
    find(".entry-more", element).setAttribute("aria-label", say("timeline.data-of", { index: String(index) }));
    if (isOpen) showData(element, event, true);
  }
  return element;
}

/**
 * Shows or hides the data of an event. Its JSON is built only when the reader asks for it, because events may be large.
 * @param {HTMLElement} element the entry
 * @param {Event | null} event
 * @param {boolean} isOpen
 */
export function showData(element, event, isOpen) {
  element.classList.toggle("open", isOpen);
  find(".entry-more", element).setAttribute("aria-expanded", String(isOpen));
  showLine(element, contentOf(event?.data, { isError: shownStage(event) === "failed" }), isOpen);
  element.querySelector(".entry-data")?.remove();
  if (!isOpen) return;
  const json = JSON.stringify(event?.data, null, 2);
  const block = blockElement(json, { label: say("timeline.data"), folds: false });
  block.classList.add("entry-data");
  element.append(block);
}

/**
 * Shows where in the outline an event lies.
 * @param {HTMLElement} element
 * @param {Line | undefined} line undefined if the filter hides the event
 * @param {boolean} isFolded
 * @param {boolean} isUnfolded whether its run is unfolded
 */
export function showPlace(element, line, isFolded, isUnfolded) {
  element.hidden = line === undefined;
  element.classList.toggle("folded", isFolded);
  if (!line) return;
  const { first, last } = line.run;
  const index = Number(element.dataset.eventIndex);
  // The button is where the reader pressed it: in the line of the folded run, then in the first of its lines.
  const turns = !isFolded && first < last && index === (isUnfolded ? first : last);
  showFold(element, turns ? last - first + 1 : 0, isUnfolded);
  const silence = turns && !isUnfolded ? line.run.silence : line.silence;
  showSilence(element, silence);
  element.classList.toggle("in-run", isUnfolded && first < last);
}

/**
 * The element between two days.
 * @param {number} ms the beginning of the later day
 */
export function dayElement(ms) {
  const element = document.createElement("li");
  element.className = "entry-day";
  element.dataset.day = String(ms);
  showDay(element);
  return element;
}

/**
 * Names the day of such an element, which changes at midnight.
 * @param {HTMLElement} element
 */
export function showDay(element) {
  setText(element, dayText(Number(element.dataset.day)));
}

/**
 * The type of an event, as its line and the filter show it.
 * @param {Kind} kind
 */
export function kindText(kind) {
  if (kind === null) return say("timeline.hole");
  return kind === "" ? say("timeline.untyped") : kind;
}

/** @param {Event | null} event */
function shownStage(event) {
  const stage = stageOfEvent(event?.type);
  if (stage || !isNotable(event)) return stage;
  return contentOf(event?.data).questions.length > 0 || /question|clarif/i.test(event?.type ?? "") ? "questions" : "failed";
}

/**
 * @param {HTMLElement} element
 * @param {Content} content
 * @param {boolean} isOpen
 */
function showLine(element, { text, glance, questions, bytes }, isOpen) {
  const line = find(".entry-text", element);
  line.classList.toggle("glance", text === "");
  if (bytes > 0) return setText(line, say("timeline.too-large", { size: megabytes(bytes) }));
  if (text === "" && questions.length > 0) return setText(line, say("timeline.questions", { count: questions.length }));
  const shown = text || glance;
  if (isOpen || shown.length <= LINE_CHARACTERS) return setRichText(line, shown);
  // Cut between two words, so that no address is cut.
  const cut = shown.slice(0, LINE_CHARACTERS);
  const end = Math.max(cut.lastIndexOf(" "), cut.lastIndexOf("\n"));
  if (end > 0) setRichText(line, `${cut.slice(0, end)}…`);
  else setDocumentText(line, `${cut.replace(/[\ud800-\udbff]$/, "")}…`); // half a character may be left at the cut
}

/**
 * @param {HTMLElement} element
 * @param {number} count of the events in the run; 0 removes the button
 * @param {boolean} isUnfolded
 */
function showFold(element, count, isUnfolded) {
  let button = /** @type {HTMLElement | null} */ (element.querySelector(".entry-fold"));
  if (count === 0) return button?.remove();
  if (!button) {
    button = stamp("fold-template");
    find(".entry-type", element).append(button);
  }
  setText(button, `× ${count}`);
  setAttribute(button, "aria-expanded", String(isUnfolded));
  const kind = find(".entry-kind", element).textContent;
  setAttribute(button, "aria-label", say("timeline.run", { kind, count }));
  setAttribute(button, "title", isUnfolded ? say("timeline.fold") : say("timeline.unfold", { count }));
}

/**
 * @param {HTMLElement} element
 * @param {number} ms
 */
function showSilence(element, ms) {
  const shown = element.querySelector(".entry-silence");
  if (ms === 0) return shown?.remove();
  const silence = shown ?? document.createElement("span");
  silence.className = "entry-silence";
  setText(silence, `+${shortDuration(ms)}`);
  setAttribute(silence, "title", say("timeline.silence", { duration: shortDuration(ms) }));
  if (!shown) find(".entry-text", element).after(silence);
}

/** @param {string[]} questions */
function questionList(questions) {
  const list = document.createElement("ol");
  list.className = "entry-questions";
  for (const question of questions) {
    const item = document.createElement("li");
    item.dir = "auto";
    setRichText(item, question);
    list.append(item);
  }
  return list;
}

/** @param {string} text */
function traceback(text) {
  const block = blockElement(text, { label: say("timeline.traceback") });
  block.classList.add("entry-traceback");
  return block;
}

/**
 * Whether there is more to show than the line. Data that the relay left out has only a size.
 * @param {Event | null} event
 * @param {Content} content
 */
function hasData(event, { more, bytes }) {
  return bytes === 0 && (more || (typeof event?.data === "object" && event.data !== null));
}
