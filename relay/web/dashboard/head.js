// @ts-check
// The head of the open task: its title, its one button, and the facts about it.

import { actionOf, parseTime, stageOf, visible, waitsForMe } from "../view/index.js";
import { copyId, copyLink } from "./copy.js";
import { find, outwardLink, setAttribute, setDocumentText, setText } from "./dom.js";
import { showBadge, showExactTime, showReferences } from "./facts.js";
import { language, say } from "./language.js";
import { pulse } from "./motion.js";
import { ago, shortDuration } from "./time.js";

/** @import { LinkTemplates, TaskSummary } from "../client/index.js" */
/** @import { Action, Me } from "../view/index.js" */

const NAMES_SHOWN = 3; // of whom a task waits for; the others are counted
const ID_CHARACTERS = 12; // a longer id is shown by its two ends
const ID_END_CHARACTERS = 4;
const WAITING = new Set(["questions", "review"]);
const ENDED = new Set(["done", "failed"]);

const names = new Intl.ListFormat(language, { type: "conjunction" });

export class Head {
  #top = find(".task-top");
  #facts = find(".task-facts");
  #title = find(".task-title");
  /** @type {TaskSummary | null} The summary that is shown. */
  #shown = null;
  #action = "";
  #showFailure;

  /** @param {() => void} showFailure leads the reader to what failed */
  constructor(showFailure) {
    this.#showFailure = showFailure;
    find(".copy-id").addEventListener("click", copyId);
    find(".copy-link").addEventListener("click", copyLink);
    // A title of many lines scrolls, and then the keyboard has to reach it.
    const heights = new ResizeObserver(() => {
      this.#title.tabIndex = this.#title.scrollHeight > this.#title.clientHeight ? 0 : -1;
    });
    heights.observe(this.#title);
  }

  /**
   * @param {TaskSummary} task
   * @param {Me} me
   * @param {LinkTemplates} links
   */
  show(task, me, links) {
    const before = this.#shown;
    this.#shown = task;
    const title = visible(task.title);
    setDocumentText(this.#title, title ?? say("task.untitled"));
    this.#title.classList.toggle("untitled", title === undefined);
    const badge = find(".badge", this.#facts);
    if (showBadge(badge, task) && before) pulse(badge);
    const by = find(".task-by", this.#facts);
    const creator = visible(task.creator);
    setDocumentText(find(".creator", by), creator ?? "");
    by.hidden = creator === undefined;
    setAttribute(by, "title", creator);
    showReferences(find(".refs", this.#facts), task, before);
    showExactTime(find(".task-created", this.#facts), parseTime(task.createdAt));
    showExactTime(find(".task-changed", this.#facts), parseTime(task.updatedAt));
    this.#showId(task.taskId);
    this.#showWhom(task, me);
    this.#showAction(actionOf(task, links));
  }

  /**
   * Updates the ages.
   * @param {number | undefined} enteredAt when the task came into its stage, in ms since the epoch
   */
  tick(enteredAt) {
    if (!this.#shown) return;
    const now = Date.now();
    const created = parseTime(this.#shown.createdAt);
    const changed = parseTime(this.#shown.updatedAt);
    const since = find(".task-since", this.#facts);
    showExactTime(since, enteredAt);
    const { stage } = stageOf(this.#shown);
    setText(since, enteredAt === undefined ? "" : sinceWords(stage, now - enteredAt));
    this.#joinWaiting(stage, enteredAt !== undefined);
    const [createdAt, changedAt] = [find(".task-created", this.#facts), find(".task-changed", this.#facts)];
    setText(createdAt, created === undefined ? "" : say("task.created", { ago: ago(now - created) }));
    setText(changedAt, changed === undefined ? "" : say("task.changed", { ago: ago(now - changed) }));
  }

  /** Removes everything of a task. */
  clear() {
    this.#shown = null;
    for (const part of [this.#title, ...this.#facts.querySelectorAll("bdi, time, .refs")]) part.replaceChildren();
    for (const part of this.#facts.querySelectorAll("[title], [datetime]")) {
      part.removeAttribute("title");
      part.removeAttribute("datetime");
    }
    this.#showAction(null);
  }

  /** @param {string} taskId */
  #showId(taskId) {
    const button = find(".copy-id", this.#facts);
    const characters = [...taskId];
    const isShort = characters.length <= ID_CHARACTERS;
    const [from, to] = [characters.slice(0, ID_END_CHARACTERS), characters.slice(-ID_END_CHARACTERS)];
    setText(find("bdi", button), isShort ? taskId : `${from.join("")}…${to.join("")}`);
    setAttribute(button, "title", taskId);
  }

  /**
   * Shows whom the task waits for, or whose failure it is.
   * @param {TaskSummary} task
   * @param {Me} me
   */
  #showWhom(task, me) {
    const element = find(".task-waits", this.#facts);
    const isMine = waitsForMe(task, me);
    const whom = [...(isMine ? [say("task.you")] : []), ...new Set(othersOf(task.waitsFor ?? {}, me))];
    element.hidden = task.waitsFor === undefined || whom.length === 0;
    if (element.hidden) return;
    const more = whom.length - NAMES_SHOWN;
    const shown = more > 1 ? [...whom.slice(0, NAMES_SHOWN), say("task.more-names", { count: more })] : whom;
    setText(find("bdi", element), names.format(shown));
    setAttribute(element, "title", whom.join(", "));
  }

  /**
   * Says how long and for whom the task waits in one phrase, as in "waits 4 min for you".
   * @param {import("../view/index.js").ShownStage} stage
   * @param {boolean} hasTime
   */
  #joinWaiting(stage, hasTime) {
    const whom = find(".task-waits", this.#facts);
    const isOne = hasTime && WAITING.has(stage) && !whom.hidden;
    find(".task-wait", this.#facts).classList.toggle("joined", isOne);
    const word = isOne ? say("task.waits-on") : say("task.waits-for");
    setText(find("span", whom), stage === "failed" ? say("task.concerns") : word);
  }

  /** @param {Action | null} action */
  #showAction(action) {
    const shown = action ? `${action.name} ${"address" in action ? action.address : ""}` : "";
    if (shown === this.#action) return; // the button keeps the focus
    this.#action = shown;
    find(".task-action", this.#top).replaceChildren(...(action ? [this.#button(action)] : []));
  }

  /** @param {Action} action */
  #button(action) {
    const leadsOut = "address" in action;
    const button = leadsOut ? outwardLink(action.address) : document.createElement("button");
    button.dataset.action = action.name;
    button.className = "action";
    button.append(say(`action.${action.name}`));
    if (!leadsOut) {
      button.addEventListener("click", this.#showFailure);
      return button;
    }
    const arrow = document.createElement("span");
    arrow.setAttribute("aria-hidden", "true");
    arrow.textContent = "↗";
    button.append(" ", arrow);
    button.title = say("action.leads-to", { host: new URL(action.address).host });
    return button;
  }
}

/**
 * @param {import("../view/index.js").ShownStage} stage
 * @param {number} ms since the task came into the stage
 */
function sinceWords(stage, ms) {
  if (ENDED.has(stage)) return ago(ms);
  const time = shortDuration(ms);
  return WAITING.has(stage) ? say("task.waits", { time }) : say("task.for", { time });
}

/**
 * Whom the task waits for besides this user.
 * @param {NonNullable<TaskSummary["waitsFor"]>} waitsFor
 * @param {Me} me
 */
function othersOf(waitsFor, me) {
  return Object.entries(waitsFor).flatMap(([claim, values]) => {
    const mine = Object.hasOwn(me, claim) ? me[claim] : [];
    return values.filter((value) => !mine.includes(value));
  });
}
